//! Follows every object of one resource of any kind, reading no more of it than its metadata.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc::Sender;
use trimtab_client::{Api, ApiResource, Client, Error, ListParams, WatchEvent};
use trimtab_env::Env;

use crate::metadata::{Meta, Seen, list};

const RETRY: Duration = Duration::from_secs(1);
const RETRY_UNSERVED: Duration = Duration::from_secs(30);

/// What became of the objects of a resource.
#[derive(Debug)]
pub(crate) enum Change {
    /// These are all there are.
    Listed(Arc<ApiResource>, Vec<Meta>),
    /// This is new or different.
    Set(Arc<ApiResource>, Meta),
    /// This is gone.
    Removed(Meta),
    /// The server does not tell, for now.
    Refused(Arc<ApiResource>),
}

/// Tells `changes` what becomes of the objects of `resource`, until nobody listens any more.
pub(crate) async fn follow(client: Client, env: Env, resource: Arc<ApiResource>, changes: Sender<Change>) {
    let api = Api::<Seen>::of(&client, ApiResource::clone(&resource), None);
    while !changes.is_closed() {
        match list_and_watch(&api, &resource, &changes).await {
            // Compacted, or nobody listens: the one is listed again, the other ends the loop.
            Ok(()) => {}
            Err(error) if error.is_not_found() => {
                // No longer served, so there is nothing of it; what is served again is found here.
                drop(changes.send(Change::Listed(Arc::clone(&resource), Vec::new())).await);
                env.sleep(env.jitter(RETRY_UNSERVED, 0.5)).await;
            }
            Err(error) => {
                tracing::debug!(resource = %resource.resource(), %error, "cannot follow; trying again");
                // A server that is not there says nothing of one resource more than of another.
                if error.api().is_some() {
                    drop(changes.send(Change::Refused(Arc::clone(&resource))).await);
                }
                env.sleep(env.jitter(RETRY, 0.5)).await;
            }
        }
    }
}

async fn list_and_watch(api: &Api<Seen>, resource: &Arc<ApiResource>, changes: &Sender<Change>) -> Result<(), Error> {
    let (mut version, metas) = list(api).await?;
    let mut open = changes.send(Change::Listed(Arc::clone(resource), metas)).await.is_ok();
    while open {
        let mut events = pin!(match api.watch(&ListParams::default(), &version).await {
            Err(error) if error.is_expired() => return Ok(()),
            started => started?,
        });
        while let Some(event) = events.next().await {
            let change = match event? {
                WatchEvent::Added(Seen { metadata }) | WatchEvent::Modified(Seen { metadata }) => {
                    version.clone_from(&metadata.resource_version);
                    Change::Set(Arc::clone(resource), metadata)
                }
                WatchEvent::Deleted(Seen { metadata }) => {
                    version.clone_from(&metadata.resource_version);
                    Change::Removed(metadata)
                }
                WatchEvent::Bookmark { resource_version, .. } => {
                    version = resource_version;
                    continue;
                }
                WatchEvent::Unreadable { object, error, .. } => {
                    tracing::warn!(object = object.name(), %error, "metadata that cannot be read is left alone");
                    continue;
                }
                WatchEvent::Error(error) if error.is_expired() => return Ok(()),
                WatchEvent::Error(error) => return Err(error.into()),
            };
            open = changes.send(change).await.is_ok();
            if !open {
                break;
            }
        }
    }
    Ok(())
}
