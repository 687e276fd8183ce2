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
    let table = server.get_as(&at, "application/json;as=Table;v=v1;g=meta.k8s.io,application/json").await.ok();
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    let columns: Vec<_> = table["columnDefinitions"].as_array().unwrap().iter().map(|column| &column["name"]).collect();
    assert_eq!(columns, ["Name", "Desired", "Available", "Age"]);
    let row = &table["rows"][0];
    assert_eq!(row["cells"].as_array().unwrap()[..3], [json!("rc"), json!(6), json!(0)]);
    assert_eq!(
        (&row["object"]["kind"], &row["object"]["metadata"]["name"]),
        (&json!("PartialObjectMetadata"), &json!("rc"))
    );
    server.get(&format!("{PODS}/p/scale")).await.refused(404, "NotFound", "");
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let server = Server::new().await;
    server.post(PODS, pod("p")).await.ok();
    let labels = json!({"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r", "disk": "fast"});
    server.post("/api/v1/nodes", json!({"metadata": {"name": "n1", "labels": labels}})).await.ok();
    let binding = |node: &str| json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": node}});
    assert_eq!(server.post(&format!("{PODS}/p/binding"), binding("n1")).await.code, 201);
    let bound = server.get(&format!("{PODS}/p")).await.ok();
    assert_eq!(bound["spec"]["nodeName"], "n1");
    let labels = json!({"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r"});
    assert_eq!(bound["metadata"]["labels"], labels, "a pod can tell where its node is");
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
    server.post(&format!("{PODS}/p/eviction?dryRun=All"), eviction.clone()).await.ok();
    server.get(&format!("{PODS}/p")).await.ok();
    let other = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "q"}});
    let mismatch = "name in URL does not match name in Eviction object";
    server.post(&format!("{PODS}/p/eviction"), other).await.refused(400, "BadRequest", mismatch);
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

#[tokio::test]
async fn ephemeral_containers_are_added_by_their_subresource_alone() {
    let server = Server::new().await;
    server.post(PODS, pod("p")).await.ok();
    let (whole, path) = (format!("{PODS}/p"), format!("{PODS}/p/ephemeralcontainers"));
    let debugger = json!({"name": "d", "image": "tools:1", "targetContainerName": "c", "stdin": true});
    let add =
        |container: &Value| json!({"metadata": {"labels": {"a": "b"}}, "spec": {"ephemeralContainers": [container]}});
    let outside = server.patch(&whole, "strategic", add(&debugger)).await;
    outside.refused(422, "Invalid", "pod updates may not change fields other than");
    let added = server.patch(&path, "strategic", add(&debugger)).await.ok();
    let found = &added["spec"]["ephemeralContainers"][0];
    assert_eq!((&found["name"], &found["targetContainerName"]), (&json!("d"), &json!("c")));
    assert_eq!(
        (&found["imagePullPolicy"], &found["terminationMessagePolicy"]),
        (&json!("IfNotPresent"), &json!("File"))
    );
    // Nothing but them is written.
    assert_eq!(added["metadata"]["labels"], Value::Null);
    assert_eq!(added["metadata"]["generation"], 2);
    assert_eq!(server.get(&path).await.ok()["spec"], added["spec"]);
    let more = server.patch(&path, "strategic", add(&json!({"name": "e", "image": "tools:1"}))).await.ok();
    assert_eq!(more["spec"]["ephemeralContainers"].as_array().unwrap().len(), 2);
    // The whole pod is still written as before.
    server.patch(&whole, "merge", json!({"metadata": {"labels": {"x": "y"}}})).await.ok();

    let refused = async |container: Value, field: &str, message: &str| {
        let answer = server.patch(&path, "strategic", add(&container)).await;
        answer.refused(422, "Invalid", message);
        let fields: Vec<&str> =
            answer.body["details"]["causes"].as_array().unwrap().iter().filter_map(|c| c["field"].as_str()).collect();
        assert_eq!(fields, [field]);
    };
    let changed = json!({"name": "d", "image": "tools:2"});
    refused(changed, "spec.ephemeralContainers", "existing ephemeral containers \"d\" may not be changed").await;
    let not = "cannot be set for an Ephemeral Container";
    // A strategic merge puts what is new in front.
    let of = |field: &str| format!("spec.ephemeralContainers[0].{field}");
    let limits = json!({"name": "f", "image": "i", "resources": {"limits": {"cpu": "1"}}});
    refused(limits, &of("resources"), not).await;
    refused(json!({"name": "c", "image": "i"}), &of("name"), "Duplicate value").await;
    refused(json!({"name": "f", "image": "i", "targetContainerName": "z"}), &of("targetContainerName"), "Not found")
        .await;
    let none = server.patch(&path, "merge", json!({"spec": {"ephemeralContainers": []}})).await;
    none.refused(422, "Invalid", "existing ephemeral containers \"d\" may not be removed");
}

