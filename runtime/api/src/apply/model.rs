//! Server-side apply against a model that knows paths and owners and nothing else: the rules of KEP-555, written down
//! once more in the simplest way.
//!
//! An object is the values at its paths; an owner is a set of paths. No list, map or wire form is left in it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Conflicts, Given, Writer, apply, track};
use crate::object::Object;
use crate::schema::Schema;

/// Steps, each as it is shown: `.spec`, `[k="a"]`, `[="x"]`.
type Path = Vec<String>;
/// What stands at each path that holds one value, and which items there are.
type Leaves = BTreeMap<Path, Value>;
/// Who, and whether by applies.
type Owner = (&'static str, bool);

const MANAGERS: [&str; 3] = ["one", "two", "three"];

fn schema() -> Schema {
    let text = json!({"type": "string"});
    let fields = json!({"type": "object", "properties": {
        "n": {"type": "integer"}, "s": text,
        "pair": {"type": "object", "properties": {"a": text, "b": text}},
        "map": {"type": "object", "additionalProperties": text},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": text},
        "list": {"type": "array", "items": {"type": "integer"}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": text},
        "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "properties": {"k": text, "v": {"type": "integer"}, "w": text,
                "set": {"type": "array", "x-kubernetes-list-type": "set", "items": text}}}},
        "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
            "items": {"type": "object", "properties": {"port": {"type": "integer"},
                "protocol": {"type": "string", "default": "TCP"}, "name": text}}},
    }});
    let labels = json!({"type": "object", "additionalProperties": text});
    let metadata = json!({"type": "object", "properties": {"name": text, "labels": labels}});
    Schema::from_openapi(&json!({"type": "object", "properties": {"metadata": metadata, "spec": fields}}))
}

/// The paths of what a test object may hold, told by their names alone.
fn leaves(object: &Value) -> Leaves {
    fn put(leaves: &mut Leaves, path: &[String], step: String, value: &Value) {
        leaves.insert([path, &[step]].concat(), value.clone());
    }
    fn walk(value: &Value, name: &str, path: &[String], leaves: &mut Leaves) {
        match (value, name) {
            (Value::Object(map), "metadata" | "spec" | "pair" | "map" | "labels" | "item") => {
                for (name, value) in map {
                    walk(value, name, &[path, &[format!(".{name}")]].concat(), leaves);
                }
            }
            (Value::Array(items), "set") => {
                items.iter().for_each(|item| put(leaves, path, format!("[={item}]"), &Value::Null));
            }
            (Value::Array(items), "items" | "ports") => {
                for item in items {
                    let step = match name {
                        "items" => format!("[k={}]", item["k"]),
                        _ => {
                            let protocol = item.get("protocol").cloned().unwrap_or_else(|| "TCP".into());
                            format!("[port={},protocol={protocol}]", item["port"])
                        }
                    };
                    put(leaves, path, step.clone(), &Value::Null);
                    walk(item, "item", &[path, &[step]].concat(), leaves);
                }
            }
            (value, _) => drop(leaves.insert(path.to_vec(), value.clone())),
        }
    }
    let mut all = Leaves::new();
    walk(&object["spec"], "spec", &[".spec".to_owned()], &mut all);
    let labels = &object["metadata"]["labels"];
    if labels.is_object() {
        walk(labels, "labels", &[".metadata".to_owned(), ".labels".to_owned()], &mut all);
    }
    all.retain(|_, value| *value != json!({}) && *value != json!([]) || value.is_null());
    all
}

/// The maps and lists that these are in.
fn containers(leaves: &Leaves) -> impl Iterator<Item = Path> {
    let above = |path: &Path| (1..path.len()).map(|length| path[..length].to_vec()).collect::<Vec<_>>();
    leaves.keys().flat_map(above).filter(|path| *path != [".metadata"])
}

