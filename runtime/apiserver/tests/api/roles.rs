//! Who may do what.

use serde_json::{Value, json};

use crate::harness::{MAPS, PODS, Server, map, pod};

const CLUSTER_ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const CLUSTER_BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";

fn role(name: &str, rules: Value) -> Value {
    json!({"metadata": {"name": name}, "rules": rules})
}

fn rule(verbs: &[&str], resources: &[&str]) -> Value {
    json!([{"verbs": verbs, "apiGroups": [""], "resources": resources}])
}

fn binding(name: &str, kind: &str, role: &str, user: &str) -> Value {
    json!({"metadata": {"name": name}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "User", "name": user}]})
}

#[tokio::test]
async fn a_refusal_says_who_may_not_do_what() {
    let server = Server::new().await;
    let jane = server.by("jane", &["dev"]);
    let check = async |path: &str, message: &str| {
        let answer = jane.get(path).await;
        assert_eq!((answer.code, answer.body["message"].as_str()), (403, Some(message)), "{path}");
        answer.body
    };
    let listed = check(
        PODS,
        r#"pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default""#,
    )
    .await;
    assert_eq!(
        listed,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 403, "reason": "Forbidden",
            "message": listed["message"], "details": {"kind": "pods"}})
    );
    let got = check(
        &format!("{CLUSTER_ROLES}/x"),
        r#"clusterroles.rbac.authorization.k8s.io "x" is forbidden: User "jane" cannot get resource "clusterroles" in API group "rbac.authorization.k8s.io" at the cluster scope"#,
    )
    .await;
    assert_eq!(got["details"], json!({"name": "x", "group": "rbac.authorization.k8s.io", "kind": "clusterroles"}));
    check(
        &format!("{PODS}/p/log"),
        r#"pods "p" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "default""#,
    )
    .await;
    let metrics = check("/metrics", r#"forbidden: User "jane" cannot get path "/metrics""#).await;
    assert_eq!(metrics["details"], json!({}));
    // Whether it is there is nobody's business.
    check(
        "/apis/none.io/v1/things",
        r#"things.none.io is forbidden: User "jane" cannot list resource "things" in API group "none.io" at the cluster scope"#,
    )
    .await;
    for path in ["/api", "/apis", "/api/v1", "/apis/apps/v1", "/openapi/v3", "/version", "/livez"] {
        assert_eq!(jane.get(path).await.code, 200, "{path}");
    }
}

#[tokio::test]
async fn a_role_counts_from_the_next_request_on() {
    let server = Server::new().await;
    let jane = server.by("jane", &[]);
    server.post(ROLES, role("reader", rule(&["get", "list"], &["configmaps"]))).await.ok();
    assert_eq!(jane.get(MAPS).await.code, 403);
    server.post(BINDINGS, binding("jane", "Role", "reader", "jane")).await.ok();
    jane.get(MAPS).await.ok();
    assert_eq!(jane.get("/api/v1/namespaces/kube-system/configmaps").await.code, 403);
    assert_eq!(jane.get(&format!("{MAPS}?watch=true")).await.code, 403);
    assert_eq!(jane.post(MAPS, map("a", json!({}))).await.code, 403);
    let wider = json!({"rules": rule(&["*"], &["configmaps"])});
    server.patch(&format!("{ROLES}/reader"), "merge", wider).await.ok();
    jane.post(MAPS, map("a", json!({}))).await.ok();
    server.delete(&format!("{BINDINGS}/jane"), json!({})).await.ok();
    let refused = jane.get(MAPS).await;
    assert_eq!(refused.code, 403);
    server.post(BINDINGS, binding("jane", "Role", "gone", "jane")).await.ok();
    let refused = jane.get(MAPS).await;
    refused.refused(
        403,
        "Forbidden",
        r#"in the namespace "default": RBAC: role.rbac.authorization.k8s.io "gone" not found"#,
    );
}

