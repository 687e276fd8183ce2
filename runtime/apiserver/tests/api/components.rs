//! How the parts of the control plane are.

use serde_json::{Value, json};

use crate::harness::{MAPS, Server};

const PATH: &str = "/api/v1/componentstatuses";

async fn rows(server: &Server) -> Vec<Value> {
    let table = server.get_as(PATH, "application/json;as=Table;v=v1;g=meta.k8s.io").await.ok();
    table["rows"].as_array().unwrap().iter().map(|row| row["cells"].clone()).collect()
}

#[tokio::test]
async fn who_watches_is_well() {
    let server = Server::new().await;
    let (idle, well) = (
        json!(["controller-manager", "Unhealthy", "system:kube-controller-manager watches nothing", ""]),
        json!(["controller-manager", "Healthy", "ok", ""]),
    );
    let store = json!(["etcd-0", "Healthy", "ok", ""]);
    let scheduler = json!(["scheduler", "Unhealthy", "system:kube-scheduler watches nothing", ""]);
    assert_eq!(rows(&server).await, [idle.clone(), scheduler.clone(), store.clone()]);
    let controllers = server.by("system:kube-controller-manager", &["system:masters"]);
    let watch = controllers.watch(&format!("{MAPS}?watch=true")).await;
    let other = controllers.watch(&format!("{MAPS}?watch=true")).await;
    drop(watch);
    assert_eq!(rows(&server).await, [well, scheduler, store]);
    drop(other);
    assert_eq!(rows(&server).await[0], idle);
}

#[tokio::test]
async fn they_are_read_and_not_written() {
    let server = Server::new().await;
    let one = server.get(&format!("{PATH}/etcd-0")).await;
    assert_eq!(one.headers["warning"], "299 - \"v1 ComponentStatus is deprecated in v1.19+\"");
    assert_eq!(one.body["conditions"], json!([{"type": "Healthy", "status": "True", "message": "ok"}]));
    server.get(&format!("{PATH}/etcd-1")).await.refused(404, "NotFound", "componentstatuses \"etcd-1\" not found");
    let selected = server.get(&format!("{PATH}?fieldSelector=metadata.name%3Dscheduler")).await.ok();
    assert_eq!(selected["items"].as_array().unwrap().len(), 1);
    server.get(&format!("{PATH}?watch=true")).await.refused(405, "MethodNotAllowed", "");
    server.post(PATH, json!({"metadata": {"name": "x"}})).await.refused(405, "MethodNotAllowed", "");
    server.delete(&format!("{PATH}/etcd-0"), json!({})).await.refused(405, "MethodNotAllowed", "");
    let endpoints = server.get("/api/v1/endpoints").await;
    let text = "299 - \"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\"";
    assert_eq!(endpoints.headers["warning"], text);
}
