//! Keeps a cache true: list, then watch, and again from where it broke off.

use std::time::Duration;

use futures::StreamExt;
use serde_json::value::RawValue;
use trimtab_api::{ApiError, Object, ObjectRef, from_json};
use trimtab_client::{Api, Client, Error, ListParams, WatchEvent};
use trimtab_env::{Env, Instant};

use crate::cache::Cache;
use crate::resource::View;

const PAGE: usize = 500;
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// A cache of one object alone, and what keeps it true for as long as it is polled: for those who
/// may not see the others.
pub fn cache_one<K: View>(
    client: &Client,
    env: &Env,
    key: &ObjectRef,
) -> (Cache<K>, impl Future<Output = ()> + Send + use<K>) {
    let client = client.clone().without_managed_fields();
    let (cache, api) = (Cache::default(), Api::<K>::namespaced(&client, &key.namespace));
    let params = ListParams::default().fields(format!("metadata.name={}", key.name));
    (cache.clone(), run(api, "", params, cache, env.clone()))
}

/// Runs until it is dropped. `scope` is the namespace whose objects it is to keep, or `""`.
pub(crate) async fn run<K: View>(api: Api<K>, scope: &str, params: ListParams, cache: Cache<K>, env: Env) {
    let api = if K::METADATA_ONLY { api.metadata_only() } else { api };
    let mut delay = FIRST_RETRY;
    let mut position: Option<String> = None;
    loop {
        let (started, listing) = (Instant::now(), position.is_none());
        let result = match position.take() {
            None => list(&api, scope, &params, &cache).await.map(Some),
            Some(from) => follow(&api, scope, &params, &cache, from).await,
        };
        match result {
            Ok(next) => {
                position = next;
                // A server that hangs up at once, or whose every version is too old, is failing.
                if started.elapsed() >= LAST_RETRY || listing {
                    delay = FIRST_RETRY;
                } else {
                    pause(&env, &mut delay).await;
                }
            }
            Err((error, from)) => {
                tracing::debug!(kind = K::KIND, %error, "a watch broke off");
                position = from;
                pause(&env, &mut delay).await;
            }
        }
    }
}

async fn pause(env: &Env, delay: &mut Duration) {
    env.sleep(env.jitter(*delay, 0.5)).await;
    *delay = (*delay * 2).min(LAST_RETRY);
}

type Broken = (Error, Option<String>);

async fn list<K: View>(api: &Api<K>, scope: &str, params: &ListParams, cache: &Cache<K>) -> Result<String, Broken> {
    let mut params = ListParams { limit: PAGE, ..params.clone() };
    // Each object is read by itself: one that cannot be read does not hide the others.
    let api: Api<Box<RawValue>> = api.read_as();
    let mut objects = Vec::new();
    loop {
        let page = api.list(&params).await.map_err(|error| (error, None))?;
        objects.extend(page.items.iter().filter_map(|item| read::<K>(api.client(), item)));
        let version = page.metadata.resource_version.unwrap_or_default();
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => {
                cache.replace(objects, version.parse().unwrap_or(0), scope);
                return Ok(version);
            }
        }
    }
}

fn read<K: View>(client: &Client, item: &RawValue) -> Option<K> {
    let failed = |error: &serde_json::Error| {
        let key =
            from_json(item.get().as_bytes()).map(|object: Object| ObjectRef::new(object.namespace(), object.name()));
        let key = key.map_or_else(|_| "?".to_owned(), |key| key.to_string());
        tracing::warn!(kind = K::KIND, key, %error, "an object cannot be read; it is passed over");
    };
    client.read(item.get().as_bytes()).inspect_err(failed).ok()
}

/// Follows the events; answers where to go on, or `None` when a new list is needed.
async fn follow<K: View>(
    api: &Api<K>,
    scope: &str,
    params: &ListParams,
    cache: &Cache<K>,
    from: String,
) -> Result<Option<String>, Broken> {
    let events = match api.watch(params, &from).await {
        Ok(events) => events,
        Err(error) if error.is_expired() => return Ok(None),
        Err(error) => return Err((error, Some(from))),
    };
    let mut events = std::pin::pin!(events);
    let mut position = from;
    while let Some(event) = events.next().await {
        match event {
            Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                advance(&mut position, &object);
                cache.observe(object);
            }
            Ok(WatchEvent::Deleted(object)) => {
                advance(&mut position, &object);
                cache.deleted(&object);
            }
            Ok(WatchEvent::Bookmark { resource_version, .. }) => {
                cache.passed(resource_version.parse().unwrap_or(0), scope);
                position = resource_version;
            }
            Ok(WatchEvent::Unreadable { object, error, event }) => {
                let key = ObjectRef::new(object.namespace(), object.name());
                tracing::warn!(kind = K::KIND, %key, error, "an object cannot be read; it is passed over");
                object.resource_version().clone_into(&mut position);
                if event == "DELETED" {
                    cache.deleted_ref(&key, Some(object.uid()), position.parse().unwrap_or(0));
                }
            }
            Ok(WatchEvent::Error(error)) if ApiError::is_expired(&error) => return Ok(None),
            Ok(WatchEvent::Error(error)) => return Err((error.into(), Some(position))),
            Err(error) => return Err((error, Some(position))),
        }
    }
    Ok(Some(position))
}

fn advance<K: View>(position: &mut String, object: &K) {
    if let Some(version) = &object.metadata().resource_version {
        position.clone_from(version);
    }
}
