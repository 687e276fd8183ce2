//! Namespace lifecycle and default service accounts.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use serde_json::json;
use trimtab_client::{Api, DeleteParams};

use crate::harness::ControlPlane;

#[tokio::test(start_paused = true)]
async fn a_namespace_takes_its_content_along() {
    let plane = ControlPlane::new().await;
    plane.create::<Namespace>(json!({"metadata": {"name": "shop"}})).await;
    let maps = Api::<ConfigMap>::namespaced(&plane.client, "shop");
    let map = |name: &str, finalizers: &[&str]| {
        serde_json::from_value(json!({"metadata": {"name": name, "finalizers": finalizers}})).unwrap()
    };
    maps.create(&map("free", &[])).await.unwrap();
    maps.create(&map("held", &["demo.io/hold"])).await.unwrap();
    plane.delete::<Namespace>("shop", DeleteParams::default()).await;
    plane
        .until("the namespace says what holds it", async |plane| {
            let status = plane.get::<Namespace>("shop").await.unwrap().status.unwrap();
            let conditions = status.conditions.unwrap_or_default();
            let message = |type_: &str| {
                let found = conditions.iter().find(|c| c.type_ == type_ && c.status == "True");
                found.and_then(|condition| condition.message.clone()).unwrap_or_default()
            };
            message("NamespaceContentRemaining") == "Some resources are remaining: configmaps. has 1 resource instances"
                && message("NamespaceFinalizersRemaining").ends_with("demo.io/hold in 1 resource instances")
        })
        .await;
    assert!(maps.get_opt("free").await.unwrap().is_none());
    let patch = trimtab_client::Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("held", &patch).await.unwrap();
    plane.until("the namespace goes", async |plane| plane.get::<Namespace>("shop").await.is_none()).await;
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn every_namespace_has_its_default_service_account() {
    let plane = ControlPlane::new().await;
    let exists = async |plane: &ControlPlane| plane.get::<ServiceAccount>("default").await.is_some();
    plane.until("the account is made", exists).await;
    plane.delete::<ServiceAccount>("default", DeleteParams::default()).await;
    plane.until("the account is made again", exists).await;
    plane.end().await;
}
