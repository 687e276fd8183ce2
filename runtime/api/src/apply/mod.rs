//! Server-side apply (KEP-555): who owns which field, and what an apply makes of it.
//!
//! [`apply`] is the verb; [`track`] keeps the owners true through every other write. Both are
//! pure: the time of a write comes in as text.

mod last_applied;
#[cfg(test)]
mod model;
mod set;

use serde_json::{Map, Value};

use crate::object::Object;
use crate::schema::{ListType, Schema};
use set::{Difference, FieldSet};

/// Who writes, and how `managedFields` shall say so.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The field manager's name.
    pub manager: &'a str,
    /// The version the object was written in, such as `v1`.
    pub api_version: &'a str,
    /// `""`, or the subresource that was written, such as `status`.
    pub subresource: &'a str,
    /// When, as RFC 3339 in UTC with seconds.
    pub time: &'a str,
}

/// Fields that an object has from the cluster, and not from whoever writes it. Nobody owns them: upstream tells the
/// owners before its admission has a say.
#[derive(Clone, Debug, Default)]
pub struct Given(FieldSet);

impl Given {
    /// What `after` has and `before` had not, or had with another value.
    pub fn between(before: &Object, after: &Object, schema: &Schema) -> Self {
        Self(Difference::of_objects(&before.0, &after.0, schema).changed)
    }

    /// The field at `path`, which is one value.
    pub fn field(&mut self, path: &[&str]) {
        self.0.or(&FieldSet::at(path));
    }

    /// All that the field `name` of `object` holds.
    pub fn part(&mut self, object: &Object, name: &str, schema: &Schema) {
        self.0.or(&FieldSet::of_part(&object.0, name, schema));
    }

    /// What `other` has, too.
    pub fn add(&mut self, other: &Self) {
        self.0.or(&other.0);
    }
}

/// Fields that another manager owns with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflicts(
    /// The other manager as upstream names it (`"kubectl"`), and the field (`.spec.replicas`), manager by manager.
    pub Vec<(String, String)>,
);

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    manager: String,
    operation: &'static str,
    api_version: String,
    subresource: String,
    time: String,
    set: FieldSet,
}

impl Entry {
    fn new(writer: Writer<'_>, operation: &'static str, set: FieldSet) -> Self {
        Self {
            manager: writer.manager.to_owned(),
            operation,
            api_version: writer.api_version.to_owned(),
            subresource: writer.subresource.to_owned(),
            time: writer.time.to_owned(),
            set,
        }
    }

    fn is(&self, writer: Writer<'_>, operation: &str) -> bool {
        self.manager == writer.manager && self.operation == operation && self.subresource == writer.subresource
    }

    /// Who it is, as upstream tells it: of an update also by which version of the kind.
    fn named(&self) -> String {
        let mut named = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            named += &format!(" with subresource {:?}", self.subresource);
        }
        if self.operation == "Update" {
            named += &format!(" using {}", self.api_version);
        }
        named
    }

    fn is_written_by(json: &Value, writer: Writer<'_>, operation: &str) -> bool {
        let text = |name: &str| json[name].as_str().unwrap_or_default();
        text("manager") == writer.manager
            && text("subresource") == writer.subresource
            && (text("operation") == "Apply") == (operation == "Apply")
    }

    fn read(mut json: Value) -> Self {
        let set = FieldSet::from_json(json.get_mut("fieldsV1").map(Value::take).unwrap_or_default());
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        Self {
            manager: text("manager"),
            operation: if json["operation"] == "Apply" { "Apply" } else { "Update" },
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            set,
        }
    }

    fn into_json(self) -> Value {
        let mut json = Map::new();
        let mut put = |name: &str, value: Value| drop(json.insert(name.to_owned(), value));
        put("apiVersion", self.api_version.into());
        put("fieldsType", "FieldsV1".into());
        put("fieldsV1", self.set.into_json());
        put("manager", self.manager.into());
        put("operation", self.operation.into());
        if !self.subresource.is_empty() {
            put("subresource", self.subresource.into());
        }
        put("time", self.time.into());
        json.into()
    }
}