#[tokio::test]
async fn a_resize_changes_processor_and_memory_alone() {
    let server = Server::new().await;
    let mut body = pod("p");
    body["spec"]["containers"][0]["resources"] =
        json!({"limits": {"cpu": "1", "memory": "64Mi", "ephemeral-storage": "1Gi"}});
    server.post(PODS, body).await.ok();
    let path = format!("{PODS}/p/resize");
    let resized =
        |resources: Value| json!({"spec": {"containers": [{"name": "c", "image": "other", "resources": resources}]}});
    let more = resized(json!({"limits": {"cpu": "2"}, "requests": {"cpu": "2"}}));
    let new = server.patch(&path, "strategic", more).await.ok();
    let container = &new["spec"]["containers"][0];
    let limits = json!({"cpu": "2", "memory": "64Mi", "ephemeral-storage": "1Gi"});
    assert_eq!((&container["resources"]["limits"], &container["image"]), (&limits, &json!("i")));
    assert_eq!(new["metadata"]["generation"], 2);
    let refused = async |resources: Value, message: &str| {
        server.patch(&path, "strategic", resized(resources)).await.refused(422, "Invalid", message);
    };
    refused(json!({"limits": {"ephemeral-storage": "2Gi"}}), "only cpu and memory resources are mutable").await;
    refused(json!({"limits": {"memory": null}}), "resource limits cannot be removed").await;
    refused(json!({"limits": {"cpu": "3"}, "requests": {"cpu": "1"}}), "Pod QOS Class may not change").await;
    // An agent that does not tell what its containers have cannot change it either.
    let running = json!({"name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}});
    let status = json!({"status": {"containerStatuses": [running]}});
    server.patch(&format!("{PODS}/p/status"), "merge", status).await.ok();
    refused(json!({"limits": {"cpu": "3"}, "requests": {"cpu": "3"}}), "Pod running on node without support").await;
}

#[tokio::test]
async fn an_eviction_takes_from_the_disruption_budget() {
    const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let server = Server::new().await;
    let budget =
        json!({"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}});
    server.post(BUDGETS, budget).await.ok();
    let ready = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    for name in ["p", "q", "other"] {
        let mut body = pod(name);
        body["metadata"]["labels"] = if name == "other" { json!({}) } else { json!({"a": "b"}) };
        body["spec"]["nodeName"] = json!("n");
        server.post(PODS, body).await.ok();
        server.patch(&format!("{PODS}/{name}/status"), "merge", ready.clone()).await.ok();
    }
    let evict = async |name: &str, dry: bool| {
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
        server.post(&format!("{PODS}/{name}/eviction{}", if dry { "?dryRun=All" } else { "" }), eviction).await
    };
    let refused = |answer: crate::harness::Answer, cause: &str| {
        answer.refused(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.");
        let found = &answer.body["details"]["causes"][0];
        assert_eq!(found["reason"], "DisruptionBudget");
        assert!(found["message"].as_str().unwrap().contains(cause), "{found}");
    };
    // Nobody has said yet how many may go.
    refused(evict("p", false).await, "still being processed by the server");
    evict("other", false).await.ok();
    let status = json!({"status": {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2,
        "desiredHealthy": 1, "expectedPods": 2}});
    server.patch(&format!("{BUDGETS}/b/status"), "merge", status).await.ok();
    evict("p", true).await.ok();
    assert_eq!(server.get(&format!("{BUDGETS}/b")).await.ok()["status"]["disruptionsAllowed"], 1);
    evict("p", false).await.ok();
    let going = server.get(&format!("{PODS}/p")).await.ok();
    assert_ne!(going["metadata"]["deletionTimestamp"], Value::Null);
    let conditions = going["status"]["conditions"].as_array().unwrap();
    let why = conditions.iter().find(|condition| condition["type"] == "DisruptionTarget").unwrap();
    assert_eq!((&why["status"], &why["reason"]), (&json!("True"), &json!("EvictionByEvictionAPI")));
    let status = server.get(&format!("{BUDGETS}/b")).await.ok()["status"].clone();
    assert_eq!(status["disruptionsAllowed"], 0);
    assert!(status["disruptedPods"]["p"].is_string(), "{status}");
    refused(evict("q", false).await, "needs 1 healthy pods and has 2 currently");
    // What is not ready counts for nothing, and is not missed.
    let unready = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    server.patch(&format!("{PODS}/q/status"), "merge", unready).await.ok();
    let second = json!({"metadata": {"name": "c"}, "spec": {"maxUnavailable": 0, "selector": {}}});
    server.post(BUDGETS, second).await.ok();
    evict("q", false).await.refused(500, "InternalError", "more than one PodDisruptionBudget");
    server.delete(&format!("{BUDGETS}/c"), json!({})).await.ok();
    evict("q", false).await.ok();
}
