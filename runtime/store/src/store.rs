//! What a store is.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

/// A point in the store's history. The first commit is 1; 0 is before all of them.
pub type Revision = u64;

/// One version of one key's value.
pub struct Entry {
    /// The key, a path such as `/registry/pods/default/web-1`.
    pub key: Arc<str>,
    /// The value. Shared, never copied.
    pub value: Bytes,
    /// The commit that created the key.
    pub create_revision: Revision,
    /// The commit that wrote this version.
    pub mod_revision: Revision,
    /// Where the store's user keeps what it has computed of this version, so that it is computed
    /// once for all readers. The store never looks at it.
    pub memo: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({} @{}, {} bytes)", self.key, self.mod_revision, self.value.len())
    }
}

/// What a write demands of the key's present state; checked and written in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    None,
    /// The key does not exist.
    Absent,
    /// The key's present version was written by this commit.
    At(Revision),
}

/// A change of one key.
#[derive(Clone, Debug)]
pub struct Write {
    /// The key.
    pub key: String,
    /// The new value; `None` deletes.
    pub value: Option<Bytes>,
    /// What must hold.
    pub precondition: Precondition,
}

/// A change as watchers see it, in order of revision. A compaction has no event.
#[derive(Clone, Debug)]
pub struct Event {
    /// The commit.
    pub revision: Revision,
    /// The version before, if there was one.
    pub previous: Option<Arc<Entry>>,
    /// The version after; `None` when the key was deleted.
    pub entry: Option<Arc<Entry>>,
}

impl Event {
    /// The key that changed.
    ///
    /// # Panics
    /// Never: an event has a version before or after.
    pub fn key(&self) -> &str {
        &self.entry.as_ref().or(self.previous.as_ref()).expect("an event has a version before or after").key
    }
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The revision to read at; `None` for the newest.
    pub revision: Option<Revision>,
    /// Only keys after this one.
    pub after: Option<String>,
    /// At most so many; 0 for all.
    pub limit: usize,
}

/// One part of a list.
#[derive(Clone, Debug)]
pub struct ListPage {
    /// The entries, ordered by key.
    pub entries: Vec<Arc<Entry>>,
    /// The revision that was read.
    pub revision: Revision,
    /// How many entries follow this page.
    pub remaining: usize,
}

/// Why a write was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The precondition does not hold. Carries the present version.
    #[error("the precondition on {key:?} does not hold")]
    Conflict {
        /// The key.
        key: String,
        /// What is there.
        current: Option<Arc<Entry>>,
    },
    /// The backend failed. Whether the write survives is not known.
    #[error("the store could not write")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store is shutting down; the write was not made.
    #[error("the store is closed")]
    Closed,
}

/// What a commit answers: its revision, and the version written or deleted.
pub type Outcome = Result<(Revision, Option<Arc<Entry>>), CommitError>;

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The revision is older than the history that is kept.
    #[error("revision {asked} is compacted; the oldest kept is {oldest}")]
    Compacted {
        /// What was asked for.
        asked: Revision,
        /// The oldest that can be read.
        oldest: Revision,
    },
    /// The revision has not been reached.
    #[error("revision {asked} is in the future; the newest is {current}")]
    Future {
        /// What was asked for.
        asked: Revision,
        /// The newest.
        current: Revision,
    },
    /// The backend failed.
    #[error("the store could not read")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a watch ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// Events that the watcher has not seen are compacted, or it fell too far behind: list again.
    #[error("events after revision {after} are no longer held")]
    Lagged {
        /// The last revision the watcher saw.
        after: Revision,
    },
}

/// The events of a watch. Each item is the non-empty batch of one wake-up, in order; the stream
/// ends when the store is closed or after an error.
pub type Watch = BoxStream<'static, Result<Vec<Event>, WatchError>>;

/// Is told of each event, and answers whether it wants to be told of more.
pub type Observer = Box<dyn Fn(&Event) -> bool + Send + Sync>;

/// A revisioned key-value store. See `tests/conformance` for what every backend holds to.
pub trait Store: Send + Sync + 'static {
    /// The newest version of `key`.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Arc<Entry>>, ReadError>>;

    /// The entries whose key starts with `prefix`, as of one revision.
    fn list<'a>(&'a self, prefix: &'a str, page: Page) -> BoxFuture<'a, Result<ListPage, ReadError>>;

    /// Tells `observer` of each event from now on, in order: once it is durable, and before anybody can see it. It must
    /// neither ask the store nor let go of it.
    fn observe(&self, observer: Observer);

    /// Makes one write. Answers when it is durable, with the new version (or, for a delete, the
    /// version that was deleted) and the commit's revision.
    fn commit(&self, write: Write) -> BoxFuture<'_, Outcome> {
        self.commit_with(Vec::new(), write)
    }

    /// Makes `write` and those of `beside`, which change other keys: all of them or, where one's
    /// precondition does not hold, none. Each takes a revision; those of `beside` come first, and
    /// nobody's lies between. Answers as [`Store::commit`] does, of `write`.
    fn commit_with(&self, beside: Vec<Write>, write: Write) -> BoxFuture<'_, Outcome>;

    /// The events after revision `after` on keys that start with `prefix`. Nothing is missed
    /// between a list at a revision and a watch after it.
    fn watch<'a>(&'a self, prefix: &'a str, after: Revision) -> BoxFuture<'a, Result<Watch, ReadError>>;

    /// The newest revision.
    fn revision(&self) -> Revision;

    /// Resolves once [`Store::revision`] is at least `revision`.
    fn reached(&self, revision: Revision) -> BoxFuture<'_, ()>;

    /// Forgets the history before `revision`; what is current stays.
    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), ReadError>>;

    /// Refuses further writes, ends the watches and waits until everything is on disk.
    fn close(&self) -> BoxFuture<'_, ()>;
}
