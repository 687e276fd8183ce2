//! IPAddresses: one for each address of a Service.

use std::sync::Arc;

use futures::StreamExt;
use serde_json::{Value, json};
use trimtab_store::{Memory, Precondition, Store, Write};

use crate::harness::{SERVICES, Server};

const ADDRESSES: &str = "/apis/networking.k8s.io/v1/ipaddresses";
const STORED: &str = "/registry/networking.k8s.io/ipaddresses/";

fn service(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["ports"] = json!([{"port": 80}]);
    json!({"metadata": {"name": name}, "spec": spec})
}

fn address(ip: &str, labels: Value) -> Value {
    let parent = json!({"resource": "widgets", "group": "demo.io", "name": "w"});
    json!({"metadata": {"name": ip, "labels": labels}, "spec": {"parentRef": parent}})
}

async fn addresses(server: &Server) -> Vec<String> {
    let list = server.get(ADDRESSES).await.ok();
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_service_has_its_address_as_an_object() {
    let server = Server::new().await;
    let before = server.store.revision();
    server.post(SERVICES, service("web", json!({"clusterIP": "10.96.0.10"}))).await.ok();
    assert_eq!(server.store.revision(), before + 2, "one step makes both");
    let made = server.get(&format!("{ADDRESSES}/10.96.0.10")).await.ok();
    let labels = json!({"ipaddress.kubernetes.io/ip-family": "IPv4", "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"});
    assert_eq!(made["metadata"]["labels"], labels);
    let parent = json!({"group": "", "resource": "services", "namespace": "default", "name": "web"});
    assert_eq!(made["spec"]["parentRef"], parent);
    assert_eq!(made["metadata"]["managedFields"][0]["manager"], "kube-apiserver");
    // Nothing is made for nothing, or by a dry run.
    server.post(SERVICES, service("headless", json!({"clusterIP": "None"}))).await.ok();
    server.post(&format!("{SERVICES}?dryRun=All"), service("tried", json!({}))).await.ok();
    assert_eq!(addresses(&server).await, ["10.96.0.10"]);
    // It goes and comes as the Service loses and gets an address.
    let web = format!("{SERVICES}/web");
    let named = json!({"spec": {"type": "ExternalName", "externalName": "elsewhere.example", "clusterIP": null, "clusterIPs": null}});
    server.patch(&web, "merge", named).await.ok();
    assert_eq!(addresses(&server).await, [""; 0]);
    let inside = json!({"spec": {"type": "ClusterIP", "externalName": null}});
    let given = server.patch(&web, "merge", inside).await.ok()["spec"]["clusterIP"].as_str().unwrap().to_owned();
    assert_eq!(addresses(&server).await, [given]);
    server.delete(&web, json!({})).await.ok();
    assert_eq!(addresses(&server).await, [""; 0]);
}

#[tokio::test]
async fn an_address_that_somebody_makes_is_taken() {
    let server = Server::new().await;
    server.post(ADDRESSES, address("10.96.0.20", json!({}))).await.ok();
    let wants = || service("web", json!({"clusterIP": "10.96.0.20"}));
    server.post(SERVICES, wants()).await.refused(422, "Invalid", "10.96.0.20: provided IP is already allocated");
    server.delete(&format!("{ADDRESSES}/10.96.0.20"), json!({})).await.ok();
    server.post(SERVICES, wants()).await.ok();
    server.post(ADDRESSES, address("10.96.0.20", json!({}))).await.refused(409, "AlreadyExists", "already exists");
}

#[tokio::test]
async fn the_address_of_a_service_comes_back() {
    let server = Server::new().await;
    server.post(SERVICES, service("web", json!({"clusterIP": "10.96.0.10"}))).await.ok();
    let mut watch = server.store.watch(STORED, server.store.revision()).await.unwrap();
    server.delete(&format!("{ADDRESSES}/10.96.0.10"), json!({})).await.ok();
    let mut there = Vec::new();
    while there.len() < 2 {
        there.extend(watch.next().await.unwrap().unwrap().iter().map(|event| event.entry.is_some()));
    }
    assert_eq!((there, addresses(&server).await), (vec![false, true], vec!["10.96.0.10".to_owned()]));
}

#[tokio::test]
async fn a_start_mends_what_is_not_as_it_should_be() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let server = Server::over(Arc::clone(&store)).await;
    for (name, ip) in [("a", "10.96.0.10"), ("b", "10.96.0.11")] {
        server.post(SERVICES, service(name, json!({"clusterIP": ip}))).await.ok();
    }
    let managed = json!({"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"});
    server.post(ADDRESSES, address("10.96.0.12", managed)).await.ok();
    server.post(ADDRESSES, address("10.96.0.13", json!({}))).await.ok();
    server.api.shutdown().await;
    let lost = Write { key: format!("{STORED}10.96.0.10"), value: None, precondition: Precondition::None };
    store.commit(lost).await.unwrap();
    let server = Server::over(store).await;
    assert_eq!(addresses(&server).await, ["10.96.0.10", "10.96.0.11", "10.96.0.13"]);
    let taken = service("c", json!({"clusterIP": "10.96.0.13"}));
    server.post(SERVICES, taken).await.refused(422, "Invalid", "already allocated");
    server.post(SERVICES, service("d", json!({"clusterIP": "10.96.0.12"}))).await.ok();
}

#[tokio::test]
async fn a_range_gives_addresses_until_it_is_to_go() {
    const RANGES: &str = "/apis/networking.k8s.io/v1/servicecidrs";
    let server = Server::new().await;
    let wants = |name: &str| service(name, json!({"clusterIP": "10.97.0.9"}));
    let range =
        json!({"metadata": {"name": "more", "finalizers": ["demo.io/held"]}, "spec": {"cidrs": ["10.97.0.0/28"]}});
    server.post(SERVICES, wants("early")).await.refused(
        422,
        "Invalid",
        "is not in the valid range 10.96.0.1-10.96.0.254",
    );
    server.post(RANGES, range).await.ok();
    server.post(SERVICES, wants("web")).await.ok();
    assert_eq!(addresses(&server).await, ["10.97.0.9"]);
    server.post(SERVICES, wants("again")).await.refused(422, "Invalid", "already allocated");
    // What is going gives no more, and nothing to a server that starts meanwhile.
    server.delete(&format!("{RANGES}/more"), json!({})).await.ok();
    let other = || service("other", json!({"clusterIP": "10.97.0.10"}));
    server.post(SERVICES, other()).await.refused(422, "Invalid", "is not in the valid range");
    server.api.shutdown().await;
    let server = Server::over(server.store).await;
    server.post(SERVICES, other()).await.refused(422, "Invalid", "is not in the valid range");
    assert_eq!(addresses(&server).await, ["10.97.0.9"]);
}
