//! delete, deletecollection, and namespaces that are going.

use std::time::Duration;

use serde_json::json;

use crate::harness::{MAPS, PODS, RCS, SERVICES, Server, map, pod, version};

#[tokio::test]
async fn an_object_goes_at_once_and_the_answer_says_which() {
    let server = Server::new().await;
    let made = server.post(MAPS, map("a", json!({}))).await.ok();
    let status = server.delete(&format!("{MAPS}/a"), json!({})).await.ok();
    assert_eq!((&status["kind"], &status["status"]), (&json!("Status"), &json!("Success")));
    assert_eq!(status["details"], json!({"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}));
    server.delete(&format!("{MAPS}/a"), json!({})).await.refused(404, "NotFound", "configmaps \"a\" not found");
}

// Clients that are made from upstream's documents read what a delete of these kinds answers as the object.
#[tokio::test]
async fn of_some_kinds_the_answer_is_what_went() {
    let server = Server::new().await;
    let claims = "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims";
    for (path, body) in [
        (PODS, pod("a")),
        (SERVICES, json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}})),
        ("/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": "a"}})),
        ("/api/v1/namespaces/default/resourcequotas", json!({"metadata": {"name": "a"}, "spec": {"hard": {}}})),
        ("/apis/storage.k8s.io/v1/storageclasses", json!({"metadata": {"name": "a"}, "provisioner": "demo.io/disk"})),
        (claims, json!({"metadata": {"name": "a"}, "spec": {"devices": {}}})),
    ] {
        let made = server.post(path, body).await.ok();
        let gone = server.delete(&format!("{path}/a"), json!({"gracePeriodSeconds": 0})).await.ok();
        assert_eq!((&gone["kind"], &gone["metadata"]["uid"]), (&made["kind"], &made["metadata"]["uid"]), "{path}");
        server.get(&format!("{path}/a")).await.refused(404, "NotFound", "not found");
    }
}

#[tokio::test]
async fn who_asks_in_the_old_way_is_told_that_the_rest_takes_a_while() {
    let server = Server::new().await;
    let delete = async |name: &str, options| {
        let mut body = map(name, json!({}));
        body["metadata"]["finalizers"] = json!(["demo.io/wait"]);
        server.post(MAPS, body).await.ok();
        server.delete(&format!("{MAPS}/{name}"), options).await.code
    };
    assert_eq!(delete("a", json!({"orphanDependents": false})).await, 202);
    assert_eq!(delete("b", json!({"propagationPolicy": "Background"})).await, 200);
}

#[tokio::test]
async fn what_every_cluster_needs_stays() {
    let server = Server::new().await;
    for name in ["default", "kube-public", "kube-system"] {
        let message = format!("namespaces {name:?} is forbidden: this namespace may not be deleted");
        server.delete(&format!("/api/v1/namespaces/{name}"), json!({})).await.refused(403, "Forbidden", &message);
        server.get(&format!("/api/v1/namespaces/{name}")).await.ok();
    }
    server.delete("/api/v1/namespaces/kube-node-lease", json!({})).await.ok();
    let class = "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical";
    let message = "priorityclasses.scheduling.k8s.io \"system-node-critical\" is forbidden: this is a system priority \
                   class and cannot be deleted";
    server.delete(class, json!({})).await.refused(403, "Forbidden", message);
}

#[tokio::test]
async fn preconditions_hold_or_the_object_stays() {
    let server = Server::new().await;
    let made = server.post(MAPS, map("a", json!({}))).await.ok();
    let at = format!("{MAPS}/a");
    let other = json!({"preconditions": {"uid": "other"}});
    server.delete(&at, other).await.refused(409, "Conflict", "Precondition failed: UID in precondition: other");
    let stale = json!({"preconditions": {"resourceVersion": "1"}});
    server.delete(&at, stale).await.refused(409, "Conflict", "Precondition failed: ResourceVersion in precondition: 1");
    let right = json!({"preconditions": {"uid": made["metadata"]["uid"], "resourceVersion": version(&made)}});
    server.delete(&at, right).await.ok();
}

#[tokio::test]
async fn finalizers_keep_an_object_until_they_are_gone() {
    let server = Server::new().await;
    let mut body = map("a", json!({}));
    body["metadata"]["finalizers"] = json!(["demo.io/x"]);
    server.post(MAPS, body).await.ok();
    let at = format!("{MAPS}/a");
    let marked = server.delete(&at, json!({})).await.ok();
    assert_eq!(marked["metadata"]["deletionTimestamp"], "2026-01-01T00:00:00Z");
    let more = json!({"metadata": {"finalizers": ["demo.io/x", "demo.io/y"]}});
    server.patch(&at, "merge", more).await.refused(422, "Invalid", "no new finalizers can be added");
    server.patch(&at, "merge", json!({"metadata": {"finalizers": null}})).await.ok();
    server.get(&at).await.refused(404, "NotFound", "");
}

#[tokio::test]
async fn the_propagation_policy_becomes_a_finalizer() {
    let server = Server::new().await;
    for (name, policy, finalizer) in [("f", "Foreground", "foregroundDeletion"), ("o", "Orphan", "orphan")] {
        server.post(MAPS, map(name, json!({}))).await.ok();
        let left = server.delete(&format!("{MAPS}/{name}?propagationPolicy={policy}"), json!({})).await.ok();
        assert_eq!(left["metadata"]["finalizers"], json!([finalizer]));
    }
    let wrong = server.delete(&format!("{MAPS}/f"), json!({"propagationPolicy": "Sometimes"})).await;
    wrong.refused(
        422,
        "Invalid",
        "propagationPolicy: Unsupported value: \"Sometimes\": supported values: \"Background\"",
    );
}

