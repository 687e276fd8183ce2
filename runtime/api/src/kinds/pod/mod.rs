//! Pods: what one is filled with, what is wrong with one, and what may change once it exists
//! (`pkg/registry/core/pod`, `pkg/apis/core/validation`).

use k8s_openapi::api::core::v1::{Pod as Typed, PodCondition, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use crate::cells;
use crate::check::{Checks, text};
use crate::field::Path;
use crate::kinds::{stored, typed, typed_status};
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

mod admission;
mod bind;
mod container;
mod defaults;
mod env;
mod ephemeral;
mod placement;
mod probe;
mod qos;
mod resize;
mod resources;
mod security;
mod spec;
mod template;
mod update;
mod volume;

pub use bind::{BindError, bind};
pub(crate) use placement::{check_node_selector, check_taint_effect, check_tolerations};
pub use qos::qos_class;
pub(crate) use resources::{canonical_quantities, check_quantity};
pub(crate) use template::{check_template, default_template};
pub(crate) use volume::HOST_PATH_TYPES;

/// Pods.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pod;

impl Strategy for Pod {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        match operation {
            Operation::Create => typed(object, create),
            // What is stored has been filled and checked, and only the spec ever is.
            Operation::Update { old } if is_as_stored(object, old) => Admission::default(),
            Operation::Update { old } => typed(object, |pod, checks| update(pod, old, checks)),
            Operation::UpdateStatus { old } => {
                typed_status(object, |status, checks| update::check_status(status, old, checks))
            }
        }
    }

    fn admit_part(&self, part: &str, old: &Object, object: &mut Object) -> Admission {
        match part {
            "ephemeralcontainers" => typed(object, |pod, checks| ephemeral::update(pod, old, checks)),
            "resize" => typed(object, |pod, checks| resize::update(pod, old, checks)),
            _ => self.admit(Operation::Update { old }, object),
        }
    }

    /// A pod that runs nowhere, or no more, needs no time to end.
    fn grace_period(&self, object: &Object, asked: Option<i64>) -> i64 {
        let ended = matches!(object.str_at(&["status", "phase"]), "Succeeded" | "Failed");
        if ended || object.str_at(&["spec", "nodeName"]).is_empty() {
            return 0;
        }
        let own = || object.at(&["spec", "terminationGracePeriodSeconds"]).and_then(Value::as_i64);
        // A negative period means at once, which upstream reads as one second.
        let seconds = asked.or_else(own).unwrap_or(defaults::GRACE_PERIOD);
        if seconds < 0 { 1 } else { seconds }
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::pod(name, object, now)
    }
}

/// Whether the spec, if there is one, is the one that is stored.
fn is_as_stored(object: &Object, old: &Object) -> bool {
    object.0.get("spec").is_some_and(|spec| old.0.get("spec") == Some(spec))
}

fn create(pod: &mut Typed, checks: &mut Checks) {
    fill(pod);
    let spec = pod.spec.get_or_insert_default();
    admission::admit(spec, checks);
    pod.status = Some(fresh_status(spec));
    check(pod, checks);
    let spec = spec_of(pod);
    if spec.ephemeral_containers.as_ref().is_some_and(|containers| !containers.is_empty()) {
        checks.forbidden(&spec_path().child("ephemeralContainers"), "cannot be set on create");
    }
    if !text(&spec.node_name).is_empty() && is_gated(spec) {
        let detail = "cannot be set until all schedulingGates have been cleared";
        checks.forbidden(&spec_path().child("nodeName"), detail);
    }
}

fn update(pod: &mut Typed, old: &Object, checks: &mut Checks) {
    let Some(old) = stored::<Typed>(old, checks) else { return };
    fill(pod);
    if let Some(spec) = &mut pod.spec {
        admission::admit_update(spec, spec_of(&old));
    }
    check(pod, checks);
    update::check_spec(&spec_path(), spec_of(pod), spec_of(&old), checks);
}

fn fill(pod: &mut Typed) {
    let spec = pod.spec.get_or_insert_default();
    defaults::default_pod(spec);
    canonical_quantities(spec);
}

fn check(pod: &Typed, checks: &mut Checks) {
    checks.below(&spec_path(), |path, checks| spec::check(path, spec_of(pod), spec::Of::Pod, checks));
}

/// Puts `old` in the place of `pod`, but for who manages which fields, and answers the spec that was asked for.
fn put_back(pod: &mut Typed, old: &Typed) -> PodSpec {
    let managers = pod.metadata.managed_fields.take();
    let asked = std::mem::replace(pod, old.clone());
    pod.metadata.managed_fields = managers;
    asked.spec.unwrap_or_default()
}

fn spec_path() -> Path {
    Path::new("spec")
}

fn spec_of(pod: &Typed) -> &PodSpec {
    pod.spec.as_ref().expect("filled before it is checked, and stored with a spec")
}

fn is_gated(spec: &PodSpec) -> bool {
    spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty())
}

/// The status of a pod that has just been made.
fn fresh_status(spec: &PodSpec) -> PodStatus {
    let gated = PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some("SchedulingGated".to_owned()),
        message: Some("Scheduling is blocked due to non-empty scheduling gates".to_owned()),
        ..PodCondition::default()
    };
    PodStatus {
        phase: Some("Pending".to_owned()),
        qos_class: Some(qos_class(spec).to_owned()),
        conditions: is_gated(spec).then(|| vec![gated]),
        ..PodStatus::default()
    }
}

/// Whether a pod's `Ready` condition is true.
pub fn is_ready(pod: &Typed) -> bool {
    ready_since(pod).is_some()
}

/// Since when a pod's `Ready` condition is true.
pub fn ready_since(pod: &Typed) -> Option<Option<&Time>> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True")?;
    Some(ready.last_transition_time.as_ref())
}

#[cfg(test)]
mod tests;
