//! Objects that go by themselves some time after they were last written.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use trimtab_api::Object;
use trimtab_store::{Entry, Page, Precondition, Write};

use crate::encode;
use crate::server::ApiServer;

/// By group, version and plural: how long after its last write an object goes, as upstream's
/// `--event-ttl`.
const TIME_TO_LIVE: [(&str, &str, &str, Duration); 1] = [("", "v1", "events", Duration::from_secs(3_600))];

/// Deletes what has outlived its time.
pub(crate) async fn sweep(server: &ApiServer) {
    let kinds = server.inner.kinds();
    for (group, version, plural, time_to_live) in TIME_TO_LIVE {
        let Some(kind) = kinds.by_resource(group, version, plural) else { continue };
        let listed = server.inner.store.list(&encode::prefix(kind, ""), Page::default()).await;
        let Ok(page) = listed.inspect_err(|error| tracing::warn!(%error, plural, "the store could not be read")) else {
            continue;
        };
        let now = server.inner.env.now();
        for entry in page.entries.iter().filter(|entry| is_over(entry, now, time_to_live)) {
            let precondition = Precondition::At(entry.mod_revision);
            let write = Write { key: entry.key.to_string(), value: None, precondition };
            // Whoever writes it now keeps it.
            let _ = server.inner.store.commit(write).await;
        }
    }
}

fn is_over(entry: &Entry, now: Timestamp, time_to_live: Duration) -> bool {
    written(&encode::stored_object(entry)).is_some_and(|time| time + time_to_live <= now)
}

/// When an object was last written, as its field managers know.
fn written(object: &Object) -> Option<Timestamp> {
    let entries = object.at(&["metadata", "managedFields"]).and_then(Value::as_array);
    let times = entries.into_iter().flatten().filter_map(|entry| entry["time"].as_str());
    times.chain([object.str_at(&["metadata", "creationTimestamp"])]).filter_map(|time| time.parse().ok()).max()
}
