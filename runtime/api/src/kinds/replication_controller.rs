//! Replication controllers: a count of pods made from a template (`pkg/registry/core/replicationcontroller`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ReplicationController as Typed, ReplicationControllerSpec as Spec, ReplicationControllerStatus as Status,
};
use serde_json::Value;

use crate::cells;
use crate::check::{Checks, text};
use crate::field::{Error, Path};
use crate::kinds::pod::{check_template, default_template};
use crate::kinds::{typed, typed_status};
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// Replication controllers.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplicationController;

impl Strategy for ReplicationController {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        if let Operation::UpdateStatus { .. } = operation {
            return typed_status(object, |status: &mut Status, checks| check_status(status, checks));
        }
        typed(object, |controller: &mut Typed, checks| {
            fill(controller);
            if let Operation::Create = operation {
                controller.status = Some(Status::default());
            }
            check(controller, checks);
        })
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::replication_controller(name, object, now)
    }
}

/// The selector, and the controller's own labels, default to the template's labels.
fn fill(controller: &mut Typed) {
    let spec = controller.spec.get_or_insert_default();
    spec.replicas.get_or_insert(1);
    let Some(template) = &mut spec.template else { return };
    default_template(template);
    let labels = template.metadata.as_ref().and_then(|meta| meta.labels.clone()).filter(|labels| !labels.is_empty());
    let Some(labels) = labels else { return };
    if is_empty(spec.selector.as_ref()) {
        spec.selector = Some(labels.clone());
    }
    if is_empty(controller.metadata.labels.as_ref()) {
        controller.metadata.labels = Some(labels);
    }
}

fn is_empty(map: Option<&BTreeMap<String, String>>) -> bool {
    map.is_none_or(BTreeMap::is_empty)
}

fn check(controller: &Typed, checks: &mut Checks) {
    let path = Path::new("spec");
    let Some(spec) = &controller.spec else { return };
    checks.non_negative(&path.child("minReadySeconds"), spec.min_ready_seconds);
    if is_empty(spec.selector.as_ref()) {
        checks.required(&path.child("selector"));
    }
    checks.non_negative(&path.child("replicas"), spec.replicas);
    check_pods(&path.child("template"), spec, checks);
}

fn check_pods(path: &Path, spec: &Spec, checks: &mut Checks) {
    let Some(template) = &spec.template else { return checks.required(path) };
    let labels = template.metadata.as_ref().and_then(|meta| meta.labels.clone()).unwrap_or_default();
    let has = |(key, value): (&String, &String)| labels.get(key) == Some(value);
    if !spec.selector.iter().flatten().all(has) {
        let path = path.child("metadata").child("labels");
        checks.invalid(&path, &labels, "`selector` does not match template `labels`");
    }
    check_template(path, template, checks);
    let Some(pod) = &template.spec else { return };
    let path = path.child("spec");
    if text(&pod.restart_policy) != "Always" {
        let path = path.child("restartPolicy");
        checks.push(Error::not_supported(&path, text(&pod.restart_policy), &["Always"]));
    }
    if pod.active_deadline_seconds.is_some() {
        let detail = "activeDeadlineSeconds in ReplicationController is not Supported";
        checks.forbidden(&path.child("activeDeadlineSeconds"), detail);
    }
}

fn check_status(status: &Status, checks: &mut Checks) {
    let path = Path::new("status");
    let counts = [
        ("fullyLabeledReplicas", status.fully_labeled_replicas),
        ("readyReplicas", status.ready_replicas),
        ("availableReplicas", status.available_replicas),
    ];
    checks.non_negative(&path.child("replicas"), Some(status.replicas));
    checks.non_negative(&path.child("observedGeneration"), status.observed_generation);
    for (field, count) in counts {
        checks.non_negative(&path.child(field), count);
        if let Some(count) = count.filter(|count| *count > status.replicas) {
            checks.invalid(&path.child(field), count, "cannot be greater than status.replicas");
        }
    }
    if status.available_replicas > status.ready_replicas {
        let available = status.available_replicas.unwrap_or_default();
        checks.invalid(&path.child("availableReplicas"), available, "cannot be greater than readyReplicas");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created, object};

    const SMALL: &str = "{metadata: {name: r, namespace: d}, spec: {template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c, image: i}]}}}}";

    #[test]
    fn one_replica_of_the_template_is_wanted_by_default() {
        let controller = created(&ReplicationController, SMALL);
        assert_eq!(controller.at(&["spec", "replicas"]), Some(&1.into()));
        assert_eq!(controller.str_at(&["spec", "selector", "app"]), "a");
        assert_eq!(controller.labels().collect::<Vec<_>>(), [("app", "a")]);
        assert_eq!(controller.str_at(&["spec", "template", "spec", "restartPolicy"]), "Always");
        assert_eq!(controller.at(&["spec", "template", "spec", "enableServiceLinks"]), None);
        assert_eq!(controller.at(&["status", "replicas"]), Some(&0.into()));
    }

    #[test]
    fn what_is_wrong_with_a_controller() {
        for (spec, expected) in [
            ("{selector: {a: b}}", "spec.template: Required value"),
            (
                "{replicas: -1, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}",
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            ),
            ("{template: {spec: {containers: [{name: c, image: i}]}}}", "spec.selector: Required value"),
            (
                "{selector: {a: x}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}",
                "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
            ),
            (
                "{template: {metadata: {labels: {a: b}}, spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}",
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            ),
            (
                "{template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c}]}}}",
                "spec.template.spec.containers[0].image: Required value",
            ),
        ] {
            let yaml = format!("{{metadata: {{name: r, namespace: d}}, spec: {spec}}}");
            assert_eq!(create_errors(&ReplicationController, &yaml), [expected], "{spec}");
        }
    }

    #[test]
    fn a_status_adds_up() {
        let old = created(&ReplicationController, SMALL);
        let mut new = old.clone();
        new.set(&["status"], serde_json::json!({"replicas": 1, "readyReplicas": 2}));
        let admission = ReplicationController.admit(Operation::UpdateStatus { old: &old }, &mut new);
        assert_eq!(
            admission.errors[0].to_string(),
            "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"
        );
        assert_eq!(object(SMALL).name(), "r");
    }
}
