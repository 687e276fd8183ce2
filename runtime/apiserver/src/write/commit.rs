//! From an object to a version in the store, with what is written beside it.

use std::sync::Arc;

use trimtab_api::{ApiError, Kind, Object};
use trimtab_store::{CommitError, Entry, Precondition, Write};

use crate::server::ApiServer;
use crate::{conversion, encode};

/// A commit that was not made.
pub(crate) enum Committed {
    /// Somebody else was first; what is there now.
    Conflict(Option<Arc<Entry>>),
    /// Anything else.
    Other(ApiError),
}

/// As [`commit`], together with what the kind's hook writes beside it.
pub(super) async fn commit_over(
    server: &ApiServer,
    kind: &Kind,
    old: Option<&Object>,
    object: &Object,
    precondition: Precondition,
) -> Result<Arc<Entry>, Committed> {
    let beside = server.inner.hook(kind).map(|hook| hook.beside(old, Some(object))).unwrap_or_default();
    commit_with(server, kind, beside, object, precondition).await
}

pub(crate) async fn commit(
    server: &ApiServer,
    kind: &Kind,
    object: &Object,
    precondition: Precondition,
) -> Result<Arc<Entry>, Committed> {
    commit_with(server, kind, Vec::new(), object, precondition).await
}

async fn commit_with(
    server: &ApiServer,
    kind: &Kind,
    beside: Vec<Write>,
    object: &Object,
    precondition: Precondition,
) -> Result<Arc<Entry>, Committed> {
    let key = encode::key(kind, object.namespace(), object.name());
    let others: Vec<String> = beside.iter().map(|write| write.key.clone()).collect();
    let converted = conversion::to_storage(server, kind, object).await.map_err(Committed::Other)?;
    let stored = encode::to_stored(kind, converted.as_ref().unwrap_or(object));
    let write = Write { key, value: Some(stored), precondition };
    match server.inner.store.commit_with(beside, write).await {
        // Somebody was quicker with what is written beside it.
        Err(CommitError::Conflict { key, .. }) if others.contains(&key) => {
            let what = key.rsplit('/').next().unwrap_or_default();
            let detail = format!("{what} was taken by another request meanwhile; please try again");
            Err(Committed::Other(ApiError::conflict(kind, object.name(), detail)))
        }
        Ok((_, Some(entry))) => {
            // It is answered with in the version that it was written in.
            let as_written = |_| {
                let value = encode::converted(kind, object, true);
                conversion::with_value(&entry, value)
            };
            Ok(converted.map_or_else(|| Arc::clone(&entry), as_written))
        }
        Ok((_, None)) => {
            Err(Committed::Other(ApiError::internal("the store answered a write without the version written")))
        }
        Err(error) => match commit_error(error) {
            Committed::Conflict(Some(current)) => {
                let current = conversion::entry(server, kind, current).await.map_err(Committed::Other)?;
                Err(Committed::Conflict(Some(current)))
            }
            other => Err(other),
        },
    }
}

pub(crate) fn commit_error(error: CommitError) -> Committed {
    match error {
        CommitError::Conflict { current, .. } => Committed::Conflict(current),
        CommitError::Closed => Committed::Other(ApiError::unavailable("the server is shutting down")),
        error => {
            tracing::error!(?error, "the store failed");
            Committed::Other(ApiError::internal("the store cannot be written"))
        }
    }
}
