//! What the server reads on its own account: objects of other kinds than the one that a request is about,
//! as they are now.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use trimtab_api::{ApiError, Kind, Object};
use trimtab_store::{Entry, Page, Store};

use crate::read::read_error;
use crate::server::ApiServer;
use crate::{conversion, encode};

/// The group, version and plural of a kind. Of one that is not served, there are no objects.
pub(crate) type Resource<'a> = (&'a str, &'a str, &'a str);

/// One object.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn get(
    server: &ApiServer,
    (group, version, plural): Resource<'_>,
    namespace: &str,
    name: &str,
) -> Result<Option<Object>, ApiError> {
    let kinds = server.inner.kinds();
    let Some(kind) = kinds.by_resource(group, version, plural) else { return Ok(None) };
    get_of(server, kind, namespace, name).await
}

/// As [`get`], of an object without which the request comes to nothing.
///
/// # Errors
/// 404 when it is not there.
pub(crate) async fn find(
    server: &ApiServer,
    (group, version, plural): Resource<'_>,
    namespace: &str,
    name: &str,
) -> Result<Object, ApiError> {
    let kinds = server.inner.kinds();
    let kind = kinds.by_resource(group, version, plural).ok_or_else(ApiError::no_such_path)?;
    get_of(server, kind, namespace, name).await?.ok_or_else(|| ApiError::not_found(kind, name))
}

/// All objects, of one namespace if it is given.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn list(
    server: &ApiServer,
    (group, version, plural): Resource<'_>,
    namespace: &str,
) -> Result<Vec<Object>, ApiError> {
    let kinds = server.inner.kinds();
    let Some(kind) = kinds.by_resource(group, version, plural) else { return Ok(Vec::new()) };
    list_of(server, kind, namespace).await
}

/// As [`get`], of a kind that is known.
///
/// # Errors
/// When the store cannot be read, or the object not be converted to the version of `kind`.
pub(crate) async fn get_of(
    server: &ApiServer,
    kind: &Kind,
    namespace: &str,
    name: &str,
) -> Result<Option<Object>, ApiError> {
    let entry = server.inner.store.get(&encode::key(kind, namespace, name)).await.map_err(read_error)?;
    let read = read(server, kind, entry.into_iter().collect()).await?;
    Ok(read.into_iter().next())
}

/// As [`list`], of a kind that is known.
///
/// # Errors
/// As [`get_of`].
pub(crate) async fn list_of(server: &ApiServer, kind: &Kind, namespace: &str) -> Result<Vec<Object>, ApiError> {
    read(server, kind, entries(server, kind, namespace).await?).await
}

async fn read(server: &ApiServer, kind: &Kind, entries: Vec<Arc<Entry>>) -> Result<Vec<Object>, ApiError> {
    let entries = if kind.defined.is_some() { converted(server, kind, entries).await? } else { entries };
    Ok(entries.iter().map(|entry| encode::to_object(kind, entry)).collect())
}

/// Boxed: whoever converts may have to be found first, by its Service.
fn converted<'a>(
    server: &'a ApiServer,
    kind: &'a Kind,
    entries: Vec<Arc<Entry>>,
) -> BoxFuture<'a, Result<Vec<Arc<Entry>>, ApiError>> {
    Box::pin(conversion::entries(server, kind, entries))
}

/// As [`list_of`], unread: for whoever reads few of them, or writes them back.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn entries(server: &ApiServer, kind: &Kind, namespace: &str) -> Result<Vec<Arc<Entry>>, ApiError> {
    let page = server.inner.store.list(&encode::prefix(kind, namespace), Page::default()).await;
    Ok(page.map_err(read_error)?.entries)
}

/// What `T` says of the object at `path`, as [`encode::registry`] has it, for whoever has the store alone.
/// An object that cannot be read is as good as none.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn at<T: DeserializeOwned>(store: &dyn Store, path: &str) -> Result<Option<T>, ApiError> {
    let Some(entry) = store.get(&encode::registry(path)).await.map_err(read_error)? else { return Ok(None) };
    let read = serde_json::from_slice(&entry.value);
    Ok(read.inspect_err(|error| tracing::error!(key = &*entry.key, %error, "a stored object cannot be read")).ok())
}
