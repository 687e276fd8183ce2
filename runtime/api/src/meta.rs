//! What every kind's `metadata` must be, in upstream's words
//! (`k8s.io/apimachinery/pkg/api/validation/objectmeta.go`).
//!
//! [`validate`] judges what is about to be stored; [`validate_update`] judges it against what is
//! stored already. The schema has been checked before: types fit, unknown fields are gone.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::field::{Error, Path};
use crate::kind::Kind;
use crate::names;
use crate::object::Object;

/// All of an object's annotations together, keys and values, in bytes.
pub const MAX_ANNOTATIONS: usize = 256 << 10;
/// The length of a field manager's name, in bytes.
pub const MAX_FIELD_MANAGER: usize = 128;
/// Keeps a deleted object until nothing that it owns is left.
pub const FOREGROUND_FINALIZER: &str = "foregroundDeletion";
/// Keeps a deleted object until nothing refers to it as its owner.
pub const ORPHAN_FINALIZER: &str = "orphan";

/// Fields that are set once.
const IMMUTABLE: [&str; 6] =
    ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"];

/// What is wrong with the metadata of `object`, which is of `kind`. A generated name has been made
/// already.
pub fn validate(kind: &Kind, object: &Object) -> Vec<Error> {
    let name_rule = |name: &str| kind.strategy.check_name(name);
    let (metadata, mut errors) = (Path::new("metadata"), Vec::new());
    let generate_name = object.str_at(&["metadata", "generateName"]);
    if !generate_name.is_empty() {
        let path = metadata.child("generateName");
        invalid_all(&mut errors, &path, generate_name, name_rule(&names::masked_prefix(generate_name)));
    }
    match object.name() {
        "" => errors.push(Error::required(&metadata.child("name"), "name or generateName is required")),
        name => invalid_all(&mut errors, &metadata.child("name"), name, name_rule(name)),
    }
    let path = metadata.child("namespace");
    match (kind.namespaced(), object.namespace()) {
        (true, "") => errors.push(Error::required(&path, "")),
        (true, namespace) => invalid_all(&mut errors, &path, namespace, names::dns1123_label(namespace)),
        (false, "") => {}
        (false, _) => errors.push(Error::forbidden(&path, "not allowed on this type")),
    }
    common(object, &mut errors);
    errors
}

/// What is wrong with the change of `old`'s metadata to `new`'s. An absent `resourceVersion` is no
/// error here: whether a kind may be updated blindly is the server's to know.
pub fn validate_update(new: &Object, old: &Object) -> Vec<Error> {
    let (metadata, mut errors) = (Path::new("metadata"), Vec::new());
    if old.deletion_timestamp().is_some() {
        no_new_finalizers(new, old, &mut errors);
    }
    let generation = |object: &Object| object.at(&["metadata", "generation"]).and_then(Value::as_i64).unwrap_or(0);
    if generation(new) < generation(old) {
        errors.push(Error::invalid(&metadata.child("generation"), generation(new), "must not be decremented"));
    }
    for name in IMMUTABLE {
        let (before, after) = (old.at(&["metadata", name]), new.at(&["metadata", name]));
        if before != after {
            let after = after.cloned().unwrap_or_else(|| before.map_or(Value::Null, empty_like));
            errors.push(Error::invalid(&metadata.child(name), after, "field is immutable"));
        }
    }
    common(new, &mut errors);
    errors
}

/// What is wrong with a field manager's name.
pub fn validate_field_manager(manager: &str, path: &Path) -> Vec<Error> {
    let mut errors = Vec::new();
    if manager.len() > MAX_FIELD_MANAGER {
        errors.push(Error::too_long(path, MAX_FIELD_MANAGER));
    }
    for (at, letter) in manager.char_indices().filter(|(_, letter)| letter.is_control()) {
        let detail = format!("invalid character U+{:04X} (at position {at})", u32::from(letter));
        errors.push(Error::invalid(path, manager, detail));
    }
    errors
}

fn common(object: &Object, errors: &mut Vec<Error>) {
    let metadata = Path::new("metadata");
    if let Some(generation) = object.at(&["metadata", "generation"]).and_then(Value::as_i64).filter(|g| *g < 0) {
        let detail = "must be greater than or equal to 0";
        errors.push(Error::invalid(&metadata.child("generation"), generation, detail));
    }
    for (key, value) in object.labels() {
        invalid_all(errors, &metadata.child("labels"), key, names::qualified_name(key));
        invalid_all(errors, &metadata.child("labels"), value, names::label_value(value));
    }
    annotations(object, &metadata.child("annotations"), errors);
    owner_references(object, &metadata.child("ownerReferences"), errors);
    finalizers(object, &metadata.child("finalizers"), errors);
    managed_fields(object, &metadata.child("managedFields"), errors);
}

