//! The authority that every namespace is told.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use serde_json::json;
use trimtab_client::{Api, DeleteParams};

use crate::harness::{ControlPlane, ROOT_CA};

const NAME: &str = "kube-root-ca.crt";

async fn is_told(plane: &ControlPlane, namespace: &str) -> bool {
    let map = Api::<ConfigMap>::namespaced(&plane.client, namespace).get_opt(NAME).await.unwrap();
    map.and_then(|map| map.data).is_some_and(|data| data.len() == 1 && data["ca.crt"] == ROOT_CA)
}

#[tokio::test(start_paused = true)]
async fn every_namespace_is_told_and_told_again() {
    let plane = ControlPlane::new().await;
    plane.until("default is told", async |plane| is_told(plane, "default").await).await;
    let shop = serde_json::from_value(json!({"metadata": {"name": "shop"}})).unwrap();
    Api::<Namespace>::all(&plane.client).create(&shop).await.unwrap();
    plane.until("a new namespace is told", async |plane| is_told(plane, "shop").await).await;
    plane.delete::<ConfigMap>(NAME, DeleteParams::default()).await;
    plane.until("it is made again", async |plane| is_told(plane, "default").await).await;
    plane.merge::<ConfigMap>(NAME, json!({"data": {"ca.crt": "x", "more": "y"}})).await;
    plane.until("it is set right", async |plane| is_told(plane, "default").await).await;
    plane.end().await;
}
