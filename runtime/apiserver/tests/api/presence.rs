//! What a server tells of itself to others.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use trimtab_store::Memory;

use crate::harness::Server;

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";

async fn leases(server: &Server) -> Vec<Value> {
    // It asks itself.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let labels = "labelSelector=apiserver.kubernetes.io%2Fidentity%3Dkube-apiserver";
    server.get(&format!("{LEASES}?{labels}")).await.ok()["items"].as_array().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn a_server_is_known_by_a_lease_that_it_renews() {
    let server = Server::called("machine", Arc::new(Memory::new())).await;
    let found = leases(&server).await;
    assert_eq!(found.len(), 1);
    let first = &found[0];
    let name = first["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("apiserver-") && name.len() == "apiserver-".len() + 26, "{name}");
    assert_eq!(first["metadata"]["labels"]["kubernetes.io/hostname"], "machine");
    assert!(first["spec"]["holderIdentity"].as_str().unwrap().starts_with(&format!("{name}_")));
    assert_eq!(first["spec"]["leaseDurationSeconds"], 3600);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let second = leases(&server).await.remove(0);
    assert_eq!(second["metadata"]["uid"], first["metadata"]["uid"]);
    assert!(second["spec"]["renewTime"].as_str() > first["spec"]["renewTime"].as_str(), "{second}");

    // Who starts on the same machine takes over.
    server.api.shutdown().await;
    let server = Server::called("machine", Arc::clone(&server.store)).await;
    assert_eq!(leases(&server).await[0]["metadata"]["uid"], first["metadata"]["uid"]);
    server.api.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn servers_that_fell_silent_are_forgotten_after_an_hour() {
    let server = Server::called("machine", Arc::new(Memory::new())).await;
    let own = leases(&server).await[0]["metadata"]["name"].clone();
    for (name, labels, seconds) in [
        ("apiserver-dead", json!({"apiserver.kubernetes.io/identity": "kube-apiserver"}), 3600),
        ("apiserver-patient", json!({"apiserver.kubernetes.io/identity": "kube-apiserver"}), 36_000),
        ("other", json!({}), 1),
    ] {
        let spec = json!({"holderIdentity": name, "leaseDurationSeconds": seconds, "renewTime": "2026-01-01T00:00:00.000000Z"});
        server.post(LEASES, json!({"metadata": {"name": name, "labels": labels}, "spec": spec})).await.ok();
    }
    tokio::time::sleep(Duration::from_secs(3_500)).await;
    assert_eq!(leases(&server).await.len(), 3);
    tokio::time::sleep(Duration::from_secs(3_700)).await;
    let left: Vec<Value> = leases(&server).await.iter().map(|lease| lease["metadata"]["name"].clone()).collect();
    assert_eq!(left, [own, "apiserver-patient".into()]);
    server.get(&format!("{LEASES}/other")).await.ok();
    server.api.shutdown().await;
}
