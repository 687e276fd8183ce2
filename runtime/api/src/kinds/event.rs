//! Events (`pkg/apis/core/validation/events.go`). Those that are written as `events.k8s.io/v1` are
//! held to more.

use serde_json::Value;

use crate::cells;
use crate::field::{Error, Path};
use crate::names;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// Events of the core group, about which little is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event;

impl Strategy for Event {
    fn admit(&self, _: Operation<'_>, event: &mut Object) -> Admission {
        let mut admission = Admission::default();
        check(event, "reportingComponent", &mut admission.errors);
        admission
    }

    fn cell(&self, name: &str, event: &Object, now: i64) -> Value {
        cells::event(name, event, now)
    }
}

/// Events that are written as `events.k8s.io/v1`, in the form that the core group has for them.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewEvent;

impl Strategy for NewEvent {
    fn admit(&self, operation: Operation<'_>, event: &mut Object) -> Admission {
        let mut admission = Admission::default();
        check(event, "reportingController", &mut admission.errors);
        match operation {
            Operation::Create => check_new(event, &mut admission.errors),
            Operation::Update { old } | Operation::UpdateStatus { old } => {
                check_kept(event, old, &mut admission.errors);
            }
        }
        admission
    }

    fn cell(&self, name: &str, event: &Object, now: i64) -> Value {
        cells::event(name, event, now)
    }
}

/// The most bytes of a reporting instance, an action or a reason.
const MAX_WORD: usize = 128;
/// The most bytes of a note.
const MAX_NOTE: usize = 1024;

/// Upstream's `legacyValidateEvent`. An event is where what it is about is; one that was made by the
/// new rules has an `eventTime`, and then more is required.
fn check(event: &Object, controller_field: &str, errors: &mut Vec<Error>) {
    let (namespace, about) = (event.namespace(), event.str_at(&["involvedObject", "namespace"]));
    let is_new = has(event, "eventTime");
    let agrees = match about {
        "" if is_new => matches!(namespace, "default" | "kube-system"),
        "" => matches!(namespace, "" | "default"),
        _ => is_new || namespace == about,
    };
    if !agrees {
        let path = Path::new("involvedObject").child("namespace");
        errors.push(Error::invalid(&path, about, "does not match event.namespace"));
    }
    if !is_new {
        return;
    }
    let controller = event.str_at(&["reportingComponent"]);
    let path = Path::new(controller_field);
    if controller.is_empty() {
        errors.push(Error::required(&path, ""));
    }
    errors.extend(names::qualified_name(controller).into_iter().map(|word| Error::invalid(&path, controller, word)));
    for field in ["reportingInstance", "action", "reason"] {
        let text = event.str_at(&[field]);
        if text.is_empty() {
            errors.push(Error::required(&Path::new(field), ""));
        }
        check_length(field, text, MAX_WORD, errors);
    }
    check_length("message", event.str_at(&["message"]), MAX_NOTE, errors);
}

fn check_length(field: &str, text: &str, most: usize, errors: &mut Vec<Error>) {
    if text.len() > most {
        errors.push(Error::invalid(&Path::new(field), "", format!("can have at most {most} characters")));
    }
}

/// Upstream's `ValidateEventCreate`.
fn check_new(event: &Object, errors: &mut Vec<Error>) {
    if !has(event, "eventTime") {
        errors.push(Error::required(&Path::new("eventTime"), ""));
    }
    let type_ = event.str_at(&["type"]);
    if !matches!(type_, "Normal" | "Warning") {
        errors.push(Error::invalid(&Path::new("type"), "", format!("has invalid value: {type_}")));
    }
    for field in ["firstTimestamp", "lastTimestamp", "count", "source"] {
        if has(event, field) {
            errors.push(Error::invalid(&Path::new(field), "", "needs to be unset"));
        }
    }
}

/// Upstream's `ValidateEventUpdate`: nothing but the series goes on.
fn check_kept(event: &Object, old: &Object, errors: &mut Vec<Error>) {
    const KEPT: [&str; 13] = [
        "involvedObject",
        "reason",
        "message",
        "source",
        "firstTimestamp",
        "lastTimestamp",
        "count",
        "type",
        "eventTime",
        "action",
        "related",
        "reportingComponent",
        "reportingInstance",
    ];
    for field in KEPT.into_iter().filter(|field| event.0.get(*field) != old.0.get(*field)) {
        let value = event.0.get(field).cloned().unwrap_or_default();
        errors.push(Error::invalid(&Path::new(field), value, "field is immutable"));
    }
}

/// Whether a field says anything.
fn has(event: &Object, field: &str) -> bool {
    event.0.get(field).is_some_and(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(map) => !map.is_empty(),
        other => *other != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::create_errors;
    use crate::view::{EVENT, Viewed};

    #[test]
    fn an_event_is_where_its_object_is() {
        for (yaml, expected) in [
            ("{metadata: {name: e, namespace: a}, involvedObject: {namespace: a}}", vec![]),
            ("{metadata: {name: e, namespace: default}, involvedObject: {kind: Node}}", vec![]),
            (
                "{metadata: {name: e, namespace: a}, involvedObject: {namespace: b}}",
                vec!["involvedObject.namespace: Invalid value: \"b\": does not match event.namespace"],
            ),
        ] {
            assert_eq!(create_errors(&Event, yaml), expected, "{yaml}");
        }
    }

    #[test]
    fn of_the_new_group_more_is_asked() {
        let fits = "{apiVersion: events.k8s.io/v1, metadata: {name: e, namespace: a}, regarding: {namespace: a}, type: Normal, action: x, reason: y, reportingController: c, reportingInstance: i, eventTime: '2026-01-01T00:00:00.000000Z'}";
        let errors = |yaml: &str| create_errors(&Viewed(NewEvent, &EVENT), yaml);
        assert_eq!(errors(fits), Vec::<String>::new());
        assert_eq!(errors(&fits.replace(" reportingInstance: i,", "")), ["reportingInstance: Required value"]);
        assert_eq!(errors(&fits.replace("Normal", "Odd")), ["type: Invalid value: \"\": has invalid value: Odd"]);
        let counted = fits.replace("type: Normal", "type: Normal, deprecatedCount: 3");
        assert_eq!(errors(&counted), ["count: Invalid value: \"\": needs to be unset"]);
        let untimed = fits.replace(", eventTime: '2026-01-01T00:00:00.000000Z'", "");
        assert_eq!(errors(&untimed), ["eventTime: Required value"]);
    }
}
