//! Strategic merge as `kubectl apply` uses it: a patch made of what was applied last, what is applied now and what is
//! live, against what the three should come to.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::strategic;
use crate::schema::Schema;

type Fields = Map<String, Value>;

fn empty() -> Value {
    json!({})
}

fn fields(value: &Value) -> Fields {
    value.as_object().cloned().unwrap_or_default()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn below<'a>(schema: &'a Schema, name: &str) -> &'a Schema {
    schema.properties.get(name).or(schema.additional.as_ref()).unwrap()
}

fn of<'a>(list: &'a [Value], key: &str, item: &Value) -> Option<&'a Value> {
    list.iter().find(|other| other[key] == item[key])
}

/// What is to be, said without any patch: what is applied over what is live, without what was applied last and is not
/// any more.
fn expected(last: &Value, now: &Value, live: &Value, schema: &Schema, retains: bool) -> Value {
    let (now, last) = (fields(now), fields(last));
    let mut result = fields(live);
    result.retain(|name, _| now.contains_key(name) || !(last.contains_key(name) || retains));
    for (name, value) in &now {
        let schema = below(schema, name);
        let (last, live) = (last.get(name).unwrap_or(&Value::Null), result.get(name).unwrap_or(&Value::Null));
        let value = match value {
            Value::Object(_) => expected(last, value, live, schema, schema.patch.retain_keys),
            Value::Array(list) if schema.patch.merge => match schema.patch.merge_key.as_deref() {
                Some(key) => {
                    let (retains, schema) = (schema.patch.retain_keys, schema.items.as_deref().unwrap());
                    let none = empty();
                    let merged = |item: &Value| {
                        let [last, live] = [last, live].map(|list| of(items(list), key, item).unwrap_or(&none));
                        expected(last, item, live, schema, retains)
                    };
                    let others = items(live).iter();
                    let others =
                        others.filter(|item| of(list, key, item).is_none() && of(items(last), key, item).is_none());
                    list.iter().map(merged).chain(others.cloned()).collect()
                }
                None => {
                    let others = items(live).iter();
                    let others = others.filter(|item| !list.contains(item) && !items(last).contains(item));
                    list.iter().chain(others).cloned().collect()
                }
            },
            other => other.clone(),
        };
        result.insert(name.clone(), value);
    }
    Value::Object(result)
}

