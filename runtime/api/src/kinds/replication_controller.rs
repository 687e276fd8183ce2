//! ReplicationControllers.

use k8s_openapi::api::core::v1 as core;
use serde_json::Value;

use super::{pod, typed};
use crate::cells;
use crate::field::{self, Path};
use crate::object::Object;
use crate::selector::Selector;
use crate::strategy::{Admission, Operation, Strategy};

/// Behaviour of ReplicationControllers.
pub struct ReplicationController;

impl Strategy for ReplicationController {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        if matches!(operation, Operation::Create) {
            object.set(&["status"], serde_json::json!({"replicas": 0}));
        }
        typed(object, |rc: &mut core::ReplicationController, errors| {
            if !matches!(operation, Operation::UpdateStatus { .. }) {
                default(rc);
                validate(rc, errors);
            }
        })
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::replication_controller(name, object, now)
    }
}

fn default(rc: &mut core::ReplicationController) {
    let spec = rc.spec.get_or_insert_default();
    spec.replicas.get_or_insert(1);
    let template_labels = spec.template.as_ref().and_then(|t| t.metadata.as_ref()?.labels.clone());
    if spec.selector.as_ref().is_none_or(|selector| selector.is_empty()) {
        spec.selector = template_labels.clone();
    }
    if rc.metadata.labels.as_ref().is_none_or(|labels| labels.is_empty()) {
        rc.metadata.labels = template_labels;
    }
    if let Some(template) = &mut spec.template {
        pod::default_spec(template.spec.get_or_insert_default());
    }
}

fn validate(rc: &core::ReplicationController, errors: &mut Vec<field::Error>) {
    let path = Path::new("spec");
    let Some(spec) = &rc.spec else { return };
    for (name, value) in [("replicas", spec.replicas), ("minReadySeconds", spec.min_ready_seconds)] {
        if let Some(value) = value.filter(|value| *value < 0) {
            errors.push(field::Error::invalid(&path.child(name), value, "must be greater than or equal to 0"));
        }
    }
    if spec.selector.as_ref().is_none_or(|selector| selector.is_empty()) {
        errors.push(field::Error::required(&path.child("selector"), ""));
    }
    let template_path = path.child("template");
    let Some(template) = &spec.template else {
        errors.push(field::Error::required(&template_path, ""));
        return;
    };
    let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    if !Selector::from_map(spec.selector.iter().flatten()).matches_map(labels) {
        let labels_path = template_path.child("metadata").child("labels");
        errors.push(field::Error::invalid(&labels_path, labels, "`selector` does not match template `labels`"));
    }
    if let Some(spec) = &template.spec {
        pod::validate_spec(spec, &template_path.child("spec"), errors);
        if let Some(policy) = spec.restart_policy.as_deref().filter(|policy| *policy != "Always") {
            let path = template_path.child("spec").child("restartPolicy");
            errors.push(field::Error::not_supported(&path, policy, &["Always"]));
        }
    }
}
