//! What differs between two values, for those who are told that it may not.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// The fields that differ, a line for each side.
pub(crate) fn of(old: &Value, new: &Value) -> String {
    let mut lines = String::new();
    differences("", old, new, &mut lines);
    lines
}

fn differences(path: &str, old: &Value, new: &Value, out: &mut String) {
    static NONE: Value = Value::Null;
    match (old, new) {
        _ if old == new => {}
        (Value::Object(old), Value::Object(new)) => {
            for name in union(old, new) {
                let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                differences(&at, old.get(name).unwrap_or(&NONE), new.get(name).unwrap_or(&NONE), out);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                differences(&format!("{path}[{index}]"), old, new, out);
            }
        }
        _ => {
            for (sign, value) in [('-', old), ('+', new)].into_iter().filter(|(_, value)| !value.is_null()) {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "{sign} {path}: {value}");
            }
        }
    }
}

fn union<'a>(old: &'a Map<String, Value>, new: &'a Map<String, Value>) -> impl Iterator<Item = &'a String> {
    old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)))
}
