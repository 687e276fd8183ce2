//! Does what definitions wait for: deletes the objects of one that is to go, and gives names that
//! have become free to one that lacks them.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;
use serde_json::Value;
use trimtab_api::crd::{self, FINALIZER};
use trimtab_api::{Kind, Object};
use trimtab_store::{Entry, Page, Precondition};

use crate::allocate::Hook;
use crate::server::{ApiServer, Inner, format_time};
use crate::write::{Committed, commit};
use crate::{conversion, delete, encode};

/// Runs until the server has gone. The server owns this task: it must not keep the server.
pub(crate) async fn run(server: Weak<Inner>) {
    let mut running: FuturesUnordered<BoxFuture<'static, String>> = FuturesUnordered::new();
    let mut busy = HashSet::new();
    loop {
        let Some(definitions) = server.upgrade().map(|inner| Arc::clone(&inner.definitions)) else { return };
        for name in definitions.waiting() {
            if busy.insert(name.clone()) {
                let server = server.clone();
                running.push(Box::pin(async move {
                    settle(&server, &name).await;
                    name
                }));
            }
        }
        // Either branch may be dropped: a notification that is not waited for is kept.
        tokio::select! {
            biased;
            () = definitions.work.notified() => {}
            Some(name) = running.next() => drop(busy.remove(&name)),
        }
    }
}

async fn settle(server: &Weak<Inner>, name: &str) {
    loop {
        let Some(inner) = server.upgrade() else { return };
        let server_now = ApiServer { inner };
        let kinds = server_now.inner.kinds();
        let Some(kind) = kinds.by_resource(crd::GROUP, "v1", crd::PLURAL) else { return };
        let Ok(Some(entry)) = server_now.inner.store.get(&encode::key(kind, "", name)).await else { return };
        let definition = encode::to_object(kind, &entry);
        let step = if definition.deletion_timestamp().is_some() {
            dismantle(&server_now, kind, &entry, definition).await
        } else {
            rename(&server_now, kind, &entry, definition).await
        };
        match step {
            Ok(Step::Done) => return,
            // Somebody else has written it: look again.
            Err(Committed::Conflict(_)) | Ok(Step::Again) => {}
            Err(Committed::Other(error)) => {
                tracing::warn!(%error, name, "a definition could not be written");
                server_now.inner.env.sleep(std::time::Duration::from_secs(1)).await;
            }
            Ok(Step::Await(prefix, revision)) => {
                let watch = server_now.inner.store.watch(&prefix, revision).await;
                // While it waits for others' finalizers, the server may go.
                drop((kinds, server_now));
                if let Ok(mut watch) = watch {
                    watch.next().await;
                }
            }
        }
    }
}

enum Step {
    Done,
    Again,
    /// Until something changes below this prefix after this revision.
    Await(String, u64),
}

/// Gives a definition the names it lacks, as far as they are free by now.
async fn rename(server: &ApiServer, kind: &Kind, entry: &Entry, old: Object) -> Result<Step, Committed> {
    let mut new = old.clone();
    server.inner.definitions.admit(Some(&old), &mut new);
    let written = if new == old {
        Ok(())
    } else {
        commit(server, kind, &new, Precondition::At(entry.mod_revision)).await.map(drop)
    };
    server.inner.definitions.release(&new, Some(&old));
    written.map(|()| Step::Done)
}

/// Deletes the objects of a definition, and then lets it go.
async fn dismantle(server: &ApiServer, kind: &Kind, entry: &Entry, mut new: Object) -> Result<Step, Committed> {
    const FINALIZERS: [&str; 2] = ["metadata", "finalizers"];
    let finalizers: Vec<Value> = new.at(&FINALIZERS).and_then(Value::as_array).cloned().unwrap_or_default();
    if finalizers.iter().all(|finalizer| finalizer != FINALIZER) {
        return Ok(Step::Done);
    }
    let old = new.clone();
    let mut set = |status: bool, reason: &str, message: &str| {
        let now = format_time(server.inner.env.now());
        crd::set_condition(&mut new, ("Terminating", status), reason, message, &now);
    };
    if !crd::is_true(&old, "Established") {
        set(false, "NeverEstablished", "resource was never established");
    } else {
        set(true, "InstanceDeletionInProgress", "CustomResource deletion is in progress");
        if new != old {
            commit(server, kind, &new, Precondition::At(entry.mod_revision)).await?;
            return Ok(Step::Again);
        }
        let left = delete_objects(server, &old).await?;
        if let Some((prefix, revision)) = left {
            return Ok(Step::Await(prefix, revision));
        }
        let now = format_time(server.inner.env.now());
        let (reason, message) = ("InstanceDeletionCompleted", "removed all instances");
        crd::set_condition(&mut new, ("Terminating", false), reason, message, &now);
    }
    let rest: Vec<Value> = finalizers.into_iter().filter(|finalizer| finalizer != FINALIZER).collect();
    if rest.is_empty() {
        new.remove(&FINALIZERS);
    } else {
        new.set(&FINALIZERS, rest);
    }
    if delete::is_due(kind, &new) {
        delete::remove(server, kind, entry).await?;
    } else {
        commit(server, kind, &new, Precondition::At(entry.mod_revision)).await?;
    }
    Ok(Step::Done)
}

/// Deletes all objects of a definition. What is left waits for finalizers: where, and since when.
async fn delete_objects(server: &ApiServer, definition: &Object) -> Result<Option<(String, u64)>, Committed> {
    let (group, plural) = (definition.str_at(&["spec", "group"]), definition.str_at(&["spec", "names", "plural"]));
    let kinds = server.inner.kinds();
    // One version reaches them all; a definition of which none is served has nobody to ask for more
    // objects, and they go as they are stored.
    let served = || kinds.group(group).filter(|kind| kind.plural == plural);
    // Best the one that they are stored in: nothing need be converted then.
    let is_stored = |kind: &&Arc<Kind>| kind.defined.as_ref().is_some_and(|defined| defined.storage == kind.version);
    let Some(kind) = served().find(is_stored).or_else(|| served().next()) else { return Ok(None) };
    let prefix = encode::prefix(kind, "");
    let options = DeleteOptions::default();
    let page = server.inner.store.list(&prefix, Page::default()).await.map_err(|error| {
        tracing::error!(?error, "the store failed");
        Committed::Other(trimtab_api::ApiError::internal("the store cannot be read"))
    })?;
    for entry in conversion::entries(server, kind, page.entries).await.map_err(Committed::Other)? {
        let mut entry = entry;
        loop {
            let object = encode::to_object(kind, &entry);
            match delete::attempt(server, kind, &options, &entry, object).await {
                Err(Committed::Conflict(Some(newer))) => entry = newer,
                Ok(_) | Err(Committed::Conflict(None)) => break,
                Err(error) => return Err(error),
            }
        }
    }
    let left = server.inner.store.list(&prefix, Page { limit: 1, ..Page::default() }).await;
    let left = left.map_err(|_| Committed::Other(trimtab_api::ApiError::internal("the store cannot be read")))?;
    Ok((!left.entries.is_empty()).then_some((prefix, left.revision)))
}
