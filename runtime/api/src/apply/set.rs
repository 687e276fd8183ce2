//! Sets of field paths, as `managedFields` writes them (FieldsV1, KEP-555).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::schema::{ListType, Schema, Type};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A field of a map: `f:name`.
    Field(String),
    /// The item of a list with these keys, as canonical JSON: `k:{"name":"a"}`.
    Key(String),
    /// The item of a set, as JSON: `v:1`.
    Item(String),
}

/// A set of paths. A node may be in the set itself, have children in it, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    pub(super) member: bool,
    pub(super) children: BTreeMap<Step, FieldSet>,
}

impl FieldSet {
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// The fields that `value` sets: its leaves, and the items of its keyed lists.
    pub(super) fn of(value: &Value, schema: &Schema) -> Self {
        let mut set = Self::default();
        for (step, child, schema) in parts(value, schema) {
            let mut below = Self::of(child, schema);
            below.member |= matches!(step, Step::Key(_));
            set.children.insert(step, below);
        }
        set.member = set.children.is_empty();
        set
    }

    /// What is in this set and not in `other`.
    pub(super) fn minus(&self, other: &Self) -> Self {
        let mut left = Self { member: self.member && !other.member, children: BTreeMap::new() };
        for (step, child) in &self.children {
            let rest = other.children.get(step).map_or_else(|| child.clone(), |theirs| child.minus(theirs));
            if !rest.is_empty() {
                left.children.insert(step.clone(), rest);
            }
        }
        left
    }

    /// What is in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = Self { member: self.member && other.member, children: BTreeMap::new() };
        for (step, child) in &self.children {
            if let Some(common) = other.children.get(step).map(|theirs| child.and(theirs)).filter(|c| !c.is_empty()) {
                both.children.insert(step.clone(), common);
            }
        }
        both
    }

    /// What is in either.
    pub(super) fn or(&mut self, other: &Self) {
        self.member |= other.member;
        for (step, child) in &other.children {
            self.children.entry(step.clone()).or_default().or(child);
        }
    }

    /// The leaves of `new` that are not in `old` or differ there.
    pub(super) fn changed(old: Option<&Value>, new: &Value, schema: &Schema) -> Self {
        let Some(old) = old else { return Self::of(new, schema) };
        if old == new {
            return Self::default();
        }
        let mut set = Self::default();
        let new_parts = parts(new, schema);
        if new_parts.is_empty() {
            set.member = true;
            return set;
        }
        let old_parts: BTreeMap<Step, &Value> = parts(old, schema).into_iter().map(|(step, v, _)| (step, v)).collect();
        for (step, value, schema) in new_parts {
            let before = old_parts.get(&step).copied();
            let mut below = Self::changed(before, value, schema);
            below.member |= before.is_none() && matches!(step, Step::Key(_));
            if !below.is_empty() {
                set.children.insert(step, below);
            }
        }
        set
    }

    /// Removes from `value` every path of this set.
    pub(super) fn remove_from(&self, value: &mut Value, schema: &Schema) {
        match value {
            Value::Object(map) => {
                for (step, child) in &self.children {
                    let Step::Field(name) = step else { continue };
                    let Some(below) = map.get_mut(name) else { continue };
                    child.remove_from(below, field_schema(schema, name));
                    let emptied =
                        below.as_object().is_some_and(Map::is_empty) || below.as_array().is_some_and(Vec::is_empty);
                    if child.member || (emptied && !child.children.is_empty()) {
                        map.remove(name);
                    }
                }
            }
            Value::Array(items) => {
                let item_schema = schema.items.as_deref().unwrap_or(&ANY);
                items.retain_mut(|item| {
                    let Some(child) = item_step(item, schema).and_then(|step| self.children.get(&step)) else {
                        return true;
                    };
                    if child.member {
                        return false;
                    }
                    child.remove_from(item, item_schema);
                    true
                });
            }
            _ => {}
        }
    }

    /// Every path, as upstream prints it in a conflict: `.spec.containers[name="a"].image`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, prefix: &str, paths: &mut Vec<String>) {
        if self.member {
            paths.push(prefix.to_owned());
        }
        for (step, child) in &self.children {
            let step = match step {
                Step::Field(name) => format!(".{name}"),
                Step::Item(item) => format!("[={item}]"),
                Step::Key(keys) => {
                    let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                    format!("[{}]", keys.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(","))
                }
            };
            child.collect(&format!("{prefix}{step}"), paths);
        }
    }

    /// The FieldsV1 form.
    pub(super) fn to_json(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (step, child) in &self.children {
            let key = match step {
                Step::Field(name) => format!("f:{name}"),
                Step::Key(keys) => format!("k:{keys}"),
                Step::Item(item) => format!("v:{item}"),
            };
            map.insert(key, child.to_json());
        }
        Value::Object(map)
    }

    /// Reads the FieldsV1 form; what is none of it is passed over.
    pub(super) fn from_json(json: &Value) -> Self {
        let mut set = Self::default();
        for (key, value) in json.as_object().into_iter().flatten() {
            let step = match key.split_at_checked(2) {
                Some(("f:", name)) => Step::Field(name.to_owned()),
                Some(("k:", keys)) => Step::Key(canonical(keys)),
                Some(("v:", item)) => Step::Item(canonical(item)),
                _ => {
                    set.member |= key == ".";
                    continue;
                }
            };
            set.children.insert(step, Self::from_json(value));
        }
        set.member |= set.children.is_empty();
        set
    }
}

