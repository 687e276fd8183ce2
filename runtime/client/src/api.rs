//! The verbs of one kind.

use std::marker::PhantomData;

use bytes::Bytes;
use futures::Stream;
use http::header::{ACCEPT, HeaderValue};
use http::{Method, Request};
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
use k8s_openapi::{Metadata, Resource};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trimtab_api::Object;

use crate::client::{Client, request};
use crate::error::Error;
use crate::params::{DeleteParams, ListParams, Patch};
use crate::resource::ApiResource;
use crate::watch::{self, WatchEvent};

const JSON: &str = "application/json";
/// Of objects, and of lists of them, no more than metadata
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches>).
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// The objects of one kind, in one namespace or in all.
#[derive(Clone)]
pub struct Api<K> {
    client: Client,
    resource: ApiResource,
    namespace: Option<String>,
    metadata_only: bool,
    kind: PhantomData<fn() -> K>,
}

/// A page of a list.
#[derive(Clone, Debug, Deserialize)]
pub struct List<K> {
    /// The revision that was read, and where to go on.
    #[serde(default)]
    pub metadata: ListMeta,
    /// The objects.
    #[serde(default = "Vec::new")]
    pub items: Vec<K>,
}

impl<K: Resource> Api<K>
where
    K::Scope: 'static,
{
    /// The objects of all namespaces, or of a cluster-scoped kind.
    pub fn all(client: &Client) -> Self {
        Self::of(client, ApiResource::of::<K>(), None)
    }

    /// The objects of one namespace.
    pub fn namespaced(client: &Client, namespace: &str) -> Self {
        Self::of(client, ApiResource::of::<K>(), Some(namespace))
    }
}

impl Api<Object> {
    /// The objects of a kind known only at run time.
    pub fn dynamic(client: &Client, resource: &ApiResource, namespace: Option<&str>) -> Self {
        Self::of(client, resource.clone(), namespace)
    }
}

impl<K> Api<K> {
    /// The objects of `resource`, read as `K`.
    pub fn of(client: &Client, resource: ApiResource, namespace: Option<&str>) -> Self {
        let namespace = namespace.filter(|n| resource.namespaced && !n.is_empty()).map(str::to_owned);
        Self { client: client.clone(), resource, namespace, metadata_only: false, kind: PhantomData }
    }

    /// Where the kind is served.
    pub fn resource(&self) -> &ApiResource {
        &self.resource
    }

    /// The same objects, read as `T`.
    pub fn read_as<T>(&self) -> Api<T> {
        Api {
            client: self.client.clone(),
            resource: self.resource.clone(),
            namespace: self.namespace.clone(),
            metadata_only: self.metadata_only,
            kind: PhantomData,
        }
    }

    /// The same objects, of which lists and watches tell no more than the metadata.
    #[must_use]
    pub fn metadata_only(mut self) -> Self {
        self.metadata_only = true;
        self
    }

    fn reading(&self, path: &str, partial: &'static str) -> Result<Request<Bytes>, Error> {
        let mut request = request(Method::GET, path, None)?;
        if self.metadata_only {
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static(partial));
        }
        Ok(request)
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The path of an object (`name` not empty) or the collection, with a query.
    pub fn path(&self, name: &str, subresource: &str, query: &str) -> String {
        let path = self.resource.path(self.namespace.as_deref(), name, subresource);
        if query.is_empty() { path } else { format!("{path}?{query}") }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Bytes)>,
    ) -> Result<T, Error> {
        self.client.json(request(method, path, body)?).await
    }

    async fn write<T: DeserializeOwned>(&self, method: Method, path: &str, body: &impl Serialize) -> Result<T, Error> {
        self.call(method, path, Some((JSON, encode(body)?))).await
    }

    /// Deletes an object: its state when it is still there (finalizers, grace), the `Status` else.
    ///
    /// # Errors
    /// When there is no such object, or a precondition does not hold.
    pub async fn delete(&self, name: &str, params: &DeleteParams) -> Result<Object, Error> {
        named(name)?;
        self.write(Method::DELETE, &self.path(name, "", ""), &params.body()).await
    }

    /// Deletes what `list` selects.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn delete_collection(&self, list: &ListParams, params: &DeleteParams) -> Result<Object, Error> {
        self.write(Method::DELETE, &self.path("", "", &list.query()), &params.body()).await
    }

    /// POSTs `body` to a subresource, such as `binding` or `eviction`.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create_subresource(
        &self,
        name: &str,
        subresource: &str,
        body: &impl Serialize,
    ) -> Result<Object, Error> {
        named(name)?;
        self.write(Method::POST, &self.path(name, subresource, ""), body).await
    }

    /// The `scale` of an object.
    ///
    /// # Errors
    /// When there is no such object, or its kind does not scale.
    pub async fn scale(&self, name: &str) -> Result<Scale, Error> {
        named(name)?;
        self.call(Method::GET, &self.path(name, "scale", ""), None).await
    }

    /// Replaces the `scale` of an object.
    ///
    /// # Errors
    /// As [`Api::scale`], and on a conflict.
    pub async fn replace_scale(&self, name: &str, scale: &Scale) -> Result<Scale, Error> {
        named(name)?;
        self.write(Method::PUT, &self.path(name, "scale", ""), scale).await
    }
}

