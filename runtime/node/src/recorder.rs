//! Events: what happened to pods and nodes, for people. Never waited for.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde_json::json;
use tokio::sync::mpsc;
use trimtab_client::{Api, Client, Patch};
use trimtab_env::{CancellationToken, Env};

/// Events that wait to be written; more are dropped, with a log line.
const WAITING: usize = 256;
/// Events that are counted up rather than written anew.
const REMEMBERED: usize = 1024;

/// An event to be written.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) about: ObjectReference,
    pub(crate) warning: bool,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) node: String,
}

/// Takes events. Clones share the queue.
#[derive(Clone)]
pub(crate) struct Recorder(mpsc::Sender<Note>);

impl Recorder {
    pub(crate) fn note(&self, note: Note) {
        if let Err(error) = self.0.try_send(note) {
            tracing::warn!(%error, "an event was dropped");
        }
    }
}

/// Writes what its [`Recorder`]s take.
pub(crate) struct Writer {
    client: Client,
    env: Env,
    queue: mpsc::Receiver<Note>,
    /// What was written, by content: its name and count.
    written: HashMap<String, (String, i32)>,
}

pub(crate) fn recorder(client: Client, env: Env) -> (Recorder, Writer) {
    let (sender, queue) = mpsc::channel(WAITING);
    (Recorder(sender), Writer { client, env, queue, written: HashMap::new() })
}

impl Writer {
    /// Writes events until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        while let Some(Some(note)) = shutdown.run_until_cancelled(self.queue.recv()).await {
            if let Err(error) = self.write(note).await {
                tracing::debug!(%error, "an event could not be written");
            }
        }
    }

    /// The same event again only raises the count of the one that is there.
    async fn write(&mut self, note: Note) -> Result<(), trimtab_client::Error> {
        let namespace = note.about.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let api = Api::<Event>::namespaced(&self.client, &namespace);
        let key = format!("{:?} {} {}", note.about, note.reason, note.message);
        let now = Time(self.env.now());
        if let Some((name, count)) = self.written.get_mut(&key) {
            *count += 1;
            let patch = Patch::Merge(json!({"count": *count, "lastTimestamp": now}));
            match api.patch(name, &patch).await {
                Err(error) if error.is_not_found() => {}
                other => return other.map(drop),
            }
        }
        let event = self.event(note, &namespace, now);
        let name = event.metadata.name.clone().unwrap_or_default();
        api.create(&event).await?;
        if self.written.len() >= REMEMBERED {
            self.written.clear();
        }
        self.written.insert(key, (name, 1));
        Ok(())
    }

    fn event(&self, note: Note, namespace: &str, now: Time) -> Event {
        let about = note.about.name.clone().unwrap_or_default();
        let mut suffix = [0; 8];
        self.env.fill(&mut suffix);
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{about}.{:016x}", u64::from_be_bytes(suffix))),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            involved_object: note.about,
            type_: Some(if note.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(note.reason.to_owned()),
            message: Some(note.message),
            count: Some(1),
            first_timestamp: Some(now.clone()),
            last_timestamp: Some(now),
            source: Some(EventSource { component: Some("kubelet".to_owned()), host: Some(note.node.clone()) }),
            reporting_component: Some("kubelet".to_owned()),
            reporting_instance: Some(note.node),
            ..Event::default()
        }
    }
}