static ANY: std::sync::LazyLock<Schema> = std::sync::LazyLock::new(Schema::default);

fn canonical(json: &str) -> String {
    serde_json::from_str::<Value>(json).map_or_else(|_| json.to_owned(), |value| value.to_string())
}

pub(super) fn field_schema<'a>(schema: &'a Schema, name: &str) -> &'a Schema {
    schema.properties.get(name).or(schema.additional.as_ref()).map_or(&ANY, |schema| schema)
}

/// What a value consists of; nothing for a scalar and for what is taken as one value.
fn parts<'a>(value: &'a Value, schema: &'a Schema) -> Vec<(Step, &'a Value, &'a Schema)> {
    match value {
        Value::Object(map) if !schema.atomic_map => {
            let part =
                |(name, value): (&'a String, &'a Value)| (Step::Field(name.clone()), value, field_schema(schema, name));
            map.iter().map(part).collect()
        }
        Value::Array(items) if schema.list_type != ListType::Atomic => {
            let item_schema: &Schema = schema.items.as_deref().unwrap_or(&ANY);
            items.iter().filter_map(|item| Some((item_step(item, schema)?, item, item_schema))).collect()
        }
        _ => Vec::new(),
    }
}

/// What tells an item of a list from its neighbours.
pub(super) fn item_step(item: &Value, list: &Schema) -> Option<Step> {
    match &list.list_type {
        ListType::Atomic => None,
        ListType::Set => Some(Step::Item(item.to_string())),
        ListType::Map(keys) => {
            let item_schema: &Schema = list.items.as_deref().unwrap_or(&ANY);
            let mut found = Map::new();
            for key in keys {
                // The one key with a default among the built-in types.
                let default = || (key == "protocol").then(|| Value::from("TCP"));
                let value = item
                    .get(&**key)
                    .cloned()
                    .or_else(|| field_schema(item_schema, key).default.clone())
                    .or_else(default);
                found.extend(value.map(|value| (key.to_string(), value)));
            }
            (!found.is_empty()).then(|| Step::Key(Value::Object(found).to_string()))
        }
    }
}

/// `live` with what `applied` sets put over it.
pub(super) fn merged(live: &Value, applied: &Value, schema: &Schema) -> Value {
    match (live, applied) {
        (Value::Object(live), Value::Object(applied)) if !schema.atomic_map => {
            let mut result = live.clone();
            for (name, value) in applied {
                let below = match live.get(name) {
                    Some(before) => merged(before, value, field_schema(schema, name)),
                    None => value.clone(),
                };
                result.insert(name.clone(), below);
            }
            Value::Object(result)
        }
        (Value::Array(live), Value::Array(applied))
            if schema.type_ == Type::Array && schema.list_type != ListType::Atomic =>
        {
            Value::Array(merged_items(live, applied, schema))
        }
        _ => applied.clone(),
    }
}

// Items that are there keep their place; new ones follow in the order they were applied.
fn merged_items(live: &[Value], applied: &[Value], schema: &Schema) -> Vec<Value> {
    let item_schema: &Schema = schema.items.as_deref().unwrap_or(&ANY);
    let mut items = live.to_vec();
    for item in applied {
        let step = item_step(item, schema);
        match items.iter_mut().find(|have| step.is_some() && item_step(have, schema) == step) {
            Some(have) => *have = merged(have, item, item_schema),
            None => items.push(item.clone()),
        }
    }
    items
}
