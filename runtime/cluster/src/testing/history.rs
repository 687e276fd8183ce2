//! What a cluster has written, and who asked for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::Notify;
use trimtab_env::{Instant, Tasks, lock};
use trimtab_store::{Event, Store};

use super::ledger::Ledger;

/// How many of the last lines are told when a test fails.
const TOLD: usize = 200;
/// How many lines are kept.
const KEPT: usize = 50_000;
const LEASES: &str = "/registry/coordination.k8s.io/leases/";
const NODES: &str = "/registry/nodes/";
const EVENTS: &str = "/registry/events/";
/// The program that is the agent of all nodes.
const AGENT: &str = "kubelet";

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
    lines: Vec<Line>,
    made: Made,
    since: Instant,
}

/// How often an object of each key was made, and deleted. Objects with generated names are one.
pub(super) type Made = BTreeMap<String, (u32, u32)>;

#[derive(Clone)]
pub(super) struct Line {
    after: Duration,
    text: String,
    /// Of what was written; what went wrong has none.
    key: Option<String>,
}

impl History {
    /// The history of `store`, which a task of `tasks` writes down.
    pub(super) fn follow(store: Arc<Ledger>, tasks: &Tasks) -> Self {
        let (lines, made) = (Vec::new(), Made::new());
        let told = Told { hasher: DefaultHasher::new(), writes: 0, lines, made, since: Instant::now() };
        let history = Self { told: Arc::new(Mutex::new(told)), changed: Arc::default() };
        let written = history.clone();
        tasks.spawn_cancellable("history", async move {
            let mut events = store.watch("/", store.revision()).await.expect("what comes can be watched");
            while let Some(batch) = events.next().await {
                for event in batch.expect("nothing is compacted that has not been seen") {
                    let author = store.take_author(event.revision);
                    written.told().add(&event, author.map(|author| author.to_string()).as_deref());
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

    /// Something that went wrong.
    pub(super) fn note(&self, text: String) {
        let mut told = self.told();
        let after = told.since.elapsed();
        told.push(Line { after, text, key: None });
    }

    pub(super) fn made(&self) -> Made {
        self.told().made.clone()
    }

    /// How long it has been written.
    pub(super) fn age(&self) -> Duration {
        self.told().since.elapsed()
    }

    /// At which times something was written, counted from that age.
    pub(super) fn times(&self, from: Duration) -> BTreeSet<Duration> {
        let told = self.told();
        let written = told.lines.iter().filter(|line| line.key.is_some());
        written.filter_map(|line| line.after.checked_sub(from)).collect()
    }

    /// What went wrong, and what was written of these keys, in order.
    pub(super) fn trace(&self, keys: &[String]) -> String {
        let told = self.told();
        let concerns = |line: &&Line| line.key.as_ref().is_none_or(|key| keys.contains(key));
        told.lines.iter().filter(concerns).map(|line| format!("  {line}\n")).collect()
    }

    /// What was written after the first so many writes, but for events: whoever starts anew tells again.
    pub(super) fn since(&self, writes: u64) -> String {
        let told = self.told();
        let written: Vec<_> = told.lines.iter().filter(|line| line.key.is_some()).collect();
        let new = usize::try_from(told.writes - writes).unwrap_or(usize::MAX);
        let new = written.iter().skip(written.len().saturating_sub(new));
        let lasting = new.filter(|line| line.key.as_ref().is_some_and(|key| !key.starts_with(EVENTS)));
        lasting.map(|line| format!("  {line}\n")).collect()
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        lock(&self.told)
    }
}

impl Told {
    fn add(&mut self, event: &Event, author: Option<&str>) {
        let value = event.entry.as_ref().map(|entry| &entry.value[..]).unwrap_or_default();
        self.hasher.write_u64(event.revision);
        self.hasher.write(event.key().as_bytes());
        self.hasher.write(value);
        let author = author.unwrap_or("the server by itself");
        if is_heartbeat(event, author) {
            return;
        }
        self.writes += 1;
        let verb = match (&event.previous, &event.entry) {
            (None, Some(entry)) => {
                self.made.entry(common_key(&entry.key, &entry.value)).or_default().0 += 1;
                "create"
            }
            (Some(entry), None) => {
                self.made.entry(common_key(&entry.key, &entry.value)).or_default().1 += 1;
                "delete"
            }
            _ => "update",
        };
        let text = format!("{verb} {} @{} by {author}", event.key(), event.revision);
        let after = self.since.elapsed();
        self.push(Line { after, text, key: Some(event.key().to_owned()) });
    }

    fn push(&mut self, line: Line) {
        if self.lines.len() == KEPT {
            self.lines.drain(..KEPT / 2);
        }
        self.lines.push(line);
    }
}

/// The key, with a star for what was generated of the name.
fn common_key(key: &str, value: &[u8]) -> String {
    const FIELD: &[u8] = br#""generateName":""#;
    let generated = value.windows(FIELD.len()).position(|part| part == FIELD).and_then(|at| {
        let rest = &value[at + FIELD.len()..];
        let end = rest.iter().position(|byte| *byte == b'"')?;
        std::str::from_utf8(&rest[..end]).ok()
    });
    match (generated, key.rsplit_once('/')) {
        (Some(prefix), Some((place, name))) if name.starts_with(prefix) => format!("{place}/{prefix}*"),
        _ => key.to_owned(),
    }
}

/// A node's agent renews its lease, and now and then the times in the node's status; who is elected renews the lease of
/// his name.
fn is_heartbeat(event: &Event, author: &str) -> bool {
    let program = author.split_once(": ").map_or(author, |(program, _)| program);
    let is_update = event.previous.is_some() && event.entry.is_some();
    match event.key().strip_prefix(LEASES) {
        Some(lease) => program == AGENT || lease.ends_with(&format!("/{program}")),
        None => program == AGENT && event.key().starts_with(NODES) && is_update,
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3} s  {}", self.after.as_secs_f64(), self.text)
    }
}

/// The last writes, a line each.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.told();
        writeln!(f, "the last writes:")?;
        told.lines.iter().skip(told.lines.len().saturating_sub(TOLD)).try_for_each(|line| writeln!(f, "{line}"))
    }
}