fn annotations(object: &Object, path: &Path, errors: &mut Vec<Error>) {
    let mut size = 0;
    for (key, value) in object.annotations() {
        // Of an annotation's key, case does not matter.
        invalid_all(errors, path, key, names::qualified_name(&key.to_lowercase()));
        size += key.len() + value.len();
    }
    if size > MAX_ANNOTATIONS {
        errors.push(Error::too_long(path, MAX_ANNOTATIONS));
    }
}

/// Leaves of owner references that are equal only one. Answers the `uid`s of those that were there more than once.
pub fn dedup_owners(object: &mut Object) -> Vec<String> {
    let references = list(object, "ownerReferences");
    let is_again = |(index, reference): &(usize, &Value)| references[..*index].contains(reference);
    let again: Vec<usize> = references.iter().enumerate().filter(is_again).map(|(index, _)| index).collect();
    let mut uids: Vec<String> =
        again.iter().filter_map(|index| references[*index]["uid"].as_str()).map(str::to_owned).collect();
    uids.sort();
    uids.dedup();
    if !again.is_empty() {
        let kept = references.iter().enumerate().filter(|(index, _)| !again.contains(index));
        let kept: Vec<Value> = kept.map(|(_, reference)| reference.clone()).collect();
        object.set(&["metadata", "ownerReferences"], kept);
    }
    uids
}

fn owner_references(object: &Object, path: &Path, errors: &mut Vec<Error>) {
    let references = list(object, "ownerReferences");
    let mut controller: Option<String> = None;
    for reference in references {
        let text = |name: &str| reference[name].as_str().unwrap_or_default();
        if text("apiVersion").is_empty() {
            errors.push(Error::invalid(&path.child("apiVersion"), "", "version must not be empty"));
        }
        for name in ["kind", "name", "uid"].into_iter().filter(|name| text(name).is_empty()) {
            errors.push(Error::invalid(&path.child(name), "", "must not be empty"));
        }
        if (text("apiVersion"), text("kind")) == ("v1", "Event") {
            errors.push(Error::invalid(path, reference, "/v1, Kind=Event is disallowed from being an owner"));
        }
        if reference["controller"] == true {
            let this = format!("{}/{}", text("kind"), text("name"));
            match &controller {
                Some(first) => errors.push(Error::invalid(path, references, two_controllers(first, &this))),
                None => controller = Some(this),
            }
        }
    }
}

fn two_controllers(first: &str, second: &str) -> String {
    format!("Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}")
}

fn finalizers(object: &Object, path: &Path, errors: &mut Vec<Error>) {
    let finalizers = list(object, "finalizers");
    for name in finalizers.iter().filter_map(Value::as_str) {
        invalid_all(errors, path, name, names::qualified_name(name));
    }
    if [FOREGROUND_FINALIZER, ORPHAN_FINALIZER].into_iter().all(|name| finalizers.iter().any(|f| f == name)) {
        let detail = format!("finalizer {ORPHAN_FINALIZER} and {FOREGROUND_FINALIZER} cannot be both set");
        errors.push(Error::invalid(path, finalizers, detail));
    }
}

fn no_new_finalizers(new: &Object, old: &Object, errors: &mut Vec<Error>) {
    let names = |object| list(object, "finalizers").iter().filter_map(Value::as_str).collect::<BTreeSet<_>>();
    let (before, after) = (names(old), names(new));
    let added: Vec<String> = after.difference(&before).map(|name| format!("{name:?}")).collect();
    if !added.is_empty() {
        let detail = "no new finalizers can be added if the object is being deleted, found new finalizers";
        let detail = format!("{detail} []string{{{}}}", added.join(", "));
        errors.push(Error::forbidden(&Path::new("metadata").child("finalizers"), detail));
    }
}

fn managed_fields(object: &Object, path: &Path, errors: &mut Vec<Error>) {
    for (index, entry) in list(object, "managedFields").iter().enumerate() {
        let path = path.index(index);
        let text = |name: &str| entry[name].as_str().unwrap_or_default();
        if !matches!(text("operation"), "Apply" | "Update") {
            let detail = "must be `Apply` or `Update`";
            errors.push(Error::invalid(&path.child("operation"), text("operation"), detail));
        }
        if !matches!(text("fieldsType"), "" | "FieldsV1") {
            errors.push(Error::invalid(&path.child("fieldsType"), text("fieldsType"), "must be `FieldsV1`"));
        }
        errors.extend(validate_field_manager(text("manager"), &path.child("manager")));
    }
}

