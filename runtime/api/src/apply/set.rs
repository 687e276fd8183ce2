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

    /// As [`FieldSet::of`], of a whole object without what nobody owns.
    pub(super) fn of_object(object: &Map<String, Value>, schema: &Schema) -> Self {
        Difference::of_objects(&Map::new(), object, schema).changed
    }

    /// Whether any path of this set is in the FieldsV1 form `json`.
    pub(super) fn overlaps(&self, json: &Value) -> bool {
        let Some(map) = json.as_object() else { return false };
        if self.member && (map.is_empty() || map.contains_key(".")) {
            return true;
        }
        self.children.iter().any(|(step, child)| {
            let below = match step {
                Step::Field(name) => map.iter().find(|(key, _)| key.strip_prefix("f:") == Some(name)),
                // Others may write the keys of an item in another order or spacing.
                Step::Key(keys) => {
                    map.iter().find(|(key, _)| key.strip_prefix("k:").map(canonical).as_ref() == Some(keys))
                }
                Step::Item(item) => {
                    map.iter().find(|(key, _)| key.strip_prefix("v:").map(canonical).as_ref() == Some(item))
                }
            };
            below.is_some_and(|(_, below)| child.overlaps(below))
        })
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

/// What tells one value from another.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// The leaves that the new one has and the old one has not, or has with another value.
    pub(super) changed: FieldSet,
    /// The leaves and items that only the old one has.
    pub(super) removed: FieldSet,
}

/// What nobody owns: the identity, and what the system fills. Of `metadata`, only the fields below.
const UNOWNED: [&str; 3] = ["apiVersion", "kind", "metadata"];
const UNOWNED_METADATA: [&str; 11] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "selfLink",
    "managedFields",
    "generateName",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

impl Difference {
    /// From one whole object to another, without what nobody owns.
    pub(super) fn of_objects(old: &Map<String, Value>, new: &Map<String, Value>, schema: &Schema) -> Self {
        let (mut found, mut metadata) = (Self::default(), Self::default());
        found.fields(old, new, schema, |name| !UNOWNED.contains(&name));
        let empty = Map::new();
        let [old, new] = [old, new].map(|map| map.get("metadata").and_then(Value::as_object).unwrap_or(&empty));
        let schema = field_schema(schema, "metadata");
        metadata.fields(old, new, schema, |name| !UNOWNED_METADATA.contains(&name));
        found.put(Step::Field("metadata".to_owned()), metadata);
        found
    }

    fn of(old: &Value, new: &Value, schema: &Schema) -> Self {
        let mut found = Self::default();
        if old == new {
            return found;
        }
        match (old, new) {
            (Value::Object(old), Value::Object(new)) if !schema.atomic_map && !old.is_empty() && !new.is_empty() => {
                found.fields(old, new, schema, |_| true);
            }
            (Value::Array(before), Value::Array(after)) if schema.list_type != ListType::Atomic => {
                found.items(keyed(before, schema), keyed(after, schema), schema, (old, new));
            }
            _ => found.whole(old, new, schema),
        }
        found
    }

    fn fields(
        &mut self,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        schema: &Schema,
        counts: impl Fn(&str) -> bool,
    ) {
        for (name, value) in new.iter().filter(|(name, _)| counts(name)) {
            let schema = field_schema(schema, name);
            match old.get(name) {
                Some(before) if before == value => {}
                Some(before) => self.put(Step::Field(name.clone()), Self::of(before, value, schema)),
                None => drop(self.changed.children.insert(Step::Field(name.clone()), FieldSet::of(value, schema))),
            }
        }
        for (name, value) in old.iter().filter(|(name, _)| counts(name) && !new.contains_key(*name)) {
            let gone = FieldSet::of(value, field_schema(schema, name));
            self.removed.children.insert(Step::Field(name.clone()), gone);
        }
    }

    fn items(
        &mut self,
        mut old: BTreeMap<Step, &Value>,
        new: BTreeMap<Step, &Value>,
        schema: &Schema,
        lists: (&Value, &Value),
    ) {
        if old.is_empty() || new.is_empty() {
            return self.whole(lists.0, lists.1, schema);
        }
        let schema: &Schema = schema.items.as_deref().unwrap_or(&ANY);
        let item = |step: &Step, value: &Value| {
            let mut set = FieldSet::of(value, schema);
            set.member |= matches!(step, Step::Key(_));
            set
        };
        for (step, value) in new {
            match old.remove(&step) {
                Some(before) => self.put(step, Self::of(before, value, schema)),
                None => {
                    let set = item(&step, value);
                    self.changed.children.insert(step, set);
                }
            }
        }
        for (step, value) in old {
            let set = item(&step, value);
            self.removed.children.insert(step, set);
        }
    }

    // Values that have no parts in common.
    fn whole(&mut self, old: &Value, new: &Value, schema: &Schema) {
        self.changed = FieldSet::of(new, schema);
        self.removed = FieldSet::of(old, schema).minus(&self.changed);
    }

    fn put(&mut self, step: Step, below: Self) {
        if !below.removed.is_empty() {
            self.removed.children.insert(step.clone(), below.removed);
        }
        if !below.changed.is_empty() {
            self.changed.children.insert(step, below.changed);
        }
    }
}

fn keyed<'a>(items: &'a [Value], schema: &Schema) -> BTreeMap<Step, &'a Value> {
    items.iter().filter_map(|item| Some((item_step(item, schema)?, item))).collect()
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
