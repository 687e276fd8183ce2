//! Sets of field paths, as `managedFields` writes them (FieldsV1, KEP-555).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::schema::{ListType, Schema, Type};

/// The paths below one, by their next step as FieldsV1 writes it: `f:name` is a field of a map,
/// `k:{"name":"a"}` the item of a list with these keys, `v:1` the item of a set. A path that is in the
/// set itself has nothing below it, or `.` beside what it has.
type Node = Map<String, Value>;

const SELF: &str = ".";

/// A set of paths in its wire form, so that the owners of a write's other fields are read by nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet(Option<Node>);

impl FieldSet {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The fields that `object` sets, without what nobody owns: its leaves, and the items of its keyed lists.
    pub(super) fn of_object(object: &Node, schema: &Schema) -> Self {
        let set = |map: &Node, schema: &Schema, counts: fn(&str) -> bool| -> Node {
            let counted = map.iter().filter(|(name, _)| counts(name));
            counted
                .map(|(name, value)| (field_step(name), leaves(value, field_schema(schema, name), Of::Parts).into()))
                .collect()
        };
        let mut node = set(object, schema, is_owned);
        if let Some(metadata) = object.get(METADATA).and_then(Value::as_object) {
            let below = set(metadata, field_schema(schema, METADATA), is_owned_metadata);
            node.extend((!below.is_empty()).then(|| (field_step(METADATA), below.into())));
        }
        Self(Some(node).filter(|node| !node.is_empty()))
    }

    /// The one path of these fields.
    pub(super) fn at(path: &[&str]) -> Self {
        let node =
            path.iter().rev().fold(Node::new(), |below, name| [(field_step(name), below.into())].into_iter().collect());
        Self(Some(node))
    }

    /// The field `name` of `object`, with all that is in it.
    pub(super) fn of_part(object: &Node, name: &str, schema: &Schema) -> Self {
        let below = |value| leaves(value, field_schema(schema, name), Of::Whole);
        Self(object.get(name).map(|value| [(field_step(name), below(value).into())].into_iter().collect()))
    }

    /// What is in this set and not in `other`.
    pub(super) fn minus(&self, other: &Self) -> Self {
        match (&self.0, &other.0) {
            (Some(node), Some(other)) => Self(minus(node, other)),
            _ => self.clone(),
        }
    }

    /// What is in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self(self.0.as_ref().zip(other.0.as_ref()).and_then(|(node, other)| and(node, other)))
    }

    /// What is in either.
    pub(super) fn or(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (Some(node), Some(other)) => or(node, other),
            (_, None) => {}
            (none, some) => none.clone_from(some),
        }
    }

    /// Whether any path of this set is in the FieldsV1 form `json`.
    pub(super) fn overlaps(&self, json: &Value) -> bool {
        self.0.as_ref().zip(json.as_object()).is_some_and(|(node, other)| overlaps(node, other))
    }

    /// Removes from `value` every path of this set.
    pub(super) fn remove_from(&self, value: &mut Value, schema: &Schema) {
        if let Some(node) = &self.0 {
            remove(node, value, schema);
        }
    }

    /// Every path, as upstream prints it in a conflict: `.spec.containers[name="a"].image`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        if let Some(node) = &self.0 {
            collect(node, "", &mut paths);
        }
        paths
    }

    fn add(&mut self, step: String, below: Node) {
        self.0.get_or_insert_default().insert(step, below.into());
    }

    /// The FieldsV1 form.
    pub(super) fn into_json(self) -> Value {
        self.0.unwrap_or_default().into()
    }

    /// Reads the FieldsV1 form; what is none of it is passed over.
    pub(super) fn from_json(json: Value) -> Self {
        Self(Some(canonical_node(json)).filter(|node| !node.is_empty()))
    }
}

fn is_in_set(node: &Node) -> bool {
    node.is_empty() || node.contains_key(SELF)
}

/// The steps that go on.
fn steps(node: &Node) -> impl Iterator<Item = (&String, &Node)> {
    node.iter().filter(|(step, _)| *step != SELF).filter_map(|(step, below)| Some((step, below.as_object()?)))
}

/// The node with `below`, which itself is in the set or not; nothing if neither holds anything.
fn joined(is_in_set: bool, mut below: Node) -> Option<Node> {
    if is_in_set {
        include_self(&mut below);
    }
    (is_in_set || !below.is_empty()).then_some(below)
}

