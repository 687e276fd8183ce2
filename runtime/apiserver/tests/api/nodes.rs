//! Logs and exec, through the server to a stand-in for a node's agent.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt;
use http::header::{CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use trimtab_client::Transport;
use trimtab_env::Tasks;
use trimtab_store::Memory;

use crate::authority::Authority;
use crate::harness::{PODS, Server, pod};
use crate::tls::Served;
use crate::websockets::open;

/// Answers logs with what was asked, and upgrades exec to a stream that answers in capitals.
async fn answer(mut request: Request<Incoming>, tasks: Tasks) -> Response<Full<Bytes>> {
    let asked = request.uri().to_string();
    if !request.headers().contains_key(UPGRADE) {
        return Response::new(asked.into());
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tasks.spawn("exec", async move {
        let mut stream = TokioIo::new(upgrade.await.unwrap());
        stream.write_all(format!("{asked}\n").as_bytes()).await.unwrap();
        let mut byte = [0];
        while stream.read_exact(&mut byte).await.is_ok() && byte[0] != b'.' {
            stream.write_all(&byte.map(|b| b.to_ascii_uppercase())).await.unwrap();
        }
        // It hangs up without TLS' goodbye, as an agent that is killed does.
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for name in [UPGRADE, CONNECTION] {
        response.headers_mut().insert(name.clone(), request.headers()[name].clone());
    }
    response
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, tasks: Tasks) {
    let stream = acceptor.accept(stream).await.unwrap();
    assert!(stream.get_ref().1.peer_certificates().is_some(), "the server shows its certificate");
    let service = service_fn(|request| {
        let tasks = tasks.clone();
        async move { Ok::<_, Infallible>(answer(request, tasks).await) }
    });
    // The client hangs up when it likes.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

/// A server whose pod `p` is on a node with an agent, and whose pod `q` is on one without.
async fn served(tasks: &Tasks) -> Served {
    let authority = Authority::new();
    let tls = authority.client_config(Some(authority.leaf("apiserver", "system:masters")));
    let server = Server::with(Arc::new(Memory::new()), Some(tls)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut config = authority.server();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let (acceptor, all) = (TlsAcceptor::from(Arc::new(config)), tasks.clone());
    tasks.spawn_cancellable("agent", async move {
        while let Ok((stream, _)) = listener.accept().await {
            all.spawn_cancellable("connection", connection(stream, acceptor.clone(), all.clone()));
        }
    });
    for (node, name, port) in [("n", "p", port), ("m", "q", 1)] {
        let status = json!({"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}});
        server.post("/api/v1/nodes", json!({"metadata": {"name": node}, "status": status})).await.ok();
        let mut body = pod(name);
        body["spec"]["nodeName"] = json!(node);
        server.post(PODS, body).await.ok();
    }
    Served::of(server, authority).await
}

#[tokio::test]
async fn logs_come_from_the_node() {
    let tasks = Tasks::new();
    let served = served(&tasks).await;
    let request = Request::get(format!("{PODS}/p/log?tailLines=3&follow=true")).body(Bytes::new()).unwrap();
    let response = served.admin().send(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(text, "/containerLogs/default/p/c?tailLines=3&follow=true");
    let server = &served.server;
    server.get(&format!("{PODS}/q/log")).await.refused(500, "InternalError", "error dialing backend");
    let other = server.get(&format!("{PODS}/p/log?container=x")).await;
    other.refused(400, "BadRequest", "container x is not valid for pod p");
    server.post(PODS, pod("free")).await.ok();
    let free = server.get(&format!("{PODS}/free/log")).await;
    free.refused(400, "BadRequest", "pod free does not have a host assigned");
    let plain = server.get(&format!("{PODS}/p/exec?command=ls")).await;
    plain.refused(400, "BadRequest", "Upgrade request required");
    tasks.shutdown().await;
}

#[tokio::test]
async fn logs_come_over_a_websocket_too() {
    let tasks = Tasks::new();
    let served = served(&tasks).await;
    let (admin, path) = (served.admin(), format!("{PODS}/p/log?follow=true"));
    let log = "/containerLogs/default/p/c?follow=true";
    let (headers, mut socket) = open(&admin, &path, &[]).await.unwrap();
    assert!(!headers.contains_key(SEC_WEBSOCKET_PROTOCOL));
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::binary(log.as_bytes()));
    assert!(matches!(socket.next().await.unwrap().unwrap(), Message::Close(Some(_))));
    let offered = [(SEC_WEBSOCKET_PROTOCOL, "v1, base64.binary.k8s.io")];
    let (headers, mut socket) = open(&admin, &path, &offered).await.unwrap();
    assert_eq!(headers[SEC_WEBSOCKET_PROTOCOL], "base64.binary.k8s.io");
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(STANDARD.encode(log)));
    let (code, message) = open(&admin, &path, &[(SEC_WEBSOCKET_PROTOCOL, "v1")]).await.err().unwrap();
    assert_eq!(code, 400);
    assert!(message.contains("not supported"), "{message}");
    tasks.shutdown().await;
}

#[tokio::test]
async fn exec_is_a_tunnel_to_the_node() {
    let tasks = Tasks::new();
    let served = served(&tasks).await;
    let request = Request::post(format!("{PODS}/p/exec?command=ls&command=-l&stdin=true&stdout=true"))
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "SPDY/3.1")
        .header("X-Stream-Protocol-Version", "v4.channel.k8s.io");
    let (response, stream) = served.admin().upgrade(request.body(Bytes::new()).unwrap()).await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()[UPGRADE]),
        (StatusCode::SWITCHING_PROTOCOLS, &"SPDY/3.1".parse().unwrap())
    );
    let mut stream = stream.unwrap();
    stream.write_all(b"hello.").await.unwrap();
    let mut read = String::new();
    stream.read_to_string(&mut read).await.unwrap();
    let asked = "/exec/default/p/c?command=ls&command=-l&stdin=true&stdout=true&input=1&output=1";
    assert_eq!(read, format!("{asked}\nHELLO"));
    tasks.shutdown().await;
}