#[tokio::test(start_paused = true)]
async fn a_bound_pod_has_its_grace_period_and_an_unbound_one_has_none() {
    let server = Server::new().await;
    server.post(PODS, pod("unbound")).await.ok();
    assert_eq!(server.delete(&format!("{PODS}/unbound"), json!({})).await.code, 200);
    server.get(&format!("{PODS}/unbound")).await.refused(404, "NotFound", "");

    let mut body = pod("bound");
    body["spec"]["nodeName"] = json!("n");
    server.post(PODS, body).await.ok();
    let at = format!("{PODS}/bound");
    let marked = server.delete(&at, json!({})).await.ok();
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(marked["metadata"]["deletionTimestamp"], "2026-01-01T00:00:30Z");
    let again = server.delete(&at, json!({"gracePeriodSeconds": 60})).await.ok();
    assert_eq!(again["metadata"]["deletionTimestamp"], "2026-01-01T00:00:30Z", "a deletion is not put off");
    let sooner = server.delete(&at, json!({"gracePeriodSeconds": 5})).await.ok();
    assert_eq!(sooner["metadata"]["deletionGracePeriodSeconds"], 5);
    server.delete(&at, json!({"gracePeriodSeconds": 0})).await.ok();
    server.get(&at).await.refused(404, "NotFound", "");
}

#[tokio::test]
async fn a_collection_goes_as_far_as_it_is_selected() {
    let server = Server::new().await;
    for (name, app) in [("a", "x"), ("b", "x"), ("c", "y")] {
        server.post(MAPS, map(name, json!({"app": app}))).await.ok();
    }
    let deleted = server.delete(&format!("{MAPS}?labelSelector=app%3Dx"), json!({})).await.ok();
    assert_eq!(deleted["items"].as_array().unwrap().len(), 2);
    let left = server.get(MAPS).await.ok();
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    assert_eq!(left["items"][0]["metadata"]["name"], "c");
}

#[tokio::test(start_paused = true)]
async fn an_event_goes_an_hour_after_its_last_write() {
    let server = Server::new().await;
    let events = "/api/v1/namespaces/default/events";
    let involved = json!({"kind": "Pod", "name": "p", "namespace": "default"});
    for name in ["old", "kept"] {
        server.post(events, json!({"metadata": {"name": name}, "involvedObject": involved, "count": 1})).await.ok();
    }
    tokio::time::sleep(Duration::from_secs(3_000)).await;
    server.patch(&format!("{events}/kept"), "merge", json!({"count": 2})).await.ok();
    server.get(&format!("{events}/old")).await.ok();
    tokio::time::sleep(Duration::from_secs(1_000)).await;
    server.get(&format!("{events}/old")).await.refused(404, "NotFound", "");
    server.get(&format!("{events}/kept")).await.ok();
}

#[tokio::test]
async fn nothing_is_made_in_a_namespace_that_is_going() {
    let server = Server::new().await;
    server.post("/api/v1/namespaces", json!({"metadata": {"name": "old"}})).await.ok();
    let at = "/api/v1/namespaces/old";
    let going = server.delete(at, json!({})).await.ok();
    assert_eq!(
        (&going["status"]["phase"], &going["spec"]["finalizers"]),
        (&json!("Terminating"), &json!(["kubernetes"]))
    );
    let refused = server.post(&format!("{at}/configmaps"), map("a", json!({}))).await;
    refused.refused(403, "Forbidden", "because it is being terminated");
    assert_eq!(refused.body["details"]["causes"][0]["reason"], "NamespaceTerminating");
    let mut last = server.get(at).await.ok();
    last["spec"]["finalizers"] = json!([]);
    server.put(&format!("{at}/finalize"), &last).await.ok();
    server.get(at).await.refused(404, "NotFound", "namespaces \"old\" not found");
}

#[tokio::test]
async fn what_becomes_of_the_owned_is_said_or_the_kinds_own() {
    let server = Server::new().await;
    let check = async |path: &str, options: serde_json::Value, expected: &[&str]| {
        let template =
            json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let selector = if path == RCS { json!({"a": "b"}) } else { json!({"matchLabels": {"a": "b"}}) };
        let spec = json!({"replicas": 0, "selector": selector, "template": template});
        let made = json!({"metadata": {"name": "x", "finalizers": ["demo.io/wait"]}, "spec": spec});
        server.post(path, made).await.ok();
        let marked = server.delete(&format!("{path}/x"), options.clone()).await.ok();
        assert_eq!(marked["metadata"]["finalizers"], json!(expected), "{path} {options}");
        // Said again, and otherwise.
        let marked = server.delete(&format!("{path}/x"), json!({"propagationPolicy": "Background"})).await.ok();
        assert_eq!(marked["metadata"]["finalizers"], json!(["demo.io/wait"]));
        server.patch(&format!("{path}/x"), "merge", json!({"metadata": {"finalizers": null}})).await.ok();
    };
    let sets = "/apis/apps/v1/namespaces/default/replicasets";
    check(RCS, json!({}), &["demo.io/wait", "orphan"]).await;
    check(RCS, json!({"orphanDependents": false}), &["demo.io/wait"]).await;
    check(sets, json!({}), &["demo.io/wait"]).await;
    check(sets, json!({"propagationPolicy": "Foreground"}), &["demo.io/wait", "foregroundDeletion"]).await;
    check(sets, json!({"propagationPolicy": "Orphan"}), &["demo.io/wait", "orphan"]).await;
}