/// The object after `writer` applied `applied`: its fields set, the fields that it applied before
/// and not now removed unless someone else owns them. The same object comes back, to the byte,
/// when nothing changes.
///
/// # Errors
/// Unless `force`, when a field that would change has another owner.
pub fn apply(
    live: Option<&Object>,
    applied: &Object,
    writer: Writer<'_>,
    force: bool,
    schema: &Schema,
) -> Result<Object, Conflicts> {
    let empty = Object::default();
    let before = live.unwrap_or(&empty);
    let mut entries = entries(before);
    let live_value = Value::Object(before.0.clone());
    let applied_value = Value::Object(applied.0.clone());
    let set = FieldSet::of_object(&applied.0, schema);

    let mut result = set::merged(&live_value, &applied_value, schema);
    let mut elsewhere = FieldSet::default();
    for entry in entries.iter().filter(|entry| !entry.is(writer, "Apply")) {
        elsewhere.or(&entry.set);
    }
    if let Some(own) = entries.iter().find(|entry| entry.is(writer, "Apply")) {
        let gone = own.set.minus(&set).minus(&elsewhere);
        if !gone.is_empty() {
            gone.remove_from(&mut result, schema);
            // What is left empty goes too, unless it is applied so.
            result = set::merged(&result, &applied_value, schema);
        }
    }
    let Value::Object(result) = result else { return Ok(Object::default()) };
    let result = Object(result);
    let Difference { changed, removed } = Difference::of_objects(&before.0, &result.0, schema);
    let changed = changed.and(&set);
    let own = last_applied::own(before, writer, schema);
    let mut conflicts = Vec::new();
    for entry in entries.iter_mut().filter(|entry| !entry.is(writer, "Apply")) {
        let contested = entry.set.and(&changed);
        let named = entry.named();
        conflicts.extend(contested.minus(&own).paths().into_iter().map(|path| (named.clone(), path)));
        // An item goes with all that is in it, whoever set that.
        entry.set = entry.set.minus(&contested).minus(&removed);
    }
    if !conflicts.is_empty() && !force {
        conflicts.sort();
        return Err(Conflicts(conflicts));
    }
    let same_object = result == *before;
    match entries.iter_mut().find(|entry| entry.is(writer, "Apply")) {
        Some(own) if own.set == set && same_object && own.api_version == writer.api_version => {}
        Some(own) => *own = Entry::new(writer, "Apply", set),
        None => entries.push(Entry::new(writer, "Apply", set)),
    }
    let mut result = with_entries(result, entries);
    last_applied::renew(&mut result, applied, writer);
    Ok(result)
}

/// Refuses to apply what has an item twice, or one without its key: whose it is could not be told.
///
/// # Errors
/// Which list it is, and why.
pub fn check(applied: &Object, schema: &Schema) -> Result<(), String> {
    let found = applied.0.iter().find_map(|(name, value)| {
        let (path, why) = set::ambiguity(value, set::field_schema(schema, name))?;
        Some(format!("failed to create typed patch object: .{name}{path}: {why}"))
    });
    found.map_or(Ok(()), Err)
}

