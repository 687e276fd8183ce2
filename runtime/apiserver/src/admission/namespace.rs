//! Of the namespace of a write, what those look at who admit it: read once, however many they are.

use std::sync::Arc;

use k8s_openapi::api::core::v1::LimitRange;
use tokio::sync::OnceCell;
use trimtab_api::{ApiError, Object};
use trimtab_store::Entry;

use super::Attributes;
use crate::handler::Call;
use crate::read::read_error;
use crate::server::ApiServer;
use crate::{encode, stored};

/// What has been read of a request's namespace.
#[derive(Default)]
pub(crate) struct Namespace {
    entry: OnceCell<Option<Arc<Entry>>>,
    object: OnceCell<Arc<Object>>,
    ranges: OnceCell<Vec<LimitRange>>,
}

async fn entry<'a>(server: &ApiServer, call: &'a Call<'_>) -> Result<Option<&'a Arc<Entry>>, ApiError> {
    let path = format!("namespaces/{}", call.path.namespace);
    let read = async || server.inner.store.get(&encode::registry(&path)).await.map_err(read_error);
    call.namespace.entry.get_or_try_init(read).await.map(Option::as_ref)
}

/// Whether `text` stands anywhere in the namespace that the write is in: of most nothing need be read.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn mentions(server: &ApiServer, write: &Attributes<'_>, text: &str) -> Result<bool, ApiError> {
    let entry = entry(server, write.call).await?;
    Ok(entry.is_some_and(|entry| memchr::memmem::find(&entry.value, text.as_bytes()).is_some()))
}

/// The object whose labels namespace selectors look at; `None` for what is in no namespace.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn labels(
    server: &ApiServer,
    write: &Attributes<'_>,
    object: Option<&Object>,
) -> Result<Option<Arc<Object>>, ApiError> {
    let call = write.call;
    if call.kind.group.is_empty() && call.kind.plural == "namespaces" {
        return Ok(object.or(write.old).cloned().map(Arc::new));
    }
    if !call.kind.namespaced() {
        return Ok(None);
    }
    let read = async || {
        let found = entry(server, call).await?.map(|entry| encode::stored_object(entry));
        Ok(Arc::new(found.unwrap_or_default()))
    };
    call.namespace.object.get_or_try_init(read).await.map(|object| Some(Arc::clone(object)))
}

/// Its LimitRanges, as far as they can be read.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn ranges<'a>(server: &ApiServer, write: &Attributes<'a>) -> Result<&'a [LimitRange], ApiError> {
    let call = write.call;
    let read = async || {
        let found = stored::list(server, ("", "v1", "limitranges"), call.path.namespace).await?;
        Ok(found.iter().filter_map(|range| range.to_typed().ok()).collect())
    };
    call.namespace.ranges.get_or_try_init(read).await.map(Vec::as_slice)
}