fn below<'a>(node: &'a Node, step: &str) -> Option<&'a Node> {
    node.get(step)?.as_object()
}

/// What is told of a map or list that has something in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// What is in it. Whoever applies it owns no more.
    Parts,
    /// Besides, itself. Whoever puts it there by an update owns it, too.
    Whole,
}

/// What `value` sets.
fn leaves(value: &Value, schema: &Schema, of: Of) -> Node {
    let mut node = Node::new();
    match value {
        Value::Object(map) if !schema.atomic_map => {
            for (name, value) in map {
                node.insert(field_step(name), leaves(value, field_schema(schema, name), of).into());
            }
        }
        Value::Array(items) if schema.list_type != ListType::Atomic => {
            let item_schema = schema.items.as_deref().unwrap_or(&ANY);
            for item in items {
                let Some(step) = item_step(item, schema) else { continue };
                let mut below = leaves(item, item_schema, of);
                // One with keys is owned besides what is in it.
                if step.starts_with(KEY) {
                    include_self(&mut below);
                }
                node.insert(step, below.into());
            }
        }
        _ => {}
    }
    if of == Of::Whole {
        include_self(&mut node);
    }
    node
}

fn include_self(node: &mut Node) {
    if !node.is_empty() {
        node.insert(SELF.to_owned(), Node::new().into());
    }
}

fn minus(from: &Node, other: &Node) -> Option<Node> {
    let rest = |(step, child): (&String, &Node)| {
        let rest = below(other, step).map_or_else(|| Some(child.clone()), |other| minus(child, other));
        Some((step.clone(), rest?.into()))
    };
    joined(is_in_set(from) && !is_in_set(other), steps(from).filter_map(rest).collect())
}

fn and(one: &Node, other: &Node) -> Option<Node> {
    let common = |(step, child)| Some((String::clone(step), and(child, below(other, step)?)?.into()));
    joined(is_in_set(one) && is_in_set(other), steps(one).filter_map(common).collect())
}

fn or(into: &mut Node, other: &Node) {
    let was_in_set = is_in_set(into) || is_in_set(other);
    for (step, child) in steps(other) {
        match into.get_mut(step).and_then(Value::as_object_mut) {
            Some(known) => or(known, child),
            None => drop(into.insert(step.clone(), child.clone().into())),
        }
    }
    if was_in_set {
        include_self(into);
    }
}

fn overlaps(node: &Node, json: &Node) -> bool {
    if is_in_set(node) && is_in_set(json) {
        return true;
    }
    steps(node).any(|(step, child)| {
        // Others may write the keys of an item in another order or spacing.
        let foreign = || json.iter().find(|(key, _)| !key.starts_with(FIELD) && canonical(key) == *step);
        let found = json.get(step).or_else(|| (!step.starts_with(FIELD)).then(foreign)?.map(|(_, below)| below));
        found.and_then(Value::as_object).is_some_and(|found| overlaps(child, found))
    })
}

fn remove(node: &Node, value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(map) => {
            for (step, child) in steps(node) {
                let Some(name) = step.strip_prefix(FIELD) else { continue };
                let Some(below) = map.get_mut(name) else { continue };
                remove(child, below, field_schema(schema, name));
                let emptied =
                    below.as_object().is_some_and(Map::is_empty) || below.as_array().is_some_and(Vec::is_empty);
                if is_in_set(child) || emptied {
                    map.remove(name);
                }
            }
        }
        Value::Array(items) => {
            let item_schema = schema.items.as_deref().unwrap_or(&ANY);
            items.retain_mut(|item| {
                let step = item_step(item, schema);
                let Some(child) = step.and_then(|step| below(node, &step)) else { return true };
                if is_in_set(child) {
                    return false;
                }
                remove(child, item, item_schema);
                true
            });
        }
        _ => {}
    }
}

fn collect(node: &Node, prefix: &str, paths: &mut Vec<String>) {
    if is_in_set(node) {
        paths.push(prefix.to_owned());
    }
    for (step, child) in steps(node) {
        let Some(step) = shown(step) else { continue };
        collect(child, &format!("{prefix}{step}"), paths);
    }
}

