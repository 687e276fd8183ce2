//! Of the namespace of a write, what those look at who admit it: read once, however many they are.

use std::sync::Arc;

use k8s_openapi::api::core::v1::LimitRange;
use tokio::sync::OnceCell;
use trimtab_api::{ApiError, Object};

use super::Attributes;
use crate::server::ApiServer;
use crate::stored;

/// What has been read of a request's namespace.
#[derive(Default)]
pub(crate) struct Namespace {
    object: OnceCell<Arc<Object>>,
    ranges: OnceCell<Vec<LimitRange>>,
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
        let found = stored::get(server, ("", "v1", "namespaces"), "", call.path.namespace).await?;
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
