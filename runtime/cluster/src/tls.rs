//! rustls configurations from our certificates.

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use trimtab_client::provider;

use crate::pki::Identity;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Whether a server insists on a client certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clients {
    /// Strangers are let in, as nobody.
    MayBeStrangers,
    /// A certificate of the authority is needed.
    NeedCertificates,
}

pub(crate) fn server(identity: &Identity, ca_pem: &str, clients: Clients) -> Result<ServerConfig, Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca_pem)?), provider());
    let verifier = match clients {
        Clients::MayBeStrangers => verifier.allow_unauthenticated(),
        Clients::NeedCertificates => verifier,
    };
    let (chain, key) = pair(identity)?;
    let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let mut config = config.with_client_cert_verifier(verifier.build()?).with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

pub(crate) fn client(identity: &Identity, ca_pem: &str) -> Result<ClientConfig, Error> {
    let (chain, key) = pair(identity)?;
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots(ca_pem)?).with_client_auth_cert(chain, key)?)
}

fn roots(ca_pem: &str) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate?)?;
    }
    Ok(roots)
}

fn pair(identity: &Identity) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let chain = CertificateDer::pem_slice_iter(identity.cert_pem.as_bytes()).collect::<Result<_, _>>()?;
    Ok((chain, PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())?))
}
