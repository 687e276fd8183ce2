//! Over TLS: who is let in, what is compressed, and how a server ends.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::net::TcpListener;
use trimtab_apiserver::Patience;
use trimtab_client::{Body, HttpTransport, Transport};
use trimtab_env::{CancellationToken, Tasks};

use crate::authority::Authority;
use crate::harness::{MAPS, Server, map};

pub(crate) struct Served {
    pub server: Server,
    pub authority: Authority,
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    pub tasks: Tasks,
}

impl Served {
    pub(crate) async fn new() -> Self {
        Self::of(Server::new().await, Authority::new()).await
    }

    pub(crate) async fn of(server: Server, authority: Authority) -> Self {
        Self::with(server, authority, Patience::default()).await
    }

    pub(crate) async fn with(server: Server, authority: Authority, patience: Patience) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, tasks) = (CancellationToken::new(), Tasks::new());
        let (api, tls, token) = (server.api.clone(), authority.server(), shutdown.clone());
        tasks.spawn("serve", async move { api.serve_with(listener, tls, patience, token).await.unwrap() });
        Self { server, authority, address, shutdown, tasks }
    }

    pub(crate) async fn end(&self) {
        self.shutdown.cancel();
        self.tasks.join().await;
    }

    pub(crate) fn admin(&self) -> HttpTransport {
        self.authority.client(self.address, Some(self.authority.leaf("admin", "system:masters")))
    }
}

pub(crate) async fn get(transport: &HttpTransport, path: &str) -> Response<Body> {
    transport.send(Request::builder().uri(path).body(Bytes::new()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_certificate_lets_in_and_a_stranger_sees_health_alone() {
    let served = Served::new().await;
    let (admin, stranger) = (served.admin(), served.authority.client(served.address, None));
    assert_eq!(get(&admin, MAPS).await.status(), 200);
    for (path, code) in [("/livez", 200), ("/version", 200), (MAPS, 403), ("/api", 403), ("/metrics", 403)] {
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
async fn our_own_client_speaks_http_2() {
    let served = Served::new().await;
    let answer = get(&served.admin(), "/version").await;
    assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
    served.end().await;
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
    let rest = watch.collect().await.expect("the stream ends without an error").to_bytes();
    assert!(rest.is_empty(), "{rest:?}");
    served.tasks.join().await;
}
