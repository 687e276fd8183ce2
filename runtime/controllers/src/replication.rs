//! ReplicationControllers: as many pods as declared.
//!
//! A pod belongs to a controller by its controller reference. One that matches the selector and
//! belongs to nobody is adopted; one that belongs and no longer matches is released. Pods this
//! controller makes or deletes are in its cache before the next look, so that it never makes one
//! too many.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{
    Pod, ReplicationController, ReplicationControllerCondition, ReplicationControllerStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde_json::json;
use trimtab_api::kinds::{pod_is_ready, pod_ready_since};
use trimtab_api::{ObjectRef, Selector};
use trimtab_client::{Api, DeleteParams, Patch};
use trimtab_reconcile::{Context, EventType, Next, Result, Setup, controller, controller_of, owner_reference};

/// At most so many pods are made or deleted in one look (upstream's `BurstReplicas`).
const BURST: usize = 500;
/// Pods are made 1, 2, 4, … at a time, so that one that cannot be made is tried once.
const FIRST_BATCH: usize = 1;
const BY_NAMESPACE: &str = "namespace";

type Cx = Context<ReplicationController>;

/// The replication controller.
pub struct Replication;

#[controller(
    for = ReplicationController,
    owns(Pod),
    name = "replication-controller",
    crate = "trimtab_reconcile"
)]
impl Replication {
    fn setup(&self, setup: &mut Setup<'_, Self>) {
        let controllers = setup.manager().cache::<ReplicationController>();
        let pods = setup.manager().cache::<Pod>();
        pods.add_index(BY_NAMESPACE, |pod| pod.metadata.namespace.iter().cloned().collect());
        // A pod without an owner may be one that a controller waits to adopt.
        setup.watches::<Pod>(move |pod| {
            if controller_of(pod).is_some() {
                return Vec::new();
            }
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            let wants = |rc: &Arc<ReplicationController>| {
                selector(rc).is_some_and(|s| s.matches_map(pod.metadata.labels.as_ref()))
            };
            controllers.in_namespace(namespace).iter().filter(|rc| wants(rc)).map(|rc| ObjectRef::of(&**rc)).collect()
        });
    }

    async fn reconcile(&self, rc: &ReplicationController, cx: &Cx) -> Result<Next> {
        if rc.metadata.deletion_timestamp.is_some() {
            return Ok(Next::on_change());
        }
        let pods = claim(rc, cx).await?;
        let wanted = usize::try_from(rc.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)).unwrap_or(0);
        let active: Vec<Arc<Pod>> = pods.into_iter().filter(|pod| is_active(pod)).collect();
        let failure = match wanted.checked_sub(active.len()) {
            Some(missing) => create(rc, missing.min(BURST), cx).await,
            None => delete(rc, &active, active.len() - wanted, cx).await,
        };
        let soonest = report(rc, failure.as_ref().err(), cx).await?;
        failure?;
        Ok(soonest)
    }
}

fn selector(rc: &ReplicationController) -> Option<Selector> {
    let selector = rc.spec.as_ref()?.selector.as_ref().filter(|selector| !selector.is_empty())?;
    Some(Selector::from_map(selector))
}

fn is_active(pod: &Pod) -> bool {
    let ended = pod
        .status
        .as_ref()
        .and_then(|s| s.phase.as_deref())
        .is_some_and(|phase| matches!(phase, "Succeeded" | "Failed"));
    !ended && pod.metadata.deletion_timestamp.is_none()
}

fn owned(rc: &ReplicationController, cx: &Cx) -> Vec<Arc<Pod>> {
    let ours = |pod: &Arc<Pod>| controller_of(&**pod).is_some_and(|owner| Some(&owner.uid) == rc.metadata.uid.as_ref());
    let namespace = rc.metadata.namespace.as_deref().unwrap_or_default();
    cx.cache::<Pod>().by_index(BY_NAMESPACE, namespace).into_iter().filter(ours).collect()
}

