//! Strategic merge: lists merge by the keys that the schema names.

use serde_json::{Map, Value};

use super::PatchError;
use crate::schema::Schema;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_ITEMS: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// Applies a strategic merge patch.
///
/// # Errors
/// When a directive is unknown, or an item lacks its list's merge key.
pub fn strategic(current: &Value, patch: &Value, schema: &Schema) -> Result<Value, PatchError> {
    match patch {
        Value::Object(patch) => {
            let current = current.as_object().cloned().unwrap_or_default();
            Ok(Value::Object(maps(current, patch, schema)?))
        }
        _ => Ok(patch.clone()),
    }
}

fn maps(
    mut current: Map<String, Value>,
    patch: &Map<String, Value>,
    schema: &Schema,
) -> Result<Map<String, Value>, PatchError> {
    match patch.get(DIRECTIVE).map(|directive| directive.as_str().unwrap_or_default()) {
        Some("replace") => {
            return Ok(patch
                .iter()
                .filter(|(name, _)| *name != DIRECTIVE)
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect());
        }
        Some("delete") => return Ok(Map::new()),
        None | Some("merge") => {}
        Some(other) => {
            return Err(malformed(format!(
                "unknown {DIRECTIVE} directive {other:?}; expected replace, delete or merge"
            )));
        }
    }
    if let Some(kept) = patch.get(RETAIN_KEYS) {
        let kept = kept.as_array().ok_or_else(bad_retain_keys)?;
        let keeps = |name: &str| kept.iter().any(|kept| kept == name);
        // What is set must be kept.
        if patch.iter().any(|(name, value)| !value.is_null() && !name.starts_with('$') && !keeps(name)) {
            return Err(bad_retain_keys());
        }
        current.retain(|name, _| keeps(name));
    }
    for (name, value) in patch.iter().filter(|(name, _)| !name.starts_with('$')) {
        let below = schema
            .properties
            .get(name.as_str())
            .or(schema.additional.as_ref())
            .map_or(&ANY as &Schema, |schema| schema);
        if value.is_null() {
            current.remove(name);
            continue;
        }
        let order = patch.get(&format!("{ORDER}{name}")).and_then(Value::as_array);
        let merged = match (current.get(name), value) {
            (Some(Value::Array(have)), Value::Array(items)) if below.patch.merge => {
                Value::Array(lists(have, items, order, below)?)
            }
            (None, Value::Array(items)) if below.patch.merge => Value::Array(lists(&[], items, order, below)?),
            (_, value) if below.patch.replace => value.clone(),
            (have, value) => strategic(have.unwrap_or(&Value::Null), value, below)?,
        };
        current.insert(name.clone(), merged);
    }
    for (directive, items) in patch {
        let Some(items) = items.as_array() else { continue };
        if let Some(name) = directive.strip_prefix(DELETE_ITEMS) {
            if let Some(list) = current.get_mut(name).and_then(Value::as_array_mut) {
                list.retain(|item| !items.contains(item));
            }
        } else if let Some(name) = directive.strip_prefix(ORDER)
            && !patch.contains_key(name)
            && let (Some(list), Some(schema)) =
                (current.get_mut(name).and_then(Value::as_array_mut), schema.properties.get(name))
        {
            let before = std::mem::take(list);
            *list = ordered(before.clone(), items, &before, schema);
        }
    }
    Ok(current)
}

static ANY: std::sync::LazyLock<Schema> = std::sync::LazyLock::new(Schema::default);

/// `before` with `patch` merged into it, in the order that `order` or else the patch asks for.
fn lists(
    before: &[Value],
    patch: &[Value],
    order: Option<&Vec<Value>>,
    schema: &Schema,
) -> Result<Vec<Value>, PatchError> {
    let mut current = before.to_vec();
    let order = order.map_or(patch, Vec::as_slice);
    let Some(key) = schema.patch.merge_key.as_deref() else {
        for item in patch {
            if !current.contains(item) {
                current.push(item.clone());
            }
        }
        return Ok(ordered(current, order, before, schema));
    };
    if patch.iter().any(|item| item[DIRECTIVE] == "replace") {
        return Ok(patch.iter().filter(|item| item.get(DIRECTIVE).is_none()).cloned().collect());
    }
    let item_schema: &Schema = schema.items.as_deref().unwrap_or(&ANY);
    for item in patch {
        let id = item
            .get(key)
            .filter(|id| !id.is_null())
            .ok_or_else(|| malformed(format!("map: {item} does not contain declared merge key: {key}")))?;
        let at = current.iter().position(|have| have.get(key) == Some(id));
        match (at, item[DIRECTIVE].as_str()) {
            (_, Some("delete")) => current.retain(|have| have.get(key) != Some(id)),
            (Some(at), _) => current[at] = strategic(&current[at], item, item_schema)?,
            (None, _) => current.push(strategic(&Value::Null, item, item_schema)?),
        }
    }
    Ok(ordered(current, order, before, schema))
}

