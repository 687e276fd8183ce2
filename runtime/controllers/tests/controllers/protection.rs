//! Storage that is in use.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use serde_json::json;
use trimtab_client::{Api, DeleteParams, Patch};

use crate::harness::ControlPlane;

const CLAIM: &str = "kubernetes.io/pvc-protection";
const VOLUME: &str = "kubernetes.io/pv-protection";

async fn claim(plane: &ControlPlane, name: &str) {
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    let made: PersistentVolumeClaim = plane.create(json!({"metadata": {"name": name}, "spec": spec})).await;
    assert_eq!(made.metadata.finalizers, Some(vec![CLAIM.to_owned()]));
}

async fn pod(plane: &ControlPlane, name: &str, claim: &str, node: Option<&str>) {
    let volumes = json!([{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]);
    let containers = json!([{"name": "c", "image": "i"}]);
    let spec = json!({"nodeName": node, "volumes": volumes, "containers": containers});
    plane.create::<Pod>(json!({"metadata": {"name": name}, "spec": spec})).await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_stays_while_a_pod_uses_it() {
    let plane = ControlPlane::new().await;
    for name in ["used", "awaited", "free"] {
        claim(&plane, name).await;
    }
    plane.node("n").await;
    pod(&plane, "user", "used", Some("n")).await;
    pod(&plane, "waiter", "awaited", None).await;
    // One that is done has it still.
    plane.report::<Pod>("user", json!({"phase": "Succeeded"})).await;
    for name in ["used", "awaited", "free"] {
        plane.delete::<PersistentVolumeClaim>(name, DeleteParams::default()).await;
    }
    let left = async |plane: &ControlPlane| -> Vec<String> {
        plane.list::<PersistentVolumeClaim>().await.into_iter().filter_map(|claim| claim.metadata.name).collect()
    };
    plane.until("what nobody uses is gone", async |plane| left(plane).await == ["used"]).await;
    plane.settle().await;
    assert_eq!(left(&plane).await, ["used"]);
    plane.delete::<Pod>("user", DeleteParams::now()).await;
    plane.until("it goes with the pod", async |plane| left(plane).await.is_empty()).await;
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_volume_stays_while_it_is_bound() {
    let plane = ControlPlane::new().await;
    let volumes = Api::<PersistentVolume>::all(&plane.client);
    let spec = json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/srv"}});
    let volume = serde_json::from_value(json!({"metadata": {"name": "v"}, "spec": spec})).unwrap();
    let made = volumes.create(&volume).await.unwrap();
    assert_eq!(made.metadata.finalizers, Some(vec![VOLUME.to_owned()]));
    let phase = |phase: &str| Patch::Merge(json!({"status": {"phase": phase}}));
    volumes.patch_status("v", &phase("Bound")).await.unwrap();
    volumes.delete("v", &DeleteParams::default()).await.unwrap();
    plane.settle().await;
    assert!(volumes.get("v").await.unwrap().metadata.deletion_timestamp.is_some());
    volumes.patch_status("v", &phase("Released")).await.unwrap();
    plane.until("it is free and gone", async |_| volumes.get_opt("v").await.unwrap().is_none()).await;
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_made_before_is_held_too() {
    let plane = ControlPlane::new().await;
    claim(&plane, "old").await;
    plane.merge::<PersistentVolumeClaim>("old", json!({"metadata": {"finalizers": null}})).await;
    let held = async |plane: &ControlPlane| {
        let claim = plane.get::<PersistentVolumeClaim>("old").await.unwrap();
        claim.metadata.finalizers.is_some_and(|held| held == [CLAIM])
    };
    plane.until("it is held", held).await;
    plane.end().await;
}