/// The patch that kubectl sends: what is new or other than live, and what goes.
fn patch(last: &Value, now: &Value, live: &Value, schema: &Schema, retains: bool) -> Value {
    let (now, last, live) = (fields(now), fields(last), fields(live));
    let mut patch = Fields::new();
    for name in last.keys().filter(|name| !now.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in &now {
        let schema = below(schema, name);
        let none = Value::Null;
        let (last, live) = (last.get(name).unwrap_or(&none), live.get(name).unwrap_or(&none));
        match value {
            Value::Object(_) => {
                let patched = self::patch(last, value, live, schema, schema.patch.retain_keys);
                if patched != empty() || live.is_null() {
                    patch.insert(name.clone(), patched);
                }
            }
            Value::Array(list) if schema.patch.merge => {
                let key = schema.patch.merge_key.as_deref();
                let changes = match key {
                    Some(key) => keyed(key, [items(last), list, items(live)], schema),
                    None => list.iter().filter(|item| !items(live).contains(item)).cloned().collect(),
                };
                if key.is_none() {
                    let gone = items(last).iter().filter(|item| !list.contains(item));
                    let gone: Vec<_> = gone.cloned().collect();
                    if !gone.is_empty() {
                        patch.insert(format!("$deleteFromPrimitiveList/{name}"), gone.into());
                    }
                }
                let order = list.iter().map(|item| key.map_or_else(|| item.clone(), |key| json!({key: item[key]})));
                patch.insert(format!("$setElementOrder/{name}"), order.collect());
                if !changes.is_empty() {
                    patch.insert(name.clone(), changes.into());
                }
            }
            value if value != live => drop(patch.insert(name.clone(), value.clone())),
            _ => {}
        }
    }
    if retains {
        patch.insert("$retainKeys".to_owned(), now.keys().cloned().collect());
    }
    Value::Object(patch)
}

fn keyed(key: &str, [last, now, live]: [&[Value]; 3], list: &Schema) -> Vec<Value> {
    let (retains, schema) = (list.patch.retain_keys, list.items.as_deref().unwrap());
    let none = empty();
    let mut changes = Vec::new();
    for item in now {
        let [last, live] = [last, live].map(|list| of(list, key, item).unwrap_or(&none));
        let mut patched = patch(last, item, live, schema, retains);
        if patched != none {
            patched[key] = item[key].clone();
            changes.push(patched);
        }
    }
    let gone = last.iter().filter(|item| of(now, key, item).is_none());
    changes.extend(gone.map(|item| json!({key: item[key], "$patch": "delete"})));
    changes
}

/// Without what is empty, and merged lists of plain values and of items as sets: their order is looked at by itself.
fn plain(value: &Value, schema: &Schema) -> Value {
    match value {
        Value::Object(map) => {
            let fields = map.iter().map(|(name, value)| (name.clone(), plain(value, below(schema, name))));
            fields.filter(|(_, value)| *value != empty() && *value != json!([])).collect()
        }
        Value::Array(list) if schema.patch.merge => {
            let items = list.iter().map(|item| match item {
                Value::Object(_) => plain(item, schema.items.as_deref().unwrap()),
                item => item.clone(),
            });
            let items: BTreeMap<String, Value> = items.map(|item| (item.to_string(), item)).collect();
            items.into_values().collect()
        }
        other => other.clone(),
    }
}

/// Everywhere, what is applied stands in the order in which it is applied.
fn check_order(result: &Value, now: &Value, schema: &Schema) -> Result<(), TestCaseError> {
    for (name, value) in fields(now) {
        let (result, schema) = (&result[&name], below(schema, &name));
        match &value {
            Value::Object(_) => check_order(result, &value, schema)?,
            Value::Array(list) if schema.patch.merge => {
                let identity = |item: &Value| schema.patch.merge_key.as_deref().map_or(item, |key| &item[key]).clone();
                let wanted: Vec<Value> = list.iter().map(identity).collect();
                let found: Vec<_> = items(result).iter().map(identity).filter(|item| wanted.contains(item)).collect();
                prop_assert_eq!(found, wanted, "{}", name);
            }
            _ => {}
        }
    }
    Ok(())
}

/// A pod with some of what merges in one way or another.
fn pod() -> impl Strategy<Value = Value> {
    use prop::collection::{btree_map, btree_set, vec};
    let word = || prop::sample::select(&["x", "y", "z"][..]);
    let map = || btree_map(word(), word(), 0..3).prop_map(|map| json!(map));
    let variables = (btree_map(word(), word(), 0..3), any::<bool>()).prop_map(|(variables, reversed)| {
        let mut list: Vec<Value> = variables.iter().map(|(k, v)| json!({"name": k, "value": v})).collect();
        if reversed {
            list.reverse();
        }
        Value::from(list)
    });
    let ports = btree_set(80..83, 0..3)
        .prop_map(|ports| ports.iter().map(|port| json!({"containerPort": port})).collect::<Vec<_>>())
        .prop_shuffle();
    let container = (word(), prop::option::of(variables), prop::option::of(ports), vec(word(), 0..2));
    let containers = btree_map(prop::sample::select(&["a", "b", "c", "d"][..]), container, 1..4)
        .prop_map(|containers| {
            type Parts = (&'static str, Option<Value>, Option<Vec<Value>>, Vec<&'static str>);
            let container = |(name, (image, env, ports, args)): (&str, Parts)| {
                let mut made = json!({"name": name, "image": image, "args": args});
                for (name, value) in [("env", env), ("ports", ports.map(Value::from))] {
                    if let Some(value) = value {
                        made[name] = value;
                    }
                }
                made
            };
            containers.into_iter().map(container).collect::<Vec<_>>()
        })
        .prop_shuffle();
    let volume = prop::sample::select(&[("emptyDir", "medium"), ("hostPath", "path"), ("secret", "secretName")][..]);
    let volumes = btree_map(word(), (volume, word()), 0..3).prop_map(|volumes| {
        let volume = |(name, ((source, field), value)): (&str, ((&str, &str), &str))| json!({"name": name, source: {field: value}});
        volumes.into_iter().map(volume).collect::<Vec<_>>()
    });
    let finalizers = btree_set(word(), 0..3).prop_map(|set| set.into_iter().collect::<Vec<_>>()).prop_shuffle();
    let tolerations = vec(word(), 0..2).prop_map(|keys| keys.iter().map(|key| json!({"key": key})).collect::<Vec<_>>());
    (map(), map(), containers, volumes, finalizers, tolerations, prop::option::of(word())).prop_map(
        |(labels, selector, containers, volumes, finalizers, tolerations, account)| {
            let mut spec = json!({"containers": containers, "volumes": volumes, "tolerations": tolerations,
                "nodeSelector": selector});
            if let Some(account) = account {
                spec["serviceAccountName"] = account.into();
            }
            // What is empty is left out, as manifests do.
            spec.as_object_mut().unwrap().retain(|_, value| *value != json!([]) && *value != empty());
            let mut metadata = json!({"labels": labels, "finalizers": finalizers});
            metadata.as_object_mut().unwrap().retain(|_, value| *value != json!([]) && *value != empty());
            json!({"metadata": metadata, "spec": spec})
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_patch_of_three_objects_does_what_kubectl_apply_means(last in pod(), now in pod(), live in pod()) {
        let schema = crate::schema::of("io.k8s.api.core.v1.Pod");
        let patch = patch(&last, &now, &live, &schema, false);
        let result = strategic(&live, &patch, &schema).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let expected = expected(&last, &now, &live, &schema, false);
        prop_assert_eq!(plain(&result, &schema), plain(&expected, &schema), "{}", patch);
        check_order(&result, &now, &schema)?;
        let twice = strategic(&result, &patch, &schema);
        prop_assert_eq!(twice.as_ref(), Ok(&result), "twice: {}", patch);
        // What is live and as it is applied needs no patch but for its order.
        let again = self::patch(&now, &now, &result, &schema, false);
        let once_more = strategic(&result, &again, &schema);
        prop_assert_eq!(once_more.as_ref(), Ok(&result), "once more: {}", again);
    }
}
