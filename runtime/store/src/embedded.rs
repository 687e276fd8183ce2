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
use crate::store::{CommitError, Entry, ListPage, Observer, Outcome, Page, ReadError, Revision, Store, Watch, Write};
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

    async fn write(&self, beside: Vec<Write>, write: Write) -> Outcome {
        let answer = self.ask(|writer| Request::Write((beside, write), writer)).await.ok_or(CommitError::Closed)?;
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

    fn observe(&self, observer: Observer) {
        self.engine.observe(observer);
    }

    fn commit_with(&self, beside: Vec<Write>, write: Write) -> BoxFuture<'_, Outcome> {
        self.write(beside, write).boxed()
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use bytes::Bytes;
    use futures::StreamExt;

    use super::*;
    use crate::log::{Batch, LogError};
    use crate::mvcc::Mvcc;
    use crate::store::Precondition;

    /// A log that says when it is asked to write, then waits to be told how that ended.
    struct Scripted {
        asked: Sender<usize>,
        verdicts: Receiver<Result<(), &'static str>>,
    }

    impl Log for Scripted {
        fn load(&mut self) -> Result<(Mvcc, Vec<Revision>), LogError> {
            Ok((Mvcc::default(), Vec::new()))
        }

        fn append(&mut self, batch: &Batch<'_>) -> Result<(), LogError> {
            self.asked.send(batch.events.len()).unwrap();
            Ok(self.verdicts.recv().unwrap()?)
        }
    }

    fn scripted() -> (Embedded, Receiver<usize>, Sender<Result<(), &'static str>>) {
        let ((asked, requests), (verdict, verdicts)) = (channel(), channel());
        let store = Embedded::with_log(Scripted { asked, verdicts }, Path::new("scripted")).unwrap();
        (store, requests, verdict)
    }

    fn put(key: &str) -> Write {
        Write { key: key.to_owned(), value: Some(Bytes::from_static(b"1")), precondition: Precondition::Absent }
    }

    #[tokio::test]
    async fn nothing_is_visible_before_it_is_durable_and_what_queues_up_is_one_batch() {
        let (store, requests, verdict) = scripted();
        let mut watch = store.watch("/", 0).await.unwrap();
        let mut first = store.commit(put("/a"));
        assert!((&mut first).now_or_never().is_none());
        assert_eq!(requests.recv(), Ok(1), "the writer is at it");
        let mut rest: Vec<_> = ["/b", "/b", "/c"].into_iter().map(|key| store.commit(put(key))).collect();
        assert!(rest.iter_mut().all(|commit| commit.now_or_never().is_none()));
        assert_eq!((store.revision(), store.get("/a").await.unwrap().is_none()), (0, true));
        assert!(watch.next().now_or_never().is_none());
        verdict.send(Ok(())).unwrap();
        assert_eq!(first.await.unwrap().0, 1);
        assert_eq!(requests.recv(), Ok(2), "the two that hold, of three that waited");
        verdict.send(Ok(())).unwrap();
        let outcomes = future::join_all(rest).await;
        assert!(matches!(outcomes[1], Err(CommitError::Conflict { .. })));
        assert_eq!(store.revision(), 3);
    }

    #[tokio::test]
    async fn after_a_failed_write_none_is_taken() {
        let (store, requests, verdict) = scripted();
        verdict.send(Ok(())).unwrap();
        store.commit(put("/a")).await.unwrap();
        verdict.send(Err("the disk is full")).unwrap();
        for key in ["/b", "/c"] {
            let error = store.commit(put(key)).await.unwrap_err();
            assert!(matches!(error, CommitError::Backend(_)), "{key}: {error}");
        }
        assert!(matches!(store.compact(1).await, Err(ReadError::Backend(_))));
        assert_eq!(requests.try_iter().count(), 2, "the third write and the compaction never reached the log");
        assert_eq!((store.revision(), store.get("/b").await.unwrap().is_none()), (1, true));
        store.close().await;
    }
}
