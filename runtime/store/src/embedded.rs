//! The embedded durable backend: the engine, a log in a file, and the thread that writes it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use tokio::sync::{mpsc, oneshot, watch};

use crate::engine::Engine;
use crate::log::Log;
use crate::redb_log::{OpenError, RedbLog};
use crate::stage::Outcome;
use crate::store::{CommitError, Entry, ListPage, Page, ReadError, Revision, Store, Watch, Write};
use crate::writer::{Request, Writer};

/// How many requests may wait for the writer.
const QUEUE: usize = 1024;

/// A store in a file. Everything current and the history since the last compaction are in memory
/// too, so reads never touch the disk.
///
/// Dropping it waits, as [`Store::close`] does, until everything is on disk.
pub struct Embedded {
    engine: Arc<Engine>,
    /// `None` once closed.
    queue: Mutex<Option<mpsc::Sender<Request>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Whether the writer has ended and the file is closed.
    ended: watch::Receiver<bool>,
}

impl Embedded {
    /// Opens the data file at `path`, or makes it. Blocks while it is read.
    ///
    /// # Errors
    /// When another process has it open, it is of a newer release, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::with_log(RedbLog::open(path)?, path)
    }

    #[expect(clippy::disallowed_methods, reason = "`finish` joins it")]
    fn with_log(mut log: impl Log, path: &Path) -> Result<Self, OpenError> {
        let unreadable = |source| OpenError::Unreadable { path: path.to_owned(), source };
        let (state, superseded) = log.load().map_err(unreadable)?;
        let engine = Engine::new(state);
        let (queue, requests) = mpsc::channel(QUEUE);
        let (end, ended) = watch::channel(false);
        let writer = Writer::new(Arc::clone(&engine), log, requests, superseded);
        let writer = thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
            writer.run();
            end.send_replace(true);
        });
        let writer = writer.map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Ok(Self { engine, queue: Mutex::new(Some(queue)), writer: Mutex::new(Some(writer)), ended })
    }

    /// Hands a request to the writer and waits for its answer. `None` when the store is closed.
    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<oneshot::Receiver<T>> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let (asker, answer) = oneshot::channel();
        queue.send(request(asker)).await.ok()?;
        Some(answer)
    }

    async fn write(&self, write: Write) -> Outcome {
        let answer = self.ask(|writer| Request::Write(write, writer)).await.ok_or(CommitError::Closed)?;
        answer.await.unwrap_or_else(|_| Err(CommitError::Backend("the writer thread ended".into())))
    }

    async fn forget(&self, revision: Revision) -> Result<(), ReadError> {
        let failed = |text: &str| ReadError::Backend(text.into());
        let answer = self.ask(|asker| Request::Compact(revision, asker)).await;
        let answer = answer.ok_or_else(|| failed("the store is closed"))?;
        answer.await.unwrap_or_else(|_| Err(failed("the writer thread ended")))
    }

    async fn shut(&self) {
        self.refuse();
        // An error means that the writer panicked, which ends it as well.
        drop(self.ended.clone().wait_for(|ended| *ended).await);
        self.finish();
        self.engine.close();
    }

    fn refuse(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn finish(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the store's writer thread panicked");
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.refuse();
        self.finish();
        self.engine.close();
    }
}

impl Store for Embedded {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Arc<Entry>>, ReadError>> {
        future::lazy(|_| Ok(self.engine.get(key))).boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str, page: Page) -> BoxFuture<'a, Result<ListPage, ReadError>> {
        future::lazy(move |_| self.engine.list(prefix, &page)).boxed()
    }

    fn commit(&self, write: Write) -> BoxFuture<'_, Outcome> {
        self.write(write).boxed()
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
        self.forget(revision).boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.shut().boxed()
    }
}
