//! Storage that is in use stays until it is not any more: claims as long as a pod uses them, volumes as
//! long as they are bound
//! (<https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection>).

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, Volume};
use trimtab_api::ObjectRef;
use trimtab_client::Api;
use trimtab_reconcile::{Context, Error, Next, Result, controller, controller_of};

/// Lets a claim go once no pod uses it.
#[derive(Debug, Default)]
pub struct ClaimProtection;

#[controller(
    for = PersistentVolumeClaim,
    watches(Pod => claims_of),
    finalizer = "kubernetes.io/pvc-protection",
    name = "persistentvolumeclaim-protection-controller",
    crate = "trimtab_reconcile"
)]
impl ClaimProtection {
    async fn reconcile(&self, _claim: &PersistentVolumeClaim, _cx: &Context<PersistentVolumeClaim>) -> Result<Next> {
        Ok(Next::on_change())
    }

    async fn cleanup(&self, claim: &PersistentVolumeClaim, cx: &Context<PersistentVolumeClaim>) -> Result<()> {
        let namespace = claim.metadata.namespace.as_deref().unwrap_or_default();
        let uses = |pod: &Pod| uses(pod, claim);
        if cx.cache::<Pod>().in_namespace(namespace).iter().any(|pod| uses(pod)) {
            return Err(Error::waiting("a pod uses it"));
        }
        // The cache may not have heard of a pod that was placed before the claim was to go.
        let pods = Api::<Pod>::namespaced(cx.client(), namespace).list(&Default::default()).await?;
        if pods.items.iter().any(uses) { Err(Error::waiting("a pod uses it")) } else { Ok(()) }
    }
}

/// Lets a volume go once it is not bound.
#[derive(Debug, Default)]
pub struct VolumeProtection;

#[controller(
    for = PersistentVolume,
    finalizer = "kubernetes.io/pv-protection",
    name = "persistentvolume-protection-controller",
    crate = "trimtab_reconcile"
)]
impl VolumeProtection {
    async fn reconcile(&self, _volume: &PersistentVolume, _cx: &Context<PersistentVolume>) -> Result<Next> {
        Ok(Next::on_change())
    }

    async fn cleanup(&self, volume: &PersistentVolume, _cx: &Context<PersistentVolume>) -> Result<()> {
        let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
        if phase == Some("Bound") { Err(Error::waiting("it is bound")) } else { Ok(()) }
    }
}

/// Whether `pod` uses `claim`. One that has no node does not: no agent starts a pod whose claim is going.
fn uses(pod: &Pod, claim: &PersistentVolumeClaim) -> bool {
    let Some(spec) = pod.spec.as_ref().filter(|spec| spec.node_name.as_ref().is_some_and(|name| !name.is_empty()))
    else {
        return false;
    };
    let name = claim.metadata.name.as_deref().unwrap_or_default();
    let is_its = || controller_of(claim).is_some_and(|owner| Some(&owner.uid) == pod.metadata.uid.as_ref());
    spec.volumes.iter().flatten().any(|volume| match claim_of(pod, volume) {
        Some(Claim::Named(named)) => named == name,
        Some(Claim::Made(made)) => made == name && is_its(),
        None => false,
    })
}

/// The claim of a volume.
enum Claim {
    Named(String),
    /// It is made for the pod.
    Made(String),
}

fn claim_of(pod: &Pod, volume: &Volume) -> Option<Claim> {
    if let Some(source) = &volume.persistent_volume_claim {
        return Some(Claim::Named(source.claim_name.clone()));
    }
    volume.ephemeral.as_ref()?;
    Some(Claim::Made(format!("{}-{}", pod.metadata.name.as_deref().unwrap_or_default(), volume.name)))
}

/// The claims that may have become free, or used, as `pod` is now.
fn claims_of(pod: &Pod) -> Vec<ObjectRef> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let claims = volumes.filter_map(|volume| match claim_of(pod, volume)? {
        Claim::Named(name) | Claim::Made(name) => Some(ObjectRef::new(namespace, name)),
    });
    claims.collect()
}
