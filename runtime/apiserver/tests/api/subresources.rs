//! scale, binding, eviction, and Services' addresses.

use std::sync::Arc;

use serde_json::{Value, json};
use trimtab_store::{Memory, Store};

use crate::harness::{PODS, RCS, SERVICES, Server, pod};

fn service(name: &str, spec: Value) -> Value {
    let mut body = json!({"metadata": {"name": name}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}});
    for (field, value) in spec.as_object().unwrap() {
        body["spec"][field] = value.clone();
    }
    body
}

#[tokio::test]
async fn scale_reads_and_writes_the_replicas() {
    let server = Server::new().await;
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    server.post(RCS, json!({"metadata": {"name": "rc"}, "spec": {"replicas": 2, "template": template}})).await.ok();
    let at = format!("{RCS}/rc/scale");
    let mut scale = server.get(&at).await.ok();
    assert_eq!((&scale["kind"], &scale["apiVersion"]), (&json!("Scale"), &json!("autoscaling/v1")));
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["selector"]), (&json!(2), &json!("a=b")));
    scale["spec"]["replicas"] = json!(4);
    assert_eq!(server.put(&at, &scale).await.ok()["spec"]["replicas"], 4);
    scale["spec"]["replicas"] = json!(5);
    server.put(&at, &scale).await.refused(409, "Conflict", "the object has been modified");
    assert_eq!(server.patch(&at, "merge", json!({"spec": {"replicas": 6}})).await.ok()["spec"]["replicas"], 6);
    server.patch(&at, "merge", json!({"spec": {"replicas": -1}})).await.refused(
        422,
        "Invalid",
        "greater than or equal",
    );
    assert_eq!(server.get(&format!("{RCS}/rc")).await.ok()["spec"]["replicas"], 6);
    server.get(&format!("{PODS}/p/scale")).await.refused(404, "NotFound", "");
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let server = Server::new().await;
    server.post(PODS, pod("p")).await.ok();
    let binding = |node: &str| json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": node}});
    assert_eq!(server.post(&format!("{PODS}/p/binding"), binding("n1")).await.code, 201);
    let bound = server.get(&format!("{PODS}/p")).await.ok();
    assert_eq!(bound["spec"]["nodeName"], "n1");
    let conditions = bound["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|c| c["type"] == "PodScheduled" && c["status"] == "True"));
    let again = server.post("/api/v1/namespaces/default/bindings", binding("n2")).await;
    again.refused(409, "Conflict", "is already assigned to node \"n1\"");
    server.post(&format!("{PODS}/q/binding"), binding("n1")).await.refused(404, "NotFound", "pods \"q\" not found");
}

#[tokio::test]
async fn an_eviction_deletes() {
    let server = Server::new().await;
    server.post(PODS, pod("p")).await.ok();
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}});
    server.post(&format!("{PODS}/p/eviction"), eviction).await.ok();
    server.get(&format!("{PODS}/p")).await.refused(404, "NotFound", "");
}

#[tokio::test]
async fn services_get_addresses_of_their_own() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let server = Server::over(Arc::clone(&store)).await;
    let one = server.post(SERVICES, service("one", json!({"clusterIP": "10.96.0.7"}))).await.ok();
    assert_eq!(one["spec"]["clusterIPs"], json!(["10.96.0.7"]));
    let refused = |name: &str, spec: Value| server.post_owned(SERVICES, service(name, spec));
    refused("two", json!({"clusterIP": "10.96.0.7"})).await.refused(422, "Invalid", "provided IP is already allocated");
    refused("two", json!({"clusterIP": "10.97.0.7"})).await.refused(422, "Invalid", "not in the valid range");
    let port = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]});
    let two = server.post(SERVICES, service("two", port.clone())).await.ok();
    assert!(two["spec"]["clusterIP"].as_str().unwrap().starts_with("10.96.0."));
    refused("three", port).await.refused(
        422,
        "Invalid",
        "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated",
    );
    let low = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]});
    refused("three", low).await.refused(422, "Invalid", "The range of valid ports is 30000-32767");

    // Another server over the same store knows what is taken.
    let later = Server::over(store).await;
    later.post(SERVICES, service("late", json!({"clusterIP": "10.96.0.7"}))).await.refused(
        422,
        "Invalid",
        "already allocated",
    );
    later.delete(&format!("{SERVICES}/one"), json!({})).await.ok();
    later.post(SERVICES, service("late", json!({"clusterIP": "10.96.0.7"}))).await.ok();
    let headless = later.post(SERVICES, service("headless", json!({"clusterIP": "None"}))).await.ok();
    assert_eq!(headless["spec"]["clusterIP"], "None");
}

#[tokio::test]
async fn a_service_gives_its_node_port_back() {
    let server = Server::new().await;
    let port = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]});
    server.post(SERVICES, service("one", port.clone())).await.ok();
    server
        .post(
            &format!("{SERVICES}?dryRun=All"),
            service("dry", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30081}]})),
        )
        .await
        .ok();
    let inward = json!({"spec": {"type": "ClusterIP"}});
    let changed = server.patch(&format!("{SERVICES}/one"), "merge", inward).await.ok();
    assert!(changed["spec"]["ports"][0].get("nodePort").is_none(), "{changed}");
    server.post(SERVICES, service("two", port)).await.ok();
    server
        .post(SERVICES, service("dry", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30081}]})))
        .await
        .ok();
}