/// A step as upstream prints it.
fn shown(step: &str) -> Option<String> {
    Some(match step.split_at_checked(FIELD.len())? {
        (FIELD, name) => format!(".{name}"),
        (KEY, keys) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            format!("[{}]", keys.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(","))
        }
        (_, item) => format!("[={item}]"),
    })
}

fn canonical_node(json: Value) -> Node {
    let Value::Object(mut node) = json else { return Node::new() };
    for below in node.values_mut() {
        *below = canonical_node(below.take()).into();
    }
    // Nearly all sets are of our own writing.
    if !node.keys().all(|step| is_canonical(step)) {
        let known = |step: &String| step == SELF || [FIELD, KEY, ITEM].iter().any(|prefix| step.starts_with(prefix));
        node =
            node.into_iter().filter(|(step, _)| known(step)).map(|(step, below)| (canonical(&step), below)).collect();
    }
    if node.len() == 1 {
        node.remove(SELF);
    }
    node
}

/// A step as it is written here.
fn canonical(step: &str) -> String {
    match step.split_at_checked(FIELD.len()) {
        Some((prefix @ (KEY | ITEM), json)) => {
            serde_json::from_str::<Value>(json).map_or_else(|_| step.to_owned(), |value| format!("{prefix}{value}"))
        }
        _ => step.to_owned(),
    }
}

fn is_canonical(step: &str) -> bool {
    match step.split_at_checked(FIELD.len()) {
        Some((FIELD, _)) => true,
        // Of one part, and nothing in it that could be written in another way.
        Some((KEY | ITEM, json)) if !json.contains([' ', '\t', '\n', '\r', '\\', ',']) => true,
        Some((KEY | ITEM, _)) => canonical(step) == step,
        _ => step == SELF,
    }
}

const FIELD: &str = "f:";
const KEY: &str = "k:";
const ITEM: &str = "v:";

/// The step to a field.
fn field_step(name: &str) -> String {
    // Made for every field that is written, so this is not `format!`.
    [FIELD, name].concat()
}

/// What tells one value from another.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// What the new one has and the old one has not, or has with another value: leaves, items, and the maps and lists
    /// that are new.
    pub(super) changed: FieldSet,
    /// What only the old one has, in the same way.
    pub(super) removed: FieldSet,
}

const METADATA: &str = "metadata";
/// What nobody owns: the identity, and what the system fills. Of `metadata`, only the fields below.
const UNOWNED: [&str; 3] = ["apiVersion", "kind", METADATA];
const UNOWNED_METADATA: [&str; 10] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "selfLink",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

fn is_owned(name: &str) -> bool {
    !UNOWNED.contains(&name)
}

fn is_owned_metadata(name: &str) -> bool {
    !UNOWNED_METADATA.contains(&name)
}

impl Difference {
    /// From one whole object to another, without what nobody owns.
    pub(super) fn of_objects(old: &Map<String, Value>, new: &Map<String, Value>, schema: &Schema) -> Self {
        let (mut found, mut metadata) = (Self::default(), Self::default());
        found.fields(old, new, schema, is_owned);
        let [old, new] = [old, new].map(|map| map.get(METADATA).map_or(&*NO_FIELDS, fields_of));
        metadata.fields(old, new, field_schema(schema, METADATA), is_owned_metadata);
        found.put(field_step(METADATA), metadata);
        found
    }