#[tokio::test]
async fn an_apply_of_what_is_not_there_needs_create() {
    let server = Server::new().await;
    server.post(ROLES, role("patcher", rule(&["patch"], &["configmaps"]))).await.ok();
    server.post(BINDINGS, binding("jane", "Role", "patcher", "jane")).await.ok();
    let jane = server.by("jane", &[]);
    let path = format!("{MAPS}/a?fieldManager=jane");
    jane.patch(&path, "apply", map("a", json!({}))).await.refused(403, "Forbidden", r#"configmaps "a" is forbidden"#);
    server.post(MAPS, map("a", json!({}))).await.ok();
    jane.patch(&path, "apply", map("a", json!({}))).await.ok();
}

#[tokio::test]
async fn the_defaults_are_there_and_are_mended_at_the_next_start() {
    let server = Server::new().await;
    let view = server.get(&format!("{CLUSTER_ROLES}/system:aggregate-to-view")).await.ok();
    assert_eq!(view["metadata"]["labels"]["kubernetes.io/bootstrapping"], "rbac-defaults");
    assert_eq!(view["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"], "true");
    assert_eq!(view["metadata"]["managedFields"][0]["manager"], "kube-apiserver");
    let path = format!("{CLUSTER_BINDINGS}/system:node-proxier");
    server.patch(&path, "json", json!([{"op": "remove", "path": "/subjects"}])).await.ok();
    let revision = server.store.revision();
    let again = Server::over(std::sync::Arc::clone(&server.store)).await;
    let mended = again.get(&path).await.ok();
    assert_eq!(mended["subjects"][0]["name"], "system:kube-proxy");
    assert_eq!(again.store.revision(), revision + 1, "nothing else is written");
}

#[tokio::test]
async fn the_components_may_do_their_work() {
    let server = Server::new().await;
    let node = server.by("system:node:n", &["system:nodes"]);
    node.post("/api/v1/nodes", json!({"metadata": {"name": "n"}})).await.ok();
    assert_eq!(node.delete("/api/v1/nodes/n", json!({})).await.code, 403);
    assert_eq!(node.post(MAPS, map("a", json!({}))).await.code, 403);
    server.post(PODS, pod("p")).await.ok();
    let scheduler = server.by("system:kube-scheduler", &[]);
    let target = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    scheduler.post(&format!("{PODS}/p/binding"), target).await.ok();
    assert_eq!(scheduler.get("/api/v1/secrets").await.code, 403);
    let proxy = server.by("system:kube-proxy", &[]);
    proxy.get("/apis/discovery.k8s.io/v1/endpointslices").await.ok();
    assert_eq!(proxy.get(PODS).await.code, 403);
    let controllers = server.by("system:kube-controller-manager", &[]);
    controllers.get("/api/v1/secrets").await.ok();
    assert_eq!(controllers.post(CLUSTER_ROLES, role("x", rule(&["get"], &["pods"]))).await.code, 403);
}

/// `jane` may write roles and bindings, and read pods.
async fn with_a_role_writer() -> (Server, Server) {
    let server = Server::new().await;
    let rules = json!([
        {"verbs": ["create", "update", "patch", "get"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"]},
        {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]},
    ]);
    server.post(CLUSTER_ROLES, role("writer", rules)).await.ok();
    server.post(CLUSTER_BINDINGS, binding("writer", "ClusterRole", "writer", "jane")).await.ok();
    let jane = server.by("jane", &["dev"]);
    (server, jane)
}

#[tokio::test]
async fn nobody_grants_what_it_does_not_hold() {
    let (server, jane) = with_a_role_writer().await;
    jane.post(ROLES, role("small", rule(&["get"], &["pods"]))).await.ok();
    let refused = jane.post(ROLES, role("big", rule(&["get", "delete"], &["pods", "secrets"]))).await;
    let message = concat!(
        r#"roles.rbac.authorization.k8s.io "big" is forbidden: user "jane" (groups=["dev" "system:authenticated"]) "#,
        "is attempting to grant RBAC permissions not currently held:\n",
        r#"{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}"#,
        "\n",
        r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}"#
    );
    assert_eq!((refused.code, refused.body["message"].as_str()), (403, Some(message)));
    let wider = json!({"rules": rule(&["*"], &["pods"])});
    jane.patch(&format!("{ROLES}/small"), "merge", wider.clone()).await.refused(403, "Forbidden", r#"Verbs:["*"]"#);
    jane.patch(&format!("{ROLES}/small"), "merge", json!({"metadata": {"finalizers": ["a.io/b"]}})).await.ok();
    let gathering = json!({"metadata": {"name": "all"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}});
    let refused = jane.post(CLUSTER_ROLES, gathering).await;
    refused.refused(
        403,
        "Forbidden",
        r#""all" is forbidden: must have cluster-admin privileges to use the aggregationRule"#,
    );

    let escalate = json!([{"verbs": ["escalate"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "resourceNames": ["small"]}]);
    server.post(ROLES, role("escalator", escalate)).await.ok();
    server.post(BINDINGS, binding("escalator", "Role", "escalator", "jane")).await.ok();
    jane.patch(&format!("{ROLES}/small"), "merge", wider).await.ok();
}

#[tokio::test]
async fn nobody_gives_a_role_that_it_does_not_hold() {
    let (server, jane) = with_a_role_writer().await;
    jane.post(BINDINGS, binding("mine", "ClusterRole", "writer", "joe")).await.ok();
    let refused = jane.post(BINDINGS, binding("admin", "ClusterRole", "cluster-admin", "jane")).await;
    refused.refused(403, "Forbidden", r#"rolebindings.rbac.authorization.k8s.io "admin" is forbidden: user "jane""#);
    let gone = jane.post(BINDINGS, binding("gone", "Role", "gone", "jane")).await;
    gone.refused(404, "NotFound", r#"roles.rbac.authorization.k8s.io "gone" not found"#);

    let bind = json!([{"verbs": ["bind"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": ["cluster-admin"]}]);
    server.post(ROLES, role("binder", bind)).await.ok();
    server.post(BINDINGS, binding("binder", "Role", "binder", "jane")).await.ok();
    jane.post(BINDINGS, binding("admin", "ClusterRole", "cluster-admin", "jane")).await.ok();
    let everywhere = jane.post(CLUSTER_BINDINGS, binding("admin", "ClusterRole", "cluster-admin", "jane")).await;
    assert_eq!(everywhere.code, 403, "the verb was given in one namespace");
}
