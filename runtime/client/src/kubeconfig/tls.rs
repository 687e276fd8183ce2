//! Whom a server's certificate is to be from, and which one it is shown.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls_platform_verifier::BuilderVerifierExt;

use super::{ClusterEntry, ClusterInfo, ConfigError, Named, UserEntry, read_file};
use crate::http::provider;

const CA: &str = "certificate authority";
const CERT: &str = "client certificate";

fn pem(what: &'static str, data: Option<&str>, file: Option<&Path>) -> Result<Option<Vec<u8>>, ConfigError> {
    let bad = |detail: String| ConfigError::Credentials { what, detail };
    match (data.filter(|data| !data.is_empty()), file.filter(|path| !path.as_os_str().is_empty())) {
        (Some(data), _) => STANDARD.decode(data).map(Some).map_err(|error| bad(error.to_string())),
        (None, Some(path)) => read_file(path).map(|text| Some(text.into_bytes())),
        (None, None) => Ok(None),
    }
}

/// Whom the cluster says to trust, and the user's own certificate.
pub(super) fn tls(cluster: &Named<ClusterEntry>, user: &Named<UserEntry>) -> Result<ClientConfig, ConfigError> {
    let info = &user.entry.user;
    let cert = pem(CERT, info.client_certificate_data.as_deref(), info.client_certificate.as_deref())?;
    let key = pem("client key", info.client_key_data.as_deref(), info.client_key.as_deref())?;
    let mut tls = trusting(&cluster.entry.cluster)?;
    match (cert, key) {
        (Some(cert), Some(key)) => identify(&mut tls, &cert, &key)?,
        (None, None) => {}
        (Some(_), None) => return Err(user.refused("user.client-certificate", "needs its user.client-key")),
        (None, Some(_)) => return Err(user.refused("user.client-key", "needs its user.client-certificate")),
    }
    Ok(tls)
}

/// Shows a server that asks for one this certificate, in PEM.
pub(super) fn identify(tls: &mut ClientConfig, cert: &[u8], key: &[u8]) -> Result<(), ConfigError> {
    let bad = |detail: String| ConfigError::Credentials { what: CERT, detail };
    let certs = CertificateDer::pem_slice_iter(cert).collect::<Result<_, _>>().map_err(|e| bad(e.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| bad(e.to_string()))?;
    let certified = CertifiedKey::from_der(certs, key, &provider()).map_err(|e| bad(e.to_string()))?;
    tls.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    Ok(())
}

fn trusting(cluster: &ClusterInfo) -> Result<ClientConfig, ConfigError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder =
        builder.map_err(|error| ConfigError::Credentials { what: "TLS provider", detail: error.to_string() })?;
    let builder = if cluster.insecure_skip_tls_verify == Some(true) {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAny))
    } else {
        match roots(cluster)? {
            Some(roots) => builder.with_root_certificates(roots),
            None if is_https(&cluster.server) => builder.with_platform_verifier().map_err(|error| {
                ConfigError::Credentials { what: "system's certificate authorities", detail: error.to_string() }
            })?,
            // There is nothing to verify, and a system without authorities is no reason not to ask.
            None => builder.with_root_certificates(RootCertStore::empty()),
        }
    };
    Ok(builder.with_no_client_auth())
}

/// The certificates of the authorities that the cluster names, in PEM.
pub(super) fn authority(cluster: &ClusterInfo) -> Result<Option<Vec<u8>>, ConfigError> {
    pem(CA, cluster.certificate_authority_data.as_deref(), cluster.certificate_authority.as_deref())
}

fn is_https(server: &str) -> bool {
    server.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
}

/// The authorities that the cluster names; the system's stand for `None`.
fn roots(cluster: &ClusterInfo) -> Result<Option<RootCertStore>, ConfigError> {
    let bad = |detail: String| ConfigError::Credentials { what: CA, detail };
    let Some(pem) = authority(cluster)? else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(&pem) {
        roots.add(cert.map_err(|e| bad(e.to_string()))?).map_err(|e| bad(e.to_string()))?;
    }
    Ok(Some(roots))
}

/// `insecure-skip-tls-verify`.
#[derive(Debug)]
struct TrustAny;

impl ServerCertVerifier for TrustAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
