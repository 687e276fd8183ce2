//! The revisioned store: one trait, and the engine behind its backends.
//!
//! Revisions are etcd's: one counter for the whole store, raised by each commit. The apiserver is
//! the only user of this crate, and this crate knows nothing of kinds or HTTP: keys are paths,
//! values are bytes.
//!
//! Start at [`Store`]. [`Memory`] and [`Embedded`] are one engine, without a log and with one.

mod embedded;
mod engine;
mod log;
mod memory;
mod mvcc;
mod ordered;
mod record;
mod redb_log;
mod stage;
mod store;
mod watch;
mod writer;

pub use embedded::Embedded;
pub use memory::Memory;
pub use redb_log::OpenError;
pub use store::{
    CommitError, Entry, Event, ListPage, Observer, Outcome, Page, Precondition, ReadError, Revision, Store, Watch,
    WatchError, Write,
};