/// Keeps the owners true through a write that is no apply: what `writer` changed is now its own,
/// and nobody else's, but for what it was `given`. `new` comes back with its `managedFields` set.
pub fn track(old: Option<&Object>, mut new: Object, given: &Given, writer: Writer<'_>, schema: &Schema) -> Object {
    let mut entries = kept_entries(old, &mut new);
    let Difference { mut changed, removed } =
        Difference::of_objects(old.map_or(&Map::new(), |old| &old.0), &new.0, schema);
    if !given.0.is_empty() {
        changed = changed.minus(&given.0);
    }
    let mut is_recorded = changed.is_empty();
    // Most entries are none of this write's business, and stay the JSON that they are.
    entries.retain_mut(|json| {
        let is_own = Entry::is_written_by(json, writer, "Update");
        let loses = |lost: &FieldSet| lost.overlaps(&json["fieldsV1"]);
        let touched = loses(&removed) || (!is_own && loses(&changed));
        let records = is_own && !is_recorded;
        if !touched && !records {
            return true;
        }
        let mut entry = Entry::read(json.take());
        entry.set = entry.set.minus(&removed);
        if !is_own {
            entry.set = entry.set.minus(&changed);
        }
        if records {
            entry.set.or(&changed);
            writer.time.clone_into(&mut entry.time);
            is_recorded = true;
        }
        let is_left = !entry.set.is_empty();
        *json = entry.into_json();
        is_left
    });
    if !is_recorded {
        entries.push(Entry::new(writer, "Update", changed).into_json());
    }
    set_managers(&mut new, entries);
    new
}

/// Where nobody owns anything there is no list, as upstream: not an empty one.
fn set_managers(object: &mut Object, entries: Vec<Value>) {
    const PATH: [&str; 2] = ["metadata", "managedFields"];
    if entries.is_empty() {
        object.remove(&PATH);
    } else {
        object.set(&PATH, entries);
    }
}

/// The entries that `old` has, unless `new` resets them: a client may hand back the managedFields
/// that it read; only an explicit empty list says that it wants none.
fn kept_entries(old: Option<&Object>, new: &mut Object) -> Vec<Value> {
    const PATH: [&str; 2] = ["metadata", "managedFields"];
    let handed_back = new.remove(&PATH);
    let kept = old.and_then(|old| old.at(&PATH));
    match (handed_back, kept) {
        (Some(Value::Array(list)), _) if list.is_empty() => list,
        // Moving what is equal is cheaper than copying it.
        (Some(Value::Array(list)), Some(Value::Array(kept))) if list == *kept => list,
        (_, Some(Value::Array(kept))) => kept.clone(),
        _ => Vec::new(),
    }
}

fn entries(object: &Object) -> Vec<Entry> {
    let list = object.at(&["metadata", "managedFields"]).and_then(Value::as_array);
    list.into_iter().flatten().cloned().map(Entry::read).collect()
}

fn with_entries(mut object: Object, entries: Vec<Entry>) -> Object {
    let list: Vec<Value> = entries.into_iter().filter(|entry| !entry.set.is_empty()).map(Entry::into_json).collect();
    set_managers(&mut object, list);
    object
}

/// `live` with what `configuration` sets put over it, without recording whose it is: how a mutating
/// policy applies what it makes.
///
/// # Errors
/// When it sets part of what is one value.
pub fn configure(live: &Value, configuration: &Value, schema: &Schema) -> Result<Value, String> {
    match atomic(configuration, schema, String::new()) {
        Some(path) => Err(format!(
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {path}"
        )),
        None => Ok(set::merged(live, configuration, schema)),
    }
}

