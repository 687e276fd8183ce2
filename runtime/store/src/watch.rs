//! Watchers: who is told of which event, and how a slow one hurts no other.
//!
//! A watcher that keeps up is handed its events as they are applied. One that does not has them
//! queued up to [`QUEUE`], then is left behind: it reads the rest from the history, in pieces, when
//! it comes to it. Only when a compaction has overtaken it by then has it lost something, and is
//! told so.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures::Stream;

use crate::engine::Engine;
use crate::mvcc::Mvcc;
use crate::store::{Event, Revision, WatchError};

/// How many events wait for a watcher before it is left to read them from the history.
const QUEUE: usize = 1024;

/// How many events of the history are looked through at once, under the state's read lock.
const SCAN: usize = 4096;

/// All watchers, found by the keys they watch.
#[derive(Default)]
pub(crate) struct Watchers {
    /// By the folder of the prefix, that is the prefix up to its last `/`: an event concerns only
    /// the watchers of the few folders above its key.
    by_folder: HashMap<Box<str>, Vec<Arc<Watcher>>>,
    next_id: u64,
    closed: bool,
}

pub(crate) struct Watcher {
    id: u64,
    prefix: Box<str>,
    inbox: Mutex<Inbox>,
}

struct Inbox {
    queue: VecDeque<Event>,
    /// The events after this revision are to be read from the history; `None` for a watcher that
    /// keeps up.
    behind: Option<Revision>,
    waker: Option<Waker>,
    closed: bool,
}

impl Watchers {
    pub(crate) fn add(&mut self, prefix: &str, after: Revision) -> Arc<Watcher> {
        let inbox = Inbox { queue: VecDeque::new(), behind: Some(after), waker: None, closed: self.closed };
        let watcher = Arc::new(Watcher { id: self.next_id, prefix: prefix.into(), inbox: Mutex::new(inbox) });
        self.next_id += 1;
        self.by_folder.entry(folder(prefix).into()).or_default().push(Arc::clone(&watcher));
        watcher
    }

    pub(crate) fn remove(&mut self, watcher: &Watcher) {
        let folder = folder(&watcher.prefix);
        let Some(siblings) = self.by_folder.get_mut(folder) else { return };
        siblings.retain(|other| other.id != watcher.id);
        if siblings.is_empty() {
            self.by_folder.remove(folder);
        }
    }

    /// Hands `event` to the watchers of its key; `wake` receives those that wait.
    pub(crate) fn offer(&self, event: &Event, wake: &mut Vec<Waker>) {
        let key = event.key();
        let ends = key.match_indices('/').map(|(at, _)| at + 1);
        for watcher in std::iter::once(0).chain(ends).filter_map(|end| self.by_folder.get(&key[..end])).flatten() {
            if key.starts_with(&*watcher.prefix) {
                wake.extend(watcher.inbox().offer(event));
            }
        }
    }

    /// Ends every watch, once it has read what was queued. Answers those that wait.
    pub(crate) fn close(&mut self) -> Vec<Waker> {
        self.closed = true;
        let mut all: Vec<_> = self.by_folder.values().flatten().collect();
        // In the order they began, so that a run in virtual time repeats itself.
        all.sort_by_key(|watcher| watcher.id);
        let end = |watcher: &&Arc<Watcher>| {
            let mut inbox = watcher.inbox();
            inbox.closed = true;
            inbox.waker.take()
        };
        all.iter().filter_map(end).collect()
    }
}

fn folder(prefix: &str) -> &str {
    &prefix[..prefix.rfind('/').map_or(0, |at| at + 1)]
}

impl Watcher {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    fn offer(&mut self, event: &Event) -> Option<Waker> {
        if self.behind.is_none() {
            if self.queue.len() < QUEUE {
                self.queue.push_back(event.clone());
            } else {
                self.behind = self.queue.back().map(|last| last.revision);
            }
        }
        self.waker.take()
    }

    /// Moves one piece of the history into the queue of a watcher that is behind. Answers whether
    /// it still is.
    fn catch_up(&mut self, state: &Mvcc, prefix: &str) -> Result<bool, WatchError> {
        let Some(after) = self.behind else { return Ok(false) };
        let events = state.after(after).map_err(|_| WatchError::Lagged { after })?;
        let end = state.revision().min(after + SCAN as Revision);
        self.queue.extend(events.take(SCAN).filter(|event| event.key().starts_with(prefix)).cloned());
        self.behind = (end < state.revision()).then_some(end);
        Ok(self.behind.is_some())
    }
}

/// The stream of one watcher. Dropping it ends the watch.
pub(crate) struct WatchStream {
    engine: Weak<Engine>,
    watcher: Arc<Watcher>,
    ended: bool,
}

impl WatchStream {
    pub(crate) fn new(engine: &Arc<Engine>, watcher: Arc<Watcher>) -> Self {
        Self { engine: Arc::downgrade(engine), watcher, ended: false }
    }

    /// What is there now: a batch, `Ok(None)` to wait, `Err(None)` for the end.
    fn next(&self, context: &Context<'_>) -> Result<Option<Vec<Event>>, Option<WatchError>> {
        loop {
            if let Some(batch) = self.queued(context)? {
                return Ok(batch);
            }
            let Some(engine) = self.engine.upgrade() else { return Err(None) };
            // The state before the inbox, as the writer takes them.
            engine.with_state(|state| self.watcher.inbox().catch_up(state, &self.watcher.prefix))?;
        }
    }

    /// The queue's content; `None` when the history has to be read first.
    fn queued(&self, context: &Context<'_>) -> Result<Option<Option<Vec<Event>>>, Option<WatchError>> {
        let mut inbox = self.watcher.inbox();
        if !inbox.queue.is_empty() {
            return Ok(Some(Some(std::mem::take(&mut inbox.queue).into())));
        }
        if inbox.behind.is_some() {
            return Ok(None);
        }
        if inbox.closed {
            return Err(None);
        }
        inbox.waker = Some(context.waker().clone());
        Ok(Some(None))
    }
}

impl Stream for WatchStream {
    type Item = Result<Vec<Event>, WatchError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.next(context) {
            Ok(Some(batch)) => Poll::Ready(Some(Ok(batch))),
            Ok(None) => Poll::Pending,
            Err(error) => {
                self.ended = true;
                Poll::Ready(error.map(Err))
            }
        }
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.upgrade() {
            engine.unwatch(&self.watcher);
        }
    }
}
