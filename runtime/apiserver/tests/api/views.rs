//! One stored kind, served under two groups or versions.

use serde_json::{Value, json};

use crate::harness::Server;

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";
const CORE_EVENTS: &str = "/api/v1/namespaces/default/events";

fn event(name: &str) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name},
        "eventTime": "2026-01-01T00:00:00.000000Z", "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
        "reportingController": "demo.io/c", "reportingInstance": "c-1", "action": "Doing", "reason": "Done",
        "note": "It is done", "type": "Normal",
    })
}

#[tokio::test]
async fn an_event_of_one_group_is_one_of_the_other() {
    let server = Server::new().await;
    let mut watch = server.watch(&format!("{CORE_EVENTS}?watch=true")).await;
    let made = server.post(EVENTS, event("e")).await.ok();
    assert_eq!((&made["apiVersion"], &made["note"]), (&json!("events.k8s.io/v1"), &json!("It is done")));
    let seen = watch.next().await.unwrap();
    assert_eq!((&seen["object"]["apiVersion"], &seen["object"]["message"]), (&json!("v1"), &json!("It is done")));
    let core = server.get(&format!("{CORE_EVENTS}/e")).await.ok();
    assert_eq!(core["involvedObject"]["name"], "p");
    assert_eq!((&core["reportingComponent"], &core["note"]), (&json!("demo.io/c"), &Value::Null));
    assert_eq!(core["metadata"]["uid"], made["metadata"]["uid"]);
    assert_eq!(core["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    for (path, count) in [
        (format!("{EVENTS}?fieldSelector=regarding.name=p,reportingController=demo.io/c"), 1),
        (format!("{EVENTS}?fieldSelector=regarding.name=q"), 0),
        (format!("{CORE_EVENTS}?fieldSelector=involvedObject.name=p,reportingComponent=demo.io/c"), 1),
        (format!("{EVENTS}?fieldSelector=regarding.kind=Pod"), 1),
    ] {
        assert_eq!(server.get(&path).await.ok()["items"].as_array().unwrap().len(), count, "{path}");
    }
    server.get(&format!("{EVENTS}?fieldSelector=involvedObject.name=p")).await.refused(
        400,
        "BadRequest",
        "field label not supported",
    );
    let table = server.get_as(EVENTS, "application/json;as=Table;v=v1;g=meta.k8s.io").await.ok();
    let cells = &table["rows"][0]["cells"];
    assert_eq!((&cells[3], &cells[6]), (&json!("pod/p"), &json!("It is done")));
    let path = format!("{EVENTS}/e");
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}});
    let patched = server.patch(&path, "merge", series).await.ok();
    assert_eq!((&patched["series"]["count"], &patched["regarding"]["name"]), (&json!(2), &json!("p")));
    let moved = server.patch(&path, "merge", json!({"note": "Or not"})).await;
    moved.refused(422, "Invalid", "message: Invalid value: \"Or not\": field is immutable");
    server.delete(&path, json!({})).await.ok();
    assert_eq!(server.get(&format!("{CORE_EVENTS}/e")).await.code, 404);
}

#[tokio::test]
async fn an_autoscaler_has_two_versions() {
    let server = Server::new().await;
    let path = |version: &str| format!("/apis/autoscaling/{version}/namespaces/default/horizontalpodautoscalers");
    let spec = json!({"maxReplicas": 5, "targetCPUUtilizationPercentage": 60,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}});
    let asked = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"}, "spec": spec});
    let made = server.post(&path("v1"), asked).await.ok();
    assert_eq!(
        (&made["spec"]["minReplicas"], &made["spec"]["targetCPUUtilizationPercentage"]),
        (&json!(1), &json!(60))
    );
    let second = format!("{}/a", path("v2"));
    let v2 = server.get(&second).await.ok();
    assert_eq!(
        v2["spec"]["metrics"][0]["resource"]["target"],
        json!({"type": "Utilization", "averageUtilization": 60})
    );
    let memory = json!({"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}});
    let both = json!([{"op": "add", "path": "/spec/metrics/-", "value": memory}]);
    server.patch(&second, "json", both).await.ok();
    let first = format!("{}/a", path("v1"));
    let changed = server.patch(&first, "merge", json!({"spec": {"maxReplicas": 7}})).await.ok();
    assert_eq!(changed["spec"]["targetCPUUtilizationPercentage"], 60);
    let v2 = server.get(&second).await.ok();
    assert_eq!((&v2["spec"]["maxReplicas"], &v2["spec"]["metrics"][1]), (&json!(7), &memory));
    assert_eq!(v2["metadata"]["annotations"], Value::Null);
    let group = server.get("/apis/autoscaling").await.ok();
    assert_eq!(group["preferredVersion"]["version"], "v2");
}
