//! What the `resize` subresource changes in a pod that exists: how much processor and memory its
//! containers ask for and may use (KEP-1287).

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod as Typed, PodSpec, ResourceRequirements};

use crate::check::{Checks, text};
use crate::field::Path;
use crate::kinds::stored;
use crate::object::Object;

use super::{check, fill, put_back, qos_class, spec_of, spec_path};

/// What may be resized.
const RESIZABLE: [&str; 2] = ["cpu", "memory"];

/// Takes the resources of the containers from `pod`, and puts back what else differs from `old`.
pub(super) fn update(pod: &mut Typed, old: &Object, checks: &mut Checks) {
    let Some(old) = stored::<Typed>(old, checks) else { return };
    let asked = put_back(pod, &old);
    if asked.containers.len() != old.spec.as_ref().map_or(0, |spec| spec.containers.len()) {
        return checks.forbidden(&spec_path().child("containers"), "pod updates may not add or remove containers");
    }
    for (container, asked) in pod.spec.iter_mut().flat_map(|spec| &mut spec.containers).zip(asked.containers) {
        if container.name == asked.name {
            container.resources = asked.resources;
            container.resize_policy = asked.resize_policy;
        }
    }
    fill(pod);
    check(pod, checks);
    check_resized(spec_of(pod), &old, checks);
}

fn check_resized(new: &PodSpec, old: &Typed, checks: &mut Checks) {
    let path = spec_path();
    let status = old.status.clone().unwrap_or_default();
    if !status.container_statuses.iter().flatten().all(is_supported) {
        return checks.forbidden(&path, "Pod running on node without support for resize");
    }
    let (class, before) = (qos_class(new), text(&status.qos_class));
    if class != before {
        checks.invalid(&path, before, "Pod QOS Class may not change as a result of resizing");
    }
    for (index, (new, old)) in new.containers.iter().zip(&spec_of(old).containers).enumerate() {
        check_container(&path.child("containers").index(index).child("resources"), new, old, checks);
    }
}

/// A node's agent that can resize tells what its running containers have.
fn is_supported(status: &ContainerStatus) -> bool {
    let running = status.state.as_ref().is_some_and(|state| state.running.is_some());
    !running || status.resources.is_some()
}

fn check_container(path: &Path, new: &Container, old: &Container, checks: &mut Checks) {
    let none = ResourceRequirements::default();
    let (new, old) = (new.resources.as_ref().unwrap_or(&none), old.resources.as_ref().unwrap_or(&none));
    let fixed = |resources: &ResourceRequirements| {
        let mut fixed = resources.clone();
        for list in [&mut fixed.limits, &mut fixed.requests] {
            if let Some(amounts) = list {
                amounts.retain(|name, _| !RESIZABLE.contains(&name.as_str()));
            }
            *list = list.take().filter(|amounts| !amounts.is_empty());
        }
        fixed
    };
    if fixed(new) != fixed(old) {
        checks.forbidden(path, "only cpu and memory resources are mutable");
    }
    for (field, new, old) in [("limits", &new.limits, &old.limits), ("requests", &new.requests, &old.requests)] {
        let has = |list: &Option<std::collections::BTreeMap<String, _>>, name| {
            list.as_ref().is_some_and(|amounts| amounts.contains_key(name))
        };
        if RESIZABLE.iter().any(|name| has(old, *name) && !has(new, *name)) {
            checks.forbidden(&path.child(field), &format!("resource {field} cannot be removed"));
        }
    }
}
