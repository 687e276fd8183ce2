//! Who a request is from: bootstrap tokens, strangers, and those who act as others.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, MAPS, Server};

const SECRETS: &str = "/api/v1/namespaces/kube-system/secrets";
const WHO_AM_I: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const CLUSTER_ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const CLUSTER_BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";

/// Who the server says that it was asked by.
async fn who(server: &Server, headers: &[(&str, &str)]) -> Answer {
    let headers = [headers, &[("content-type", "application/json")]].concat();
    let mut answer = server.ask(Method::POST, WHO_AM_I, &headers, "{}".into()).await;
    if answer.code == 201 {
        answer.body = answer.body["status"]["userInfo"].take();
    }
    answer
}

#[tokio::test]
async fn a_bootstrap_token_lets_in_until_its_secret_goes() {
    let server = Server::new().await;
    let data = json!({"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:workers"});
    let secret = json!({"metadata": {"name": "bootstrap-token-abcdef"}, "type": "bootstrap.kubernetes.io/token", "stringData": data});
    let bearer = [("authorization", "Bearer abcdef.0123456789abcdef")];
    who(&server.open(), &bearer).await.refused(401, "Unauthorized", "Unauthorized");
    server.post(SECRETS, secret).await.ok();
    let info = who(&server.open(), &bearer).await.ok();
    let groups = ["system:bootstrappers", "system:bootstrappers:workers", "system:authenticated"];
    assert_eq!(info, json!({"username": "system:bootstrap:abcdef", "groups": groups}));
    let review = json!({"spec": {"token": "abcdef.0123456789abcdef"}});
    let status = server.post("/apis/authentication.k8s.io/v1/tokenreviews", review).await.ok()["status"].clone();
    assert_eq!((&status["authenticated"], &status["user"]["username"]), (&json!(true), &info["username"]));
    let wrong = [("authorization", "Bearer abcdef.0123456789abcdeg")];
    who(&server.open(), &wrong).await.refused(401, "Unauthorized", "Unauthorized");
    server.delete(&format!("{SECRETS}/bootstrap-token-abcdef"), json!({})).await.ok();
    who(&server.open(), &bearer).await.refused(401, "Unauthorized", "Unauthorized");
}

#[tokio::test]
async fn a_stranger_sees_health_and_version_and_nothing_else() {
    let stranger = Server::new().await.open();
    for path in ["/livez", "/readyz", "/healthz", "/version", "/version/"] {
        assert_eq!(stranger.get(path).await.code, 200, "{path}");
    }
    for path in
        ["/", "/livez/ping", "/api", "/apis", "/apis/apps/v1", "/openapi/v3", "/metrics", "/openid/v1/jwks", MAPS]
    {
        let answer = stranger.get(path).await;
        answer.refused(403, "Forbidden", r#"User "system:anonymous" cannot"#);
    }
    assert_eq!(stranger.ask(Method::POST, "/version", &[], Bytes::new()).await.code, 403);
}

#[tokio::test]
async fn acting_as_another_needs_each_part_of_it() {
    let server = Server::new().await;
    let jane = server.by("jane", &[]);
    let as_joe = [("impersonate-user", "joe"), ("impersonate-group", "dev")];
    let message = r#"users "joe" is forbidden: User "jane" cannot impersonate resource "users" in API group "" at the cluster scope"#;
    let refused = who(&jane, &as_joe).await;
    assert_eq!((refused.code, refused.body["message"].as_str()), (403, Some(message)));

    let rule = |group: &str, resource: &str, names: Value| json!({"verbs": ["impersonate"], "apiGroups": [group], "resources": [resource], "resourceNames": names});
    let role = json!({"metadata": {"name": "actor"}, "rules": [
        rule("", "users", json!(["joe"])), rule("", "groups", json!(["dev"])), rule("", "serviceaccounts", json!(["robot"])),
        rule("authentication.k8s.io", "userextras/scopes", json!(["view"])), rule("authentication.k8s.io", "uids", json!(["7"])),
    ]});
    server.post(CLUSTER_ROLES, role).await.ok();
    let binding = json!({"metadata": {"name": "actor"}, "subjects": [{"kind": "User", "name": "jane"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "actor"}});
    server.post(CLUSTER_BINDINGS, binding).await.ok();
    let info = who(&jane, &as_joe).await.ok();
    assert_eq!(info, json!({"username": "joe", "groups": ["dev", "system:authenticated"]}));
    let whole = [as_joe.as_slice(), &[("impersonate-uid", "7"), ("impersonate-extra-scopes", "view")]].concat();
    let info = who(&jane, &whole).await.ok();
    assert_eq!((&info["uid"], &info["extra"]), (&json!("7"), &json!({"scopes": ["view"]})));
    let robot = who(&jane, &[("impersonate-user", "system:serviceaccount:default:robot")]).await.ok();
    let groups = ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"];
    assert_eq!(robot["groups"], json!(groups));
    for (name, value, resource) in [
        ("impersonate-group", "ops", r#"groups "ops" is forbidden"#),
        ("impersonate-uid", "8", r#"uids.authentication.k8s.io "8" is forbidden"#),
        ("impersonate-extra-scopes", "edit", r#"userextras.authentication.k8s.io "edit" is forbidden"#),
        ("impersonate-extra-other", "view", r#"resource "userextras/other""#),
    ] {
        let headers = [as_joe.as_slice(), &[(name, value)]].concat();
        who(&jane, &headers).await.refused(403, "Forbidden", resource);
    }
    who(&jane, &[("impersonate-group", "dev")]).await.refused(500, "InternalError", "without impersonating a user");
}

#[tokio::test]
async fn whoever_acts_as_another_may_do_what_the_other_may() {
    let server = Server::new().await;
    let headers = [("impersonate-user", "joe")];
    let answer = server.ask(Method::GET, MAPS, &headers, Bytes::new()).await;
    answer.refused(403, "Forbidden", r#"User "joe" cannot list resource "configmaps""#);
    let headers = [("impersonate-user", "joe"), ("impersonate-group", "system:masters")];
    server.ask(Method::GET, MAPS, &headers, Bytes::new()).await.ok();
}
