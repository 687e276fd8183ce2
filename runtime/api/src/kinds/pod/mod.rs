//! Pods.

mod defaults;
mod validate;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use super::typed;
use crate::cells;
use crate::field::{self, Path};
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

pub(super) use defaults::default_spec;
pub(super) use validate::validate_spec;

/// Behaviour of Pods.
pub struct Pod;

impl Strategy for Pod {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |pod: &mut core::Pod, errors| match operation {
            Operation::Create => {
                defaults::default_pod(pod);
                pod.status = Some(core::PodStatus {
                    phase: Some("Pending".to_owned()),
                    qos_class: Some(defaults::qos_class(pod.spec.as_ref()).to_owned()),
                    ..core::PodStatus::default()
                });
                match &pod.spec {
                    Some(spec) => validate_spec(spec, &Path::new("spec"), errors),
                    None => errors.push(field::Error::required(&Path::new("spec"), "")),
                }
            }
            Operation::Update { old } => {
                if let Some(spec) = &mut pod.spec {
                    default_spec(spec);
                    validate_spec(spec, &Path::new("spec"), errors);
                }
                validate::validate_update(pod, &old.to_typed().unwrap_or_default(), errors);
            }
            Operation::UpdateStatus { .. } => {}
        })
    }

    fn grace_period(&self, object: &Object) -> Option<i64> {
        // Nobody runs what was never bound, or has ended.
        let ended = matches!(object.str_at(&["status", "phase"]), "Succeeded" | "Failed");
        if object.str_at(&["spec", "nodeName"]).is_empty() || ended {
            return Some(0);
        }
        Some(object.at(&["spec", "terminationGracePeriodSeconds"]).and_then(Value::as_i64).unwrap_or(30))
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::pod(name, object, now)
    }
}

/// Whether a pod's `Ready` condition is true.
pub fn is_ready(pod: &core::Pod) -> bool {
    ready_since(pod).is_some()
}

/// Since when a pod's `Ready` condition is true.
pub fn ready_since(pod: &core::Pod) -> Option<Option<&Time>> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True")?;
    Some(ready.last_transition_time.as_ref())
}
