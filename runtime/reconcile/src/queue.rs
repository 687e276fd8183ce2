//! The names of objects to look at.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use trimtab_env::{Env, Instant};

/// The delays after failures (`client-go`'s default rate limiter).
const FIRST_DELAY: Duration = Duration::from_millis(5);
const LAST_DELAY: Duration = Duration::from_secs(1_000);

struct State<T> {
    ready: VecDeque<T>,
    /// To be looked at: each name is in `ready` at most once.
    dirty: HashSet<T>,
    /// Handed out. One that is added meanwhile waits until it is done.
    processing: HashSet<T>,
    delayed: BTreeMap<(Instant, u64), T>,
    sequence: u64,
    failures: HashMap<T, u32>,
}

/// A queue in which each name is at most once, and never handed out twice at the same time.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Notify,
    env: Env,
}

impl<T: Clone + Eq + Hash + Ord> Queue<T> {
    /// An empty queue.
    pub fn new(env: &Env) -> Self {
        let state = State {
            ready: VecDeque::new(),
            dirty: HashSet::new(),
            processing: HashSet::new(),
            delayed: BTreeMap::new(),
            sequence: 0,
            failures: HashMap::new(),
        };
        Self { state: Mutex::new(state), changed: Notify::new(), env: env.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a name; nothing when it waits already.
    pub fn add(&self, item: T) {
        let mut state = self.state();
        if state.dirty.insert(item.clone()) && !state.processing.contains(&item) {
            state.ready.push_back(item);
            self.changed.notify_one();
        }
    }

    /// Adds a name after `delay`.
    pub fn add_after(&self, item: T, delay: Duration) {
        let mut state = self.state();
        state.sequence += 1;
        let key = (Instant::now() + delay, state.sequence);
        state.delayed.insert(key, item);
        self.changed.notify_one();
    }

    /// The next name. It is handed out again only after [`Queue::done`].
    pub async fn next(&self) -> T {
        loop {
            let wake = {
                let mut state = self.state();
                let now = Instant::now();
                while let Some(entry) = state.delayed.first_entry() {
                    if entry.key().0 > now {
                        break;
                    }
                    let item = entry.remove();
                    if state.dirty.insert(item.clone()) && !state.processing.contains(&item) {
                        state.ready.push_back(item);
                    }
                }
                if let Some(item) = state.ready.pop_front() {
                    state.dirty.remove(&item);
                    state.processing.insert(item.clone());
                    if !state.ready.is_empty() {
                        self.changed.notify_one();
                    }
                    return item;
                }
                state.delayed.keys().next().map(|(at, _)| *at)
            };
            match wake {
                None => self.changed.notified().await,
                Some(at) => {
                    tokio::select! {
                        () = self.changed.notified() => {}
                        () = tokio::time::sleep_until(at) => {}
                    }
                }
            }
        }
    }

    /// Ends the work on a name; it comes again when it was added meanwhile.
    pub fn done(&self, item: &T) {
        let mut state = self.state();
        state.processing.remove(item);
        if state.dirty.contains(item) {
            state.ready.push_back(item.clone());
            self.changed.notify_one();
        }
    }

    /// Adds a name after a delay that doubles with each failure in a row.
    pub fn retry(&self, item: T) {
        let failures = {
            let mut state = self.state();
            let count = state.failures.entry(item.clone()).or_default();
            *count += 1;
            *count
        };
        let delay = FIRST_DELAY.saturating_mul(1_u32.checked_shl(failures - 1).unwrap_or(u32::MAX)).min(LAST_DELAY);
        self.add_after(item, self.env.jitter(delay, 0.1));
    }

    /// Forgets a name's failures.
    pub fn forget(&self, item: &T) {
        self.state().failures.remove(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue<u32> {
        Queue::new(&Env::seeded(1, "2026-01-01T00:00:00Z".parse().unwrap()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_waits_once_and_is_handed_out_once() {
        let queue = queue();
        queue.add(1);
        queue.add(1);
        assert_eq!(queue.next().await, 1);
        queue.add(1);
        assert!(tokio::time::timeout(Duration::from_secs(9), queue.next()).await.is_err(), "it is being worked on");
        queue.done(&1);
        assert_eq!(queue.next().await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_back_off_and_are_forgotten() {
        let queue = queue();
        let mut waits = Vec::new();
        for _ in 0..3 {
            let start = Instant::now();
            queue.retry(1);
            queue.next().await;
            queue.done(&1);
            waits.push(start.elapsed());
        }
        assert!(waits[0] < waits[1] && waits[1] < waits[2], "{waits:?}");
        queue.forget(&1);
        let start = Instant::now();
        queue.retry(1);
        queue.next().await;
        assert!(start.elapsed() < waits[2]);
    }
}
