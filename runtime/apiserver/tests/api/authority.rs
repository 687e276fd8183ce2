//! A certificate authority for a test.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use trimtab_client::{HttpTransport, provider};

/// A certificate with its key.
type Leaf = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    roots: Arc<RootCertStore>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key), roots: Arc::new(roots) }
    }

    pub(crate) fn ca_pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn leaf(&self, name: &str, organisation: &str) -> Leaf {
        let mut params =
            CertificateParams::new(["localhost", "127.0.0.1", "hooks.default.svc"].map(str::to_owned)).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationName, organisation);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    /// A certificate and its key, in PEM.
    pub(crate) fn pem_of(&self, name: &str) -> String {
        let (certificate, key) = self.pem_leaf(name, "test");
        certificate + &key
    }

    /// [`Authority::leaf`], in PEM.
    pub(crate) fn pem_leaf(&self, name: &str, organisation: &str) -> (String, String) {
        let (chain, key) = self.leaf(name, organisation);
        (pem("CERTIFICATE", &chain[0]), pem("PRIVATE KEY", key.secret_der()))
    }

    pub(crate) fn server(&self) -> ServerConfig {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), provider());
        let verifier = verifier.allow_unauthenticated().build().unwrap();
        let (chain, key) = self.leaf("apiserver", "test");
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }

    pub(crate) fn client(&self, address: SocketAddr, leaf: Option<Leaf>) -> HttpTransport {
        HttpTransport::new(&format!("https://localhost:{}", address.port()), &self.client_config(leaf), None).unwrap()
    }

    pub(crate) fn client_config(&self, leaf: Option<Leaf>) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(Arc::clone(&self.roots));
        match leaf {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        }
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}
