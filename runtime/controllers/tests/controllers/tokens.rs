//! Bootstrap tokens, and when they go.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use trimtab_client::Api;

use crate::harness::ControlPlane;

#[tokio::test(start_paused = true)]
async fn a_bootstrap_token_goes_when_it_expires() {
    let plane = ControlPlane::new().await;
    let secrets = Api::<Secret>::namespaced(&plane.client, "kube-system");
    let end = (plane.env.now() + Duration::from_secs(3600)).to_string();
    for (id, type_, expiration) in [
        ("aaaaaa", "bootstrap.kubernetes.io/token", Some(end.as_str())),
        ("bbbbbb", "bootstrap.kubernetes.io/token", Some("2020-01-01T00:00:00Z")),
        ("cccccc", "bootstrap.kubernetes.io/token", Some("soon")),
        ("dddddd", "bootstrap.kubernetes.io/token", None),
        ("eeeeee", "Opaque", Some("2020-01-01T00:00:00Z")),
    ] {
        let name = format!("bootstrap-token-{id}");
        let mut data = json!({"token-id": id, "token-secret": "0123456789abcdef"});
        if let Some(expiration) = expiration {
            data["expiration"] = expiration.into();
        }
        let secret = json!({"metadata": {"name": name}, "type": type_, "stringData": data});
        secrets.create(&serde_json::from_value(secret).unwrap()).await.unwrap();
    }
    let left = async |plane: &ControlPlane| -> Vec<String> {
        let secrets = Api::<Secret>::namespaced(&plane.client, "kube-system").list(&Default::default()).await.unwrap();
        let names = secrets.items.into_iter().filter_map(|secret| secret.metadata.name);
        names.filter_map(|name| name.strip_prefix("bootstrap-token-").map(str::to_owned)).collect()
    };
    plane
        .until("those that have expired are gone", async |plane| left(plane).await == ["aaaaaa", "dddddd", "eeeeee"])
        .await;
    plane.settle().await;
    assert_eq!(left(&plane).await, ["aaaaaa", "dddddd", "eeeeee"]);
    plane.env.sleep(Duration::from_secs(3600)).await;
    plane.until("it is gone when its time has come", async |plane| left(plane).await == ["dddddd", "eeeeee"]).await;
    plane.end().await;
}
