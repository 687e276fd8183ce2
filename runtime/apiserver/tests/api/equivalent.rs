//! `matchPolicy: Equivalent`: who names one version of a resource is asked about writes of all of them.

use serde_json::{Value, json};

use crate::conversion::{convert, definition, site};
use crate::harness::{MAPS, Server, map};
use crate::webhooks::{Hook, MUTATING, VALIDATING, change, yes};

const HPAS: &str = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";

fn rules(group: &str, version: &str, resource: &str) -> Value {
    json!([{"operations": ["*"], "apiGroups": [group], "apiVersions": [version], "resources": [resource]}])
}

fn autoscaler(name: &str, percent: u32) -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": percent});
    json!({"metadata": {"name": name}, "spec": {"maxReplicas": 3,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]}})
}

#[tokio::test]
async fn a_webhook_is_asked_in_the_version_it_names() {
    let server = Server::new().await;
    let hook = Hook::new(|request| {
        let percent = request["object"]["spec"]["targetCPUUtilizationPercentage"].as_i64();
        json!({"allowed": request["operation"] == "DELETE" || percent == Some(50), "status": {"message": "not 50"}})
    })
    .await;
    let own = json!({"rules": rules("autoscaling", "v1", "horizontalpodautoscalers"),
        "matchConditions": [{"name": "v1", "expression": "request.kind.version == 'v1' && request.requestKind.version == 'v2'"}]});
    server.post(VALIDATING, hook.configuration("half", &[], own.clone())).await.ok();
    server.post(HPAS, autoscaler("a", 50)).await.ok();
    let review = hook.asked().remove(0);
    let kind = |version: &str| json!({"group": "autoscaling", "version": version, "kind": "HorizontalPodAutoscaler"});
    let resource =
        |version: &str| json!({"group": "autoscaling", "version": version, "resource": "horizontalpodautoscalers"});
    assert_eq!((&review["kind"], &review["requestKind"]), (&kind("v1"), &kind("v2")));
    assert_eq!((&review["resource"], &review["requestResource"]), (&resource("v1"), &resource("v2")));
    assert_eq!(review["object"]["apiVersion"], "autoscaling/v1");
    let refused = server.post(HPAS, autoscaler("b", 51)).await;
    assert_eq!(refused.code, 400);
    assert!(refused.body["message"].as_str().unwrap().ends_with("denied the request: not 50"), "{}", refused.body);
    hook.asked();
    // What is stored is told in that version, too.
    server.delete(&format!("{HPAS}/a"), json!({})).await.ok();
    assert_eq!(hook.asked()[0]["oldObject"]["spec"]["targetCPUUtilizationPercentage"], 50);
    // Unless it wants to know of that version alone.
    let exact = json!([{"op": "add", "path": "/webhooks/0/matchPolicy", "value": "Exact"}]);
    server.patch(&format!("{VALIDATING}/half"), "json", exact).await.ok();
    server.post(HPAS, autoscaler("b", 51)).await.ok();
    assert_eq!(hook.asked(), [] as [Value; 0]);
}

#[tokio::test]
async fn events_of_both_groups_are_the_same() {
    let server = Server::new().await;
    let hook = Hook::new(|_| yes()).await;
    let own = json!({"rules": rules("", "v1", "events")});
    server.post(VALIDATING, hook.configuration("events", &[], own)).await.ok();
    let event = json!({"metadata": {"name": "e", "namespace": "default"}, "eventTime": "2026-01-01T00:00:00.000000Z",
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"}, "action": "Doing", "reason": "Because",
        "type": "Normal", "reportingController": "demo.io/x", "reportingInstance": "x-1"});
    server.post("/apis/events.k8s.io/v1/namespaces/default/events", event).await.ok();
    let object = &hook.asked()[0]["object"];
    assert_eq!((&object["apiVersion"], &object["involvedObject"]["name"]), (&json!("v1"), &json!("p")));
}

#[tokio::test]
async fn what_is_changed_in_one_version_is_written_in_the_other() {
    let server = Server::new().await;
    let converter = Hook::new(convert).await;
    server.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition(&converter)).await.ok();
    let hook = Hook::new(|_| change(&json!([{"op": "replace", "path": "/spec/picture", "value": "y"}]))).await;
    let own = json!({"rules": rules("demo.io", "v2", "sites")});
    server.post(MUTATING, hook.configuration("pictures", &[], own)).await.ok();
    let path = "/apis/demo.io/v1/namespaces/default/sites";
    let made = server.post(path, site("v1", "a", json!({"image": "x"}))).await.ok();
    assert_eq!((&made["apiVersion"], &made["spec"]), (&json!("demo.io/v1"), &json!({"image": "y"})));
    assert_eq!(hook.asked()[0]["object"]["spec"], json!({"picture": "x"}));
    assert_eq!(server.get(&format!("{path}/a")).await.ok()["spec"], json!({"image": "y"}));
}

#[tokio::test]
async fn policies_look_at_the_version_they_name() {
    let server = Server::new().await;
    let matched = json!({"resourceRules": [{"operations": ["CREATE"], "apiGroups": ["autoscaling"], "apiVersions": ["v1"],
        "resources": ["horizontalpodautoscalers"]}]});
    let guard = json!({"metadata": {"name": "guard"}, "spec": {"matchConstraints": matched, "validations": [
        {"expression": "object.spec.targetCPUUtilizationPercentage <= 60 && request.resource.version == 'v1'"}]}});
    let binding =
        json!({"metadata": {"name": "guard"}, "spec": {"policyName": "guard", "validationActions": ["Deny"]}});
    server.post(&format!("{GROUP}/validatingadmissionpolicies"), guard).await.ok();
    server.post(&format!("{GROUP}/validatingadmissionpolicybindings"), binding).await.ok();
    let half = json!({"metadata": {"name": "half"}, "spec": {"matchConstraints": matched, "reinvocationPolicy": "Never",
        "matchConditions": [{"name": "some", "expression": "object.metadata.name != 'c'"}],
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression":
            "Object{spec: Object.spec{targetCPUUtilizationPercentage: object.spec.targetCPUUtilizationPercentage / 2}}"}}]}});
    let binding = json!({"metadata": {"name": "half"}, "spec": {"policyName": "half"}});
    server.post(&format!("{GROUP}/mutatingadmissionpolicies"), half).await.ok();
    server.post(&format!("{GROUP}/mutatingadmissionpolicybindings"), binding).await.ok();
    let made = server.post(HPAS, autoscaler("a", 80)).await.ok();
    assert_eq!(made["apiVersion"], "autoscaling/v2");
    assert_eq!(made["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 40);
    server.post(HPAS, autoscaler("c", 80)).await.refused(422, "Invalid", "failed expression: object.spec.target");
    server.post(MAPS, map("a", json!({}))).await.ok();
}
