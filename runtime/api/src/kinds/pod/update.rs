//! What may change in a pod that exists: little of its specification, and no end of a container.

use k8s_openapi::api::core::v1::{
    Affinity, Container, ContainerStatus, NodeSelectorTerm, PodSpec, PodStatus, Toleration,
};
use serde::Deserialize;
use serde_json::Value;

use crate::at;
use crate::check::{Checks, text};
use crate::difference;
use crate::field::{Error, Path};
use crate::names;
use crate::object::Object;

use super::placement;

const UPDATABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// What is wrong with changing `old` into `new`, both filled.
pub(super) fn check_spec(path: &Path, new: &PodSpec, old: &PodSpec, checks: &mut Checks) {
    if new == old {
        return;
    }
    let (new_init, old_init) = (containers(&new.init_containers), containers(&old.init_containers));
    for (field, new, old) in
        [("containers", new.containers.as_slice(), old.containers.as_slice()), ("initContainers", new_init, old_init)]
    {
        if new.len() != old.len() {
            return checks.forbidden(&path.child(field), "pod updates may not add or remove containers");
        }
    }
    if !check_deadline(&path.child("activeDeadlineSeconds"), new, old, checks) {
        return;
    }
    check_tolerations(&path.child("tolerations"), new, old, checks);
    check_gates(&path.child("schedulingGates"), new, old, checks);
    if is_gated(old) {
        check_selector(&path.child("nodeSelector"), new, old, checks);
        let path = path.child("affinity").child("nodeAffinity").child("requiredDuringSchedulingIgnoredDuringExecution");
        check_node_affinity(&path.child("nodeSelectorTerms"), new, old, checks);
    }
    let (munged, old_value) = (normal(&with_updatable_of(new, old)), normal(old));
    if munged != old_value {
        let diff = difference::of(&old_value, &munged);
        let detail = format!("pod updates may not change fields other than {UPDATABLE}\n{diff}");
        checks.forbidden(path, &detail);
    }
}

fn containers(containers: &Option<Vec<Container>>) -> &[Container] {
    containers.as_deref().unwrap_or_default()
}

fn check_deadline(path: &Path, new: &PodSpec, old: &PodSpec, checks: &mut Checks) -> bool {
    match (new.active_deadline_seconds, old.active_deadline_seconds) {
        (Some(new), _) if !(0..=i64::from(i32::MAX)).contains(&new) => {
            checks.within(path, new, 0, i32::MAX.into());
            false
        }
        (Some(new), Some(old)) if old < new => {
            checks.invalid(path, new, "must be less than or equal to previous value");
            false
        }
        (None, Some(_)) => {
            checks.invalid(path, (), "must not update from a positive integer to nil value");
            true
        }
        _ => true,
    }
}

/// Tolerations may be added, and how long one lasts may change.
fn check_tolerations(path: &Path, new: &PodSpec, old: &PodSpec, checks: &mut Checks) {
    let new = new.tolerations.as_deref().unwrap_or_default();
    let same = |a: &Toleration, b: &Toleration| {
        let parts = |t: &Toleration| [&t.key, &t.operator, &t.value, &t.effect].map(|part| text(part).to_owned());
        parts(a) == parts(b)
    };
    let kept = |old: &Toleration| new.iter().any(|new| same(new, old));
    if !old.tolerations.iter().flatten().all(kept) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        return checks.forbidden(path, detail);
    }
    placement::check_tolerations(path, new, checks);
}

fn check_gates(path: &Path, new: &PodSpec, old: &PodSpec, checks: &mut Checks) {
    for (index, gate) in new.scheduling_gates.iter().flatten().enumerate() {
        if !old.scheduling_gates.iter().flatten().any(|old| old == gate) {
            let detail = format!("only deletion is allowed, but found new scheduling gate '{}'", gate.name);
            checks.forbidden(&path.index(index).child("name"), &detail);
        }
    }
}

fn is_gated(spec: &PodSpec) -> bool {
    spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty())
}

/// Whoever holds a pod back may narrow where it goes.
fn check_selector(path: &Path, new: &PodSpec, old: &PodSpec, checks: &mut Checks) {
    let selector = new.node_selector.clone().unwrap_or_default();
    if old.node_selector.iter().flatten().any(|(key, value)| selector.get(key) != Some(value)) {
        let detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        checks.invalid(path, selector, detail);
    }
}

fn check_node_affinity(path: &Path, new: &PodSpec, old: &PodSpec, checks: &mut Checks) {
    let (new, old) = (required_terms(new), required_terms(old));
    if !old.is_empty() && old.len() != new.len() {
        return checks.invalid(path, new, "no additions/deletions to non-empty NodeSelectorTerms list are allowed");
    }
    for (index, (new, old)) in new.iter().zip(old).enumerate() {
        let parts = |term: &NodeSelectorTerm| {
            [&term.match_expressions, &term.match_fields].map(|part| part.clone().unwrap_or_default())
        };
        let (new_parts, old_parts) = (parts(new), parts(old));
        let grew = new_parts.iter().zip(&old_parts).all(|(new, old)| new.starts_with(old));
        // A term that says nothing selects nothing: whatever is added widens it.
        let selects = |parts: &[Vec<_>; 2]| parts.iter().any(|part| !part.is_empty());
        if !grew || (selects(&new_parts) && !selects(&old_parts)) {
            checks.invalid(&path.index(index), new, "only additions are allowed (no mutations or deletions)");
        }
    }
}

