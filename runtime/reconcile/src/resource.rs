//! What every typed object can say of itself.

use std::fmt::Debug;

use k8s_openapi::Metadata;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a cache may hold of a kind's objects: all of them, or what a struct of one's own reads of them
/// (`derive(View)`), or their metadata alone ([`Meta`](crate::Meta)).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a kind nor a view of one",
    note = "a kind is of `k8s_openapi`, or made by `derive(Resource)` or `resources_from!`; a view is made by `derive(View)`"
)]
pub trait View:
    k8s_openapi::Resource<Scope: 'static>
    + Metadata<Ty = ObjectMeta>
    + DeserializeOwned
    + Clone
    + Debug
    + Send
    + Sync
    + 'static
{
    /// Whether no more than metadata is asked for (`PartialObjectMetadata`).
    const METADATA_ONLY: bool = false;
}

/// A typed kind. Implemented by every kind of `k8s_openapi` and by `derive(Resource)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a kind",
    note = "a kind is of `k8s_openapi`, or made by `derive(Resource)` or `resources_from!`"
)]
pub trait Resource: View + Serialize {}

impl<K> View for K where
    K: k8s_openapi::Resource<Scope: 'static>
        + Metadata<Ty = ObjectMeta>
        + DeserializeOwned
        + Serialize
        + Clone
        + Debug
        + Send
        + Sync
        + 'static
{
}

impl<K: View + Serialize> Resource for K {}

/// What an object is called.
pub trait Named {
    /// Its name; `""` when it has none.
    fn name(&self) -> &str;

    /// Its namespace; `""` when it has none.
    fn namespace(&self) -> &str;
}

impl<K: Metadata<Ty = ObjectMeta>> Named for K {
    fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or_default()
    }
}

/// The metadata of an object called `name`, and nothing else.
pub fn named(name: impl Into<String>) -> ObjectMeta {
    ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() }
}

/// The revision that wrote an object; 0 when it was never stored.
pub fn revision(object: &impl Metadata<Ty = ObjectMeta>) -> u64 {
    object.metadata().resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// The owner that controls an object, if one does.
pub fn controller_of(object: &impl Metadata<Ty = ObjectMeta>) -> Option<&OwnerReference> {
    object.metadata().owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// A reference by which `owner` controls another object.
pub fn owner_reference<K: Resource>(owner: &K) -> OwnerReference {
    let metadata = owner.metadata();
    OwnerReference {
        api_version: K::API_VERSION.to_owned(),
        kind: K::KIND.to_owned(),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// A reference to an object, as Events carry it.
pub fn object_reference<K: Resource>(object: &K) -> ObjectReference {
    let metadata = object.metadata();
    ObjectReference {
        api_version: Some(K::API_VERSION.to_owned()),
        kind: Some(K::KIND.to_owned()),
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        field_path: None,
    }
}
