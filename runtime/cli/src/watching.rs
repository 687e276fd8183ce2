//! Waiting until an object is as wanted, by its watch.

use std::time::Duration;

use anyhow::Result;
use futures::StreamExt;
use trimtab_api::Object;
use trimtab_client::{Api, ListParams, WatchEvent};
use trimtab_env::Env;

/// How soon a broken watch is begun again.
const PAUSE: Duration = Duration::from_millis(200);

/// Waits until `holds` of the object called `name` (`None` while there is none); false when it
/// did not within `timeout`.
///
/// # Errors
/// When the server refuses, or `holds` fails.
pub(crate) async fn until(
    env: &Env,
    api: &Api<Object>,
    name: &str,
    timeout: Duration,
    mut holds: impl FnMut(Option<&Object>) -> Result<bool>,
) -> Result<bool> {
    tokio::select! {
        done = follow(env, api, name, &mut holds) => done.map(|()| true),
        () = env.sleep(timeout) => Ok(false),
    }
}

async fn follow(
    env: &Env,
    api: &Api<Object>,
    name: &str,
    holds: &mut impl FnMut(Option<&Object>) -> Result<bool>,
) -> Result<()> {
    let params = ListParams::default().fields(format!("metadata.name={name}"));
    loop {
        let list = api.list(&params).await?;
        if holds(list.items.first())? {
            return Ok(());
        }
        let version = list.metadata.resource_version.unwrap_or_default();
        let mut events = std::pin::pin!(api.watch(&params, &version).await?);
        while let Some(event) = events.next().await {
            let done = match event {
                Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => holds(Some(&object))?,
                Ok(WatchEvent::Deleted(_)) => holds(None)?,
                Ok(WatchEvent::Bookmark { .. }) => false,
                // Expired, unreadable or broken: begin again with a list.
                _ => break,
            };
            if done {
                return Ok(());
            }
        }
        env.sleep(PAUSE).await;
    }
}
