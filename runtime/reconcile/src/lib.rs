//! The controller runtime: watch → cache → queue → reconcile.
//!
//! A [`Manager`] keeps one [`Cache`] per kind, shared by all who ask, and runs [`Controller`]s. A
//! controller is level-triggered: it gets a name's object, reads its caches, and makes the world
//! right. What it writes through its [`Context`] is in the caches at once, so that it never acts on
//! a version older than its own last write.

mod applied;
mod cache;
mod children;
mod compose;
mod context;
mod controller;
mod error;
mod finalizer;
mod fold;
mod informer;
mod leader;
mod manager;
mod meta;
pub mod metrics;
mod needs;
pub mod predicates;
mod queue;
mod reconcile;
mod recorder;
mod resource;
mod setup;
mod status;

pub use cache::{Cache, Change};
pub use compose::{Compose, Composition, Rehearsal, World};
pub use context::{Context, Key};
pub use controller::Controller;
pub use error::{Error, Next, Result};
pub use informer::cache_one;
pub use leader::{LeaderElection, LeadershipLost};
pub use manager::Manager;
pub use meta::Meta;
pub use needs::{Needs, Relation, Tie};
pub use queue::Queue;
pub use reconcile::{Controlled, Of, Reconcile};
pub use recorder::{EventType, Recorder};
pub use resource::{Named, Resource, View, controller_of, named, object_reference, owner_reference, revision};
pub use setup::{Setup, Wake};
pub use status::{Conditions, HasStatus, IsCondition};

pub use trimtab_client::ListParams;
pub use trimtab_macros::{View, controller};

/// For what the macros expand to.
#[doc(hidden)]
pub mod __private {
    use std::marker::PhantomData;

    pub use k8s_openapi;

    /// Tells whether a kind has a status: what is implemented for some types goes before what all have.
    pub struct Probe<K>(PhantomData<K>);

    /// What all have.
    pub trait WithoutStatus {
        /// It has none.
        const STATUS: bool = false;
    }

    impl<K> WithoutStatus for Probe<K> {}

    impl<K: super::HasStatus> Probe<K> {
        /// It has one.
        pub const STATUS: bool = true;
    }
}
