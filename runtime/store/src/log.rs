//! What a durable backend asks of a disk.

use std::error::Error;

use crate::mvcc::Mvcc;
use crate::store::{Event, Revision};

/// Why a log could not be read or written.
pub(crate) type LogError = Box<dyn Error + Send + Sync>;

/// One step forward, all of it or nothing.
#[derive(Default)]
pub(crate) struct Batch<'a> {
    /// The changes, in order; they follow those already in the log.
    pub(crate) events: &'a [Event],
    /// Nothing before this revision is read any more.
    pub(crate) compacted: Option<Revision>,
    /// Versions and deletions at or before the compacted revision that need not be kept.
    pub(crate) superseded: &'a [Revision],
}

impl Batch<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.compacted.is_none() && self.superseded.is_empty()
    }
}

/// The changes since the beginning, less what compaction has made superfluous.
pub(crate) trait Log: Send + 'static {
    /// The state that the log tells, and the superseded revisions that are still in it.
    fn load(&mut self) -> Result<(Mvcc, Vec<Revision>), LogError>;

    /// Makes `batch` durable before it returns. After an error it is unknown whether it is, and the
    /// log is not used again.
    fn append(&mut self, batch: &Batch<'_>) -> Result<(), LogError>;
}
