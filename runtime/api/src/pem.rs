//! Certificates in PEM (RFC 7468), with whatever text stands around them.

use x509_parser::parse_x509_certificate;
use x509_parser::pem::Pem;

const LABEL: &str = "CERTIFICATE";

/// Checks that `data` has certificates, and no other blocks.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn only_certificates(data: &[u8]) -> Result<(), String> {
    let mut is_empty = true;
    for block in Pem::iter_from_buffer(data) {
        let block = block.map_err(|error| error.to_string())?;
        if block.label != LABEL {
            return Err(format!("only {LABEL} PEM blocks are allowed, found {:?}", block.label));
        }
        if !is_certificate(&block) {
            return Err("a PEM block is not a certificate".to_owned());
        }
        is_empty = false;
    }
    if is_empty { Err(format!("must contain one or more {LABEL} PEM blocks")) } else { Ok(()) }
}

/// Checks that `data` has a certificate that can be trusted; what else it has does not matter.
///
/// # Errors
/// That it has none, in upstream's words.
pub(crate) fn authority(data: &[u8]) -> Result<(), String> {
    let mut is_empty = true;
    for block in Pem::iter_from_buffer(data).flatten() {
        if is_certificate(&block) {
            return Ok(());
        }
        is_empty = false;
    }
    let why = if is_empty { "unable to parse bytes as PEM block" } else { "no valid certificate authority data seen" };
    Err(format!("unable to load root certificates: {why}"))
}

fn is_certificate(block: &Pem) -> bool {
    block.label == LABEL && parse_x509_certificate(&block.contents).is_ok_and(|(rest, _)| rest.is_empty())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBNDCB56ADAgECAhQrUm5yjOxjkqm7Mz179hn/hZXAuzAFBgMrZXAwDzENMAsG
A1UEAwwEdGVzdDAgFw0yNjExMjIwNzM2MDJaGA8yMTI2MTAyOTA3MzYwMlowDzEN
MAsGA1UEAwwEdGVzdDAqMAUGAytlcAMhAADFiKqT9atvPgnD/676DAmnXx340yGU
C43aZmHy2VEQo1MwUTAdBgNVHQ4EFgQUr8bCBTiDAPnk60mZ4oluhF5xGQkwHwYD
VR0jBBgwFoAUr8bCBTiDAPnk60mZ4oluhF5xGQkwDwYDVR0TAQH/BAUwAwEB/zAF
BgMrZXADQQD21xs6aaYf5kufGtttojPwTN4yhpCmUcS38lAY2VLpMI8YOt8b0nXD
w0mJl6bIn+L0qC8yMRFc6HyzNibMrSQI
-----END CERTIFICATE-----
";

    #[test]
    fn certificates_and_nothing_else() {
        let none = "must contain one or more CERTIFICATE PEM blocks";
        let with_header = CERTIFICATE.replacen("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n\n", 1);
        let cut = CERTIFICATE.replace("w0mJ", "");
        for (data, expected) in [
            (CERTIFICATE.to_owned(), None),
            (format!("the first\n{CERTIFICATE}\n{CERTIFICATE}the end"), None),
            (String::new(), Some(none)),
            ("text".to_owned(), Some(none)),
            (
                CERTIFICATE.replace("CERTIFICATE", "X509 CRL"),
                Some("only CERTIFICATE PEM blocks are allowed, found \"X509 CRL\""),
            ),
            (with_header, Some("base64 decode error")),
            (cut, Some("a PEM block is not a certificate")),
            (format!("{CERTIFICATE}-----BEGIN CERTIFICATE-----\nAAAA"), Some("incomplete PEM")),
        ] {
            assert_eq!(only_certificates(data.as_bytes()).err().as_deref(), expected, "{data}");
        }
    }

    #[test]
    fn an_authority_has_one_certificate_or_more() {
        let key = "-----BEGIN KEY-----\nAAAA\n-----END KEY-----\n";
        let is_one = |data: &str| authority(data.as_bytes()).is_ok();
        assert!(is_one(CERTIFICATE) && is_one(&format!("{key}{CERTIFICATE}")));
        let why = |data: &str| authority(data.as_bytes()).unwrap_err();
        assert_eq!(why("\n"), "unable to load root certificates: unable to parse bytes as PEM block");
        assert_eq!(why(key), "unable to load root certificates: no valid certificate authority data seen");
    }
}
