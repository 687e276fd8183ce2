//! The engine behind every backend: the state, who reads it and who watches it.
//!
//! ```text
//!            stage            log (durable backends)          apply
//! Write ---------------> events ------------------> durable --------> state + watchers
//! ```
//!
//! One writer at a time stages and applies; readers see only what has been applied. Locks are
//! taken in the order state, observers, watchers, inbox; none is held across an `.await` or a write to disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::Waker;

use tokio::sync::watch;

use crate::mvcc::Mvcc;
use crate::stage::Stage;
use crate::store::{Entry, Event, ListPage, Observer, Outcome, Page, ReadError, Revision, Watch, Write};
use crate::watch::{WatchStream, Watcher, Watchers};

pub(crate) struct Engine {
    state: RwLock<Mvcc>,
    observers: Mutex<Vec<Observer>>,
    watchers: Mutex<Watchers>,
    revision: watch::Sender<Revision>,
}

impl Engine {
    pub(crate) fn new(state: Mvcc) -> Arc<Self> {
        let revision = watch::Sender::new(state.revision());
        Arc::new(Self { state: RwLock::new(state), observers: Mutex::default(), watchers: Mutex::default(), revision })
    }

    pub(crate) fn revision(&self) -> Revision {
        *self.revision.borrow()
    }

    pub(crate) async fn reached(&self, revision: Revision) {
        let mut newest = self.revision.subscribe();
        newest.wait_for(|newest| *newest >= revision).await.expect("the sender is borrowed from self");
    }

    pub(crate) fn get(&self, key: &str) -> Option<Arc<Entry>> {
        self.with_state(|state| state.get(key).cloned())
    }

    pub(crate) fn list(&self, prefix: &str, page: &Page) -> Result<ListPage, ReadError> {
        self.with_state(|state| state.list(prefix, page))
    }

    pub(crate) fn watch(self: &Arc<Self>, prefix: &str, after: Revision) -> Result<Watch, ReadError> {
        self.with_state(|state| state.after(after).map(drop))?;
        let watcher = self.watchers().add(prefix, after);
        Ok(Box::pin(WatchStream::new(self, watcher)))
    }

    pub(crate) fn unwatch(&self, watcher: &Watcher) {
        self.watchers().remove(watcher);
    }

    /// Checks and numbers `writes`, each with those beside it. The caller is the only writer, and applies the events (or, if
    /// they cannot be made durable, never applies anything again).
    pub(crate) fn stage(&self, writes: impl IntoIterator<Item = (Vec<Write>, Write)>) -> (Vec<Outcome>, Vec<Event>) {
        self.with_state(|state| {
            let mut stage = Stage::on(state);
            let outcomes = writes.into_iter().map(|(beside, write)| stage.admit(beside, write)).collect();
            (outcomes, stage.finish())
        })
    }

    /// Makes staged events visible.
    pub(crate) fn apply(&self, events: Vec<Event>) {
        let Some(newest) = events.last().map(|event| event.revision) else { return };
        let mut wake = Vec::new();
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let mut observers = self.observers();
            let watchers = self.watchers();
            for event in events {
                observers.retain(|observer| tell(observer, &event));
                watchers.offer(&event, &mut wake);
                state.apply(event);
            }
        }
        self.revision.send_replace(newest);
        wake.into_iter().for_each(Waker::wake);
    }

    /// Whether a compaction at `revision` has anything to do.
    pub(crate) fn can_compact(&self, revision: Revision) -> Result<bool, ReadError> {
        self.with_state(|state| {
            let current = state.revision();
            if revision > current {
                return Err(ReadError::Future { asked: revision, current });
            }
            Ok(revision > state.compacted())
        })
    }

    /// Forgets the history up to `revision`, which has been checked; answers the events that are
    /// gone.
    pub(crate) fn compact(&self, revision: Revision) -> Vec<Event> {
        self.state.write().unwrap_or_else(PoisonError::into_inner).compact(revision)
    }

    /// Ends the watches.
    pub(crate) fn close(&self) {
        let wake = self.watchers().close();
        wake.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn with_state<T>(&self, read: impl FnOnce(&Mvcc) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn observe(&self, observer: Observer) {
        self.observers().push(observer);
    }

    fn observers(&self) -> MutexGuard<'_, Vec<Observer>> {
        self.observers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watchers(&self) -> MutexGuard<'_, Watchers> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is durable is to be seen, whatever its observers make of it: one that panics stops no write.
fn tell(observer: &Observer, event: &Event) -> bool {
    catch_unwind(AssertUnwindSafe(|| observer(event))).unwrap_or_else(|_| {
        tracing::error!(key = event.key(), "an observer of the store panicked");
        true
    })
}
