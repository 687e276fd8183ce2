//! The one thread that writes: it takes what has queued up meanwhile, makes it durable in one step
//! (group commit), and only then lets anyone see it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::engine::Engine;
use crate::log::{Batch, Log, LogError};
use crate::mvcc::superseded;
use crate::store::{CommitError, Event, Outcome, ReadError, Revision, Write};

/// At most so many requests go into one step.
const MAX_REQUESTS: usize = 1024;

/// No more requests go into a step that holds so many bytes of values.
const MAX_BYTES: usize = 8 << 20;

/// At most so many superseded versions are deleted in one step, so that no write waits long.
const MAX_SUPERSEDED: usize = 256;

/// How long a step waits for company, for each further writer of the step before, and how long at most: a step costs the
/// same whether it makes one write durable or a hundred. A writer that is alone waits for nobody.
const COMPANY: Duration = Duration::from_micros(100);
const MAX_COMPANY: Duration = Duration::from_millis(1);

/// A write, and those that are made with it.
pub(crate) type Together = (Vec<Write>, Write);

/// Something to do, and whom to tell.
pub(crate) enum Request {
    Write(Together, oneshot::Sender<Outcome>),
    Compact(Revision, oneshot::Sender<Result<(), ReadError>>),
}

pub(crate) struct Writer<L> {
    engine: Arc<Engine>,
    log: L,
    queue: mpsc::Receiver<Request>,
    /// Still to be deleted from the log.
    superseded: VecDeque<Revision>,
    /// How many wrote in the last step.
    writers: u32,
    /// Why the log cannot be used any more. What failed may be in it or not, so nothing may follow.
    failed: Option<Arc<LogFailed>>,
}

/// The log failed, now or at an earlier write.
#[derive(Debug, thiserror::Error)]
#[error("the log failed, and takes no further write before a restart")]
struct LogFailed(#[source] LogError);

/// The requests of one step.
#[derive(Default)]
struct Turn {
    writes: Vec<Together>,
    writers: Vec<oneshot::Sender<Outcome>>,
    compactions: Vec<(Revision, oneshot::Sender<Result<(), ReadError>>)>,
    bytes: usize,
}

impl Turn {
    fn push(&mut self, request: Request) {
        match request {
            Request::Write(writes, writer) => {
                let all = writes.0.iter().chain([&writes.1]);
                self.bytes += all.filter_map(|write| write.value.as_ref()).map(Bytes::len).sum::<usize>();
                self.writes.push(writes);
                self.writers.push(writer);
            }
            Request::Compact(revision, asker) => self.compactions.push((revision, asker)),
        }
    }

    fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.compactions.is_empty()
    }

    fn is_full(&self) -> bool {
        self.writes.len() + self.compactions.len() >= MAX_REQUESTS || self.bytes >= MAX_BYTES
    }
}

impl<L: Log> Writer<L> {
    pub(crate) fn new(
        engine: Arc<Engine>,
        log: L,
        queue: mpsc::Receiver<Request>,
        superseded: impl Into<VecDeque<Revision>>,
    ) -> Self {
        Self { engine, log, queue, superseded: superseded.into(), writers: 0, failed: None }
    }

    /// Writes until every sender of the queue is gone and the queue is empty.
    pub(crate) fn run(mut self) {
        while let Some(turn) = self.next_turn() {
            self.take(turn);
        }
    }

    /// Everything that is queued; waits for something unless there is something to tidy.
    fn next_turn(&mut self) -> Option<Turn> {
        let mut turn = Turn::default();
        if self.superseded.is_empty() {
            turn.push(self.queue.blocking_recv()?);
            // Those who were answered together write again at about the same time.
            thread::sleep((COMPANY * self.writers.saturating_sub(1)).min(MAX_COMPANY));
        }
        while !turn.is_full() {
            match self.queue.try_recv() {
                Ok(request) => turn.push(request),
                // Tidying can wait for the next start.
                Err(mpsc::error::TryRecvError::Disconnected) if turn.is_empty() => return None,
                Err(_) => break,
            }
        }
        self.writers = turn.writers.len() as u32;
        Some(turn)
    }

    fn take(&mut self, turn: Turn) {
        if let Some(failed) = self.failed.clone() {
            return refuse(turn, &failed);
        }
        let Turn { writes, writers, compactions, .. } = turn;
        let (outcomes, events) = self.engine.stage(writes);
        let mut compacted = None;
        let checked: Vec<_> = compactions.iter().map(|(revision, _)| self.engine.can_compact(*revision)).collect();
        for ((revision, _), _) in compactions.iter().zip(&checked).filter(|(_, due)| matches!(due, Ok(true))) {
            compacted = compacted.max(Some(*revision));
        }
        if let Err(error) = self.append(&events, compacted) {
            tracing::error!(error = &*error as &dyn std::error::Error, "the store could not write");
            let failed = Arc::new(LogFailed(error));
            self.failed = Some(Arc::clone(&failed));
            return refuse(Turn { writers, compactions, ..Turn::default() }, &failed);
        }
        self.engine.apply(events);
        if let Some(revision) = compacted {
            self.superseded.extend(superseded(&self.engine.compact(revision)));
        }
        // Whoever no longer waits for the answer needs none.
        writers.into_iter().zip(outcomes).for_each(|(writer, outcome)| drop(writer.send(outcome)));
        compactions.into_iter().zip(checked).for_each(|((_, asker), due)| drop(asker.send(due.map(drop))));
    }

    fn append(&mut self, events: &[Event], compacted: Option<Revision>) -> Result<(), LogError> {
        let count = self.superseded.len().min(MAX_SUPERSEDED);
        let batch = Batch { events, compacted, superseded: &self.superseded.drain(..count).collect::<Vec<_>>() };
        if batch.is_empty() { Ok(()) } else { self.log.append(&batch) }
    }
}

fn refuse(turn: Turn, failed: &Arc<LogFailed>) {
    for writer in turn.writers {
        drop(writer.send(Err(CommitError::Backend(Box::new(Arc::clone(failed))))));
    }
    for (_, asker) in turn.compactions {
        drop(asker.send(Err(ReadError::Backend(Box::new(Arc::clone(failed))))));
    }
}