/// The pods that are ours, after adopting and releasing.
async fn claim(rc: &ReplicationController, cx: &Cx) -> Result<Vec<Arc<Pod>>> {
    let Some(selector) = selector(rc) else { return Ok(Vec::new()) };
    let namespace = rc.metadata.namespace.as_deref().unwrap_or_default();
    let mut claimed = Vec::new();
    let mut certain = false;
    for pod in cx.cache::<Pod>().by_index(BY_NAMESPACE, namespace) {
        let matches = selector.matches_map(pod.metadata.labels.as_ref());
        match controller_of(&*pod) {
            Some(owner) if Some(&owner.uid) != rc.metadata.uid.as_ref() => {}
            Some(_) if matches => claimed.push(pod),
            Some(_) => release(rc, &pod, cx).await?,
            None if matches && is_active(&pod) => {
                // Before the first adoption: is it still us, and not going? The cache may be behind.
                if !std::mem::replace(&mut certain, true) && !cx.is_still_there().await? {
                    return Ok(claimed);
                }
                claimed.extend(adopt(rc, &pod, cx).await?.map(Arc::new));
            }
            None => {}
        }
    }
    Ok(claimed)
}

async fn adopt(rc: &ReplicationController, pod: &Pod, cx: &Cx) -> Result<Option<Pod>> {
    let mut adopted = pod.clone();
    adopted.metadata.owner_references.get_or_insert_default().push(owner_reference(rc));
    // The write is bound to the version we read: whoever adopts first wins.
    match cx.replace(&adopted).await {
        Ok(pod) => Ok(Some(pod)),
        Err(trimtab_reconcile::Error::Client(error)) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn release(rc: &ReplicationController, pod: &Pod, cx: &Cx) -> Result<()> {
    let uid = rc.metadata.uid.as_deref().unwrap_or_default();
    let patch = json!({"metadata": {"uid": pod.metadata.uid, "ownerReferences": [{"$patch": "delete", "uid": uid}]}});
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let api: Api<Pod> = Api::namespaced(cx.client(), namespace);
    match api.patch(pod.metadata.name.as_deref().unwrap_or_default(), &Patch::Strategic(patch)).await {
        Ok(released) => cx.fold(&released),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

async fn create(rc: &ReplicationController, missing: usize, cx: &Cx) -> Result<()> {
    let Some(pod) = new_pod(rc) else { return Ok(()) };
    let (mut left, mut batch) = (missing, FIRST_BATCH);
    while left > 0 {
        let now = batch.min(left);
        let results = join_all((0..now).map(|_| cx.create(&pod))).await;
        for result in results {
            match result {
                Ok(made) => {
                    let name = made.metadata.name.unwrap_or_default();
                    cx.event(rc, EventType::Normal, "SuccessfulCreate", format!("Created pod: {name}"));
                }
                Err(error) => {
                    cx.event(rc, EventType::Warning, "FailedCreate", format!("Error creating: {error}"));
                    return Err(error);
                }
            }
        }
        left -= now;
        batch *= 2;
    }
    Ok(())
}

fn new_pod(rc: &ReplicationController) -> Option<Pod> {
    let template = rc.spec.as_ref()?.template.as_ref()?;
    let described = template.metadata.clone().unwrap_or_default();
    let metadata = ObjectMeta {
        generate_name: Some(format!("{}-", rc.metadata.name.as_deref()?)),
        namespace: rc.metadata.namespace.clone(),
        labels: described.labels,
        annotations: described.annotations,
        finalizers: described.finalizers,
        owner_references: Some(vec![owner_reference(rc)]),
        ..ObjectMeta::default()
    };
    Some(Pod { metadata, spec: template.spec.clone(), status: None })
}

async fn delete(rc: &ReplicationController, active: &[Arc<Pod>], surplus: usize, cx: &Cx) -> Result<()> {
    let mut ranked: Vec<&Arc<Pod>> = active.iter().collect();
    ranked.sort_by(|a, b| cheaper(a, b));
    let doomed = ranked.into_iter().take(surplus.min(BURST));
    let results =
        join_all(doomed.map(|pod| async move { (pod, cx.delete(&**pod, DeleteParams::default()).await) })).await;
    for (pod, result) in results {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        match result {
            Ok(()) => cx.event(rc, EventType::Normal, "SuccessfulDelete", format!("Deleted pod: {name}")),
            Err(error) => {
                cx.event(rc, EventType::Warning, "FailedDelete", format!("Error deleting: {error}"));
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Which of two pods is missed less: unassigned, pending, not ready, ready for less long, restarted
/// more, younger (upstream's `ActivePods`).
fn cheaper(a: &Pod, b: &Pod) -> Ordering {
    let assigned = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()).is_some();
    let phase = |pod: &Pod| match pod.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some("Running") => 2,
        Some("Unknown") => 1,
        _ => 0,
    };
    // Later is cheaper; what was never ready sorts by the keys before it.
    let since = |pod: &Pod| pod_ready_since(pod).flatten().cloned();
    let restarts = |pod: &Pod| {
        let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
        statuses.into_iter().flatten().map(|status| status.restart_count).max().unwrap_or(0)
    };
    assigned(a)
        .cmp(&assigned(b))
        .then_with(|| phase(a).cmp(&phase(b)))
        .then_with(|| pod_is_ready(a).cmp(&pod_is_ready(b)))
        .then_with(|| since(b).cmp(&since(a)))
        .then_with(|| restarts(b).cmp(&restarts(a)))
        .then_with(|| b.metadata.creation_timestamp.cmp(&a.metadata.creation_timestamp))
}

/// Writes the status when it changed. Answers when a pod that is ready becomes available.
async fn report(rc: &ReplicationController, failure: Option<&trimtab_reconcile::Error>, cx: &Cx) -> Result<Next> {
    let now = cx.env().now();
    let min_ready = rc.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
    let template_labels =
        rc.spec.as_ref().and_then(|spec| spec.template.as_ref()?.metadata.as_ref()?.labels.clone()).unwrap_or_default();
    let labelled = Selector::from_map(&template_labels);
    let (mut counts, mut soonest) = ([0_i32; 4], None);
    for pod in owned(rc, cx).iter().filter(|pod| is_active(pod)) {
        counts[0] += 1;
        counts[1] += i32::from(labelled.matches_map(pod.metadata.labels.as_ref()));
        let Some(since) = pod_ready_since(pod) else { continue };
        counts[2] += 1;
        let left = since.map_or(0, |since| i64::from(min_ready) - (now.as_second() - since.0.as_second()));
        if min_ready == 0 || left <= 0 {
            counts[3] += 1;
        } else {
            soonest = Some(soonest.map_or(left, |soonest: i64| soonest.min(left)));
        }
    }
    let old = rc.status.clone().unwrap_or_default();
    let status = ReplicationControllerStatus {
        replicas: counts[0],
        fully_labeled_replicas: Some(counts[1]),
        ready_replicas: Some(counts[2]),
        available_replicas: Some(counts[3]),
        observed_generation: rc.metadata.generation,
        conditions: conditions(&old, failure, Time(now)),
    };
    if status != old {
        let mut reported = rc.clone();
        reported.status = Some(status);
        cx.replace_status(&reported).await?;
    }
    Ok(soonest.map_or_else(Next::on_change, |left| Next::after(Duration::from_secs(left.unsigned_abs()))))
}

fn conditions(
    old: &ReplicationControllerStatus,
    failure: Option<&trimtab_reconcile::Error>,
    now: Time,
) -> Option<Vec<ReplicationControllerCondition>> {
    const FAILURE: &str = "ReplicaFailure";
    let mut conditions = old.conditions.clone().unwrap_or_default();
    let before = conditions.iter().position(|condition| condition.type_ == FAILURE).map(|at| conditions.remove(at));
    if let Some(error) = failure {
        let message = error.to_string();
        let same = before.filter(|before| before.message.as_ref() == Some(&message));
        conditions.push(same.unwrap_or_else(|| ReplicationControllerCondition {
            type_: FAILURE.to_owned(),
            status: "True".to_owned(),
            reason: Some("FailedCreate".to_owned()),
            message: Some(message),
            last_transition_time: Some(now),
        }));
    }
    if conditions.is_empty() { None } else { Some(conditions) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(node: Option<&str>, phase: &str, ready: Option<&str>) -> Pod {
        let conditions = ready.map(|since| json!([{"type": "Ready", "status": "True", "lastTransitionTime": since}]));
        let pod = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"containers": [], "nodeName": node},
            "status": {"phase": phase, "conditions": conditions}});
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn the_pod_that_is_missed_least_goes_first() {
        let ranked = [
            pod(None, "Pending", None),
            pod(Some("n"), "Pending", None),
            pod(Some("n"), "Running", None),
            pod(Some("n"), "Running", Some("2026-01-02T00:00:00Z")),
            pod(Some("n"), "Running", Some("2026-01-01T00:00:00Z")),
        ];
        for pair in ranked.windows(2) {
            assert_eq!(cheaper(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
        }
    }
}
