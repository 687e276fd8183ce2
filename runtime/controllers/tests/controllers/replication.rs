//! ReplicationControllers.

use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use serde_json::json;
use trimtab_client::{DeleteParams, Propagation};

use crate::harness::ControlPlane;

async fn replicas(plane: &ControlPlane, count: i32) {
    let template =
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let spec = json!({"replicas": count, "selector": {"app": "web"}, "template": template});
    plane.create::<ReplicationController>(json!({"metadata": {"name": "web"}, "spec": spec})).await;
}

/// The pods that are meant to stay.
async fn staying(plane: &ControlPlane) -> Vec<Pod> {
    let pods = plane.list::<Pod>().await;
    pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect()
}

#[tokio::test(start_paused = true)]
async fn scaling_makes_and_deletes_exactly_as_many_as_it_should() {
    let plane = ControlPlane::new().await;
    replicas(&plane, 10).await;
    plane.until("there are ten", async |plane| staying(plane).await.len() == 10).await;
    plane.settle().await;
    assert_eq!(plane.list::<Pod>().await.len(), 10);
    for count in [25, 3, 0, 4] {
        plane.merge::<ReplicationController>("web", json!({"spec": {"replicas": count}})).await;
        plane.until("there are as many as asked for", async |plane| staying(plane).await.len() == count).await;
        plane.settle().await;
        assert_eq!(staying(&plane).await.len(), count);
    }
    let status = plane.get::<ReplicationController>("web").await.unwrap().status.unwrap();
    assert_eq!(status.replicas, 4);
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_relabelled_pod_is_let_go_and_replaced_and_adopted_when_it_returns() {
    let plane = ControlPlane::new().await;
    replicas(&plane, 2).await;
    plane.until("there are two", async |plane| staying(plane).await.len() == 2).await;
    let name = staying(&plane).await.remove(0).metadata.name.unwrap();
    plane.merge::<Pod>(&name, json!({"metadata": {"labels": {"app": "debug"}}})).await;
    plane.until("there is a third", async |plane| staying(plane).await.len() == 3).await;
    plane
        .until("it is nobody's", async |plane| {
            plane.get::<Pod>(&name).await.unwrap().metadata.owner_references.unwrap_or_default().is_empty()
        })
        .await;
    plane.merge::<Pod>(&name, json!({"metadata": {"labels": {"app": "web"}}})).await;
    plane.until("there is one too many no more", async |plane| staying(plane).await.len() == 2).await;
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn its_pods_go_with_it_or_stay_as_asked() {
    for (propagation, left) in [(Propagation::Background, 0), (Propagation::Foreground, 0), (Propagation::Orphan, 3)] {
        let plane = ControlPlane::new().await;
        replicas(&plane, 3).await;
        plane.until("there are three", async |plane| staying(plane).await.len() == 3).await;
        plane.settle().await;
        plane.delete::<ReplicationController>("web", DeleteParams::default().propagation(propagation)).await;
        plane.until("it is gone", async |plane| plane.get::<ReplicationController>("web").await.is_none()).await;
        plane.settle().await;
        assert_eq!(staying(&plane).await.len(), left, "{propagation:?}");
        plane.end().await;
    }
}
