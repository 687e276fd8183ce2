//! Secrets that hold the tokens of service accounts.

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use serde_json::{Value, json};
use trimtab_client::DeleteParams;

use crate::harness::{ControlPlane, ROOT_CA};

const NAME: &str = "kubernetes.io/service-account.name";
const UID: &str = "kubernetes.io/service-account.uid";

/// A Secret for a token of `robot`.
fn secret(name: &str, annotations: Value) -> Value {
    json!({"metadata": {"name": name, "annotations": annotations}, "type": "kubernetes.io/service-account-token"})
}

async fn text(plane: &ControlPlane, name: &str, key: &str) -> Option<String> {
    let data = plane.get::<Secret>(name).await?.data?;
    data.get(key).map(|bytes| String::from_utf8(bytes.0.clone()).unwrap())
}

async fn is_gone(plane: &ControlPlane, name: &str) -> bool {
    plane.get::<Secret>(name).await.is_none()
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_given_its_accounts_token_and_goes_with_the_account() {
    let plane = ControlPlane::new().await;
    let account: ServiceAccount = plane.create(json!({"metadata": {"name": "robot"}})).await;
    let uid = account.metadata.uid.unwrap();
    plane.create::<Secret>(secret("robot-token", json!({NAME: "robot"}))).await;
    let holds = async |plane: &ControlPlane| text(plane, "robot-token", "token").await.is_some();
    plane.until("it holds a token", holds).await;
    let claims: Value = serde_json::from_str(&text(&plane, "robot-token", "token").await.unwrap()).unwrap();
    let expected = json!({
        "iss": "kubernetes/serviceaccount",
        "sub": "system:serviceaccount:default:robot",
        "kubernetes.io/serviceaccount/namespace": "default",
        "kubernetes.io/serviceaccount/secret.name": "robot-token",
        "kubernetes.io/serviceaccount/service-account.name": "robot",
        "kubernetes.io/serviceaccount/service-account.uid": uid,
    });
    assert_eq!(claims, expected);
    assert_eq!(text(&plane, "robot-token", "namespace").await.as_deref(), Some("default"));
    assert_eq!(text(&plane, "robot-token", "ca.crt").await.as_deref(), Some(ROOT_CA));
    let annotations = plane.get::<Secret>("robot-token").await.unwrap().metadata.annotations.unwrap();
    assert_eq!(annotations[UID], uid);

    plane.merge::<Secret>("robot-token", json!({"data": {"token": null}})).await;
    plane.until("it is given another", holds).await;
    plane.merge::<Secret>("robot-token", json!({"data": {"token": "b3du", "more": "eA=="}})).await;
    plane.settle().await;
    assert_eq!(text(&plane, "robot-token", "token").await.as_deref(), Some("own"), "what somebody has put there stays");

    plane.delete::<ServiceAccount>("robot", DeleteParams::default()).await;
    plane.until("it goes with its account", async |plane| is_gone(plane, "robot-token").await).await;
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_no_account_is_deleted() {
    let plane = ControlPlane::new().await;
    plane.create::<ServiceAccount>(json!({"metadata": {"name": "robot"}})).await;
    plane.create::<Secret>(secret("of-nobody", json!({NAME: "nobody"}))).await;
    plane.create::<Secret>(secret("of-an-earlier-one", json!({NAME: "robot", UID: "1"}))).await;
    let other = json!({"metadata": {"name": "other", "annotations": {NAME: "nobody"}}});
    plane.create::<Secret>(other).await;
    for name in ["of-nobody", "of-an-earlier-one"] {
        plane.until("it is gone", async |plane| is_gone(plane, name).await).await;
    }
    plane.settle().await;
    assert!(!is_gone(&plane, "other").await, "it is of another type");
    plane.end().await;
}
