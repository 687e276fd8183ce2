//! The names of objects to look at.

use std::collections::{BTreeMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use trimtab_env::{Env, HashMap, HashSet, Instant};

use crate::metrics::{Durations, QueueState};

/// The delays after failures (`client-go`'s default rate limiter).
const FIRST_DELAY: Duration = Duration::from_millis(5);
const LAST_DELAY: Duration = Duration::from_secs(1_000);

/// When something is due; the number tells apart what is due at once.
type Due = (Instant, u64);

enum Timer<T> {
    /// The name is to be added.
    Add(T),
    /// The name is handed out again from now on.
    Rested(T),
}

struct State<T> {
    ready: VecDeque<(T, Instant)>,
    /// To be looked at: each name is in `ready` at most once.
    dirty: HashSet<T>,
    /// Handed out. One that is added meanwhile waits until it is done.
    processing: HashSet<T>,
    /// When a name is to be added, and where that is in `timers`.
    delayed: HashMap<T, Due>,
    timers: BTreeMap<Due, Timer<T>>,
    sequence: u64,
    failures: HashMap<T, u32>,
    adds: u64,
    retries: u64,
    waited: Durations,
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
            dirty: HashSet::default(),
            processing: HashSet::default(),
            delayed: HashMap::default(),
            timers: BTreeMap::new(),
            sequence: 0,
            failures: HashMap::default(),
            adds: 0,
            retries: 0,
            waited: Durations::default(),
        };
        Self { state: Mutex::new(state), changed: Notify::new(), env: env.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a name; nothing when it waits already.
    pub fn add(&self, item: T) {
        if self.state().add(item) {
            self.changed.notify_one();
        }
    }

    /// Adds a name after `delay`, or sooner when it already waits for a sooner time.
    pub fn add_after(&self, item: T, delay: Duration) {
        let mut state = self.state();
        let due = state.due(delay);
        match state.delayed.get(&item) {
            Some(sooner) if *sooner <= due => return,
            later => {
                let later = later.copied();
                later.and_then(|later| state.timers.remove(&later));
            }
        }
        state.delayed.insert(item.clone(), due);
        state.timers.insert(due, Timer::Add(item));
        self.changed.notify_one();
    }

    /// The next name. It is handed out again only after [`Queue::done`]. Safe to drop.
    pub async fn next(&self) -> T {
        loop {
            match self.take() {
                Ok(item) => return item,
                Err(None) => self.changed.notified().await,
                Err(Some(at)) => {
                    tokio::select! {
                        biased;
                        () = self.changed.notified() => {}
                        () = tokio::time::sleep_until(at) => {}
                    }
                }
            }
        }
    }

    /// As [`Queue::next`], if there is a name now.
    pub fn try_next(&self) -> Option<T> {
        self.take().ok()
    }

    /// The next name; when there is none, the time at which one may be due.
    fn take(&self) -> Result<T, Option<Instant>> {
        let mut state = self.state();
        state.ring(Instant::now());
        let Some((item, since)) = state.ready.pop_front() else {
            return Err(state.timers.keys().next().map(|(at, _)| *at));
        };
        state.waited.add(since.elapsed());
        state.dirty.remove(&item);
        state.processing.insert(item.clone());
        // Whoever waits next takes over the rest, and the timers.
        if !state.ready.is_empty() || !state.timers.is_empty() {
            self.changed.notify_one();
        }
        Ok(item)
    }

    /// Ends the work on a name; it comes again when it was added meanwhile.
    pub fn done(&self, item: &T) {
        if self.state().done(item) {
            self.changed.notify_one();
        }
    }

    /// As [`Queue::done`], but the name is left alone for `rest` first: what is added until then
    /// is one.
    pub fn done_after(&self, item: &T, rest: Duration) {
        if rest.is_zero() {
            return self.done(item);
        }
        let mut state = self.state();
        let due = state.due(rest);
        state.timers.insert(due, Timer::Rested(item.clone()));
        self.changed.notify_one();
    }

    /// Adds a name after a delay that doubles with each failure in a row.
    pub fn retry(&self, item: T) {
        let failures = {
            let mut state = self.state();
            let count = state.failures.entry(item.clone()).or_default();
            *count += 1;
            let count = *count;
            state.retries += 1;
            count
        };
        let delay = FIRST_DELAY.saturating_mul(1_u32.checked_shl(failures - 1).unwrap_or(u32::MAX)).min(LAST_DELAY);
        self.add_after(item, self.env.jitter(delay, 0.1));
    }

    /// How it stands.
    pub fn stands(&self) -> QueueState {
        let state = self.state();
        let (adds, retries, waited) = (state.adds, state.retries, state.waited.clone());
        QueueState { depth: state.ready.len(), active: state.processing.len(), adds, retries, waited }
    }

    /// Forgets a name's failures.
    pub fn forget(&self, item: &T) {
        self.state().failures.remove(item);
    }
}

impl<T: Clone + Eq + Hash + Ord> State<T> {
    fn due(&mut self, delay: Duration) -> Due {
        self.sequence += 1;
        (Instant::now() + delay, self.sequence)
    }

    /// Whether the name became ready.
    fn add(&mut self, item: T) -> bool {
        let new = self.dirty.insert(item.clone());
        let ready = new && !self.processing.contains(&item);
        self.adds += u64::from(new);
        if ready {
            self.ready.push_back((item, Instant::now()));
        }
        ready
    }

    /// Whether the name is ready again.
    fn done(&mut self, item: &T) -> bool {
        let ready = self.processing.remove(item) && self.dirty.contains(item);
        if ready {
            self.ready.push_back((item.clone(), Instant::now()));
        }
        ready
    }

    /// Does what is due.
    fn ring(&mut self, now: Instant) {
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                Timer::Add(item) => {
                    self.delayed.remove(&item);
                    self.add(item);
                }
                Timer::Rested(item) => {
                    self.done(&item);
                }
            }
        }
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

    #[tokio::test(start_paused = true)]
    async fn the_sooner_of_two_delays_counts_and_the_name_comes_once() {
        let queue = queue();
        let start = Instant::now();
        queue.add_after(1, Duration::from_secs(5));
        queue.add_after(1, Duration::from_secs(2));
        queue.add_after(1, Duration::from_secs(9));
        assert_eq!((queue.next().await, start.elapsed().as_secs()), (1, 2));
        queue.done(&1);
        assert!(tokio::time::timeout(Duration::from_secs(60), queue.next()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_resting_name_comes_once_when_it_has_rested() {
        let queue = queue();
        let start = Instant::now();
        queue.add(1);
        queue.next().await;
        queue.done_after(&1, Duration::from_secs(3));
        queue.add(1);
        queue.add(1);
        assert_eq!((queue.next().await, start.elapsed().as_secs()), (1, 3));
    }

    // The one who had slept towards the delayed name took another and was busy with it; nobody
    // else woke when the delay was over.
    #[tokio::test(start_paused = true)]
    async fn a_delay_is_kept_while_another_is_busy() {
        let queue = std::sync::Arc::new(queue());
        let (first, second) = (queue.next(), queue.next());
        let mut first = std::pin::pin!(first);
        let mut second = std::pin::pin!(second);
        assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
        queue.add_after(1, Duration::from_secs(1));
        assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
        queue.add(2);
        let woken = tokio::select! { item = &mut first => item, item = &mut second => item };
        assert_eq!(woken, 2);
        assert_eq!(tokio::time::timeout(Duration::from_secs(2), queue.next()).await, Ok(1));
    }
}
