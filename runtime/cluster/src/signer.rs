//! Signs certificates for others with an authority that is in files, as the API asks for it.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rcgen::{
    CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
    SigningKey, SubjectPublicKeyInfo,
};
use trimtab_api::kinds::signing_request::Request;
use trimtab_controllers::Signer;

use crate::der;
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
        Self::of(&pki::read_identity(cert, key)?)
    }

    /// The authority with this certificate and key.
    ///
    /// # Errors
    /// If they are none.
    pub(crate) fn of(pair: &pki::Identity) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(&pair.key_pem).map_err(about("signing authority's key"))?;
        let issuer = Issuer::from_ca_cert_pem(&pair.cert_pem, key).map_err(about("signing authority"))?;
        Ok(Self { issuer })
    }

    /// Makes the certificate with the subject as it was asked for. The library knows a subject by one value of each
    /// kind: what it makes has none, and is signed anew once it has this one.
    fn certificate(&self, params: &CertificateParams, request: &Request) -> Result<Vec<u8>, String> {
        let failed = |error: rcgen::Error| format!("the certificate could not be made: {error}");
        let key = SubjectPublicKeyInfo::from_der(&request.public_key).map_err(failed)?;
        let draft = params.signed_by(&key, &self.issuer).map_err(failed)?;
        let odd = || "the certificate could not be made: it is not as it should be".to_owned();
        let parts = der::parts(draft.der()).ok_or_else(odd)?;
        let [text, algorithm, _] = parts[..] else { return Err(odd()) };
        let mut fields = der::parts(text).ok_or_else(odd)?;
        // After the version, the number, the algorithm, the issuer and the time (RFC 5280, section 4.1).
        *fields.get_mut(SUBJECT).ok_or_else(odd)? = &request.subject;
        let text = der::sequence(&fields);
        let signature = self.issuer.key().sign(&text).map_err(failed)?;
        Ok(der::sequence(&[&text, algorithm, &der::bits(&signature)]))
    }
}

/// Where among the fields of a certificate its subject stands.
const SUBJECT: usize = 5;

impl fmt::Debug for FileSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileSigner")
    }
}

impl Signer for FileSigner {
    fn sign(&self, request: &Request, usages: &[String], from: Timestamp, until: Timestamp) -> Result<String, String> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.is_ca = IsCa::ExplicitNoCa;
        params.subject_alt_names = names(request)?;
        // What it is for is what was approved, not what else the request says.
        for usage in usages {
            match usage.as_str() {
                "digital signature" => params.key_usages.push(KeyUsagePurpose::DigitalSignature),
                "key encipherment" => params.key_usages.push(KeyUsagePurpose::KeyEncipherment),
                "client auth" => params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth),
                "server auth" => params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth),
                other => return Err(format!("unrecognized usage: {other}")),
            }
        }
        params.use_authority_key_identifier_extension = true;
        let date = |time: Timestamp| {
            let seconds = std::time::Duration::from_secs(time.as_second().unsigned_abs());
            rcgen::date_time_ymd(1970, 1, 1) + seconds
        };
        (params.not_before, params.not_after) = (date(from), date(until));
        Ok(pem(&self.certificate(&params, request)?))
    }
}

/// What the certificate is good for beside its subject.
fn names(request: &Request) -> Result<Vec<SanType>, String> {
    let text = |make: fn(rcgen::string::Ia5String) -> SanType| {
        move |name: &String| {
            name.as_str().try_into().map(make).map_err(|error: rcgen::Error| format!("{name:?}: {error}"))
        }
    };
    let dns = request.dns_names.iter().map(text(SanType::DnsName));
    let mail = request.email_addresses.iter().map(text(SanType::Rfc822Name));
    let uris = request.uris.iter().map(text(SanType::URI));
    let addresses = request.ip_addresses.iter().map(|ip| Ok(SanType::IpAddress(*ip)));
    dns.chain(mail).chain(addresses).chain(uris).collect()
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Pki;

    /// A request in the name of `jane`, with all of these organizations in one part of it, as Go writes them.
    fn request(organizations: &[&str]) -> Request {
        const ORGANIZATION: [u8; 5] = [6, 3, 0x55, 4, 10];
        const COMMON_NAME: [u8; 5] = [6, 3, 0x55, 4, 3];
        let params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let draft = params.serialize_request(&key).unwrap();
        let attribute = |oid: &[u8], text: &str| {
            let text = [&[12, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
            der::sequence(&[oid, &text])
        };
        let set = |parts: &[Vec<u8>]| {
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let mut set = der::sequence(&parts);
            set[0] = 0x31;
            set
        };
        let all: Vec<Vec<u8>> = organizations.iter().map(|text| attribute(&ORGANIZATION, text)).collect();
        let subject = der::sequence(&[&set(&all), &set(&[attribute(&COMMON_NAME, "jane")])]);
        let parts = der::parts(draft.der()).unwrap();
        let mut fields = der::parts(parts[0]).unwrap();
        fields[1] = &subject;
        let text = der::sequence(&fields);
        let signature = der::bits(&key.sign(&text).unwrap());
        let request = der::sequence(&[&text, parts[1], &signature]);
        let text = STANDARD.encode(request);
        let pem = format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n");
        Request::parse(pem.as_bytes()).unwrap()
    }

    #[test]
    fn a_request_is_signed_for_what_was_approved() {
        let dir = tempfile::tempdir().unwrap();
        let now = trimtab_env::Env::system().now();
        Pki::open(dir.path(), now).unwrap();
        let signer = FileSigner::open(&dir.path().join("ca.crt"), &dir.path().join("ca.key")).unwrap();
        let request = request(&["dev", "ops", "on-call"]);
        assert_eq!((request.common_name.as_str(), &*request.dns_names), ("jane", &["a.example".to_owned()][..]));
        assert_eq!(request.organizations, ["dev", "ops", "on-call"]);
        let until = now + jiff::SignedDuration::from_hours(1);
        let pem = signer.sign(&request, &["client auth".to_owned()], now, until).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
        let certificate = pem.parse_x509().unwrap();
        let authority = std::fs::read(dir.path().join("ca.crt")).unwrap();
        let (_, authority) = x509_parser::pem::parse_x509_pem(&authority).unwrap();
        let authority = authority.parse_x509().unwrap();
        certificate.verify_signature(Some(authority.public_key())).unwrap();
        assert_eq!(certificate.issuer(), authority.subject());
        let organizations: Vec<_> = certificate.subject().iter_organization().map(|o| o.as_str().unwrap()).collect();
        assert_eq!(organizations, ["dev", "ops", "on-call"]);
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names, [x509_parser::extensions::GeneralName::DNSName("a.example")]);
        assert_eq!(certificate.public_key().raw, request.public_key);
        let error = signer.sign(&request, &["fun".to_owned()], now, until).unwrap_err();
        assert_eq!(error, "unrecognized usage: fun");
    }
}
