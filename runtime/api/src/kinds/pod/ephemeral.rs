//! Ephemeral containers: what may be added to a pod that exists, by the subresource for it alone
//! (<https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/>).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod as Typed, PodSpec};
use serde::Deserialize;

use crate::check::{Checks, text};
use crate::field::{Error, Path};
use crate::kinds::stored;
use crate::object::Object;

use super::spec::Of;
use super::volume::Volumes;
use super::{container, defaults, put_back, spec_of, spec_path};

const NOT_ALLOWED: &str = "cannot be set for an Ephemeral Container";

/// Adds to the pod `old` those of `pod` that it has not, and puts back what else differs.
pub(super) fn update(pod: &mut Typed, old: &Object, checks: &mut Checks) {
    let Some(old) = stored::<Typed>(old, checks) else { return };
    let asked = put_back(pod, &old).ephemeral_containers;
    let filled = asked.map(|containers| containers.iter().map(filled).collect::<Vec<_>>());
    pod.spec.get_or_insert_default().ephemeral_containers = filled.filter(|containers| !containers.is_empty());
    check_all(spec_of(pod), checks);
    check_kept(spec_of(pod), spec_of(&old), checks);
}

/// The container that it is: they have the same fields, but for the target.
fn as_container(container: &EphemeralContainer) -> Container {
    let value = serde_json::to_value(container).unwrap_or_default();
    Container::deserialize(value).unwrap_or_default()
}

fn filled(container: &EphemeralContainer) -> EphemeralContainer {
    let mut filled = as_container(container);
    defaults::default_container(&mut filled);
    let value = serde_json::to_value(filled).unwrap_or_default();
    let filled = EphemeralContainer::deserialize(value).unwrap_or_else(|_| container.clone());
    EphemeralContainer { target_container_name: container.target_container_name.clone(), ..filled }
}

fn check_all(spec: &PodSpec, checks: &mut Checks) {
    // The volumes are as they were when the pod was made.
    let named = spec.volumes.iter().flatten().map(|volume| (volume.name.as_str(), volume));
    let volumes: Volumes<'_> = named.collect();
    let others: BTreeSet<&str> =
        spec.containers.iter().chain(spec.init_containers.iter().flatten()).map(|other| other.name.as_str()).collect();
    let mut names = others.clone();
    for (index, ephemeral) in spec.ephemeral_containers.iter().flatten().enumerate() {
        let path = spec_path().child("ephemeralContainers").index(index);
        let common = as_container(ephemeral);
        container::check_common(&path, &common, spec, &volumes, Of::Pod, checks);
        container::check_unique(&path, &ephemeral.name, &mut names, checks);
        let target = text(&ephemeral.target_container_name);
        if !target.is_empty() && !others.contains(target) {
            checks.push(Error::not_found(&path.child("targetContainerName"), target));
        }
        check_fields(&path, &common, checks);
    }
}

fn check_fields(path: &Path, container: &Container, checks: &mut Checks) {
    let asks = |resources: &k8s_openapi::api::core::v1::ResourceRequirements| {
        let any =
            |list: &Option<_>| list.as_ref().is_some_and(|list: &std::collections::BTreeMap<_, _>| !list.is_empty());
        any(&resources.limits) || any(&resources.requests) || resources.claims.is_some()
    };
    for (field, is_set) in [
        ("ports", container.ports.as_ref().is_some_and(|ports| !ports.is_empty())),
        ("resources", container.resources.as_ref().is_some_and(asks)),
        ("resizePolicy", container.resize_policy.as_ref().is_some_and(|policies| !policies.is_empty())),
        ("restartPolicy", container.restart_policy.is_some()),
        ("restartPolicyRules", container.restart_policy_rules.is_some()),
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
        ("lifecycle", container.lifecycle.is_some()),
    ] {
        if is_set {
            checks.forbidden(&path.child(field), NOT_ALLOWED);
        }
    }
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        for (field, value) in [("subPath", &mount.sub_path), ("subPathExpr", &mount.sub_path_expr)] {
            if !text(value).is_empty() {
                checks.forbidden(&path.child("volumeMounts").index(index).child(field), NOT_ALLOWED);
            }
        }
    }
}

/// One that was added once stays as it is.
fn check_kept(new: &PodSpec, old: &PodSpec, checks: &mut Checks) {
    let path = spec_path().child("ephemeralContainers");
    for old in old.ephemeral_containers.iter().flatten() {
        let kept = new.ephemeral_containers.iter().flatten().find(|new| new.name == old.name);
        let what = match kept {
            Some(new) if new == old => continue,
            Some(_) => "changed",
            None => "removed",
        };
        checks.forbidden(&path, &format!("existing ephemeral containers {:?} may not be {what}\n", old.name));
    }
}
