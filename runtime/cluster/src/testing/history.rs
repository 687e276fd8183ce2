//! What a cluster has written.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use tokio::sync::Notify;
use trimtab_env::Tasks;
use trimtab_store::{Event, Store};

/// How many of the last writes are told when a test fails.
const TOLD: usize = 200;
const LEASES: &str = "/registry/coordination.k8s.io/leases/";
const NODES: &str = "/registry/nodes/";

/// All writes of a cluster, in their order. Cloning is cheap; clones are the same history.
#[derive(Clone)]
pub struct History {
    told: Arc<Mutex<Told>>,
    changed: Arc<Notify>,
}

struct Told {
    hasher: DefaultHasher,
    /// Those that are no heartbeats.
    writes: u64,
    last: VecDeque<String>,
}

impl History {
    /// The history of `store`, which a task of `tasks` writes down.
    pub(super) fn follow(store: Arc<dyn Store>, tasks: &Tasks) -> Self {
        let told = Told { hasher: DefaultHasher::new(), writes: 0, last: VecDeque::new() };
        let history = Self { told: Arc::new(Mutex::new(told)), changed: Arc::default() };
        let written = history.clone();
        tasks.spawn_cancellable("history", async move {
            let mut events = store.watch("/", store.revision()).await.expect("what comes can be watched");
            while let Some(batch) = events.next().await {
                for event in batch.expect("nothing is compacted that has not been seen") {
                    written.told().add(&event);
                }
                written.changed.notify_waiters();
            }
        });
        history
    }

    /// A number that is the same for the same writes, byte for byte.
    pub fn digest(&self) -> u64 {
        self.told().hasher.finish()
    }

    /// How many writes there were, but for heartbeats and what else is told of nodes.
    pub fn writes(&self) -> u64 {
        self.told().writes
    }

    /// The next write, heartbeats included.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn add(&mut self, event: &Event) {
        let value = event.entry.as_ref().map(|entry| &entry.value[..]).unwrap_or_default();
        self.hasher.write_u64(event.revision);
        self.hasher.write(event.key().as_bytes());
        self.hasher.write(value);
        if is_heartbeat(event) {
            return;
        }
        self.writes += 1;
        if self.last.len() == TOLD {
            self.last.pop_front();
        }
        let verb = match (&event.previous, &event.entry) {
            (None, _) => "create",
            (Some(_), Some(_)) => "update",
            (Some(_), None) => "delete",
        };
        self.last.push_back(format!("{:>6} {verb} {}", event.revision, event.key()));
    }
}

/// A node's agent renews its lease, and now and then the times in the node's status.
fn is_heartbeat(event: &Event) -> bool {
    let key = event.key();
    key.starts_with(LEASES) || (key.starts_with(NODES) && event.previous.is_some() && event.entry.is_some())
}

/// The last writes, a line each.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.told();
        writeln!(f, "the last writes:")?;
        told.last.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
