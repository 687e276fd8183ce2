//! What a pod gets from its service account.

use serde_json::{Value, json};

use crate::harness::{PODS, Server, pod};

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

async fn server() -> Server {
    let server = Server::with_tokens().await;
    let pull = json!([{"name": "registry"}]);
    server.post(ACCOUNTS, json!({"metadata": {"name": "default"}, "imagePullSecrets": pull})).await.ok();
    server.post(ACCOUNTS, json!({"metadata": {"name": "quiet"}, "automountServiceAccountToken": false})).await.ok();
    server
}

/// A pod with this in its spec.
fn with(name: &str, spec: Value) -> Value {
    let mut pod = pod(name);
    pod["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    pod
}

fn mounts(pod: &Value) -> Vec<&str> {
    let mounts = pod["spec"]["containers"][0]["volumeMounts"].as_array();
    mounts.into_iter().flatten().map(|mount| mount["mountPath"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_given_its_token() {
    let server = server().await;
    let made = server.post(PODS, with("p", json!({"initContainers": [{"name": "i", "image": "i"}]}))).await.ok();
    let spec = &made["spec"];
    assert_eq!((&spec["serviceAccountName"], &spec["serviceAccount"]), (&json!("default"), &json!("default")));
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "registry"}]));
    let volume = &spec["volumes"][0];
    let name = volume["name"].as_str().unwrap();
    assert!(name.starts_with("kube-api-access-") && name.len() == 21, "{name}");
    let field = json!({"apiVersion": "v1", "fieldPath": "metadata.namespace"});
    assert_eq!(
        volume["projected"],
        json!({"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}}]})
    );
    let mount = json!([{"name": name, "readOnly": true, "mountPath": PATH}]);
    for list in ["initContainers", "containers"] {
        assert_eq!(spec[list][0]["volumeMounts"], mount, "{list}");
    }
    let again = server.put(&format!("{PODS}/p"), &made).await.ok();
    assert_eq!(again["spec"], made["spec"], "an update adds nothing");
}

#[tokio::test(start_paused = true)]
async fn whoever_wants_none_gets_none() {
    let server = server().await;
    let quiet = server.post(PODS, with("a", json!({"serviceAccountName": "quiet"}))).await.ok();
    assert_eq!((mounts(&quiet), &quiet["spec"]["volumes"]), (vec![], &Value::Null));
    let loud = json!({"serviceAccountName": "quiet", "automountServiceAccountToken": true});
    assert_eq!(mounts(&server.post(PODS, with("b", loud)).await.ok()), [PATH]);
    let silent = server.post(PODS, with("c", json!({"automountServiceAccountToken": false}))).await.ok();
    assert_eq!(mounts(&silent), Vec::<&str>::new());
    let mut own = with("d", json!({"volumes": [{"name": "v", "emptyDir": {}}]}));
    own["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": PATH}]);
    let own = server.post(PODS, own).await.ok();
    assert_eq!((mounts(&own), own["spec"]["volumes"].as_array().unwrap().len()), (vec![PATH], 1));
}

#[tokio::test(start_paused = true)]
async fn a_pod_needs_its_account() {
    let server = server().await;
    let refused = server.post(PODS, with("p", json!({"serviceAccountName": "none"}))).await;
    let message =
        r#"pods "p" is forbidden: error looking up service account default/none: serviceaccount "none" not found"#;
    assert_eq!((refused.code, refused.body["message"].as_str()), (403, Some(message)));
    let early = "/api/v1/namespaces/kube-public";
    let refused = server.post(&format!("{early}/pods"), pod("p")).await;
    refused.refused(403, "Forbidden", "error looking up service account kube-public/default");
    // A new namespace's account is waited for.
    let (pods, accounts) = (format!("{early}/pods"), format!("{early}/serviceaccounts"));
    let made = server.post(&accounts, json!({"metadata": {"name": "default"}}));
    let (waited, made) = tokio::join!(server.post(&pods, pod("p")), made);
    made.ok();
    waited.ok();
}

#[tokio::test(start_paused = true)]
async fn an_account_may_be_kept_to_its_secrets() {
    let server = server().await;
    let annotations = json!({"kubernetes.io/enforce-mountable-secrets": "true"});
    let account = json!({"metadata": {"name": "tight", "annotations": annotations}, "secrets": [{"name": "own"}]});
    server.post(ACCOUNTS, account).await.ok();
    let volume = |name: &str, secret: &str| {
        let volumes = json!([{"name": "v", "secret": {"secretName": secret}}]);
        with(name, json!({"serviceAccountName": "tight", "volumes": volumes}))
    };
    server.post(PODS, volume("a", "own")).await.ok();
    let message = r#"volume with secret.secretName="other" is not allowed because service account tight does not reference that secret"#;
    server.post(PODS, volume("b", "other")).await.refused(403, "Forbidden", message);
    let mut env = with("c", json!({"serviceAccountName": "tight"}));
    env["spec"]["containers"][0]["envFrom"] = json!([{"secretRef": {"name": "other"}}]);
    server.post(PODS, env).await.refused(403, "Forbidden", "container c with envFrom referencing");
}
