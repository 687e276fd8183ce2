//! What a controller tells of an object in its status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Map, Value};

pub use trimtab_api::custom::HasStatus;

/// A list of conditions (<https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties>).
pub trait Conditions {
    /// Puts a condition in place of the one of its type. The time of its last transition stays unless its status
    /// changes.
    fn put(&mut self, condition: Condition);

    /// Whether the condition of this type is `True`.
    fn holds(&self, type_: &str) -> bool;
}

impl Conditions for Vec<Condition> {
    fn put(&mut self, mut condition: Condition) {
        match self.iter_mut().find(|there| there.type_ == condition.type_) {
            Some(there) => {
                if there.status == condition.status {
                    condition.last_transition_time = there.last_transition_time.clone();
                }
                *there = condition;
            }
            None => self.push(condition),
        }
    }

    fn holds(&self, type_: &str) -> bool {
        self.iter().any(|condition| condition.type_ == type_ && condition.status == "True")
    }
}

impl Conditions for Option<Vec<Condition>> {
    fn put(&mut self, condition: Condition) {
        self.get_or_insert_default().put(condition);
    }

    fn holds(&self, type_: &str) -> bool {
        self.as_ref().is_some_and(|conditions| conditions.holds(type_))
    }
}

/// The merge patch (RFC 7386) that makes `new` of `old`; `None` when there is nothing to change.
pub(crate) fn merge_patch(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| (name.clone(), Value::Null));
    let changed = after.iter().filter_map(|(name, value)| {
        let patch = match before.get(name) {
            Some(old) => merge_patch(old, value)?,
            None => value.clone(),
        };
        Some((name.clone(), patch))
    });
    let patch: Map<_, _> = gone.chain(changed).collect();
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_patch_names_what_changes_alone() {
        let old = json!({"a": 1, "b": {"c": [1, 2], "d": 2}, "e": "x", "same": {"f": 1}});
        for (new, patch) in [
            (old.clone(), None),
            (json!({"a": 1, "b": {"c": [1], "d": 2}, "e": "x", "same": {"f": 1}}), Some(json!({"b": {"c": [1]}}))),
            (
                json!({"a": 2, "b": {"c": [1, 2]}, "same": {}}),
                Some(json!({"a": 2, "b": {"d": null}, "e": null, "same": {"f": null}})),
            ),
        ] {
            let found = merge_patch(&old, &new);
            assert_eq!(found, patch);
            let mut patched = old.clone();
            json_patch::merge(&mut patched, &found.unwrap_or(json!({})));
            assert_eq!(patched, new);
        }
    }

    #[test]
    fn a_condition_keeps_the_time_of_its_transition() {
        let condition = |status: &str, reason: &str, at: &str| -> Condition {
            let condition =
                json!({"type": "Ready", "status": status, "reason": reason, "message": "", "lastTransitionTime": at});
            serde_json::from_value(condition).unwrap()
        };
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z");
        let mut conditions = vec![condition("False", "Starting", early)];
        conditions.put(condition("False", "Pulling", late));
        assert_eq!(conditions, [condition("False", "Pulling", early)]);
        conditions.put(condition("True", "Running", late));
        assert_eq!(conditions, [condition("True", "Running", late)]);
        assert!(conditions.holds("Ready") && !conditions.holds("Synced"));
    }
}
