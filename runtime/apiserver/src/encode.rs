//! From objects to bytes, once.
//!
//! What is stored is the object's JSON, its fields in the order `apiVersion`, `kind`, `metadata`
//! and then the rest, without a resourceVersion: that is the revision of the commit. On the way
//! out the head with the resourceVersion is written anew, and what follows is the stored bytes.

use std::io::Write;

use bytes::Bytes;
use serde_json::Value;
use trimtab_api::{Kind, Object, read_json, write_json};
use trimtab_store::Entry;

use crate::body::Chunks;

/// The bytes that are stored for `object`.
pub(crate) fn to_stored(kind: &Kind, object: &Object) -> Bytes {
    let viewed = kind.view.map(|view| view.stored(object));
    let object = viewed.as_ref().unwrap_or(object);
    let (group, version) = kind.stored_as();
    let mut out = unversioned(&head(group, version, &kind.kind), object);
    // Kept for as long as the version is.
    out.shrink_to_fit();
    out.into()
}

/// Room for most objects, until their length is known.
const ROOM: usize = 4096;

/// What follows `head` of an object, and it: the metadata come first, without a resourceVersion.
fn unversioned(head: &str, object: &Object) -> Vec<u8> {
    let mut out = Vec::with_capacity(ROOM);
    out.extend_from_slice(head.as_bytes());
    let empty = serde_json::Map::new();
    let metadata = object.0.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    let mut first = true;
    for (name, value) in metadata.iter().filter(|(name, _)| *name != "resourceVersion") {
        field(&mut out, &mut first, name, value);
    }
    out.push(b'}');
    first = false;
    for (name, value) in
        object.0.iter().filter(|(name, _)| !matches!(name.as_str(), "apiVersion" | "kind" | "metadata"))
    {
        field(&mut out, &mut first, name, value);
    }
    out.push(b'}');
    out
}

/// What is served of an entry, in the order of [`to_stored`] and without its resourceVersion.
pub(crate) fn served(kind: &Kind, entry: &Entry) -> Bytes {
    if is_served_as_stored(kind, entry) {
        return entry.value.clone();
    }
    unversioned(&head(&kind.group, &kind.version, &kind.kind), &to_object(kind, entry)).into()
}

fn field(out: &mut Vec<u8>, first: &mut bool, name: &str, value: &Value) {
    if !std::mem::take(first) {
        out.push(b',');
    }
    // Writing JSON to memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, name);
    out.push(b':');
    write_json(out, value);
}

/// What [`head`] writes besides the kind's own names.
const HEAD_LEN: usize = r#"{"apiVersion":"","kind":"","metadata":{"#.len();
/// Room for a resourceVersion with its name.
const VERSION_LEN: usize = 48;

