//! From objects to bytes, once.
//!
//! What is stored is the object's JSON, its fields in the order `apiVersion`, `kind`, `metadata`
//! and then the rest, without a resourceVersion: that is the revision of the commit. On the way
//! out the head with the resourceVersion is written anew, and what follows is the stored bytes.

use std::io::Write;

use bytes::Bytes;
use serde_json::Value;
use trimtab_api::{Kind, Object};
use trimtab_store::Entry;

use crate::body::Chunks;

/// The bytes that are stored for `object`.
pub(crate) fn to_stored(kind: &Kind, object: &Object) -> Bytes {
    let mut out = head(kind).into_bytes();
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
    // Kept for as long as the version is.
    out.shrink_to_fit();
    out.into()
}

fn field(out: &mut Vec<u8>, first: &mut bool, name: &str, value: &Value) {
    if !std::mem::take(first) {
        out.push(b',');
    }
    // Writing JSON to memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, name);
    out.push(b':');
    let _ = serde_json::to_writer(&mut *out, value);
}

/// What [`head`] writes besides the kind's own names.
const HEAD_LEN: usize = r#"{"apiVersion":"","kind":"","metadata":{"#.len();
/// Room for a resourceVersion with its name.
const VERSION_LEN: usize = 48;

fn head(kind: &Kind) -> String {
    format!(r#"{{"apiVersion":"{}","kind":"{}","metadata":{{"#, kind.api_version(), kind.kind)
}

/// The object with its resourceVersion, as two pieces of which the large one is shared.
pub(crate) fn push(chunks: &mut Chunks, kind: &Kind, entry: &Entry) {
    push_at(chunks, kind, entry, entry.mod_revision);
}

/// As [`push`], with another resourceVersion: a deleted object carries that of its deletion.
pub(crate) fn push_at(chunks: &mut Chunks, kind: &Kind, entry: &Entry, revision: u64) {
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

/// The object of an entry, with its resourceVersion.
pub(crate) fn to_object(entry: &Entry) -> Object {
    to_object_at(entry, entry.mod_revision)
}

/// As [`to_object`], with another resourceVersion.
pub(crate) fn to_object_at(entry: &Entry, revision: u64) -> Object {
    let mut object: Object = serde_json::from_slice(&entry.value).unwrap_or_else(|error| {
        tracing::error!(key = &*entry.key, %error, "a stored object cannot be read");
        Object::default()
    });
    object.set(&["metadata", "resourceVersion"], revision.to_string());
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
    entry.value.windows(NAME.len()).any(|bytes| bytes == NAME) && to_object(entry).deletion_timestamp().is_some()
}

/// Where a kind's objects are stored: all of it, of a namespace, or one object.
pub(crate) fn key(kind: &Kind, namespace: &str, name: &str) -> String {
    let mut key = prefix(kind, namespace);
    key += name;
    key
}

/// The prefix of the keys of a kind, or of those in one namespace.
pub(crate) fn prefix(kind: &Kind, namespace: &str) -> String {
    let group = if kind.group.is_empty() { String::new() } else { format!("{}/", kind.group) };
    let namespace = if kind.namespaced() && !namespace.is_empty() { format!("{namespace}/") } else { String::new() };
    format!("/registry/{group}{}/{namespace}", kind.plural)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kinds_head_is_as_long_as_reckoned() {
        for kind in trimtab_api::builtin().iter() {
            assert_eq!(head(kind).len(), head_len(kind), "{kind:?}");
        }
    }
}
