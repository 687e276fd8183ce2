//! Events: an event lives in the namespace of what it is about (`legacyValidateEvent`). For both
//! `v1` and `events.k8s.io/v1`, which name their fields differently.

use serde_json::Value;

use crate::cells;
use crate::field::{Error, Path};
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// Events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event;

impl Strategy for Event {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        let mut admission = Admission::default();
        let is_new_group = object.api_version().starts_with("events.k8s.io/");
        let about = if is_new_group { "regarding" } else { "involvedObject" };
        check_namespace(about, object, &mut admission);
        if is_new_group && matches!(operation, Operation::Create) {
            check_fields(object, &mut admission);
        }
        admission
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::event(name, object, now)
    }
}

fn check_namespace(about: &str, object: &Object, admission: &mut Admission) {
    let (namespace, about_namespace) = (object.namespace(), object.str_at(&[about, "namespace"]));
    let agrees = match about_namespace {
        "" => matches!(namespace, "" | "default"),
        other => namespace == other,
    };
    if !agrees {
        let path = Path::new(about).child("namespace");
        admission.errors.push(Error::invalid(&path, about_namespace, "does not match event.namespace"));
    }
}

/// What the new group requires of a new event.
fn check_fields(object: &Object, admission: &mut Admission) {
    for field in ["eventTime", "reportingController", "reportingInstance", "action", "reason"] {
        if object.str_at(&[field]).is_empty() {
            admission.errors.push(Error::required(&Path::new(field), ""));
        }
    }
    let type_ = object.str_at(&["type"]);
    if !matches!(type_, "Normal" | "Warning") {
        let detail = "has invalid value: ";
        admission.errors.push(Error::invalid(&Path::new("type"), "", format!("{detail}{type_}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::create_errors;

    #[test]
    fn an_event_is_where_its_object_is() {
        for (yaml, expected) in [
            ("{metadata: {name: e, namespace: a}, involvedObject: {namespace: a}}", vec![]),
            ("{metadata: {name: e, namespace: default}, involvedObject: {kind: Node}}", vec![]),
            (
                "{metadata: {name: e, namespace: a}, involvedObject: {namespace: b}}",
                vec!["involvedObject.namespace: Invalid value: \"b\": does not match event.namespace"],
            ),
            (
                "{apiVersion: events.k8s.io/v1, metadata: {name: e, namespace: a}, regarding: {namespace: a}, type: Normal, action: x, reason: y, reportingController: c, eventTime: '2026-01-01T00:00:00.000000Z'}",
                vec!["reportingInstance: Required value"],
            ),
        ] {
            assert_eq!(create_errors(&Event, yaml), expected, "{yaml}");
        }
    }
}
