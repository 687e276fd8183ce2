//! Events of `events.k8s.io/v1`, which are those of the core group with other names
//! (KEP-383, `pkg/apis/events/v1/conversion.go`).

use super::{View, rename};
use crate::object::Object;

/// `events.k8s.io/v1`.
pub static EVENT: View = View { group: "", version: "v1", to_stored, from_stored, field };

/// What is served, and what is stored.
const NAMES: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];
/// The core group shows these even when they are empty.
const SHOWN: [&str; 2] = ["reportingComponent", "reportingInstance"];

fn to_stored(event: &mut Object) {
    for (served, stored) in NAMES {
        rename(event, &[served], &[stored]);
    }
    for name in SHOWN {
        event.0.entry(name).or_insert_with(|| "".into());
    }
}

fn from_stored(event: &mut Object) {
    for name in SHOWN {
        if event.str_at(&[name]).is_empty() {
            event.remove(&[name]);
        }
    }
    for (served, stored) in NAMES {
        rename(event, &[stored], &[served]);
    }
}

fn field(path: &str) -> &str {
    // A part of a name that is served has the same part in what is stored.
    const REGARDING: [(&str, &str); 7] = [
        (".regarding.kind", ".involvedObject.kind"),
        (".regarding.namespace", ".involvedObject.namespace"),
        (".regarding.name", ".involvedObject.name"),
        (".regarding.uid", ".involvedObject.uid"),
        (".regarding.apiVersion", ".involvedObject.apiVersion"),
        (".regarding.resourceVersion", ".involvedObject.resourceVersion"),
        (".regarding.fieldPath", ".involvedObject.fieldPath"),
    ];
    match path {
        ".reportingController" => ".reportingComponent",
        _ => REGARDING.iter().find(|(served, _)| *served == path).map_or(path, |(_, stored)| stored),
    }
}