/// The paths that a FieldsV1 stands for.
fn paths(fields: &Value) -> BTreeSet<Path> {
    fn walk(node: &Map<String, Value>, path: &[String], found: &mut BTreeSet<Path>) {
        if node.is_empty() || node.contains_key(".") {
            found.insert(path.to_vec());
        }
        for (step, below) in node.iter().filter(|(step, _)| *step != ".") {
            let step = match step.split_at(2) {
                ("f:", name) => format!(".{name}"),
                ("v:", item) => format!("[={item}]"),
                (_, keys) => {
                    let keys: BTreeMap<String, Value> = serde_json::from_str(keys).unwrap();
                    let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                    format!("[{}]", keys.join(","))
                }
            };
            walk(below.as_object().unwrap(), &[path, &[step]].concat(), found);
        }
    }
    let mut found = BTreeSet::new();
    walk(fields.as_object().unwrap(), &[], &mut found);
    found
}

fn owners(object: &Object) -> BTreeMap<Owner, BTreeSet<Path>> {
    let entries = object.at(&["metadata", "managedFields"]).and_then(Value::as_array);
    let owner = |entry: &Value| {
        let manager = MANAGERS.into_iter().find(|manager| entry["manager"] == **manager).unwrap();
        ((manager, entry["operation"] == "Apply"), paths(&entry["fieldsV1"]))
    };
    entries.into_iter().flatten().map(owner).collect()
}

#[derive(Clone, Debug, Default)]
struct Model {
    live: Leaves,
    owners: BTreeMap<Owner, BTreeSet<Path>>,
}

impl Model {
    /// The contested paths, when there are any and they are not taken by force.
    fn apply(&mut self, manager: &'static str, applied: &Leaves, force: bool) -> Result<(), BTreeSet<Path>> {
        let me = (manager, true);
        let mut new = self.live.clone();
        new.extend(applied.iter().map(|(path, value)| (path.clone(), value.clone())));
        let is_others = |path: &Path| self.owners.iter().any(|(owner, set)| *owner != me && set.contains(path));
        let mine = self.owners.get(&me).cloned().unwrap_or_default();
        for gone in mine.iter().filter(|path| !applied.contains_key(*path) && !is_others(path)) {
            // A field that is one value, or an item with all that is in it.
            new.retain(|path, _| !path.starts_with(gone));
        }
        let contested: BTreeSet<Path> = applied
            .iter()
            .filter(|(path, value)| self.live.get(*path) != Some(value))
            .map(|(p, _)| p.clone())
            .collect();
        let conflicts: BTreeSet<Path> = contested.iter().filter(|path| is_others(path)).cloned().collect();
        if !conflicts.is_empty() && !force {
            return Err(conflicts);
        }
        self.owners.insert(me, applied.keys().cloned().collect());
        self.settle(me, &contested, new);
        Ok(())
    }

    fn update(&mut self, manager: &'static str, new: Leaves) {
        let me = (manager, false);
        let there: BTreeSet<Path> = containers(&self.live).collect();
        let made = containers(&new).filter(|path| !there.contains(path));
        let changed = new.iter().filter(|(path, value)| self.live.get(*path) != Some(value));
        let changed: BTreeSet<Path> = changed.map(|(path, _)| path.clone()).chain(made).collect();
        self.owners.entry(me).or_default().extend(changed.iter().cloned());
        self.settle(me, &changed, new);
    }

    /// What has changed is nobody else's, and what is gone is nobody's.
    fn settle(&mut self, me: Owner, changed: &BTreeSet<Path>, new: Leaves) {
        let there: BTreeSet<Path> = new.keys().cloned().chain(containers(&new)).collect();
        for (owner, set) in &mut self.owners {
            let was = |path: &Path| !there.contains(path);
            set.retain(|path| (*owner == me || !changed.contains(path)) && !was(path));
        }
        self.owners.retain(|_, set| !set.is_empty());
        self.live = new;
    }
}

