//! Watches.

use std::time::Duration;

use serde_json::json;

use crate::harness::{MAPS, Server, Watch, map, version};

async fn check(watch: &mut Watch, expected: &[(&str, &str)]) {
    for (type_, name) in expected {
        assert_eq!(watch.named().await, ((*type_).to_owned(), (*name).to_owned()));
    }
}

#[tokio::test]
async fn events_come_in_order_after_a_revision() {
    let server = Server::new().await;
    let first = server.post(MAPS, map("a", json!({}))).await.ok();
    server.post(MAPS, map("b", json!({}))).await.ok();
    let mut watch = server.watch(&format!("{MAPS}?watch=true&resourceVersion={}", version(&first))).await;
    server.patch(&format!("{MAPS}/a"), "merge", json!({"data": {"k": "2"}})).await.ok();
    server.delete(&format!("{MAPS}/b"), json!({})).await.ok();
    check(&mut watch, &[("ADDED", "b"), ("MODIFIED", "a")]).await;
    let deleted = watch.next().await.unwrap();
    assert_eq!((&deleted["type"], &deleted["object"]["metadata"]["name"]), (&json!("DELETED"), &json!("b")));
    let revision = server.store.revision().to_string();
    assert_eq!(version(&deleted["object"]), revision, "the revision of the deletion");
    let mut all = server.watch(&format!("{MAPS}?watch=1")).await;
    check(&mut all, &[("ADDED", "a")]).await;
}

#[tokio::test]
async fn an_object_enters_and_leaves_a_selector() {
    let server = Server::new().await;
    let list = server.get(MAPS).await.ok();
    let path = format!("{MAPS}?watch=true&labelSelector=app%3Dx&resourceVersion={}", version(&list));
    let mut watch = server.watch(&path).await;
    let label = async |value: &str| {
        server.patch(&format!("{MAPS}/a"), "merge", json!({"metadata": {"labels": {"app": value}}})).await.ok();
    };
    server.post(MAPS, map("a", json!({"app": "y"}))).await.ok();
    label("x").await;
    server.patch(&format!("{MAPS}/a"), "merge", json!({"data": {"k": "2"}})).await.ok();
    label("z").await;
    label("w").await;
    label("x").await;
    server.delete(&format!("{MAPS}/a"), json!({})).await.ok();
    let expected = [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "a"), ("DELETED", "a")];
    check(&mut watch, &expected).await;
}

#[tokio::test]
async fn a_watch_of_one_name_sees_no_other() {
    let server = Server::new().await;
    let of_old = MAPS.replace("/v1/", "/v1/watch/");
    let selected = format!("{MAPS}?watch=true&fieldSelector=metadata.name%3Da");
    for path in [selected, format!("{MAPS}/a?watch=true"), format!("{of_old}/a")] {
        let mut watch = server.watch(&path).await;
        for name in ["ab", "a"] {
            server.post(MAPS, map(name, json!({}))).await.ok();
        }
        check(&mut watch, &[("ADDED", "a")]).await;
        server.delete(MAPS, json!({})).await.ok();
    }
}

#[tokio::test]
async fn a_streamed_list_ends_with_its_bookmark() {
    let server = Server::new().await;
    server.post(MAPS, map("a", json!({}))).await.ok();
    let query = "watch=true&sendInitialEvents=true&allowWatchBookmarks=true";
    let path = format!("{MAPS}?{query}&resourceVersionMatch=NotOlderThan");
    let mut watch = server.watch(&path).await;
    check(&mut watch, &[("ADDED", "a")]).await;
    let bookmark = watch.next().await.unwrap();
    assert_eq!((&bookmark["type"], &bookmark["object"]["kind"]), (&json!("BOOKMARK"), &json!("ConfigMap")));
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(version(&bookmark["object"]), server.store.revision().to_string());
    server.post(MAPS, map("b", json!({}))).await.ok();
    check(&mut watch, &[("ADDED", "b")]).await;
    let unmatched = server.get(&format!("{MAPS}?{query}")).await;
    let message = "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
    unmatched.refused(422, "Invalid", message);
    // Whoever allows no bookmarks gets none.
    let path = format!("{MAPS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
    let mut watch = server.watch(&path).await;
    check(&mut watch, &[("ADDED", "a"), ("ADDED", "b")]).await;
    server.post(MAPS, map("c", json!({}))).await.ok();
    check(&mut watch, &[("ADDED", "c")]).await;
    let later = format!("{MAPS}?watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan");
    let mut watch = server.watch(&later).await;
    server.post(MAPS, map("d", json!({}))).await.ok();
    check(&mut watch, &[("ADDED", "d")]).await;
}

#[tokio::test(start_paused = true)]
async fn bookmarks_promise_what_happened_elsewhere() {
    let server = Server::new().await;
    let mut watch = server.watch(&format!("{MAPS}?watch=true&allowWatchBookmarks=true")).await;
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let made = server.post("/api/v1/namespaces", json!({"metadata": {"name": "other"}})).await.ok();
    let bookmark = watch.next().await.unwrap();
    assert_eq!((&bookmark["type"], version(&bookmark["object"])), (&json!("BOOKMARK"), version(&made)));
}

#[tokio::test]
async fn what_is_compacted_is_expired() {
    let server = Server::new().await;
    let first = server.post(MAPS, map("a", json!({}))).await.ok();
    server.post(MAPS, map("b", json!({}))).await.ok();
    server.store.compact(server.store.revision()).await.unwrap();
    let old = server.get(&format!("{MAPS}?watch=true&resourceVersion={}", version(&first))).await;
    assert_eq!((old.code, &old.body["type"]), (200, &json!("ERROR")));
    assert_eq!((&old.body["object"]["reason"], &old.body["object"]["code"]), (&json!("Expired"), &json!(410)));
    assert!(old.body["object"]["message"].as_str().unwrap().starts_with("too old resource version: "));
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_when_its_time_is_up_or_the_server_ends() {
    let server = Server::new().await;
    let started = tokio::time::Instant::now();
    let mut watch = server.watch(&format!("{MAPS}?watch=true&timeoutSeconds=7")).await;
    assert_eq!(watch.next().await, None);
    assert_eq!(started.elapsed().as_secs(), 7);
    let mut watch = server.watch(&format!("{MAPS}?watch=true")).await;
    server.api.shutdown().await;
    assert_eq!(tokio::time::timeout(Duration::from_secs(1), watch.next()).await, Ok(None));
}

#[tokio::test]
async fn a_table_is_watched_with_its_columns_once() {
    let server = Server::new().await;
    for name in ["a", "b"] {
        server.post(MAPS, map(name, json!({}))).await.ok();
    }
    let request = http::Request::builder()
        .uri(format!("{MAPS}?watch=true"))
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
    let response = server.send(request.body(bytes::Bytes::new()).unwrap()).await;
    let mut watch = Watch::of(response.into_body());
    let (one, two) = (watch.next().await.unwrap(), watch.next().await.unwrap());
    assert_eq!((&one["object"]["kind"], &one["object"]["rows"][0]["cells"][0]), (&json!("Table"), &json!("a")));
    assert!(one["object"]["columnDefinitions"].is_array() && !two["object"]["columnDefinitions"].is_array());
}