    fn of(old: &Value, new: &Value, schema: &Schema) -> Self {
        let mut found = Self::default();
        if old == new {
            return found;
        }
        match (old, new) {
            // Whether there is nothing or an empty map is told as of one value (`structured-merge-diff`,
            // `compareWalker.doMap`).
            _ if is_empty(old) && is_empty(new) => found.whole(old, new, schema),
            (Value::Object(_) | Value::Null, Value::Object(_) | Value::Null) if !schema.atomic_map => {
                found.fields(fields_of(old), fields_of(new), schema, |_| true);
            }
            (Value::Array(_) | Value::Null, Value::Array(_) | Value::Null) if schema.list_type != ListType::Atomic => {
                found.items(keyed(old, schema), keyed(new, schema), schema);
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
        // Where one has an empty one when it has none, it is there.
        let missing = |name: &str| schema.always.iter().any(|field| field == name).then_some(&Value::Null);
        for (name, value) in new.iter().filter(|(name, _)| counts(name)) {
            let below = field_schema(schema, name);
            match old.get(name).or_else(|| missing(name)) {
                Some(before) if before == value => {}
                Some(before) => self.put(field_step(name), Self::of(before, value, below)),
                None => self.changed.add(field_step(name), leaves(value, below, Of::Whole)),
            }
        }
        for (name, value) in old.iter().filter(|(name, _)| counts(name) && !new.contains_key(*name)) {
            let below = field_schema(schema, name);
            match missing(name) {
                Some(missing) => self.put(field_step(name), Self::of(value, missing, below)),
                None => self.removed.add(field_step(name), leaves(value, below, Of::Whole)),
            }
        }
    }

    fn items(&mut self, mut old: BTreeMap<String, &Value>, new: BTreeMap<String, &Value>, schema: &Schema) {
        let schema: &Schema = schema.items.as_deref().unwrap_or(&ANY);
        for (step, value) in new {
            match old.remove(&step) {
                Some(before) => self.put(step, Self::of(before, value, schema)),
                None => self.changed.add(step, leaves(value, schema, Of::Whole)),
            }
        }
        for (step, value) in old {
            self.removed.add(step, leaves(value, schema, Of::Whole));
        }
    }

    // Values that have no parts in common.
    fn whole(&mut self, old: &Value, new: &Value, schema: &Schema) {
        self.changed = FieldSet(Some(leaves(new, schema, Of::Whole)));
        self.removed = FieldSet(Some(leaves(old, schema, Of::Whole))).minus(&self.changed);
    }

    fn put(&mut self, step: String, below: Self) {
        if let Some(node) = below.removed.0 {
            self.removed.add(step.clone(), node);
        }
        if let Some(node) = below.changed.0 {
            self.changed.add(step, node);
        }
    }
}

static NO_FIELDS: LazyLock<Node> = LazyLock::new(Node::new);

fn fields_of(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or(&NO_FIELDS)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn keyed<'a>(items: &'a Value, schema: &Schema) -> BTreeMap<String, &'a Value> {
    let items = items.as_array().into_iter().flatten();
    items.filter_map(|item| Some((item_step(item, schema)?, item))).collect()
}

static ANY: LazyLock<Schema> = LazyLock::new(Schema::default);

pub(super) fn field_schema<'a>(schema: &'a Schema, name: &str) -> &'a Schema {
    schema.properties.get(name).or(schema.additional.as_ref()).map_or(&ANY, |schema| schema)
}

/// What tells an item of a list from its neighbours.
pub(super) fn item_step(item: &Value, list: &Schema) -> Option<String> {
    match &list.list_type {
        ListType::Atomic => None,
        ListType::Set => Some(format!("{ITEM}{item}")),
        ListType::Map(keys) => {
            let found = keys.iter().filter_map(|key| Some((key.to_string(), key_of(item, key, list)?)));
            let found: Map<String, Value> = found.collect();
            (!found.is_empty()).then(|| format!("{KEY}{}", Value::Object(found)))
        }
    }
}

fn key_of(item: &Value, key: &str, list: &Schema) -> Option<Value> {
    let item_schema: &Schema = list.items.as_deref().unwrap_or(&ANY);
    // The one key with a default among the built-in types.
    let default = || (key == "protocol").then(|| Value::from("TCP"));
    item.get(key).cloned().or_else(|| field_schema(item_schema, key).default.clone()).or_else(default)
}

