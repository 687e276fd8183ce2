//! Keeps the APIServices true: those of what is served here, and what is said of the others.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt;
use trimtab_store::{Event, Watch};

use super::{Aggregation, available, register};
use crate::encode;
use crate::server::{ApiServer, Inner};

const SLICES: &str = "endpointslices";
/// How often another server is asked whether it is still there, and how soon again when it is not.
const LOOK_EVERY: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Runs until the server has gone. The server owns this task: it must not keep the server.
///
/// As long as all is served here, it does something only when an APIService or a definition changes.
pub(crate) async fn run(server: Weak<Inner>) {
    let mut slices = None;
    loop {
        let Some(inner) = server.upgrade() else { return };
        let server_now = ApiServer { inner };
        register::reconcile(&server_now, false).await;
        let others = !server_now.inner.aggregation.others().is_empty();
        if !others {
            slices = None;
        } else if slices.is_none() {
            slices = watch(&server_now).await;
        }
        let all_well = !others || available::look(&server_now).await;
        let (definitions, aggregation) =
            (Arc::clone(&server_now.inner.definitions), Arc::clone(&server_now.inner.aggregation));
        let env = server_now.inner.env.clone();
        drop(server_now);
        // Any branch may be dropped: a notification that is not waited for is kept, and so is what
        // the watch has not told yet.
        tokio::select! {
            biased;
            () = definitions.changed.notified() => {}
            () = aggregation.work.notified() => {}
            () = env.sleep(if all_well { LOOK_EVERY } else { LOOK_AGAIN }), if others => {}
            more = moved(slices.as_mut(), &aggregation), if slices.is_some() => {
                if !more {
                    slices = None;
                }
            }
        }
    }
}

/// What tells where Services' pods are.
async fn watch(server: &ApiServer) -> Option<Watch> {
    let kinds = server.inner.kinds();
    let kind = kinds.by_resource("discovery.k8s.io", "v1", SLICES)?;
    let store = &server.inner.store;
    store.watch(&encode::prefix(kind, ""), store.revision()).await.ok()
}

/// Waits until the pods of a Service move that serves something; false when the watch has ended.
async fn moved(slices: Option<&mut Watch>, aggregation: &Aggregation) -> bool {
    let Some(slices) = slices else { return false };
    while let Some(Ok(events)) = slices.next().await {
        if events.iter().any(|event| concerns(event, aggregation)) {
            return true;
        }
    }
    false
}

fn concerns(event: &Event, aggregation: &Aggregation) -> bool {
    let Some(entry) = event.entry.as_ref().or(event.previous.as_ref()) else { return false };
    let slice = encode::stored_object(entry);
    let mut labels = slice.labels();
    let Some((_, service)) = labels.find(|(name, _)| *name == "kubernetes.io/service-name") else { return false };
    let mut remotes = aggregation.others().into_iter().filter_map(|other| other.known.remote.clone());
    remotes.any(|remote| remote.namespace == slice.namespace() && remote.name == service)
}
