//! From an object to a version in the store, with what is written beside it.

use std::sync::Arc;

use trimtab_api::{ApiError, Kind, Object};
use trimtab_store::{CommitError, Entry, Precondition, Write};

use crate::handler::Call;
use crate::server::ApiServer;
use crate::{admission, conversion, encode};

/// A commit that was not made.
pub(crate) enum Committed {
    /// Somebody else was first; what is there now.
    Conflict(Option<Arc<Entry>>),
    /// Anything else.
    Other(ApiError),
}

/// As [`commit`], of the write of a call: together with what the kind's hook writes beside it, and with what it takes
/// from quotas.
pub(super) async fn commit_over(
    server: &ApiServer,
    call: &Call<'_>,
    old: Option<&Object>,
    object: &Object,
    precondition: Precondition,
) -> Result<Arc<Entry>, Committed> {
    let beside = server.inner.hook(&call.kind).map(|hook| hook.beside(old, Some(object))).unwrap_or_default();
    commit_with(server, &call.kind, beside, Some(Charged { call, old }), object, precondition).await
}

pub(crate) async fn commit(
    server: &ApiServer,
    kind: &Kind,
    object: &Object,
    precondition: Precondition,
) -> Result<Arc<Entry>, Committed> {
    commit_with(server, kind, Vec::new(), None, object, precondition).await
}

/// What takes from quotas.
struct Charged<'a> {
    call: &'a Call<'a>,
    old: Option<&'a Object>,
}

async fn commit_with(
    server: &ApiServer,
    kind: &Kind,
    beside: Vec<Write>,
    charged: Option<Charged<'_>>,
    object: &Object,
    precondition: Precondition,
) -> Result<Arc<Entry>, Committed> {
    let key = encode::key(kind, object.namespace(), object.name());
    let others: Vec<String> = beside.iter().map(|write| write.key.clone()).collect();
    let converted = conversion::to_storage(server, kind, object).await.map_err(Committed::Other)?;
    let stored = encode::to_stored(kind, converted.as_ref().unwrap_or(object));
    let write = Write { key, value: Some(stored), precondition };
    let outcome = loop {
        let taken = match &charged {
            Some(Charged { call, old }) => admission::quota::charge(server, call, object, *old).await,
            None => Ok(Vec::new()),
        };
        let taken = taken.map_err(Committed::Other)?;
        let quotas: Vec<String> = taken.iter().map(|write| write.key.clone()).collect();
        let all = beside.iter().cloned().chain(taken).collect();
        // Whoever was quicker with a quota may have left enough.
        match server.inner.store.commit_with(all, write.clone()).await {
            Err(CommitError::Conflict { key, .. }) if quotas.contains(&key) => {}
            outcome => break outcome,
        }
    };
    match outcome {
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