/// The first list in `value` whose items cannot be told apart, and why, in the words of `structured-merge-diff`.
pub(super) fn ambiguity(value: &Value, schema: &Schema) -> Option<(String, String)> {
    // The path is put together from behind, when there is something to be told.
    let behind = |step: String| move |(path, why)| (format!("{step}{path}"), why);
    match value {
        Value::Object(map) if !schema.atomic_map => map.iter().find_map(|(name, value)| {
            ambiguity(value, field_schema(schema, name)).map(|found| behind(format!(".{name}"))(found))
        }),
        Value::Array(items) if schema.list_type != ListType::Atomic => {
            let item_schema: &Schema = schema.items.as_deref().unwrap_or(&ANY);
            let mut known = HashSet::with_capacity(items.len());
            items.iter().enumerate().find_map(|(index, item)| {
                if let ListType::Map(keys) = &schema.list_type
                    && let Some(key) = keys.iter().find(|key| key_of(item, key, schema).is_none())
                {
                    let what = "associative list with keys has an element that omits key field";
                    let why = format!("element {index}: {what} {key:?} (and doesn't have default value)");
                    return Some((String::new(), why));
                }
                let step = item_step(item, schema)?;
                if known.contains(&step) {
                    let why = format!("duplicate entries for key {}", shown(&step).unwrap_or_default());
                    return Some((String::new(), why));
                }
                let found = ambiguity(item, item_schema);
                let found = found.map(|found| behind(shown(&step).unwrap_or_default())(found));
                known.insert(step);
                found
            })
        }
        _ => None,
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

// Items that are applied stand in the order in which they are applied; each that is only there stays before or behind
// those that it was before or behind, as far as that goes (`structured-merge-diff`, `mergingWalker.visitListItems`).
fn merged_items(live: &[Value], applied: &[Value], schema: &Schema) -> Vec<Value> {
    let item_schema: &Schema = schema.items.as_deref().unwrap_or(&ANY);
    let steps = |items: &[Value]| items.iter().map(|item| item_step(item, schema)).collect::<Vec<_>>();
    let (live_steps, steps) = (steps(live), steps(applied));
    let mut known = HashMap::new();
    for (step, item) in live_steps.iter().zip(live) {
        known.entry(step.as_ref()).or_insert(item);
    }
    let wanted: HashSet<_> = steps.iter().flatten().collect();
    let before = |at: usize| known.get(&Some(steps[at].as_ref()?)).copied();
    let put =
        |at: usize| before(at).map_or_else(|| applied[at].clone(), |before| merged(before, &applied[at], item_schema));
    let (mut items, mut done) = (Vec::with_capacity(live.len() + applied.len()), 0);
    let mut shared = (0..applied.len()).filter(|at| before(*at).is_some()).peekable();
    for (step, item) in live_steps.iter().zip(live) {
        if step.as_ref().is_none_or(|step| !wanted.contains(step)) {
            items.push(item.clone());
        } else if let Some(at) = shared.next_if(|at| steps[*at] == *step) {
            // With it come those that are new and are applied before it. One whose turn it is not comes when it is.
            items.extend((done..=at).map(put));
            done = at + 1;
        }
    }
    items.extend((done..applied.len()).map(put));
    items
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// What a set is, without its wire form.
    type Paths = BTreeSet<Vec<&'static str>>;

    const STEPS: [&str; 4] = ["f:a", "f:b", r#"k:{"name":"a"}"#, "v:1"];

    fn paths() -> impl Strategy<Value = Paths> {
        let path = prop::collection::vec(prop::sample::select(&STEPS[..]), 1..4);
        prop::collection::btree_set(path, 0..8)
    }

    fn set(paths: &Paths) -> FieldSet {
        let mut set = FieldSet::default();
        for path in paths {
            let lone = path
                .iter()
                .rev()
                .fold(Node::new(), |below, step| [((*step).to_owned(), below.into())].into_iter().collect());
            set.or(&FieldSet(Some(lone)));
        }
        set
    }

    proptest! {
        #[test]
        fn the_wire_form_is_worked_with_as_the_paths_it_stands_for(one in paths(), two in paths()) {
            let (mine, theirs) = (set(&one), set(&two));
            prop_assert_eq!(mine.minus(&theirs), set(&(&one - &two)));
            prop_assert_eq!(mine.and(&theirs), set(&(&one & &two)));
            prop_assert_eq!(mine.overlaps(&theirs.clone().into_json()), !one.is_disjoint(&two));
            prop_assert_eq!(mine.paths().len(), one.len());
            prop_assert_eq!(FieldSet::from_json(mine.clone().into_json()), mine.clone());
            let mut both = mine;
            both.or(&theirs);
            prop_assert_eq!(both, set(&(&one | &two)));
        }
    }

    #[test]
    fn items_that_others_wrote_are_the_same_items() {
        let theirs = json!({"f:list": {r#"k:{"port": 1, "name":"a"}"#: {".": {}, "f:x": {}}, "junk": {}, ".": {}}});
        let ours = json!({"f:list": {r#"k:{"name":"a","port":1}"#: {"f:x": {}}}});
        assert!(FieldSet::from_json(ours.clone()).overlaps(&theirs));
        let left = FieldSet::from_json(theirs).minus(&FieldSet::from_json(ours));
        assert_eq!(left.into_json(), json!({"f:list": {".": {}, r#"k:{"name":"a","port":1}"#: {}}}));
    }
}
