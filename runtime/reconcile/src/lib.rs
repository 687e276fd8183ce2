//! The controller runtime: watch → cache → queue → reconcile.
//!
//! A [`Manager`] keeps one [`Cache`] per kind, shared by all who ask, and runs [`Controller`]s. A
//! controller is level-triggered: it gets a name's object, reads its caches, and makes the world
//! right. What it writes through its [`Context`] is in the caches at once, so that it never acts on
//! a version older than its own last write.

mod cache;
mod context;
mod controller;
mod error;
mod finalizer;
mod informer;
mod manager;
mod queue;
mod reconcile;
mod recorder;
mod resource;

pub use cache::{Cache, Change};
pub use context::Context;
pub use controller::{Controller, Setup, Wake};
pub use error::{Error, Next, Result};
pub use informer::cache_one;
pub use manager::Manager;
pub use queue::Queue;
pub use reconcile::{Of, Reconcile};
pub use recorder::{EventType, Recorder};
pub use resource::{Resource, controller_of, object_reference, owner_reference, revision};

pub use trimtab_macros::controller;
