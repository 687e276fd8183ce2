//! Match conditions and admission policies.

use serde_json::{Value, json};

use crate::harness::{MAPS, RCS, Server, map};

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";

fn matched(resource: &str) -> Value {
    json!({"resourceRules": [{"operations": ["CREATE", "UPDATE"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": [resource]}]})
}

async fn put(server: &Server, plural: &'static str, name: &str, spec: Value) {
    server.post(&format!("{GROUP}/{plural}"), json!({"metadata": {"name": name}, "spec": spec})).await.ok();
}

async fn validating(server: &Server, spec: Value, binding: Value) {
    put(server, "validatingadmissionpolicies", "guard", spec).await;
    let mut own = json!({"policyName": "guard", "validationActions": ["Deny"]});
    own.as_object_mut().unwrap().extend(binding.as_object().unwrap().clone());
    put(server, "validatingadmissionpolicybindings", "everywhere", own).await;
}

#[tokio::test]
async fn a_validating_policy_denies_what_its_binding_says() {
    let server = Server::new().await;
    let spec = json!({"matchConstraints": matched("configmaps"),
        "matchConditions": [{"name": "not-free", "expression": "!object.metadata.name.startsWith('free')"}],
        "variables": [{"name": "k", "expression": "object.data.k"}],
        "validations": [{"expression": "variables.k == 'v'", "messageExpression": "'k is ' + string(variables.k)", "reason": "Forbidden"},
            {"expression": "authorizer.requestResource.check('create').allowed() && namespaceObject.metadata.name == 'default'"}]});
    validating(&server, spec, json!({})).await;
    server.post(MAPS, map("a", json!({}))).await.ok();
    let mut bad = map("b", json!({}));
    bad["data"]["k"] = "bad".into();
    let denied = server.post(MAPS, bad.clone()).await;
    let why = "ValidatingAdmissionPolicy 'guard' with binding 'everywhere' denied request: k is bad";
    assert_eq!((denied.code, &denied.body["message"]), (403, &json!(format!("configmaps \"b\" is forbidden: {why}"))));
    assert_eq!(
        (&denied.body["reason"], &denied.body["details"]["causes"]),
        (&json!("Forbidden"), &json!([{"message": why}]))
    );
    bad["metadata"]["name"] = "free".into();
    server.post(MAPS, bad.clone()).await.ok();
    // What cannot be reckoned is denied, unless that is to be ignored.
    bad["metadata"]["name"] = "c".into();
    bad["data"] = json!({});
    let denied = server.post(MAPS, bad.clone()).await;
    assert_eq!((denied.code, &denied.body["reason"]), (422, &json!("Invalid")));
    assert!(
        denied.body["message"]
            .as_str()
            .unwrap()
            .contains("resulted in error: composited variable \"k\" fails to evaluate: no such key"),
        "{}",
        denied.body
    );
    let ignore = json!({"spec": {"failurePolicy": "Ignore"}});
    server.patch(&format!("{GROUP}/validatingadmissionpolicies/guard"), "merge", ignore).await.ok();
    server.post(MAPS, bad.clone()).await.ok();
    // A warning instead.
    let warn = json!({"spec": {"validationActions": ["Warn"]}});
    server.patch(&format!("{GROUP}/validatingadmissionpolicybindings/everywhere"), "merge", warn).await.ok();
    bad["metadata"]["name"] = "d".into();
    bad["data"] = json!({"k": "w"});
    let warned = server.post(MAPS, bad).await;
    assert_eq!(warned.code, 201);
    assert_eq!(
        warned.headers["warning"],
        "299 - \"Validation failed for ValidatingAdmissionPolicy 'guard' with binding 'everywhere': k is w\""
    );
}

#[tokio::test]
async fn a_policy_is_told_its_parameters() {
    let server = Server::new().await;
    let spec = json!({"matchConstraints": matched("replicationcontrollers"), "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "validations": [{"expression": "object.spec.replicas <= int(params.data.k)"}]});
    validating(&server, spec, json!({"paramRef": {"name": "limit", "parameterNotFoundAction": "Deny"}})).await;
    let rc = |name: &str, replicas: i64| {
        json!({"metadata": {"name": name}, "spec": {"replicas": replicas, "selector": {"a": "b"}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
    };
    let denied = server.post(RCS, rc("a", 1)).await;
    let why = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction";
    assert!(denied.body["message"].as_str().unwrap().ends_with(why), "{}", denied.body);
    let mut limit = map("limit", json!({}));
    limit["data"]["k"] = "3".into();
    server.post(MAPS, limit).await.ok();
    server.post(RCS, rc("a", 3)).await.ok();
    let denied = server.post(RCS, rc("b", 4)).await;
    let why = "failed expression: object.spec.replicas <= int(params.data.k)";
    assert!(denied.body["message"].as_str().unwrap().ends_with(why), "{}", denied.body);
}

#[tokio::test]
async fn a_mutating_policy_nests_no_object_deeper_than_a_client_may() {
    const REVISIONS: &str = "/apis/apps/v1/namespaces/default/controllerrevisions";
    let server = Server::new().await;
    // What is sent is put into fifty maps more.
    let data = (0..50).fold("object.data".to_owned(), |inner, _| format!("{{'a': {inner}}}"));
    let spec = json!({"matchConstraints": matched("controllerrevisions"), "reinvocationPolicy": "Never", "mutations": [
        {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": format!("Object{{data: {data}}}")}}]});
    put(&server, "mutatingadmissionpolicies", "deepen", spec).await;
    put(&server, "mutatingadmissionpolicybindings", "deepen", json!({"policyName": "deepen"})).await;
    let revision = |name: &str, levels: usize| {
        let data = (0..levels).fold(json!(1), |inner, _| json!({"b": inner}));
        json!({"metadata": {"name": name}, "revision": 1, "data": data})
    };
    server.post(REVISIONS, revision("allowed", 49)).await.ok();
    let refused = server.post(REVISIONS, revision("deep", 50)).await;
    let why = "denied request: the changed object is nested deeper than 100 levels";
    assert!(refused.body["message"].as_str().unwrap().ends_with(why), "{}", refused.body);
    server.get(&format!("{REVISIONS}/allowed")).await.ok();
}

#[tokio::test]
async fn a_mutating_policy_changes_what_is_written() {
    let server = Server::new().await;
    let spec = json!({"matchConstraints": matched("configmaps"), "reinvocationPolicy": "Never", "mutations": [
        {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression":
            "Object{metadata: Object.metadata{labels: {'by': request.userInfo.username}}}"}},
        {"patchType": "JSONPatch", "jsonPatch": {"expression":
            "[JSONPatch{op: 'add', path: '/data/' + jsonpatch.escapeKey('copy'), value: object.data.k}]"}},
    ]});
    put(&server, "mutatingadmissionpolicies", "stamp", spec).await;
    server.post(MAPS, map("a", json!({"own": "label"}))).await.ok();
    put(&server, "mutatingadmissionpolicybindings", "stamp", json!({"policyName": "stamp"})).await;
    let made = server.post(MAPS, map("b", json!({"own": "label"}))).await.ok();
    assert_eq!(made["metadata"]["labels"], json!({"own": "label", "by": "tester"}));
    assert_eq!(made["data"]["copy"], made["data"]["k"]);
    let wrong = json!({"metadata": {"name": "x"}, "spec": {"matchConstraints": matched("configmaps"), "mutations": [
        {"patchType": "JSONPatch", "jsonPatch": {"expression": "object"}}]}});
    let refused = server.post(&format!("{GROUP}/mutatingadmissionpolicies"), wrong).await;
    assert_eq!(refused.code, 422, "{}", refused.body);
}
