//! dev only
use rcgen::*;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use std::sync::Arc;
use trimtab_apiserver::*;
use trimtab_env::*;
fn leaf(issuer: &Issuer<'static, KeyPair>, cn: &str, o: &str) -> (Certificate, KeyPair) {
    let mut p = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".into()]).unwrap();
    p.distinguished_name.push(DnType::CommonName, cn);
    p.distinguished_name.push(DnType::OrganizationName, o);
    let k = KeyPair::generate().unwrap();
    (p.signed_by(&k, issuer).unwrap(), k)
}
#[tokio::main]
async fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let mut p = CertificateParams::default();
    p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let k = KeyPair::generate().unwrap();
    let ca = p.self_signed(&k).unwrap();
    let issuer = Issuer::new(p, k);
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let provider = trimtab_client::provider();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .unwrap();
    let (sc, sk) = leaf(&issuer, "apiserver", "x");
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![sc.der().clone()], PrivateKeyDer::Pkcs8(sk.serialize_der().into()))
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let (cc, ck) = leaf(&issuer, "admin", "system:masters");
    use base64::Engine;
    let b = |s: String| base64::engine::general_purpose::STANDARD.encode(s);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    std::fs::write(format!("{dir}/kubeconfig"), format!("apiVersion: v1\nkind: Config\ncurrent-context: t\nclusters:\n- name: t\n  cluster: {{server: 'https://127.0.0.1:{port}', certificate-authority-data: {}}}\nusers:\n- name: t\n  user: {{client-certificate-data: {}, client-key-data: {}}}\ncontexts:\n- name: t\n  context: {{cluster: t, user: t}}\n", b(ca.pem()), b(cc.pem()), b(ck.serialize_pem()))).unwrap();
    let env = Env::system();
    let store: Arc<dyn trimtab_store::Store> = match std::env::args().nth(2) {
        Some(path) => Arc::new(trimtab_store::Embedded::open(std::path::Path::new(&path)).unwrap()),
        None => Arc::new(trimtab_store::Memory::new()),
    };
    let server = ApiServer::new(Config {
        kinds: trimtab_api::builtin(),
        store,
        env,
        service_cidr: ("10.96.0.0".parse().unwrap(), 16),
        node_tls: None,
    })
    .await
    .unwrap();
    server.serve(listener, tls, CancellationToken::new()).await.unwrap();
}
