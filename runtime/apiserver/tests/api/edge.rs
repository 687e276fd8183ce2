//! Clients that ask for too much, say too little, or do not listen.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use http::{Method, Request};
use http_body_util::BodyExt;
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use trimtab_client::Transport;

use crate::harness::{Answer, MAPS, Server, map};
use crate::tls::{Served, get};

impl Server {
    async fn send_text(&self, method: Method, path: &str, content_type: &str, text: String) -> Answer {
        self.ask(method, path, &[("content-type", content_type)], text.into()).await
    }
}

impl Served {
    /// A connection that speaks no HTTP yet.
    pub(crate) async fn connection(&self, protocol: &str) -> TlsStream<TcpStream> {
        let mut config = self.authority.client_config(Some(self.authority.leaf("admin", "system:masters")));
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(self.address).await.unwrap();
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
    }
}

#[tokio::test]
async fn what_is_nested_too_deep_is_refused() {
    let server = Server::new().await;
    server.post(MAPS, map("a", json!({}))).await.ok();
    let (one, deep) = (format!("{MAPS}/a"), "[".repeat(1 << 20));
    let apply = format!("{one}?fieldManager=x");
    for (method, path, content_type, text) in [
        (Method::POST, MAPS, "application/json", format!("{{\"data\":{deep}")),
        (Method::POST, MAPS, "application/yaml", format!("data: {deep}")),
        (Method::PATCH, &apply, "application/apply-patch+yaml", format!("data: {deep}")),
        (Method::PATCH, &apply, "application/apply-patch+yaml", "- ".repeat(1 << 20)),
        (Method::PATCH, &one, "application/merge-patch+json", format!("{{\"data\":{deep}")),
        (Method::PATCH, &one, "application/strategic-merge-patch+json", format!("{{\"data\":{deep}")),
        (Method::PATCH, &one, "application/json-patch+json", deep.clone()),
        (Method::DELETE, &one, "application/json", format!("{{\"preconditions\":{deep}")),
    ] {
        let answer = server.send_text(method, path, content_type, text).await;
        answer.refused(400, "BadRequest", "");
    }
    server.get(&one).await.ok();
}

