//! Events: how they are printed.

use serde_json::Value;

use crate::object::Object;
use crate::strategy::Strategy;
use crate::table::age;

/// Behaviour of Events.
pub struct Event;

impl Strategy for Event {
    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        let first_of = |paths: [&[&str]; 3]| {
            paths.map(|path| object.str_at(path)).into_iter().find(|text| !text.is_empty()).unwrap_or_default()
        };
        match name {
            "Last Seen" => {
                age(first_of([&["series", "lastObservedTime"], &["lastTimestamp"], &["eventTime"]]), now).into()
            }
            "First Seen" => {
                age(first_of([&["firstTimestamp"], &["eventTime"], &["metadata", "creationTimestamp"]]), now).into()
            }
            "Object" => {
                let kind = object.str_at(&["involvedObject", "kind"]).to_lowercase();
                format!("{kind}/{}", object.str_at(&["involvedObject", "name"])).into()
            }
            "Source" => {
                let component = first_of([&["source", "component"], &["reportingComponent"], &[""]]);
                let host = object.str_at(&["source", "host"]);
                if host.is_empty() { component.into() } else { format!("{component}, {host}").into() }
            }
            "Message" => object.str_at(&["message"]).trim().into(),
            "Count" => object.at(&["count"]).and_then(Value::as_i64).unwrap_or(1).to_string().into(),
            _ => Value::Null,
        }
    }
}