impl<K: DeserializeOwned + Send> Api<K> {
    /// One object.
    ///
    /// # Errors
    /// When there is no such object.
    pub async fn get(&self, name: &str) -> Result<K, Error> {
        named(name)?;
        self.call(Method::GET, &self.path(name, "", ""), None).await
    }

    /// One object, or `None`.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn get_opt(&self, name: &str) -> Result<Option<K>, Error> {
        match self.get(name).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One page of what `params` selects.
    ///
    /// # Errors
    /// When the server refuses, or the page's revision is compacted.
    pub async fn list(&self, params: &ListParams) -> Result<List<K>, Error> {
        self.client.json(self.reading(&self.path("", "", &params.query()), METADATA_LIST)?).await
    }

    /// The events after `resource_version`.
    ///
    /// # Errors
    /// When the server refuses, as for a compacted revision.
    pub async fn watch(
        &self,
        params: &ListParams,
        resource_version: &str,
    ) -> Result<impl Stream<Item = Result<WatchEvent<K>, Error>> + Send + use<K>, Error> {
        let path = self.path("", "", &params.watch_query(resource_version));
        let response = self.client.send(self.reading(&path, METADATA)?).await?;
        Ok(watch::events(response.into_body(), self.client.clone()))
    }

    /// Changes a part of an object.
    ///
    /// # Errors
    /// When the patch does not fit, or the result is invalid.
    pub async fn patch(&self, name: &str, patch: &Patch) -> Result<K, Error> {
        self.patch_subresource(name, "", patch).await
    }

    /// Changes a part of an object's `status`.
    ///
    /// # Errors
    /// As [`Api::patch`].
    pub async fn patch_status(&self, name: &str, patch: &Patch) -> Result<K, Error> {
        self.patch_subresource(name, "status", patch).await
    }

    /// Sends a patch to a path of this kind, for parameters that [`Patch`] does not carry.
    ///
    /// # Errors
    /// As [`Api::patch`].
    pub async fn send_patch(&self, path: &str, patch: &Patch) -> Result<K, Error> {
        self.call(Method::PATCH, path, Some((patch.content_type(), encode(patch.body())?))).await
    }

    async fn patch_subresource(&self, name: &str, subresource: &str, patch: &Patch) -> Result<K, Error> {
        named(name)?;
        let path = self.path(name, subresource, &patch.query());
        self.send_patch(&path, patch).await
    }
}

impl<K: Resource + Metadata<Ty = ObjectMeta> + Serialize + DeserializeOwned + Send> Api<K> {
    /// Makes an object, in its own namespace when this `Api` is for all.
    ///
    /// # Errors
    /// When the name is taken or the object is invalid.
    pub async fn create(&self, object: &K) -> Result<K, Error> {
        self.write(Method::POST, &self.at(object, "", ""), object).await
    }

    /// Replaces an object but its `status`. The object carries the version it was made from.
    ///
    /// # Errors
    /// On a conflict, or when the object is invalid.
    pub async fn replace(&self, object: &K) -> Result<K, Error> {
        self.write(Method::PUT, &self.at(object, name_of(object)?, ""), object).await
    }

    /// Replaces an object's `status` alone.
    ///
    /// # Errors
    /// As [`Api::replace`].
    pub async fn replace_status(&self, object: &K) -> Result<K, Error> {
        self.replace_subresource(object, "status").await
    }

    /// PUTs the object to a subresource that is a part of it, such as `approval`.
    ///
    /// # Errors
    /// As [`Api::replace`].
    pub async fn replace_subresource(&self, object: &K, subresource: &str) -> Result<K, Error> {
        self.write(Method::PUT, &self.at(object, name_of(object)?, subresource), object).await
    }

    /// Server-side apply: `manager` owns the fields of `object` and no others.
    ///
    /// # Errors
    /// On a conflict with another manager unless `force`.
    pub async fn apply(&self, object: &K, manager: &str, force: bool) -> Result<K, Error> {
        let patch = Patch::Apply { object: to_value(object)?, manager: manager.to_owned(), force };
        self.at_namespace(object).patch(name_of(object)?, &patch).await
    }

    fn at_namespace(&self, object: &K) -> Self {
        let namespace = self.namespace.as_deref().or(object.metadata().namespace.as_deref());
        Self::of(&self.client, self.resource.clone(), namespace)
    }

    fn at(&self, object: &K, name: &str, subresource: &str) -> String {
        self.at_namespace(object).path(name, subresource, "")
    }
}

fn name_of(object: &impl Metadata<Ty = ObjectMeta>) -> Result<&str, Error> {
    let name = object.metadata().name.as_deref().unwrap_or_default();
    named(name).map(|()| name)
}

// An empty name would turn the request into one on the whole collection.
fn named(name: &str) -> Result<(), Error> {
    if name.is_empty() { Err(Error::Request("resource name may not be empty".to_owned())) } else { Ok(()) }
}

fn encode(body: &impl Serialize) -> Result<Bytes, Error> {
    serde_json::to_vec(body).map(Bytes::from).map_err(|error| Error::Request(error.to_string()))
}

fn to_value(body: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(body).map_err(|error| Error::Request(error.to_string()))
}