#[derive(Clone, Debug)]
enum Step {
    Apply {
        manager: &'static str,
        object: Value,
        force: bool,
    },
    Update {
        manager: &'static str,
        object: Value,
    },
    /// Writes back what is there with a few fields of another object.
    Patch {
        manager: &'static str,
        object: Value,
    },
}

/// Some of the fields, none of them empty.
fn object() -> impl Strategy<Value = Value> {
    use prop::collection::{btree_map, btree_set, vec};
    let word = || prop::sample::select(&["x", "y", "z"][..]);
    let map = || btree_map(word(), word(), 1..3).prop_map(|map| json!(map));
    let set = || btree_set(word(), 1..4).prop_map(|set| set.into_iter().collect::<Vec<_>>()).prop_shuffle();
    let some = |value: BoxedStrategy<Value>| prop::option::weighted(0.4, value);
    let number = || (0..3).prop_map(Value::from).boxed();
    let item = (some(number()), some(word().prop_map(Value::from).boxed()), some(set().prop_map(|s| json!(s)).boxed()));
    let items = btree_map(prop::sample::select(&["a", "b", "c", "d"][..]), item, 1..4)
        .prop_map(|items| {
            let item = |(k, (v, w, set)): (&str, _)| with([("k", Some(json!(k))), ("v", v), ("w", w), ("set", set)]);
            items.into_iter().map(item).collect::<Vec<_>>()
        })
        .prop_shuffle()
        .prop_map(Value::from);
    let protocol = prop::sample::select(&[None, Some("TCP"), Some("UDP")][..]);
    let port = (80..82, protocol, some(word().prop_map(Value::from).boxed()));
    let ports = vec(port, 1..3).prop_map(|ports| {
        let mut known = BTreeSet::new();
        let is_new =
            |(port, protocol, _): &(i32, Option<&'static str>, _)| known.insert((*port, protocol.unwrap_or("TCP")));
        let port = |(port, protocol, name): (i32, Option<&str>, _)| {
            with([("port", Some(json!(port))), ("protocol", protocol.map(Value::from)), ("name", name)])
        };
        ports.into_iter().filter(is_new).map(port).collect()
    });
    let pair = vec(some(word().prop_map(Value::from).boxed()), 2)
        .prop_map(|pair| with([("a", pair[0].clone()), ("b", pair[1].clone())]));
    let fields = (
        some(number()),
        some(word().prop_map(Value::from).boxed()),
        some(pair.boxed()),
        some(map().boxed()),
        some(map().boxed()),
        some(vec(0..3, 1..3).prop_map(|list| json!(list)).boxed()),
        some(set().prop_map(|set| json!(set)).boxed()),
        prop::option::weighted(0.7, items),
        some(ports.boxed()),
    );
    (fields, some(map().boxed())).prop_map(|((n, s, pair, map, whole, list, set, items, ports), labels)| {
        let pair = pair.filter(|pair| *pair != json!({}));
        let spec = [("n", n), ("s", s), ("pair", pair), ("map", map), ("whole", whole), ("list", list), ("set", set)];
        let mut spec = with(spec);
        for (name, value) in [("items", items), ("ports", ports)] {
            if let Some(value) = value {
                spec[name] = value;
            }
        }
        // An empty map is a value of its own, which is not looked at here.
        if spec == json!({}) {
            spec["s"] = "x".into();
        }
        let metadata = with([("name", Some(json!("o"))), ("labels", labels)]);
        json!({"apiVersion": "v1", "kind": "Test", "metadata": metadata, "spec": spec})
    })
}

fn with<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn step() -> impl Strategy<Value = Step> {
    let manager = || prop::sample::select(&MANAGERS[..]);
    prop_oneof![
        4 => (manager(), object(), any::<bool>())
            .prop_map(|(manager, object, force)| Step::Apply { manager, object, force }),
        1 => (manager(), object()).prop_map(|(manager, object)| Step::Update { manager, object }),
        2 => (manager(), object()).prop_map(|(manager, object)| Step::Patch { manager, object }),
    ]
}

fn writer(manager: &str) -> Writer<'_> {
    Writer { manager, api_version: "v1", subresource: "", time: "2026-01-01T00:00:00Z" }
}

