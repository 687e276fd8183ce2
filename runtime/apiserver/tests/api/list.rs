//! Lists: pages, selectors, revisions.

use serde_json::{Value, json};

use crate::harness::{MAPS, PODS, Server, map, pod, version};

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn pages_show_one_moment() {
    let server = Server::new().await;
    for name in ["a", "b", "c", "d", "e"] {
        server.post(MAPS, map(name, json!({}))).await.ok();
    }
    let first = server.get(&format!("{MAPS}?limit=2")).await.ok();
    assert_eq!((names(&first), &first["metadata"]["remainingItemCount"]), (vec!["a", "b"], &json!(3)));
    server.post(MAPS, map("bb", json!({}))).await.ok();
    server.delete(&format!("{MAPS}/d"), json!({})).await.ok();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = server.get(&format!("{MAPS}?limit=2&continue={token}")).await.ok();
    assert_eq!((names(&second), version(&second)), (vec!["c", "d"], version(&first)));
    let token = second["metadata"]["continue"].as_str().unwrap();
    let third = server.get(&format!("{MAPS}?limit=2&continue={token}")).await.ok();
    assert_eq!(names(&third), ["e"]);
    assert!(third["metadata"].get("continue").is_none());
    server.get(&format!("{MAPS}?continue=nonsense")).await.refused(400, "BadRequest", "continue key is not valid");
    server.store.compact(server.store.revision()).await.unwrap();
    let expired = server.get(&format!("{MAPS}?limit=2&continue={token}")).await;
    expired.refused(410, "Expired", "The provided continue parameter is too old");
}

#[tokio::test]
async fn selectors_select() {
    let server = Server::new().await;
    server.post("/api/v1/namespaces", json!({"metadata": {"name": "other"}})).await.ok();
    for (name, app) in [("a", "x"), ("b", "y"), ("ab", "x")] {
        server.post(MAPS, map(name, json!({"app": app}))).await.ok();
    }
    server.post("/api/v1/namespaces/other/configmaps", map("a", json!({"app": "z"}))).await.ok();
    let check = async |path: &str, expected: &[&str]| {
        assert_eq!(names(&server.get(path).await.ok()), expected, "{path}");
    };
    check("/api/v1/configmaps", &["a", "ab", "b", "a"]).await;
    check(&format!("{MAPS}?labelSelector=app%3Dx"), &["a", "ab"]).await;
    check(&format!("{MAPS}?labelSelector=app%20notin%20(x)"), &["b"]).await;
    check(&format!("{MAPS}?fieldSelector=metadata.name%3Da"), &["a"]).await;
    check("/api/v1/configmaps?fieldSelector=metadata.name%3Da", &["a", "a"]).await;
    check("/api/v1/configmaps?fieldSelector=metadata.namespace!%3Ddefault", &["a"]).await;
    check(&format!("{MAPS}?labelSelector=app%3Dx&limit=1"), &["a"]).await;
    server.get(&format!("{MAPS}?fieldSelector=spec.x%3Dy")).await.refused(400, "BadRequest", "spec.x");
    server.get(&format!("{MAPS}?labelSelector=a%20b")).await.refused(400, "BadRequest", "unable to parse requirement");

    let mut bound = pod("bound");
    bound["spec"]["nodeName"] = json!("n1");
    server.post(PODS, bound).await.ok();
    server.post(PODS, pod("free")).await.ok();
    check("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", &["bound"]).await;
    check("/api/v1/pods?fieldSelector=spec.nodeName%3D,status.phase%3DPending", &["free"]).await;
}

#[tokio::test]
async fn a_revision_is_read_exactly_or_at_least() {
    let server = Server::new().await;
    let first = server.post(MAPS, map("a", json!({}))).await.ok();
    server.post(MAPS, map("b", json!({}))).await.ok();
    let at = version(&first);
    let check = async |query: &str, expected: &[&str]| {
        let list = server.get(&format!("{MAPS}?{query}")).await.ok();
        assert_eq!(names(&list), expected, "{query}");
    };
    check("resourceVersion=0", &["a", "b"]).await;
    check(&format!("resourceVersion={at}"), &["a", "b"]).await;
    check(&format!("resourceVersion={at}&resourceVersionMatch=NotOlderThan"), &["a", "b"]).await;
    check(&format!("resourceVersion={at}&resourceVersionMatch=Exact"), &["a"]).await;
    let future = server.get(&format!("{MAPS}?resourceVersion=999999")).await;
    future.refused(504, "Timeout", "Too large resource version: 999999");
    assert_eq!(future.body["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    check(&format!("resourceVersion={at}&limit=5"), &["a"]).await;
    // Whoever takes any version is given all of it, whatever the limit.
    check("resourceVersion=0&limit=1", &["a", "b"]).await;
    check("resourceVersion=0&limit=1&resourceVersionMatch=NotOlderThan", &["a", "b"]).await;
    check(&format!("resourceVersion={at}&limit=1&resourceVersionMatch=NotOlderThan"), &["a"]).await;
    check("limit=1", &["a"]).await;
    check("limit=-1", &["a", "b"]).await;
    check(&format!("resourceVersion={at}&limit=5&resourceVersionMatch=NotOlderThan"), &["a", "b"]).await;
    let first = server.get(&format!("{MAPS}?limit=1")).await.ok();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let refused = async |query: &str, code: u16, message: &str| {
        let reason = if code == 400 { "BadRequest" } else { "Invalid" };
        server.get(&format!("{MAPS}?{query}")).await.refused(code, reason, message);
    };
    refused(&format!("continue={token}&resourceVersion={at}"), 400, "not allowed when using continue").await;
    refused("resourceVersionMatch=Exact", 422, "forbidden unless resourceVersion is provided").await;
    refused("resourceVersionMatch=Exact&resourceVersion=0", 422, "is forbidden for resourceVersion \"0\"").await;
    let matched = format!("resourceVersionMatch=NotOlderThan&resourceVersion=0&continue={token}");
    refused(&matched, 422, "resourceVersionMatch is forbidden when continue is provided").await;
    refused("resourceVersionMatch=Newest&resourceVersion=1", 422, "supported values: \"Exact\", \"NotOlderThan\"")
        .await;
    refused("sendInitialEvents=true", 422, "sendInitialEvents is forbidden for list").await;
    // A list that goes on does so at its own version, whichever the client takes.
    check(&format!("continue={token}"), &["b"]).await;
    check(&format!("continue={token}&limit=1&resourceVersion=0"), &["b"]).await;
    server.get(&format!("{MAPS}?resourceVersion=x")).await.refused(400, "BadRequest", "");
    server.get(&format!("{MAPS}?limit=x")).await.refused(400, "BadRequest", "strconv.ParseInt: parsing \"x\"");
    server.store.compact(server.store.revision()).await.unwrap();
    let gone = server.get(&format!("{MAPS}?resourceVersion={at}&resourceVersionMatch=Exact")).await;
    gone.refused(410, "Expired", "The resourceVersion for the provided list is too old.");
}