fn head(group: &str, version: &str, kind: &str) -> String {
    let slash = if group.is_empty() { "" } else { "/" };
    format!(r#"{{"apiVersion":"{group}{slash}{version}","kind":"{kind}","metadata":{{"#)
}

/// Whether the stored bytes are what is served: never of a view, and of a custom kind only what was
/// written under its present definition, in the version asked for.
fn is_served_as_stored(kind: &Kind, entry: &Entry) -> bool {
    let Some(defined) = &kind.defined else { return kind.view.is_none() };
    let head = head(&kind.group, &kind.version, &kind.kind);
    entry.mod_revision > defined.since && entry.value.starts_with(head.as_bytes())
}

/// Whether storing `object` would store what is there. To rewrite an object that does not change is
/// how it is brought to a new version.
pub(crate) fn is_as_stored(kind: &Kind, object: &Object, entry: &Entry) -> bool {
    match &kind.defined {
        None => true,
        Some(defined) if defined.conversion.is_some() => converted(kind, object, true) == entry.value,
        Some(_) => to_stored(kind, object) == entry.value,
    }
}

/// The `apiVersion` that an entry is stored in.
pub(crate) fn stored_version(entry: &Entry) -> Option<String> {
    const START: &[u8] = br#"{"apiVersion":""#;
    let rest = entry.value.strip_prefix(START)?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    String::from_utf8(rest[..end].to_vec()).ok()
}

/// The bytes of an object that was converted to the version of `kind`, as if it were stored in it.
/// One that is stored in another than its present storage version is told by a line end: to write it
/// as it is brings it up.
pub(crate) fn converted(kind: &Kind, object: &Object, is_current: bool) -> Bytes {
    let mut bytes = unversioned(&head(&kind.group, &kind.version, &kind.kind), object);
    if !is_current {
        bytes.push(b'\n');
    }
    bytes.shrink_to_fit();
    bytes.into()
}

/// Brings an object that was stored under an earlier definition, or in another version, to what the
/// kind is now.
pub(crate) fn bring_up(kind: &Kind, object: &mut Object) {
    if let Some(view) = kind.view {
        return view.serve(object, &kind.api_version());
    }
    object.set(&["apiVersion"], kind.api_version());
    if kind.defined.is_none() {
        return;
    }
    let schema = kind.schema.get();
    let metadata = object.0.remove("metadata");
    schema.prune(&mut object.0);
    let mut value = Value::Object(std::mem::take(&mut object.0));
    schema.fill_defaults(&mut value);
    if let Value::Object(map) = value {
        object.0 = map;
    }
    object.0.extend(metadata.map(|metadata| ("metadata".to_owned(), metadata)));
}

/// The object with its resourceVersion, as two pieces of which the large one is shared.
pub(crate) fn push(chunks: &mut Chunks, kind: &Kind, entry: &Entry) {
    push_at(chunks, kind, entry, entry.mod_revision);
}

/// As [`push`], with another resourceVersion: a deleted object carries that of its deletion.
pub(crate) fn push_at(chunks: &mut Chunks, kind: &Kind, entry: &Entry, revision: u64) {
    if !is_served_as_stored(kind, entry) {
        chunks.push(to_object_at(kind, entry, revision).to_json());
        return;
    }
    let (head, tail) = entry.value.split_at(head_len(kind));
    let mut with_version = Vec::with_capacity(head.len() + VERSION_LEN);
    with_version.extend_from_slice(head);
    // Writing to memory cannot fail. Stored metadata is never empty: it has at least a name and a uid.
    let _ = write!(with_version, r#""resourceVersion":"{revision}","#);
    chunks.push(with_version);
    chunks.push(entry.value.slice_ref(tail));
}

/// The length of [`head`], without writing it.
fn head_len(kind: &Kind) -> usize {
    let group = if kind.group.is_empty() { 0 } else { kind.group.len() + 1 };
    HEAD_LEN + group + kind.version.len() + kind.kind.len()
}

/// The object of an entry as its kind is now, with its resourceVersion.
pub(crate) fn to_object(kind: &Kind, entry: &Entry) -> Object {
    to_object_at(kind, entry, entry.mod_revision)
}

/// As [`to_object`], with another resourceVersion.
pub(crate) fn to_object_at(kind: &Kind, entry: &Entry, revision: u64) -> Object {
    let mut object = stored_object(entry);
    if !is_served_as_stored(kind, entry) {
        bring_up(kind, &mut object);
    }
    object.set(&["metadata", "resourceVersion"], revision.to_string());
    object
}

/// The object of an entry as it is stored.
pub(crate) fn stored_object(entry: &Entry) -> Object {
    let mut object = match read_json(&entry.value) {
        Ok(Value::Object(map)) => Object(map),
        read => {
            let error = read.err();
            tracing::error!(key = &*entry.key, ?error, "a stored object cannot be read");
            Object::default()
        }
    };
    object.set(&["metadata", "resourceVersion"], entry.mod_revision.to_string());
    object
}

/// Whether an entry's object is called `name`, as its key says.
pub(crate) fn is_named(entry: &Entry, name: &str) -> bool {
    entry.key.rsplit('/').next() == Some(name)
}

/// Whether an entry's object is marked for deletion.
pub(crate) fn is_deleted(entry: &Entry) -> bool {
    // Asked of the namespace at each create: only bytes that may say so are worth reading.
    const NAME: &[u8] = br#""deletionTimestamp""#;
    memchr::memmem::find(&entry.value, NAME).is_some() && stored_object(entry).deletion_timestamp().is_some()
}

const REGISTRY: &str = "/registry/";

/// Where a kind's objects are stored: all of it, of a namespace, or one object.
pub(crate) fn key(kind: &Kind, namespace: &str, name: &str) -> String {
    let mut key = prefix(kind, namespace);
    key.push_str(name);
    key
}

/// The prefix of the keys of a kind, or of those in one namespace.
pub(crate) fn prefix(kind: &Kind, namespace: &str) -> String {
    let (group, _) = kind.stored_as();
    under(group, &kind.plural, if kind.namespaced() { namespace } else { "" })
}

/// The prefix of the keys of a resource, or of those in one namespace.
pub(crate) fn under(group: &str, plural: &str, namespace: &str) -> String {
    let slash = |part: &str| if part.is_empty() { "" } else { "/" };
    // Made for every request, so this is not `format!`.
    [REGISTRY, group, slash(group), plural, "/", namespace, slash(namespace)].concat()
}

/// The key, or the prefix of keys, at `path` for whoever knows a kind by its name alone: the group if
/// there is one, the plural, the namespace if it has one, the name.
pub(crate) fn registry(path: &str) -> String {
    [REGISTRY, path].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kinds_head_is_as_long_as_reckoned() {
        for kind in trimtab_api::builtin().iter() {
            assert_eq!(head(&kind.group, &kind.version, &kind.kind).len(), head_len(kind), "{kind:?}");
        }
    }
}
