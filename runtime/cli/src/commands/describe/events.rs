//! The events about an object.

use anyhow::Result;
use k8s_openapi::api::core::v1::Event;
use trimtab_api::{Object, table as age};
use trimtab_client::discovery::Discovered;
use trimtab_client::{Api, ListParams};

use crate::session::Session;

/// The events about one object, the oldest first.
pub(super) async fn about(session: &Session, kind: &Discovered, object: &Object) -> Result<Vec<Event>> {
    let fields = format!(
        "involvedObject.kind={},involvedObject.name={},involvedObject.namespace={}",
        kind.resource.kind,
        object.name(),
        object.namespace()
    );
    // Events about objects without a namespace are kept in the default one.
    let namespace = if object.namespace().is_empty() { "default" } else { object.namespace() };
    let api: Api<Event> = Api::namespaced(&session.client, namespace);
    let mut events = api.list(&ListParams::default().fields(fields)).await?.items;
    events.retain(|event| {
        let uid = event.involved_object.uid.as_deref().unwrap_or_default();
        // Node events carry the node's name as its uid.
        uid.is_empty() || uid == object.uid() || uid == object.name()
    });
    events.sort_by_key(last_seen);
    Ok(events)
}

/// When an event was last seen, in seconds since the Unix epoch.
pub(crate) fn last_seen(event: &Event) -> i64 {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let seen = series.or(event.last_timestamp.as_ref().map(|time| time.0)).or(event.event_time.as_ref().map(|t| t.0));
    let seen = seen.or(event.metadata.creation_timestamp.as_ref().map(|time| time.0));
    seen.map_or(0, |time| time.as_second())
}

/// `2m`, or `2m (x5 over 10m)` when it happened more than once.
pub(crate) fn seen(event: &Event, now: i64) -> String {
    let last = age::human_duration(now - last_seen(event));
    let count = event.series.as_ref().and_then(|series| series.count).or(event.count).unwrap_or(1);
    match &event.first_timestamp {
        Some(first) if count > 1 => {
            format!("{last} (x{count} over {})", age::human_duration(now - first.0.as_second()))
        }
        _ => last,
    }
}
