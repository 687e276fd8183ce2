//! The conditions of a definition.

use serde_json::{Value, json};

use super::text;
use crate::object::Object;

const PATH: [&str; 2] = ["status", "conditions"];

/// Whether the condition `type_` is true.
pub fn is_true(definition: &Object, type_: &str) -> bool {
    let mut all = definition.at(&PATH).and_then(Value::as_array).into_iter().flatten();
    all.any(|condition| condition["type"] == type_ && condition["status"] == "True")
}

/// Sets a condition. Its time is when its status changed, not when it was looked at.
pub fn set_condition(definition: &mut Object, (type_, is): (&str, bool), reason: &str, message: &str, now: &str) {
    let status = if is { "True" } else { "False" };
    let mut all = definition.at(&PATH).and_then(Value::as_array).cloned().unwrap_or_default();
    let before = all.iter().position(|condition| condition["type"] == type_);
    let since = before.map(|at| &all[at]).filter(|condition| condition["status"] == status);
    let since = since.map(|condition| text(&condition["lastTransitionTime"])).unwrap_or(now).to_owned();
    let condition =
        json!({"type": type_, "status": status, "lastTransitionTime": since, "reason": reason, "message": message});
    match before {
        Some(at) => all[at] = condition,
        None => all.push(condition),
    }
    definition.set(&PATH, all);
}