/// A reader of JSON goes 127 levels deep, and an object has a few more in its managedFields than it has itself: one that
/// was patched to 120 could be stored, and then neither read nor written nor deleted.
#[tokio::test]
async fn no_patch_makes_what_cannot_be_read() {
    let server = Server::new().await;
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": any}});
    let names = json!({"plural": "things", "kind": "Thing"});
    let spec = json!({"group": "deep.example", "scope": "Namespaced", "names": names, "versions": [version]});
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    server.post(definitions, json!({"metadata": {"name": "things.deep.example"}, "spec": spec})).await.ok();
    let things = "/apis/deep.example/v1/namespaces/default/things";
    let thing = json!({"apiVersion": "deep.example/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"a": {}}});
    server.post(things, thing).await.ok();
    let one = format!("{things}/a");
    let nested = |levels: usize| (0..levels).fold(json!({}), |below, _| json!({"a": below}));
    for levels in [101, 120] {
        server.patch(&one, "merge", json!({"spec": nested(levels)})).await.refused(400, "BadRequest", "nested deeper");
        let add = json!([{"op": "add", "path": "/spec/a", "value": nested(90)},
            {"op": "add", "path": format!("/spec{}/b", "/a".repeat(90)), "value": nested(levels - 91)}]);
        server.patch(&one, "json", add).await.refused(422, "Invalid", "nest the object deeper than 100 levels");
    }
    server.patch(&one, "merge", json!({"spec": nested(98)})).await.ok();
    server.patch(&one, "merge", json!({"metadata": {"labels": {"b": "c"}}})).await.ok();
    server.delete(&one, json!({})).await.ok();
}

#[tokio::test]
async fn aliases_do_not_multiply() {
    let server = Server::new().await;
    let mut text =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nx0: &x0 [a, a, a, a, a, a, a, a, a, a]\n".to_owned();
    for level in 1..10 {
        let before = vec![format!("*x{}", level - 1); 10].join(", ");
        text += &format!("x{level}: &x{level} [{before}]\n");
    }
    let path = format!("{MAPS}/a?fieldManager=x");
    let refused = server.send_text(Method::PATCH, &path, "application/apply-patch+yaml", text.clone()).await;
    refused.refused(400, "BadRequest", "aliases expand to more than");
    server.send_text(Method::POST, MAPS, "application/yaml", text).await.refused(400, "BadRequest", "aliases expand");
    // A few do no harm.
    let few = "metadata: {name: a, labels: &all {x: 'y'}, annotations: *all}\ndata: {on: 'yes'}";
    let made = server.send_text(Method::PATCH, &path, "application/apply-patch+yaml", few.to_owned()).await.ok();
    assert_eq!((&made["metadata"]["annotations"]["x"], &made["data"]), (&json!("y"), &json!({"true": "yes"})));
}

#[tokio::test]
async fn a_json_patch_makes_no_more_than_it_may() {
    let server = Server::new().await;
    server.post(MAPS, map("a", json!({}))).await.ok();
    let one = format!("{MAPS}/a");
    let many = vec![json!({"op": "test", "path": "/kind", "value": "ConfigMap"}); 10_001];
    let text = "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001";
    server.patch(&one, "json", json!(many)).await.refused(413, "RequestEntityTooLarge", text);
    server.patch(&one, "json", json!(&many[1..])).await.ok();
    // Each copy doubles what is there.
    let mut doubled = vec![json!({"op": "add", "path": "/data", "value": {"x": {"k": "v".repeat(1_000)}}})];
    doubled.extend((0..60).map(|n| json!({"op": "copy", "from": "/data/x", "path": format!("/data/x/{n}")})));
    let text = "Unable to complete the copy, the accumulated size increase of copy is";
    server.patch(&one, "json", json!(doubled)).await.refused(422, "Invalid", text);
    // Each copy doubles how deep it is.
    let mut deepened = vec![json!({"op": "add", "path": "/data", "value": {}})];
    deepened.extend((0..19).map(|n| {
        let leaf = "/data".repeat(1 << n);
        json!({"op": "copy", "from": "/data", "path": format!("{leaf}/data")})
    }));
    let text = "would nest the object deeper than 100 levels";
    server.patch(&one, "json", json!(deepened)).await.refused(422, "Invalid", text);
    // What only looks as if it went deep: a leaf, moved around.
    let mut moved = vec![json!({"op": "add", "path": "/data", "value": {"a": "v"}})];
    moved.push(json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
    for _ in 0..300 {
        moved.push(json!({"op": "move", "from": "/data/a", "path": "/metadata/annotations/a"}));
        moved.push(json!({"op": "move", "from": "/metadata/annotations/a", "path": "/data/a"}));
    }
    assert_eq!(server.patch(&one, "json", json!(moved)).await.ok()["data"]["a"], "v");
}

#[tokio::test]
async fn a_large_body_is_refused_to_those_who_may_ask() {
    let served = Served::new().await;
    let stranger = served.authority.client(served.address, None);
    for (client, code) in [(served.admin(), 413), (stranger, 403)] {
        let request = Request::post(MAPS).body(Bytes::from(vec![b' '; (3 << 20) + 1])).unwrap();
        assert_eq!(client.send(request).await.unwrap().status(), code);
    }
    served.end().await;
}

#[tokio::test]
async fn a_watcher_that_never_reads_is_ended_and_hurts_nobody() {
    let served = Served::new().await;
    let mut deaf = served.connection("http/1.1").await;
    deaf.write_all(format!("GET {MAPS}?watch=true HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
    let mut head = [0; 12];
    deaf.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    let admin = served.admin();
    let mut other = get(&admin, &format!("{MAPS}?watch=true")).await.into_body();
    // More than the connection's buffers hold.
    let mut large = map("large", json!({}));
    for round in 0..64 {
        large["data"]["k"] = format!("{round}{}", "x".repeat(500 << 10)).into();
        if round == 0 {
            served.server.post(MAPS, large.clone()).await.ok();
        } else {
            served.server.put(&format!("{MAPS}/large"), &large).await.ok();
        }
        let mut seen = String::new();
        while !seen.ends_with('\n') {
            let frame = other.frame().await.unwrap().unwrap().into_data().unwrap();
            seen.push_str(std::str::from_utf8(&frame).unwrap());
        }
        let event: Value = serde_json::from_str(&seen).unwrap();
        assert!(event["object"]["data"]["k"].as_str().unwrap().starts_with(&format!("{round}x")));
    }
    drop(other);
    tokio::time::pause();
    // Until the server gives up, what is read is whole; then it ends before the answer does.
    tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    let mut rest = Vec::new();
    let _ = deaf.read_to_end(&mut rest).await;
    assert!(rest.len() < 64 * (500 << 10), "{} bytes", rest.len());
    tokio::time::resume();
    assert_eq!(get(&admin, "/livez").await.status(), 200);
    served.end().await;
}

#[tokio::test]
async fn a_thousand_idle_watches_are_told_and_ended() {
    const CLIENTS: usize = 10;
    let served = Served::new().await;
    let clients: Vec<_> = (0..CLIENTS).map(|_| served.admin()).collect();
    let path = format!("{MAPS}?watch=true");
    let begun = clients.iter().flat_map(|client| (0..100).map(|_| get(client, &path)));
    let mut watches: Vec<_> = join_all(begun).await.into_iter().map(http::Response::into_body).collect();
    served.server.post(MAPS, map("a", json!({}))).await.ok();
    let told = join_all(watches.iter_mut().map(|watch| watch.frame())).await;
    assert!(
        told.into_iter().all(|frame| frame.unwrap().unwrap().into_data().unwrap().starts_with(br#"{"type":"ADDED""#))
    );
    served.shutdown.cancel();
    for ended in join_all(watches.into_iter().map(|watch| watch.collect())).await {
        assert!(ended.expect("each stream ends without an error").to_bytes().is_empty());
    }
    served.end().await;
}

#[tokio::test]
async fn a_server_ends_its_watches_cleanly_and_waits_for_nobody_forever() {
    let served = Served::new().await;
    let watch = format!("GET {MAPS}?watch=true HTTP/1.1\r\nHost: a\r\n\r\n");
    let (mut one, mut stuck) = (served.connection("http/1.1").await, served.connection("http/1.1").await);
    for stream in [&mut one, &mut stuck] {
        stream.write_all(watch.as_bytes()).await.unwrap();
        stream.read_exact(&mut [0; 12]).await.unwrap();
    }
    let mut open = served.connection("http/1.1").await;
    open.write_all(format!("POST {MAPS} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{{").as_bytes()).await.unwrap();
    served.shutdown.cancel();
    let mut rest = Vec::new();
    one.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the answer is whole: {:?}", String::from_utf8_lossy(&rest));
    tokio::time::pause();
    served.tasks.join().await;
}
