//! Signs certificates for others with an authority that is in files, as the API asks for it.

use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use rcgen::{
    CertificateSigningRequestParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use trimtab_api::kinds::signing_request::Request;
use trimtab_controllers::Signer;

use crate::pki::{self, PkiError, about};

/// An authority.
pub(crate) struct FileSigner {
    issuer: Issuer<'static, KeyPair>,
}

impl FileSigner {
    /// The authority whose certificate and key are in these files.
    ///
    /// # Errors
    /// If a file cannot be read, or holds no key or certificate.
    pub(crate) fn open(cert: &Path, key: &Path) -> Result<Self, PkiError> {
        let pair = pki::read_identity(cert, key)?;
        let key = KeyPair::from_pem(&pair.key_pem).map_err(about("signing authority's key"))?;
        let issuer = Issuer::from_ca_cert_pem(&pair.cert_pem, key).map_err(about("signing authority"))?;
        Ok(Self { issuer })
    }
}

impl fmt::Debug for FileSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileSigner")
    }
}

impl Signer for FileSigner {
    fn sign(&self, request: &Request, usages: &[String], from: Timestamp, until: Timestamp) -> Result<String, String> {
        let mut wanted = CertificateSigningRequestParams::from_der(&request.der.as_slice().into())
            .map_err(|error| format!("the certificate request cannot be signed: {error}"))?;
        // The library keeps one value of each kind: rather none than one that says less than was approved.
        if request.organizations.len() > 1 {
            return Err("a subject with several organizations cannot be signed".to_owned());
        }
        let params = &mut wanted.params;
        params.is_ca = IsCa::ExplicitNoCa;
        // What it is for is what was approved, not what else the request says.
        (params.key_usages, params.extended_key_usages) = (Vec::new(), Vec::new());
        for usage in usages {
            match usage.as_str() {
                "digital signature" => params.key_usages.push(KeyUsagePurpose::DigitalSignature),
                "key encipherment" => params.key_usages.push(KeyUsagePurpose::KeyEncipherment),
                "client auth" => params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth),
                "server auth" => params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth),
                other => return Err(format!("unrecognized usage: {other}")),
            }
        }
        params.serial_number = None::<SerialNumber>;
        params.use_authority_key_identifier_extension = true;
        let date = |time: Timestamp| {
            let seconds = std::time::Duration::from_secs(time.as_second().unsigned_abs());
            rcgen::date_time_ymd(1970, 1, 1) + seconds
        };
        (params.not_before, params.not_after) = (date(from), date(until));
        let signed = wanted.signed_by(&self.issuer);
        signed
            .map(|certificate| certificate.pem())
            .map_err(|error| format!("the certificate could not be made: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType};

    use super::*;
    use crate::pki::Pki;

    fn request(organizations: &[&str]) -> Request {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "jane");
        for organization in organizations {
            params.distinguished_name.push(DnType::OrganizationName, *organization);
        }
        let pem = params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
        Request::parse(pem.as_bytes()).unwrap()
    }

    #[test]
    fn a_request_is_signed_for_what_was_approved() {
        let dir = tempfile::tempdir().unwrap();
        let now = trimtab_env::Env::system().now();
        Pki::open(dir.path(), now).unwrap();
        let signer = FileSigner::open(&dir.path().join("ca.crt"), &dir.path().join("ca.key")).unwrap();
        let request = request(&["dev"]);
        assert_eq!((request.common_name.as_str(), request.dns_names), ("jane", 1));
        assert_eq!(request.organizations, ["dev"]);
        let until = now + jiff::SignedDuration::from_hours(1);
        let pem = signer.sign(&request, &["client auth".to_owned()], now, until).unwrap();
        assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"));
        let error = signer.sign(&request, &["fun".to_owned()], now, until).unwrap_err();
        assert_eq!(error, "unrecognized usage: fun");
    }
}
