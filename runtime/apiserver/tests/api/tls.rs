//! Over TLS: who is let in, what is compressed, and how a server ends.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::TcpListener;
use trimtab_client::{Body, HttpTransport, Transport, provider};
use trimtab_env::{CancellationToken, Tasks};

use crate::harness::{MAPS, Server, map};

type Leaf = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    roots: Arc<RootCertStore>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        Self { issuer: Issuer::new(params, key), roots: Arc::new(roots) }
    }

    fn leaf(&self, name: &str, organisation: &str) -> Leaf {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationName, organisation);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    fn server(&self) -> ServerConfig {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), provider());
        let verifier = verifier.allow_unauthenticated().build().unwrap();
        let (chain, key) = self.leaf("apiserver", "test");
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }

    fn client(&self, address: SocketAddr, leaf: Option<Leaf>) -> HttpTransport {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(Arc::clone(&self.roots));
        let config = match leaf {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        HttpTransport::new(&format!("https://localhost:{}", address.port()), &config, None).unwrap()
    }
}

struct Served {
    server: Server,
    authority: Authority,
    address: SocketAddr,
    shutdown: CancellationToken,
    tasks: Tasks,
}

impl Served {
    async fn new() -> Self {
        let (server, authority) = (Server::new().await, Authority::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, tasks) = (CancellationToken::new(), Tasks::new());
        let (api, tls, token) = (server.api.clone(), authority.server(), shutdown.clone());
        tasks.spawn("serve", async move { api.serve(listener, tls, token).await.unwrap() });
        Self { server, authority, address, shutdown, tasks }
    }

    fn admin(&self) -> HttpTransport {
        self.authority.client(self.address, Some(self.authority.leaf("admin", "system:masters")))
    }
}

async fn get(transport: &HttpTransport, path: &str) -> Response<Body> {
    transport.send(Request::builder().uri(path).body(Bytes::new()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_certificate_lets_in_and_a_stranger_sees_health_alone() {
    let served = Served::new().await;
    let (admin, stranger) = (served.admin(), served.authority.client(served.address, None));
    assert_eq!(get(&admin, MAPS).await.status(), 200);
    for (path, code) in [("/livez", 200), ("/version", 200), (MAPS, 401), ("/api", 401), ("/metrics", 401)] {
        assert_eq!(get(&stranger, path).await.status(), code, "{path}");
    }
    let metrics = get(&admin, "/metrics").await.into_body().collect().await.unwrap().to_bytes();
    let metrics = String::from_utf8(metrics.to_vec()).unwrap();
    let line = r#"apiserver_request_total{verb="LIST",group="",resource="configmaps",code="200"} 1"#;
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_a_large_answer_arrives_whole() {
    let served = Served::new().await;
    let admin = served.admin();
    let post = |size: usize| {
        let mut body = map("big", json!({}));
        body["data"]["k"] = "x".repeat(size).into();
        let request = Request::post(MAPS).header("content-type", "application/json");
        admin.send(request.body(body.to_string().into()).unwrap())
    };
    assert_eq!(post(4 << 20).await.unwrap().status(), 413);
    assert_eq!(post(500 << 10).await.unwrap().status(), 201);
    // The client asks for gzip, and unpacks it.
    let answer = get(&admin, &format!("{MAPS}/big")).await.into_body().collect().await.unwrap().to_bytes();
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["data"]["k"].as_str().unwrap().len(), 500 << 10);
}

#[tokio::test]
async fn a_watch_ends_cleanly_when_the_server_does() {
    let served = Served::new().await;
    let admin = served.admin();
    served.server.post(MAPS, map("a", json!({}))).await.ok();
    let mut watch = get(&admin, &format!("{MAPS}?watch=true")).await.into_body();
    let first = watch.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(br#"{"type":"ADDED""#));
    served.shutdown.cancel();
    assert!(watch.frame().await.is_none(), "the stream ends without an error");
    served.tasks.join().await;
}
