//! Server-side apply: histories of applies and updates by several managers.

use serde_json::Value;
use trimtab_api::Object;
use trimtab_api::apply::{self, Writer};

use crate::make;
use crate::source::Source;

const MANAGERS: [&str; 3] = ["one", "two", "three"];
const STEPS: usize = 6;

/// Applying twice is applying once, what is applied is there, and force meets no conflict.
pub fn apply(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let kind = crate::any_kind(&mut source);
    let schema = kind.schema.get();
    let mut live: Option<Object> = None;
    for _ in 0..STEPS {
        let manager = *source.choose(&MANAGERS);
        let api_version = kind.api_version();
        let writer = Writer { manager, api_version: &api_version, subresource: "", time: "2026-01-01T00:00:00Z" };
        let before = live.clone().map(|object| Value::Object(object.0)).unwrap_or_default();
        let object = match source.below(3) {
            0 if live.is_some() => make::changed(&before, schema, &mut source),
            _ => Value::Object(make::object(kind, &mut source).0),
        };
        let Value::Object(map) = object else { return };
        let mut object = Object(map);
        // What comes to a write has been checked.
        if schema.check(&mut object.0).is_err() {
            return;
        }
        let force = source.once_in(2);
        if source.once_in(3) {
            live = Some(apply::track(live.as_ref(), object, &apply::Given::default(), writer, schema));
        } else if apply::check(&object, schema).is_ok() {
            object.remove(&["metadata", "managedFields"]);
            match apply::apply(live.as_ref(), &object, writer, force, schema) {
                Ok(applied) => {
                    let again = apply::apply(Some(&applied), &object, writer, false, schema);
                    assert_eq!(again.as_ref(), Ok(&applied), "applied twice");
                    live = Some(applied);
                }
                Err(conflicts) => assert!(!force && !conflicts.0.is_empty()),
            }
        }
        if let Some(live) = &live {
            check_managers(live);
        }
    }
}

/// Each manager is there once, and owns something.
fn check_managers(object: &Object) {
    let entries = object.at(&["metadata", "managedFields"]).and_then(Value::as_array);
    let mut seen = Vec::new();
    for entry in entries.into_iter().flatten() {
        let name = (&entry["manager"], &entry["operation"]);
        assert!(!seen.contains(&name), "{name:?} is there twice");
        seen.push(name);
        let fields = entry["fieldsV1"].as_object();
        assert!(fields.is_some_and(|fields| !fields.is_empty()), "{entry}");
    }
}
