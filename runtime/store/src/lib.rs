//! The revisioned store: one trait, and the engine behind its backends.
//!
//! Revisions are etcd's: one counter for the whole store, raised by each commit. The apiserver is
//! the only user of this crate, and this crate knows nothing of kinds or HTTP: keys are paths,
//! values are bytes.

mod store;

pub use store::{
    CommitError, Entry, Event, ListPage, Page, Precondition, ReadError, Revision, Store, Watch, WatchError, Write,
};
