//! CertificateSigningRequests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};

use crate::harness::Server;

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const CLUSTER_ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const CLUSTER_BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const CLIENT: &str = "kubernetes.io/kube-apiserver-client";

fn pem(organization: &str) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "jane");
    params.distinguished_name.push(DnType::OrganizationName, organization);
    let pem = params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    STANDARD.encode(pem)
}

pub(crate) fn request(name: &str, organization: &str) -> Value {
    json!({"metadata": {"name": name},
        "spec": {"request": pem(organization), "signerName": CLIENT, "usages": ["client auth"], "username": "root", "groups": ["system:masters"]}})
}

/// A server on which `jane` may ask, and do `verbs` to requests and their parts.
async fn server(rules: Value) -> (Server, Server) {
    let server = Server::new().await;
    server.post(CLUSTER_ROLES, json!({"metadata": {"name": "r"}, "rules": rules})).await.ok();
    let binding = json!({"metadata": {"name": "b"}, "subjects": [{"kind": "User", "name": "jane"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}});
    server.post(CLUSTER_BINDINGS, binding).await.ok();
    let jane = server.by("jane", &["dev"]);
    (server, jane)
}

/// A certificate, as a signer gives one.
fn certificate() -> String {
    let certificate = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
    STANDARD.encode(certificate.pem())
}

fn rule(resources: &[&str], names: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": ["certificates.k8s.io"], "resources": resources, "resourceNames": names, "verbs": verbs})
}

fn all() -> Value {
    let parts =
        ["certificatesigningrequests", "certificatesigningrequests/approval", "certificatesigningrequests/status"];
    rule(&parts, &[], &["*"])
}

fn with(mut request: Value, type_: &str) -> Value {
    request["status"]["conditions"] = json!([{"type": type_, "status": "True", "reason": "x"}]);
    request
}

#[tokio::test]
async fn the_server_says_who_asks_and_what_was_asked_stays() {
    let (_server, jane) = server(json!([all()])).await;
    let made = jane.post(REQUESTS, with(request("a", "dev"), "Approved")).await.ok();
    assert_eq!(made["spec"]["username"], "jane");
    assert_eq!(made["spec"]["groups"], json!(["dev", "system:authenticated"]));
    assert_eq!((&made["status"], made["spec"].get("uid")), (&json!({}), None));
    let mut other = made.clone();
    other["spec"]["usages"] = json!(["server auth"]);
    other["metadata"]["labels"] = json!({"a": "b"});
    let kept = jane.put(&format!("{REQUESTS}/a"), &other).await.ok();
    assert_eq!((&kept["spec"], &kept["metadata"]["labels"]), (&made["spec"], &json!({"a": "b"})));
    let masters = jane.post(REQUESTS, request("b", "system:masters")).await;
    let message = "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed";
    masters.refused(403, "Forbidden", message);
}

#[tokio::test]
async fn who_approves_needs_to_be_allowed_for_the_signer() {
    let (server, jane) = server(json!([all()])).await;
    let made = jane.post(REQUESTS, request("a", "dev")).await.ok();
    let path = format!("{REQUESTS}/a/approval");
    let message = format!(r#"user not permitted to approve requests with signerName "{CLIENT}""#);
    jane.put(&path, &with(made.clone(), "Approved")).await.refused(403, "Forbidden", &message);
    let rules = json!({"rules": [all(), rule(&["signers"], &["kubernetes.io/*"], &["approve"])]});
    server.patch(&format!("{CLUSTER_ROLES}/r"), "merge", rules).await.ok();
    let mut asked = with(made, "Approved");
    asked["status"]["certificate"] = STANDARD.encode("x").into();
    let approved = jane.put(&path, &asked).await.ok();
    assert_eq!(approved["status"].get("certificate"), None, "to approve is not to sign");
    let condition = &approved["status"]["conditions"][0];
    assert_eq!(condition["lastUpdateTime"], "2026-01-01T00:00:00Z");
    assert_eq!(condition["lastTransitionTime"], "2026-01-01T00:00:00Z");
    let denied = json!({"status": {"conditions": [{"type": "Denied", "status": "True"}]}});
    jane.patch(&path, "merge", denied).await.refused(422, "Invalid", "updates may not remove a condition");
    assert_eq!(jane.get(&path).await.ok()["status"], approved["status"]);
}

#[tokio::test]
async fn who_signs_needs_to_be_allowed_and_approves_nothing() {
    let (server, jane) = server(json!([all()])).await;
    let made = jane.post(REQUESTS, request("a", "dev")).await.ok();
    let path = format!("{REQUESTS}/a/status");
    let mut signed = with(made, "Approved");
    let certificate = self::certificate();
    signed["status"]["certificate"] = certificate.as_str().into();
    let message = format!(r#"user not permitted to sign requests with signerName "{CLIENT}""#);
    jane.put(&path, &signed).await.refused(403, "Forbidden", &message);
    let rules = json!({"rules": [all(), rule(&["signers"], &[CLIENT], &["sign"])]});
    server.patch(&format!("{CLUSTER_ROLES}/r"), "merge", rules).await.ok();
    let mut none = signed.clone();
    none["status"]["certificate"] = STANDARD.encode("x").into();
    let message =
        "status.certificate: Invalid value: \"<certificate data>\": must contain one or more CERTIFICATE PEM blocks";
    jane.put(&path, &none).await.refused(422, "Invalid", message);
    let signed = jane.put(&path, &signed).await.ok();
    assert_eq!(signed["status"], json!({"certificate": certificate, "conditions": []}));
    let other = json!({"status": {"certificate": self::certificate()}});
    let refused = jane.patch(&path, "merge", other).await;
    refused.refused(422, "Invalid", "updates may not modify existing certificate content");
}
