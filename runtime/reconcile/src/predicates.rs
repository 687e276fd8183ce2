//! What of an object has to change for anybody to look at it again: functions that give a digest of it.
//!
//! A change that leaves the digest as it is wakes nobody. That an object comes, goes, or begins to go
//! always does.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::resource::revision;

/// The digest of any value, the same in every run of a program.
pub fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Anything: the resourceVersion.
pub fn anything(object: &impl Metadata<Ty = ObjectMeta>) -> u64 {
    revision(object)
}

/// What is wanted: the generation, which a change of status or metadata leaves as it is.
pub fn generation(object: &impl Metadata<Ty = ObjectMeta>) -> u64 {
    digest(&object.metadata().generation)
}

/// The labels.
pub fn labels(object: &impl Metadata<Ty = ObjectMeta>) -> u64 {
    digest(&object.metadata().labels)
}

/// The annotations.
pub fn annotations(object: &impl Metadata<Ty = ObjectMeta>) -> u64 {
    digest(&object.metadata().annotations)
}

/// The finalizers.
pub fn finalizers(object: &impl Metadata<Ty = ObjectMeta>) -> u64 {
    digest(&object.metadata().finalizers)
}

/// Whether it came, went, began to go, or changed its digest.
pub(crate) fn passes<K: Metadata<Ty = ObjectMeta>>(old: Option<&K>, new: &K, matters: impl Fn(&K) -> u64) -> bool {
    let going = |object: &K| object.metadata().deletion_timestamp.is_some();
    old.is_none_or(|old| {
        going(old) != going(new) || old.metadata().uid != new.metadata().uid || matters(old) != matters(new)
    })
}