fn required_terms(spec: &PodSpec) -> &[NodeSelectorTerm] {
    let node = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = node.and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
    required.map(|required| required.node_selector_terms.as_slice()).unwrap_or_default()
}

/// `new` with what may change put back to what it was.
fn with_updatable_of(new: &PodSpec, old: &PodSpec) -> PodSpec {
    let mut munged = new.clone();
    let init = munged.init_containers.iter_mut().flatten().zip(containers(&old.init_containers));
    for (new, old) in init.chain(munged.containers.iter_mut().zip(&old.containers)) {
        new.image.clone_from(&old.image);
    }
    munged.active_deadline_seconds = old.active_deadline_seconds;
    munged.scheduling_gates.clone_from(&old.scheduling_gates);
    munged.tolerations.clone_from(&old.tolerations);
    if is_gated(old) {
        munged.node_selector.clone_from(&old.node_selector);
        let old = old.affinity.as_ref().and_then(|affinity| affinity.node_affinity.clone());
        match &mut munged.affinity {
            Some(affinity) => affinity.node_affinity = old,
            none => *none = old.map(|old| Affinity { node_affinity: Some(old), ..Affinity::default() }),
        }
    }
    let was_negative = old.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0);
    if was_negative && new.termination_grace_period_seconds == Some(1) {
        munged.termination_grace_period_seconds = old.termination_grace_period_seconds;
    }
    munged
}

/// As JSON, without what is empty: upstream does not tell it from what is absent.
fn normal(spec: &PodSpec) -> Value {
    at::normal(&serde_json::to_value(spec).unwrap_or_default())
}

/// What is wrong with a new status of the pod `old`. The class stays when it is left out.
pub(super) fn check_status(status: &mut PodStatus, old: &Object, checks: &mut Checks) {
    let path = Path::new("status");
    let old_status = old.at(&["status"]).map(PodStatus::deserialize).and_then(Result::ok).unwrap_or_default();
    if text(&status.qos_class).is_empty() {
        status.qos_class.clone_from(&old_status.qos_class);
    }
    checks.immutable(&path.child("qosClass"), &status.qos_class, &old_status.qos_class);
    for (index, condition) in status.conditions.iter().flatten().enumerate() {
        let path = Path::new("metadata").child("conditions").index(index).child("Type");
        checks.follows(&path, &condition.type_, names::qualified_name);
    }
    check_ips(&path, status, checks);
    let stays = |name: &str, exit_code: i32| stays_ended(old, name, exit_code);
    check_ended(
        &path.child("containerStatuses"),
        (status.container_statuses.as_deref(), old_status.container_statuses.as_deref()),
        stays,
        checks,
    );
    check_ended(
        &path.child("ephemeralContainerStatuses"),
        (status.ephemeral_container_statuses.as_deref(), old_status.ephemeral_container_statuses.as_deref()),
        |_, _| true,
        checks,
    );
}

/// Whether a container that has ended so is never started again: by its own restart policy, else the pod's. One with
/// rules may always be.
fn stays_ended(pod: &Object, name: &str, exit_code: i32) -> bool {
    let containers = pod.at(&["spec", "containers"]).and_then(Value::as_array);
    let container = containers.into_iter().flatten().find(|container| container["name"] == name);
    if container.is_some_and(|container| container.get("restartPolicyRules").is_some()) {
        return false;
    }
    let own = container.and_then(|container| container.get("restartPolicy")?.as_str());
    match own.unwrap_or_else(|| pod.str_at(&["spec", "restartPolicy"])) {
        "Never" => true,
        "OnFailure" => exit_code == 0,
        _ => false,
    }
}

fn check_ips(path: &Path, status: &PodStatus, checks: &mut Checks) {
    let path_of = path.child("podIPs");
    for (index, ip) in status.pod_ips.iter().flatten().enumerate() {
        checks.follows(&path_of.index(index), &ip.ip, names::ip_address);
    }
    let Some(first) = status.host_ips.iter().flatten().next() else { return };
    if text(&status.host_ip) != first.ip {
        let path = path.child("hostIPs").index(0).child("ip");
        checks.push(Error::invalid(&path, &first.ip, "must be equal to `hostIP`"));
    }
}

/// A container that has ended, and is not to be restarted, does not run again.
fn check_ended(
    path: &Path,
    (new, old): (Option<&[ContainerStatus]>, Option<&[ContainerStatus]>),
    stays: impl Fn(&str, i32) -> bool,
    checks: &mut Checks,
) {
    let ended = |status: &ContainerStatus| status.state.as_ref().and_then(|state| state.terminated.clone());
    for (index, was) in old.into_iter().flatten().enumerate() {
        let Some(end) = ended(was) else { continue };
        if stays(&was.name, end.exit_code)
            && new.into_iter().flatten().any(|status| status.name == was.name && ended(status).is_none())
        {
            let path = path.index(index).child("state");
            checks.forbidden(&path, "may not be transitioned to non-terminated state");
        }
    }
}
