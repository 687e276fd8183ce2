//! The pods that wait for a node.
//!
//! ```text
//!            add                    pop
//!   (new) --------> active ------------------> (being placed)
//!                     ^  ^                       |        |
//!            due time |  | world changed         | fails  | fits nowhere
//!                     |  |                       v        v
//!                  back-off <-------------- (retry)   unschedulable
//! ```
//!
//! A pod that fits nowhere waits for the world to change, not for time to pass.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use trimtab_api::ObjectRef;
use trimtab_env::{HashMap, Instant};

use crate::pod_info::PodInfo;

/// How long a pod waits after its first failure; each further one doubles it, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);

/// The place of a pod among the active ones: higher priorities first, then by age.
type Place = (Reverse<i32>, u64, ObjectRef);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Active(Place),
    BackingOff(Instant),
    Unschedulable,
    /// It was popped, and its fate is not known yet.
    Popped,
}

struct Waiting {
    pod: Arc<PodInfo>,
    state: State,
    attempts: u32,
    /// When it may be tried again at the earliest.
    due: Instant,
    age: u64,
}

/// The pods that wait.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: HashMap<ObjectRef, Waiting>,
    active: BTreeSet<Place>,
    backing_off: BTreeSet<(Instant, ObjectRef)>,
    age: u64,
}

impl Queue {
    /// Takes in a pod, new or changed. A changed one is tried again only if its needs changed.
    pub(crate) fn add(&mut self, pod: Arc<PodInfo>, now: Instant) {
        let key = pod.key.clone();
        match self.waiting.get_mut(&key) {
            Some(known) if known.pod.uid() == pod.uid() => {
                let changed = known.pod.needs != pod.needs;
                known.pod = pod;
                if changed && known.state == State::Unschedulable {
                    self.wake(&key, now);
                }
            }
            _ => {
                self.remove(&key);
                self.age += 1;
                let waiting = Waiting { pod, state: State::Popped, attempts: 0, due: now, age: self.age };
                self.waiting.insert(key.clone(), waiting);
                self.activate(&key);
            }
        }
    }

    /// Forgets a pod.
    pub(crate) fn remove(&mut self, key: &ObjectRef) {
        let Some(waiting) = self.waiting.remove(key) else { return };
        match waiting.state {
            State::Active(place) => drop(self.active.remove(&place)),
            State::BackingOff(due) => drop(self.backing_off.remove(&(due, key.clone()))),
            State::Unschedulable | State::Popped => {}
        }
    }

    /// The next pod to place.
    pub(crate) fn pop(&mut self) -> Option<Arc<PodInfo>> {
        let (_, _, key) = self.active.pop_first()?;
        let waiting = self.waiting.get_mut(&key)?;
        waiting.state = State::Popped;
        Some(Arc::clone(&waiting.pod))
    }

    /// The popped pod fits nowhere: it waits for the world to change.
    pub(crate) fn fits_nowhere(&mut self, key: &ObjectRef, now: Instant) {
        if let Some(waiting) = self.waiting.get_mut(key) {
            waiting.failed(now);
            waiting.state = State::Unschedulable;
        }
    }

    /// The popped pod could not be bound: it is tried again after a while.
    pub(crate) fn retry(&mut self, key: &ObjectRef, now: Instant) {
        let Some(waiting) = self.waiting.get_mut(key) else { return };
        waiting.failed(now);
        self.wake(key, now);
    }

    /// The world changed: whatever fitted nowhere may fit now.
    pub(crate) fn wake_all(&mut self, now: Instant) {
        let stuck = self.waiting.iter().filter(|(_, waiting)| waiting.state == State::Unschedulable);
        let stuck: Vec<ObjectRef> = stuck.map(|(key, _)| key.clone()).collect();
        stuck.iter().for_each(|key| self.wake(key, now));
    }

    /// Makes active whatever is due.
    pub(crate) fn advance(&mut self, now: Instant) {
        while self.next_due().is_some_and(|due| due <= now) {
            if let Some((_, key)) = self.backing_off.pop_first() {
                self.activate(&key);
            }
        }
    }

    /// When the next pod that backs off is due; `None` when none does, and no timer is needed.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.backing_off.first().map(|(due, _)| *due)
    }

    fn wake(&mut self, key: &ObjectRef, now: Instant) {
        let Some(waiting) = self.waiting.get_mut(key) else { return };
        if waiting.due <= now {
            return self.activate(key);
        }
        waiting.state = State::BackingOff(waiting.due);
        self.backing_off.insert((waiting.due, key.clone()));
    }

    fn activate(&mut self, key: &ObjectRef) {
        let Some(waiting) = self.waiting.get_mut(key) else { return };
        let place = (Reverse(waiting.pod.needs.priority), waiting.age, key.clone());
        waiting.state = State::Active(place.clone());
        self.active.insert(place);
    }
}

impl Waiting {
    fn failed(&mut self, now: Instant) {
        let wait = FIRST.saturating_mul(1 << self.attempts.min(10)).min(LONGEST);
        self.attempts += 1;
        self.due = now + wait;
    }
}
