//! Watches over a WebSocket, as a browser's page opens one: with a token among the subprotocols, and its origin told.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures::StreamExt;
use http::header::{CONNECTION, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use trimtab_client::{HttpTransport, Transport, Upgraded};

use crate::authority::Authority;
use crate::harness::{MAPS, Server, map};
use crate::tls::Served;

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";

/// A WebSocket, or the code and the message of a refusal.
pub(crate) async fn open(
    transport: &HttpTransport,
    path: &str,
    more: &[(http::HeaderName, &str)],
) -> Result<(HeaderMap, WebSocketStream<Upgraded>), (u16, String)> {
    let mut request = Request::get(path)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
    for (name, value) in more {
        request = request.header(name, *value);
    }
    let (response, stream) = transport.upgrade(request.body(Bytes::new()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    match stream {
        Some(stream) => {
            assert_eq!(parts.status, StatusCode::SWITCHING_PROTOCOLS);
            Ok((parts.headers, WebSocketStream::from_raw_socket(stream, Role::Client, None).await))
        }
        None => {
            let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
            Err((parts.status.as_u16(), body["message"].as_str().unwrap().to_owned()))
        }
    }
}

async fn event(socket: &mut WebSocketStream<Upgraded>) -> (String, String) {
    let Message::Text(text) = socket.next().await.unwrap().unwrap() else { panic!("an event is text") };
    let event: Value = serde_json::from_str(&text).unwrap();
    (event["type"].as_str().unwrap().to_owned(), event["object"]["metadata"]["name"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_watch_is_a_message_for_each_event() {
    let served = Served::new().await;
    served.server.post(MAPS, map("a", json!({}))).await.ok();
    let (headers, mut socket) = open(&served.admin(), &format!("{MAPS}?watch=true"), &[]).await.unwrap();
    assert!(!headers.contains_key(SEC_WEBSOCKET_PROTOCOL));
    served.server.post(MAPS, map("b", json!({}))).await.ok();
    served.server.delete(&format!("{MAPS}/a"), json!({})).await.ok();
    for (type_, name) in [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")] {
        assert_eq!(event(&mut socket).await, (type_.to_owned(), name.to_owned()));
    }
    let (_, mut short) = open(&served.admin(), &format!("{MAPS}?watch=true&timeoutSeconds=1"), &[]).await.unwrap();
    assert_eq!(event(&mut short).await.1, "b");
    let Some(Ok(Message::Close(Some(end)))) = short.next().await else { panic!("the watch's end is told") };
    assert_eq!(u16::from(end.code), 1000);
    // What cannot be watched is refused before there is a WebSocket.
    let (code, _) = open(&served.admin(), &format!("{MAPS}?watch=true&fieldSelector=x%3Dy"), &[]).await.err().unwrap();
    assert_eq!(code, 400);
    drop((socket, short));
    served.end().await;
}

#[tokio::test]
async fn a_page_shows_a_token_among_its_subprotocols() {
    let server = Server::with_tokens().await;
    server.post(ACCOUNTS, json!({"metadata": {"name": "robot"}})).await.ok();
    let subject = json!({"kind": "ServiceAccount", "name": "robot", "namespace": "default"});
    let rules = json!([{"verbs": ["watch"], "apiGroups": [""], "resources": ["configmaps"]}]);
    server.post(ROLES, json!({"metadata": {"name": "watcher"}, "rules": rules})).await.ok();
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "watcher"});
    let binding = json!({"metadata": {"name": "robot"}, "subjects": [subject], "roleRef": role});
    server.post(BINDINGS, binding).await.ok();
    server.post(MAPS, map("a", json!({}))).await.ok();
    let made = server.post(&format!("{ACCOUNTS}/robot/token"), json!({"spec": {}})).await.ok();
    let token = URL_SAFE_NO_PAD.encode(made["status"]["token"].as_str().unwrap());
    let served = Served::of(server, Authority::new()).await;
    let stranger = served.authority.client(served.address, None);
    let (path, page) = (format!("{MAPS}?watch=true"), (ORIGIN, "https://elsewhere.example"));
    let token = format!("base64url.bearer.authorization.k8s.io.{token}");
    let both = format!("{token}, base64.binary.k8s.io");
    let with = |protocols| [(SEC_WEBSOCKET_PROTOCOL, protocols), page.clone()];
    let (headers, mut socket) = open(&stranger, &path, &with(&both)).await.unwrap();
    assert_eq!(headers[SEC_WEBSOCKET_PROTOCOL], "base64.binary.k8s.io");
    // No site is let read what it could not before.
    assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{headers:?}");
    assert_eq!(event(&mut socket).await.1, "a");
    // The server must choose another subprotocol than the token: alone, it is none.
    assert_eq!(open(&stranger, &path, &with(&token)).await.err().unwrap().0, 403);
    let wrong =
        format!("base64url.bearer.authorization.k8s.io.{}, base64.binary.k8s.io", URL_SAFE_NO_PAD.encode("a.b.c"));
    assert_eq!(open(&stranger, &path, &with(&wrong)).await.err().unwrap().0, 401);
    drop(socket);
    served.end().await;
}

#[tokio::test]
async fn a_certificate_is_not_shown_for_a_page_of_another_site() {
    let served = Served::new().await;
    let path = format!("{MAPS}?watch=true");
    let own = format!("https://localhost:{}", served.address.port());
    let (_, socket) = open(&served.admin(), &path, &[(ORIGIN, &own)]).await.unwrap();
    let (code, message) = open(&served.admin(), &path, &[(ORIGIN, "https://elsewhere.example")]).await.err().unwrap();
    assert_eq!(code, 403);
    assert!(message.contains("elsewhere.example"), "{message}");
    drop(socket);
    served.end().await;
}