/// Items that `order` names stand in that order, the others as they stood `before`. Of the two, an item that was in
/// front of the other stays there; one that is new comes first.
fn ordered(list: Vec<Value>, order: &[Value], before: &[Value], schema: &Schema) -> Vec<Value> {
    let key = schema.patch.merge_key.as_deref();
    let place = |list: &[Value], item: &Value| {
        let same = |other: &Value| match key {
            Some(key) => other.get(key) == item.get(key),
            None => other == item,
        };
        list.iter().position(same)
    };
    let (mut named, mut others): (Vec<_>, Vec<_>) = list.into_iter().partition(|item| place(order, item).is_some());
    named.sort_by_key(|item| place(order, item));
    others.sort_by_key(|item| place(before, item));
    let mut others = others.into_iter().peekable();
    let mut merged = Vec::new();
    for item in named {
        let was = place(before, &item);
        while let Some(other) = others.next_if(|other| was.is_some() && place(before, other) < was) {
            merged.push(other);
        }
        merged.push(item);
    }
    merged.extend(others);
    merged
}

fn bad_retain_keys() -> PatchError {
    malformed("invalid patch format of retainKeys directive".to_owned())
}

fn malformed(text: String) -> PatchError {
    PatchError::Malformed(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patches_merge_as_upstream_documents() {
        let schema = crate::schema::of("io.k8s.api.core.v1.Pod");
        let check = |current: Value, patch: Value, expected: Value| {
            let spec = |value: Value| json!({"spec": value});
            assert_eq!(strategic(&spec(current), &spec(patch), &schema).unwrap(), spec(expected));
        };
        let ab = json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]});
        check(
            ab.clone(),
            json!({"containers": [{"name": "b", "image": "3"}]}),
            json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "3"}]}),
        );
        check(
            ab.clone(),
            json!({"containers": [{"name": "a", "$patch": "delete"}]}),
            json!({"containers": [{"name": "b", "image": "2"}]}),
        );
        check(
            ab.clone(),
            json!({"containers": [{"name": "c"}, {"$patch": "replace"}]}),
            json!({"containers": [{"name": "c"}]}),
        );
        check(
            ab,
            json!({"$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}], "containers": [{"name": "c"}]}),
            json!({"containers": [{"name": "c"}, {"name": "b", "image": "2"}, {"name": "a", "image": "1"}]}),
        );
        let names =
            |names: &[&str]| json!({"containers": names.iter().map(|n| json!({"name": n})).collect::<Vec<_>>()});
        check(names(&["a", "b"]), names(&["c"]), names(&["c", "a", "b"]));
        check(names(&["a", "b", "c", "d"]), names(&["c", "b"]), names(&["a", "c", "b", "d"]));
        check(names(&["a", "b", "c"]), names(&["c", "e", "b"]), names(&["a", "c", "e", "b"]));
        check(
            names(&["a", "other", "b"]),
            json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}),
            names(&["other", "b", "a"]),
        );
        check(
            json!({"nodeSelector": {"a": "1", "b": "2"}}),
            json!({"nodeSelector": {"a": null, "c": "3"}}),
            json!({"nodeSelector": {"b": "2", "c": "3"}}),
        );
        check(
            json!({"tolerations": [{"key": "a"}]}),
            json!({"tolerations": [{"key": "b"}]}),
            json!({"tolerations": [{"key": "b"}]}),
        );
    }

    #[test]
    fn what_is_one_of_several_things_becomes_another() {
        let deployment = crate::schema::of("io.k8s.api.apps.v1.Deployment");
        let current =
            json!({"spec": {"replicas": 1, "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
        let patch = |strategy: Value| strategic(&current, &json!({"spec": {"strategy": strategy}}), &deployment);
        let made = patch(json!({"$retainKeys": ["type"], "type": "Recreate"})).unwrap();
        assert_eq!(made, json!({"spec": {"replicas": 1, "strategy": {"type": "Recreate"}}}));
        // What goes need not stay.
        let made = patch(json!({"$retainKeys": ["type"], "type": "Recreate", "rollingUpdate": null})).unwrap();
        assert_eq!(made["spec"]["strategy"], json!({"type": "Recreate"}));
        for bad in [json!({"$retainKeys": ["type"], "rollingUpdate": {}}), json!({"$retainKeys": "type"})] {
            let refused = patch(bad).unwrap_err().to_string();
            assert!(refused.contains("invalid patch format of retainKeys directive"), "{refused}");
        }
        let pod = crate::schema::of("io.k8s.api.core.v1.Pod");
        let current = json!({"spec": {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}]}});
        let patch = json!({"spec": {"volumes": [{"$retainKeys": ["name", "secret"], "name": "a", "secret": {"secretName": "s"}}]}});
        let made = strategic(&current, &patch, &pod).unwrap();
        let expected = json!([{"name": "a", "secret": {"secretName": "s"}}, {"name": "b", "emptyDir": {}}]);
        assert_eq!(made["spec"]["volumes"], expected);
    }

    #[test]
    fn a_budget_s_selector_is_replaced() {
        let budget = crate::schema::of("io.k8s.api.policy.v1.PodDisruptionBudget");
        let selector = |labels: Value| json!({"spec": {"selector": {"matchLabels": labels}}});
        let made = strategic(&selector(json!({"a": "1"})), &selector(json!({"b": "2"})), &budget).unwrap();
        assert_eq!(made, selector(json!({"b": "2"})));
    }

    #[test]
    fn plain_values_are_added_and_deleted() {
        let schema = crate::schema::of("io.k8s.api.core.v1.Pod");
        let current = json!({"metadata": {"finalizers": ["a", "b"]}});
        let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}});
        assert_eq!(strategic(&current, &patch, &schema).unwrap(), json!({"metadata": {"finalizers": ["c", "b"]}}));
    }
}
