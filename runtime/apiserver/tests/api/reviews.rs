//! Questions about callers and what they may do.

use serde_json::{Value, json};

use crate::harness::Server;

const AUTHORIZATION: &str = "/apis/authorization.k8s.io/v1";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";

/// A server on which `jane` may read pods in `default`.
async fn server() -> Server {
    let server = Server::new().await;
    let rules = json!([{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]);
    server.post(&format!("{ROLES}/roles"), json!({"metadata": {"name": "reader"}, "rules": rules})).await.ok();
    let binding = json!({"metadata": {"name": "readers"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "User", "name": "jane"}]});
    server.post(&format!("{ROLES}/rolebindings"), binding).await.ok();
    server
}

fn asks(verb: &str, namespace: &str) -> Value {
    json!({"resourceAttributes": {"verb": verb, "resource": "pods", "namespace": namespace}})
}

#[tokio::test]
async fn may_i() {
    let server = server().await;
    let jane = server.by("jane", &[]);
    let path = format!("{AUTHORIZATION}/selfsubjectaccessreviews");
    let ask = async |by: &Server, spec: Value| {
        let answer = by.post(&path, json!({"spec": spec.clone()})).await;
        assert_eq!(answer.code, 201, "{}", answer.body);
        assert_eq!((&answer.body["kind"], &answer.body["spec"]), (&json!("SelfSubjectAccessReview"), &spec));
        answer.body["status"].clone()
    };
    let reason = r#"RBAC: allowed by RoleBinding "readers/default" of Role "reader" to User "jane""#;
    assert_eq!(ask(&jane, asks("list", "default")).await, json!({"allowed": true, "reason": reason}));
    assert_eq!(ask(&jane, asks("list", "kube-system")).await, json!({"allowed": false}));
    assert_eq!(ask(&jane, asks("delete", "default")).await, json!({"allowed": false}));
    let everywhere = json!({"resourceAttributes": {"verb": "delete", "resource": "pods"}});
    assert_eq!(ask(&server, everywhere).await, json!({"allowed": true}));
    let path_of = |path: &str| json!({"nonResourceAttributes": {"verb": "get", "path": path}});
    assert_eq!(ask(&jane, path_of("/healthz")).await["allowed"], true);
    assert_eq!(ask(&jane, path_of("/metrics")).await["allowed"], false);
    let neither = jane.post(&path, json!({"spec": {}})).await;
    neither.refused(422, "Invalid", "exactly one of nonResourceAttributes or resourceAttributes must be specified");
    assert_eq!(jane.get(&path).await.code, 403, "there is nothing to list");
    assert_eq!(server.get(&path).await.code, 405);
}

#[tokio::test]
async fn may_somebody() {
    let server = server().await;
    let path = format!("{AUTHORIZATION}/subjectaccessreviews");
    let mut spec = asks("list", "default");
    spec["user"] = "jane".into();
    let answer = server.post(&path, json!({"spec": spec})).await.ok();
    assert_eq!(answer["status"]["allowed"], true);
    spec["user"] = "joe".into();
    assert_eq!(server.post(&path, json!({"spec": spec})).await.ok()["status"], json!({"allowed": false}));
    spec["groups"] = json!(["system:masters"]);
    assert_eq!(server.post(&path, json!({"spec": spec})).await.ok()["status"]["allowed"], true);
    assert_eq!(server.by("jane", &[]).post(&path, json!({"spec": spec})).await.code, 403);

    let local = format!("{AUTHORIZATION}/namespaces/default/localsubjectaccessreviews");
    let answer = server.post(&local, json!({"spec": spec})).await.ok();
    assert_eq!((&answer["status"]["allowed"], &answer["metadata"]["namespace"]), (&json!(true), &json!("default")));
    spec["resourceAttributes"]["namespace"] = "kube-system".into();
    let elsewhere = server.post(&local, json!({"spec": spec})).await;
    elsewhere.refused(422, "Invalid", "spec.resourceAttributes.namespace");
}

#[tokio::test]
async fn what_may_i() {
    let server = server().await;
    let jane = server.by("jane", &[]);
    let path = format!("{AUTHORIZATION}/selfsubjectrulesreviews");
    let answer = jane.post(&path, json!({"spec": {"namespace": "default"}})).await.ok();
    let status = &answer["status"];
    assert_eq!(status["incomplete"], false);
    let rules = status["resourceRules"].as_array().unwrap();
    let pods = json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]});
    assert!(rules.contains(&pods), "{rules:?}");
    let urls = status["nonResourceRules"].as_array().unwrap();
    assert!(urls.iter().any(|rule| rule["nonResourceURLs"].as_array().unwrap().contains(&json!("/api/*"))), "{urls:?}");
    let elsewhere = jane.post(&path, json!({"spec": {"namespace": "kube-system"}})).await.ok();
    assert!(!elsewhere["status"]["resourceRules"].as_array().unwrap().contains(&pods));
    jane.post(&path, json!({"spec": {}})).await.refused(400, "BadRequest", "no namespace on request");
}

#[tokio::test]
async fn who_am_i() {
    let server = Server::new().await;
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let answer = server.by("jane", &["dev"]).post(path, json!({})).await.ok();
    let info = json!({"username": "jane", "groups": ["dev", "system:authenticated"]});
    assert_eq!(answer["status"], json!({"userInfo": info}));
}