fn atomic(value: &Value, schema: &Schema, path: String) -> Option<String> {
    match value {
        Value::Object(map) => {
            let below = |(name, value): (&String, &Value)| {
                atomic(value, set::field_schema(schema, name), format!("{path}.{name}"))
            };
            if schema.atomic_map { Some(path) } else { map.iter().find_map(below) }
        }
        Value::Array(items) => {
            let Some(item) = schema.items.as_deref().filter(|_| schema.list_type != ListType::Atomic) else {
                return Some(path);
            };
            items.iter().find_map(|value| atomic(value, item, format!("{path}[]")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn writer(manager: &str) -> Writer<'_> {
        Writer { manager, api_version: "v1", subresource: "", time: "2026-01-01T00:00:00Z" }
    }

    fn pod(containers: Value, labels: Value) -> Object {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": labels}, "spec": {"containers": containers}});
        serde_json::from_value(pod).unwrap()
    }

    fn run(live: Option<&Object>, applied: &Object, manager: &str, force: bool) -> Result<Object, Conflicts> {
        apply(live, applied, writer(manager), force, &crate::schema::of("io.k8s.api.core.v1.Pod"))
    }

    #[test]
    fn applying_twice_is_applying_once() {
        let applied = pod(json!([{"name": "c", "image": "i"}]), json!({"a": "1"}));
        let once = run(None, &applied, "one", false).unwrap();
        let later = Writer { time: "2027-01-01T00:00:00Z", ..writer("one") };
        let twice = apply(Some(&once), &applied, later, false, &crate::schema::of("io.k8s.api.core.v1.Pod")).unwrap();
        assert_eq!(once, twice);
        let fields = once.at(&["metadata", "managedFields"]).unwrap()[0]["fieldsV1"].clone();
        let item = &fields["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"];
        assert_eq!(*item, json!({".": {}, "f:image": {}, "f:name": {}}));
        assert_eq!(fields["f:metadata"]["f:labels"], json!({"f:a": {}}));
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        let schema = crate::schema::of("io.k8s.api.core.v1.Pod");
        let refused = |containers: Value| check(&pod(containers, json!({})), &schema).unwrap_err();
        let prefix = "failed to create typed patch object: .spec.containers";
        let twice = json!([{"name": "c", "image": "i"}, {"name": "d"}, {"name": "c", "image": "j"}]);
        assert_eq!(refused(twice), format!("{prefix}: duplicate entries for key [name=\"c\"]"));
        let ports = json!([{"name": "c", "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}]}]);
        let port = "[name=\"c\"].ports: duplicate entries for key [containerPort=80,protocol=\"TCP\"]";
        assert_eq!(refused(ports), format!("{prefix}{port}"));
        assert!(refused(json!([{"name": "c"}, {}])).starts_with(&format!("{prefix}: element 1: associative list")));
    }

    #[test]
    fn what_is_no_longer_applied_goes_unless_someone_else_owns_it() {
        let both = json!([{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]);
        let live = run(None, &pod(both, json!({"a": "1", "b": "2"})), "one", false).unwrap();
        let live = run(Some(&live), &pod(json!([]), json!({"b": "2"})), "two", false).unwrap();
        let live = run(Some(&live), &pod(json!([{"name": "c", "image": "i"}]), json!({})), "one", false).unwrap();
        assert_eq!(live.at(&["spec", "containers"]), Some(&json!([{"name": "c", "image": "i"}])));
        assert_eq!(live.at(&["metadata", "labels"]), Some(&json!({"b": "2"})));
    }

    #[test]
    fn what_is_applied_empty_is_there_empty() {
        let labelled = pod(json!([{"name": "c"}]), json!({"a": "1"}));
        let live = run(None, &labelled, "one", false).unwrap();
        let bare = pod(json!([{"name": "c"}]), json!({}));
        let once = run(Some(&live), &bare, "one", false).unwrap();
        assert_eq!(once.at(&["metadata", "labels"]), Some(&json!({})));
        assert_eq!(run(Some(&once), &bare, "one", false).as_ref(), Ok(&once));
    }

    #[test]
    fn another_owners_field_is_a_conflict_until_forced() {
        let live = run(None, &pod(json!([{"name": "c", "image": "i"}]), json!({})), "one", false).unwrap();
        let applied = pod(json!([{"name": "c", "image": "other"}]), json!({}));
        let Conflicts(conflicts) = run(Some(&live), &applied, "two", false).unwrap_err();
        assert_eq!(conflicts, [("\"one\"".to_owned(), ".spec.containers[name=\"c\"].image".to_owned())]);
        let forced = run(Some(&live), &applied, "two", true).unwrap();
        assert_eq!(forced.at(&["spec", "containers"]).unwrap()[0]["image"], "other");
        let again = pod(json!([{"name": "c", "image": "i"}]), json!({}));
        assert!(run(Some(&forced), &again, "one", false).is_err(), "two owns it now");
    }

    /// As upstream writes them of the same objects.
    #[test]
    fn an_update_owns_the_maps_and_lists_that_it_makes() {
        let amounts = json!({"cpu": "1"});
        let container = json!({"name": "c", "image": "i", "ports": [{"containerPort": 80, "protocol": "TCP"}],
            "resources": {"limits": amounts}});
        let mut new = pod(json!([container]), json!({"a": "1"}));
        new.set(&["metadata", "generateName"], "p-");
        let schema = crate::schema::of("io.k8s.api.core.v1.Pod");
        let made = track(None, new, &Given::default(), writer("creator"), &schema);
        let all = json!({".": {}, "f:cpu": {}});
        let ports = json!({".": {}, r#"k:{"containerPort":80,"protocol":"TCP"}"#: {
            ".": {}, "f:containerPort": {}, "f:protocol": {}}});
        let container = json!({".": {}, "f:image": {}, "f:name": {}, "f:ports": ports,
            "f:resources": {".": {}, "f:limits": all}});
        let fields =
            |object: &Object, at: usize| object.at(&["metadata", "managedFields"]).unwrap()[at]["fieldsV1"].clone();
        let expected = json!({
            "f:metadata": {"f:generateName": {}, "f:labels": {".": {}, "f:a": {}}},
            "f:spec": {"f:containers": {r#"k:{"name":"c"}"#: container}},
        });
        assert_eq!(fields(&made, 0), expected);
        let mut told = made.clone();
        told.set(&["status", "conditions"], json!([{"type": "Ready", "status": "True"}]));
        let told = track(Some(&made), told, &Given::default(), writer("agent"), &schema);
        let ready = json!({".": {}, "f:status": {}, "f:type": {}});
        let expected = json!({"f:status": {"f:conditions": {".": {}, r#"k:{"type":"Ready"}"#: ready}}});
        assert_eq!(fields(&told, 1), expected);
        let mut bare = told.clone();
        bare.remove(&["metadata", "labels"]);
        let bare = track(Some(&told), bare, &Given::default(), writer("agent"), &schema);
        assert_eq!(fields(&bare, 0)["f:metadata"], json!({"f:generateName": {}}));
        // Of a kind without such types, all that is new is owned.
        let custom: Object = serde_json::from_value(json!({"metadata": {"name": "x"}, "spec": {"a": 1}})).unwrap();
        let made = track(None, custom, &Given::default(), writer("creator"), &Schema::default());
        assert_eq!(fields(&made, 0), json!({"f:spec": {".": {}, "f:a": {}}}));
    }

    #[test]
    fn an_update_takes_what_it_changes() {
        let schema = crate::schema::of("io.k8s.api.core.v1.Pod");
        let live =
            run(None, &pod(json!([{"name": "c", "image": "i"}]), json!({"a": "1", "b": "2"})), "one", false).unwrap();
        let mut edited = live.clone();
        edited.set(&["metadata", "labels", "a"], "9");
        edited.remove(&["metadata", "labels", "b"]);
        let tracked = track(Some(&live), edited, &Given::default(), writer("editor"), &schema);
        let managers = tracked.at(&["metadata", "managedFields"]).unwrap();
        assert_eq!(managers[1]["fieldsV1"], json!({"f:metadata": {"f:labels": {"f:a": {}}}}));
        assert!(managers[0]["fieldsV1"].get("f:metadata").is_none(), "{managers}");
        let relabelled = pod(json!([]), json!({"a": "1"}));
        let Conflicts(conflicts) = run(Some(&tracked), &relabelled, "one", false).unwrap_err();
        assert_eq!(conflicts, [("\"editor\" using v1".to_owned(), ".metadata.labels.a".to_owned())]);
    }
}
