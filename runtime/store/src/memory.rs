//! The in-memory backend: the engine without a log.
//!
//! A commit happens while it is polled, on the caller's thread: no task, no thread, no clock. So a
//! run in virtual time repeats itself exactly.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{self, BoxFuture};

use crate::engine::Engine;
use crate::mvcc::Mvcc;
use crate::store::{CommitError, Entry, ListPage, Observer, Outcome, Page, ReadError, Revision, Store, Watch, Write};

/// A store that lives as long as its process.
pub struct Memory {
    engine: Arc<Engine>,
    /// Held by whoever writes.
    turn: Mutex<Turn>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Open,
    Closed,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self { engine: Engine::new(Mvcc::default()), turn: Mutex::new(Turn::Open) }
    }

    /// A store that begins with what this one holds now, and goes its own way from there. Both share what neither has
    /// changed. The history before is compacted.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { engine: Engine::new(self.engine.with_state(Mvcc::fork)), turn: Mutex::new(Turn::Open) }
    }

    fn write(&self, beside: Vec<Write>, write: Write) -> Outcome {
        let turn = self.turn();
        if *turn == Turn::Closed {
            return Err(CommitError::Closed);
        }
        let (mut outcomes, events) = self.engine.stage([(beside, write)]);
        self.engine.apply(events);
        outcomes.pop().expect("one write has one outcome")
    }

    fn forget(&self, revision: Revision) -> Result<(), ReadError> {
        let _turn = self.turn();
        if self.engine.can_compact(revision)? {
            self.engine.compact(revision);
        }
        Ok(())
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Arc<Entry>>, ReadError>> {
        future::lazy(|_| Ok(self.engine.get(key))).boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str, page: Page) -> BoxFuture<'a, Result<ListPage, ReadError>> {
        future::lazy(move |_| self.engine.list(prefix, &page)).boxed()
    }

    fn observe(&self, observer: Observer) {
        self.engine.observe(observer);
    }

    fn commit_with(&self, beside: Vec<Write>, write: Write) -> BoxFuture<'_, Outcome> {
        future::lazy(|_| self.write(beside, write)).boxed()
    }

    fn watch<'a>(&'a self, prefix: &'a str, after: Revision) -> BoxFuture<'a, Result<Watch, ReadError>> {
        future::lazy(move |_| self.engine.watch(prefix, after)).boxed()
    }

    fn revision(&self) -> Revision {
        self.engine.revision()
    }

    fn reached(&self, revision: Revision) -> BoxFuture<'_, ()> {
        self.engine.reached(revision).boxed()
    }

    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), ReadError>> {
        future::lazy(move |_| self.forget(revision)).boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        future::lazy(|_| {
            *self.turn() = Turn::Closed;
            self.engine.close();
        })
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::store::Precondition;

    async fn put(store: &Memory, value: &'static str) -> Revision {
        let value = Some(Bytes::from_static(value.as_bytes()));
        let write = Write { key: "/a".to_owned(), value, precondition: Precondition::None };
        store.commit(write).await.unwrap().0
    }

    async fn value(store: &Memory) -> Bytes {
        store.get("/a").await.unwrap().unwrap().value.clone()
    }

    #[tokio::test]
    async fn a_fork_goes_its_own_way_from_where_it_began() {
        let store = Memory::new();
        put(&store, "before").await;
        let fork = store.fork();
        assert_eq!((fork.revision(), value(&fork).await), (1, Bytes::from_static(b"before")));
        assert!(matches!(fork.watch("/", 0).await, Err(ReadError::Compacted { .. })));
        assert_eq!(put(&fork, "after").await, 2);
        assert_eq!((store.revision(), value(&store).await), (1, Bytes::from_static(b"before")));
        assert_eq!(value(&fork).await, Bytes::from_static(b"after"));
    }
}