fn read(object: &Value) -> Object {
    Object(object.as_object().unwrap().clone())
}

/// Those of `object`'s items and members of sets, in their order, that `of` has.
fn order(object: &Value, field: &str, of: &Value) -> Vec<Value> {
    let list = |object: &Value| object["spec"][field].as_array().cloned().unwrap_or_default();
    let identity = |item: &Value| item.get("k").unwrap_or(item).clone();
    let wanted: Vec<Value> = list(of).iter().map(identity).collect();
    list(object).iter().map(identity).filter(|item| wanted.contains(item)).collect()
}

fn as_value(object: &Object) -> Value {
    Value::Object(object.0.clone())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn writes_do_as_the_model(steps in prop::collection::vec(step(), 1..8)) {
        let schema = schema();
        let (mut live, mut model): (Option<Object>, _) = (None, Model::default());
        for step in steps {
            match &step {
                Step::Apply { manager, object, force } => {
                    let applied = read(object);
                    let outcome = apply(live.as_ref(), &applied, writer(manager), *force, &schema);
                    let expected = model.apply(manager, &leaves(object), *force);
                    match (outcome, expected) {
                        (Ok(result), Ok(())) => {
                            let again = apply(Some(&result), &applied, writer(manager), false, &schema);
                            prop_assert_eq!(again.as_ref(), Ok(&result), "applied twice");
                            for field in ["items", "set"] {
                                let found = order(&as_value(&result), field, object);
                                prop_assert_eq!(found, order(object, field, object), "as they are applied");
                            }
                            live = Some(result);
                        }
                        (Err(Conflicts(found)), Err(expected)) => {
                            let found: BTreeSet<String> = found.into_iter().map(|(_, path)| path).collect();
                            let expected = expected.iter().map(|path| path.concat()).collect();
                            prop_assert_eq!(found, expected);
                        }
                        (outcome, expected) => prop_assert!(false, "{outcome:?} instead of {expected:?}"),
                    }
                }
                Step::Update { manager, object } => {
                    live = Some(track(live.as_ref(), read(object), &Given::default(), writer(manager), &schema));
                    model.update(manager, leaves(object));
                }
                Step::Patch { manager, object } => {
                    let mut new = live.as_ref().map_or_else(|| object.clone(), as_value);
                    for (name, value) in object["spec"].as_object().into_iter().flatten().take(2) {
                        new["spec"][name] = value.clone();
                    }
                    model.update(manager, leaves(&new));
                    live = Some(track(live.as_ref(), read(&new), &Given::default(), writer(manager), &schema));
                }
            }
            let Some(live) = &live else { continue };
            prop_assert_eq!(&leaves(&as_value(live)), &model.live, "after {:?}", step);
            prop_assert_eq!(&owners(live), &model.owners, "after {:?}", step);
        }
    }
}

/// What is only there stays where it was among what is applied, as upstream's does.
#[test]
fn items_stand_as_they_are_applied() {
    let schema = schema();
    let check = |live: &[&str], applied: &[&str], expected: &[&str]| {
        let object = |set: &[&str]| json!({"spec": {"set": set}});
        let merged = super::set::merged(&object(live), &object(applied), &schema);
        assert_eq!(merged, object(expected), "{applied:?} over {live:?}");
    };
    check(&["a", "b"], &["b", "a"], &["b", "a"]);
    check(&["a", "b", "c"], &["c", "a"], &["b", "c", "a"]);
    check(&["a", "x", "b"], &["a", "n", "b"], &["a", "x", "n", "b"]);
    check(&["x", "y"], &["n"], &["x", "y", "n"]);
    check(&["a", "b", "c"], &["n", "b"], &["a", "n", "b", "c"]);
    check(&[], &["b", "a"], &["b", "a"]);
}
