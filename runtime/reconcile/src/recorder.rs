//! Events: what happened to an object, for people.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde_json::json;
use tokio::sync::mpsc;
use trimtab_client::{Api, Client, Patch};
use trimtab_env::{Env, HashMap, Tasks};

use crate::resource::{Resource, object_reference};

/// How many events may wait to be written; more are dropped, for they are only told.
const WAITING: usize = 1_000;
/// How many kinds of events are remembered to be counted rather than told again.
const REMEMBERED: usize = 4_096;
/// So many events may be told about one object at once, and one more each [`REFILL`]
/// (`defaultSpamBurst` and `defaultSpamQPS` of client-go).
const BUDGET: f64 = 25.0;
const REFILL: Duration = Duration::from_secs(300);

/// How an event is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// As it should be.
    Normal,
    /// Somebody may have to act.
    Warning,
}

struct Told {
    about: ObjectReference,
    type_: EventType,
    reason: String,
    message: String,
}

/// Tells events on behalf of one component. Cloning is cheap.
#[derive(Clone)]
pub struct Recorder {
    sender: mpsc::Sender<Told>,
}

impl Recorder {
    /// A recorder for `component`, whose writing runs under `tasks`.
    pub fn new(client: &Client, env: &Env, component: &str, host: Option<&str>, tasks: &Tasks) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let writer = Writer {
            client: client.clone(),
            env: env.clone(),
            source: EventSource { component: Some(component.to_owned()), host: host.map(str::to_owned) },
            told: Arc::default(),
            budgets: Budgets::default(),
        };
        tasks.spawn_cancellable("events", writer.run(receiver));
        Self { sender }
    }

    /// Tells an event about `object`. The same event again only raises its count.
    pub fn event<K: Resource>(&self, object: &K, type_: EventType, reason: &str, message: impl Into<String>) {
        self.event_about(object_reference(object), type_, reason, message);
    }

    /// As [`Recorder::event`], about what a reference names, such as a container of a pod.
    pub fn event_about(&self, about: ObjectReference, type_: EventType, reason: &str, message: impl Into<String>) {
        let told = Told { about, type_, reason: reason.to_owned(), message: message.into() };
        if self.sender.try_send(told).is_err() {
            tracing::debug!("an event is dropped: too many wait");
        }
    }
}

type Key = (String, String, String, String);

struct Writer {
    client: Client,
    env: Env,
    source: EventSource,
    /// Name and count of the events that were written.
    told: Arc<Mutex<HashMap<Key, (String, i32)>>>,
    budgets: Budgets,
}

/// How many events may still be told about each object, so that one in trouble, or one of a
/// thousand children, does not flood the API (upstream's spam filter).
#[derive(Default)]
struct Budgets(HashMap<String, (f64, Timestamp)>);

impl Budgets {
    /// Whether one more may be told about the object `uid`.
    fn take(&mut self, uid: &str, now: Timestamp) -> bool {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(uid) {
            self.0.clear();
        }
        let (left, since) = self.0.entry(uid.to_owned()).or_insert((BUDGET, now));
        let earned = now.duration_since(*since).as_secs_f64() / REFILL.as_secs_f64();
        (*left, *since) = ((*left + earned).min(BUDGET), now);
        let allowed = *left >= 1.0;
        if allowed {
            *left -= 1.0;
        }
        allowed
    }
}

impl Writer {
    async fn run(mut self, mut receiver: mpsc::Receiver<Told>) {
        while let Some(told) = receiver.recv().await {
            if !self.budgets.take(told.about.uid.as_deref().unwrap_or_default(), self.env.now()) {
                continue;
            }
            if let Err(error) = self.write(told).await {
                tracing::debug!(%error, "an event could not be written");
            }
        }
    }

    async fn write(&self, told: Told) -> Result<(), trimtab_client::Error> {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let about = format!("{}#{}", text(&told.about.uid), text(&told.about.field_path));
        let key = (about, text(&told.about.name), told.reason.clone(), told.message.clone());
        let namespace = told.about.namespace.clone().filter(|n| !n.is_empty()).unwrap_or_else(|| "default".to_owned());
        let api: Api<Event> = Api::namespaced(&self.client, &namespace);
        let known = self.told.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some((name, count)) = known {
            let now = Time(self.env.now());
            let patch = Patch::Merge(json!({"count": count + 1, "lastTimestamp": now}));
            if api.patch(&name, &patch).await.is_ok() {
                self.remember(key, name, count + 1);
                return Ok(());
            }
        }
        let event = self.new_event(told, namespace);
        let name = event.metadata.name.clone().unwrap_or_default();
        api.create(&event).await?;
        self.remember(key, name, 1);
        Ok(())
    }

    fn remember(&self, key: Key, name: String, count: i32) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.insert(key, (name, count));
    }

    fn new_event(&self, told: Told, namespace: String) -> Event {
        let now = Time(self.env.now());
        let name = format!(
            "{}.{}",
            told.about.name.clone().unwrap_or_default(),
            self.env.uuid().replace('-', "").split_at(16).0
        );
        Event {
            metadata: ObjectMeta { name: Some(name), namespace: Some(namespace), ..ObjectMeta::default() },
            type_: Some(format!("{:?}", told.type_)),
            reason: Some(told.reason),
            message: Some(told.message),
            involved_object: told.about,
            first_timestamp: Some(now.clone()),
            last_timestamp: Some(now),
            count: Some(1),
            reporting_component: self.source.component.clone(),
            reporting_instance: self.source.host.clone(),
            source: Some(self.source.clone()),
            ..Event::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_told_about_in_bursts_and_then_seldom() {
        let (mut budgets, now) = (Budgets::default(), Timestamp::UNIX_EPOCH);
        let burst = (0..1_000).filter(|_| budgets.take("a", now)).count();
        assert_eq!(burst, 25);
        assert!(budgets.take("b", now), "another object has a budget of its own");
        let later = now + Duration::from_secs(301);
        assert_eq!((budgets.take("a", later), budgets.take("a", later)), (true, false));
    }
}