fn list<'a>(object: &'a Object, name: &str) -> &'a [Value] {
    object.at(&["metadata", name]).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

// A field that is gone reads as the zero value of its type.
fn empty_like(value: &Value) -> Value {
    if value.is_string() { "".into() } else { Value::Null }
}

fn invalid_all(errors: &mut Vec<Error>, path: &Path, value: &str, details: Vec<String>) {
    errors.extend(details.into_iter().map(|detail| Error::invalid(path, value, detail)));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(metadata: Value) -> Object {
        let mut object = Object::default();
        object.set(&["metadata"], metadata);
        object
    }

    fn judge(object: &Object, namespaced: bool) -> Vec<String> {
        let kinds = crate::builtin();
        let kind = kinds.by_resource("", "v1", if namespaced { "pods" } else { "nodes" }).unwrap();
        texts(validate(kind, object))
    }

    fn texts(errors: Vec<Error>) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn metadata_fits_or_says_why() {
        let check = |metadata: Value, namespaced: bool, expected: &[&str]| {
            let found = judge(&object(metadata.clone()), namespaced);
            assert_eq!(found.len(), expected.len(), "{metadata}: {found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.starts_with(expected), "{found} is not {expected}");
            }
        };
        let fine = json!({"name": "web-1", "namespace": "default", "generateName": "web-", "labels": {"a/b": ""},
            "annotations": {"Example.com/X": "y"}, "finalizers": ["demo.io/x", "orphan"]});
        check(fine, true, &[]);
        check(json!({"namespace": "default"}), true, &["metadata.name: Required value: name or generateName is"]);
        check(json!({"name": "A"}), false, &["metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain"]);
        check(json!({"name": "a"}), true, &["metadata.namespace: Required value"]);
        check(
            json!({"name": "a", "namespace": "b"}),
            false,
            &["metadata.namespace: Forbidden: not allowed on this type"],
        );
        check(
            json!({"name": "a", "labels": {"x y": "v", "k": "-"}}),
            false,
            &["metadata.labels: Invalid value: \"-\": a valid label", "metadata.labels: Invalid value: \"x y\": name"],
        );
        check(
            json!({"name": "a", "annotations": {"k": "v".repeat(MAX_ANNOTATIONS)}}),
            false,
            &["metadata.annotations: Too long: may not be more than 262144 bytes"],
        );
        check(
            json!({"name": "a", "finalizers": ["orphan", "foregroundDeletion"]}),
            false,
            &["metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: finalizer orphan and"],
        );
        check(
            json!({"name": "a", "managedFields": [{"operation": "Steal", "manager": "\u{7}"}]}),
            false,
            &[
                "metadata.managedFields[0].operation: Invalid value: \"Steal\": must be `Apply` or `Update`",
                "metadata.managedFields[0].manager: Invalid value: \"\\u0007\": invalid character U+0007 (at position 0)",
            ],
        );
    }

    #[test]
    fn one_controller_and_whole_references() {
        let owner =
            |name: &str| json!({"apiVersion": "v1", "kind": "Node", "name": name, "uid": "u", "controller": true});
        let two = object(json!({"name": "a", "ownerReferences": [owner("x"), owner("y"), {"apiVersion": "v1"}]}));
        let found = judge(&two, false);
        assert!(found[0].ends_with("Found \"true\" in references for Node/x and Node/y"), "{found:?}");
        let missing = |name: &str| format!("metadata.ownerReferences.{name}: Invalid value: \"\": must not be empty");
        assert_eq!(found[1..], [missing("kind"), missing("name"), missing("uid")]);
    }

    #[test]
    fn what_is_set_once_stays() {
        let old = object(json!({"name": "a", "uid": "u", "generation": 2, "finalizers": ["x/y"],
            "deletionTimestamp": "2026-01-01T00:00:00Z"}));
        assert_eq!(texts(validate_update(&old, &old)), [""; 0]);
        let mut new = old.clone();
        new.set(&["metadata", "uid"], "v");
        new.set(&["metadata", "generation"], 1);
        new.set(&["metadata", "finalizers"], json!(["x/y", "b/c"]));
        new.remove(&["metadata", "deletionTimestamp"]);
        let expected = [
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"b/c\"}",
            "metadata.generation: Invalid value: 1: must not be decremented",
            "metadata.uid: Invalid value: \"v\": field is immutable",
            "metadata.deletionTimestamp: Invalid value: \"\": field is immutable",
        ];
        assert_eq!(texts(validate_update(&new, &old)), expected);
    }
}
