//! What a controller tells of an object in its status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;
use serde_json::{Map, Value};

pub use trimtab_api::custom::{HasStatus, IsCondition};

/// A list of conditions (<https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties>).
pub trait Conditions {
    /// Puts a condition in place of the one of its type. The time of its last transition stays unless its status
    /// changes. What the type has besides stays as well.
    fn put(&mut self, condition: Condition);

    /// Whether the condition of this type is `True`.
    fn holds(&self, type_: &str) -> bool;
}

/// What is a condition's.
const OF_CONDITION: [&str; 6] = ["lastTransitionTime", "message", "observedGeneration", "reason", "status", "type"];

impl<C: IsCondition> Conditions for Vec<C> {
    fn put(&mut self, condition: Condition) {
        let mut new = fields(&condition);
        let there = self.iter().map(fields).enumerate().find(|(_, there)| there.get("type") == new.get("type"));
        let (index, mut whole) = there.map_or((None, Map::new()), |(index, there)| (Some(index), there));
        if let Some(since) = whole.get("lastTransitionTime").filter(|_| whole.get("status") == new.get("status")) {
            new.insert("lastTransitionTime".to_owned(), since.clone());
        }
        whole.retain(|name, _| !OF_CONDITION.contains(&name.as_str()));
        whole.extend(new);
        let condition = serde_json::from_value(whole.into()).expect("every condition can be read as one of the type");
        match index {
            Some(index) => self[index] = condition,
            None => self.push(condition),
        }
    }

    fn holds(&self, type_: &str) -> bool {
        let is = |condition: &Map<String, Value>, field: &str, text: &str| condition.get(field) == Some(&text.into());
        self.iter().map(fields).any(|condition| is(&condition, "type", type_) && is(&condition, "status", "True"))
    }
}

impl<C: IsCondition> Conditions for Option<Vec<C>> {
    fn put(&mut self, condition: Condition) {
        self.get_or_insert_default().put(condition);
    }

    fn holds(&self, type_: &str) -> bool {
        self.as_ref().is_some_and(|conditions| conditions.holds(type_))
    }
}

// What is not there is as good as null.
fn fields(condition: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(condition) {
        Ok(Value::Object(mut fields)) => {
            fields.retain(|_, value| !value.is_null());
            fields
        }
        _ => Map::new(),
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

    /// As a file might have it.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Own {
        r#type: String,
        status: Status,
        reason: Option<String>,
        severity: Option<String>,
    }

    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    enum Status {
        True,
        False,
        Unknown,
    }

    impl IsCondition for Own {}

    #[test]
    fn a_condition_may_be_of_another_type_and_have_more() {
        let own = |status: Status, reason: &str, severity: Option<&str>| Own {
            r#type: "Ready".to_owned(),
            status,
            reason: Some(reason.to_owned()),
            severity: severity.map(str::to_owned),
        };
        let condition = |status: &str, reason: &str| -> Condition {
            let at = "2026-01-01T00:00:00Z";
            let condition =
                json!({"type": "Ready", "status": status, "reason": reason, "message": "", "lastTransitionTime": at});
            serde_json::from_value(condition).unwrap()
        };
        let mut conditions: Option<Vec<Own>> = None;
        conditions.put(condition("Unknown", "Waiting"));
        assert_eq!(conditions, Some(vec![own(Status::Unknown, "Waiting", None)]));
        conditions.as_mut().unwrap()[0].severity = Some("high".to_owned());
        conditions.put(condition("True", "Running"));
        assert_eq!(conditions, Some(vec![own(Status::True, "Running", Some("high"))]));
        assert!(conditions.holds("Ready") && !conditions.holds("Synced"));
    }
}
