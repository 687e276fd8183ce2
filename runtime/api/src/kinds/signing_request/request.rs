//! A PKCS #10 request (RFC 2986): what it asks to be called.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

const BEGIN: &str = "-----BEGIN CERTIFICATE REQUEST-----";
const END: &str = "-----END CERTIFICATE REQUEST-----";

/// What a request asks to be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The subject, in DER.
    pub subject: Vec<u8>,
    /// The public key with what it is for, in DER (`SubjectPublicKeyInfo`).
    pub public_key: Vec<u8>,
    /// The subject's common name.
    pub common_name: String,
    /// The subject's organizations.
    pub organizations: Vec<String>,
    /// The DNS names it asks for beside the subject.
    pub dns_names: Vec<String>,
    /// IP addresses.
    pub ip_addresses: Vec<IpAddr>,
    /// Mail addresses.
    pub email_addresses: Vec<String>,
    /// URIs.
    pub uris: Vec<String>,
}

impl Request {
    /// Reads the first PEM block of `pem`, and checks that it is signed with its own key.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(pem: &[u8]) -> Result<Self, String> {
        const NO_BLOCK: &str = "PEM block type must be CERTIFICATE REQUEST";
        let text = std::str::from_utf8(pem).map_err(|_| NO_BLOCK)?;
        let (_, rest) = text.split_once(BEGIN).ok_or(NO_BLOCK)?;
        let (body, _) = rest.split_once(END).ok_or(NO_BLOCK)?;
        let body: String = body.split_whitespace().collect();
        let der = STANDARD.decode(body).map_err(|error| error.to_string())?;
        let malformed = |_| "the certificate request is malformed".to_owned();
        let (rest, request) = X509CertificationRequest::from_der(&der).map_err(malformed)?;
        if !rest.is_empty() {
            return Err("trailing data after the certificate request".to_owned());
        }
        request.verify_signature().map_err(|_| "the certificate request is not signed with its own key".to_owned())?;
        let subject = &request.certification_request_info.subject;
        let text = |value: &x509_parser::x509::AttributeTypeAndValue<'_>| value.as_str().ok().map(str::to_owned);
        let mut found = Self {
            common_name: subject.iter_common_name().next().and_then(text).unwrap_or_default(),
            organizations: subject.iter_organization().filter_map(text).collect(),
            subject: subject.as_raw().to_vec(),
            public_key: request.certification_request_info.subject_pki.raw.to_vec(),
            ..Self::default()
        };
        let names = request.requested_extensions().into_iter().flatten().filter_map(|extension| match extension {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        });
        for name in names.flatten() {
            match name {
                GeneralName::DNSName(name) => found.dns_names.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => {
                    let address = address(bytes).ok_or_else(|| "an IP address has an impossible length".to_owned())?;
                    found.ip_addresses.push(address);
                }
                GeneralName::RFC822Name(name) => found.email_addresses.push((*name).to_owned()),
                GeneralName::URI(name) => found.uris.push((*name).to_owned()),
                _ => {}
            }
        }
        Ok(found)
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4().or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_request_is_refused() {
        let no_block = "PEM block type must be CERTIFICATE REQUEST";
        for (text, expected) in [
            ("", no_block),
            ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", no_block),
            (
                "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----",
                "the certificate request is malformed",
            ),
        ] {
            assert_eq!(Request::parse(text.as_bytes()).unwrap_err(), expected, "{text}");
        }
    }
}
