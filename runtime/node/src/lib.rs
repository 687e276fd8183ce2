//! The node agent: makes the pods bound to a node run as containers, and reports what became of them.
//!
//! ```text
//!  API ──pods──▶ feed ──▶ one worker per pod ──▶ Runtime (docker | sim)
//!   ▲                        │        ▲              │
//!   └──── status, events ────┘        └── events ────┘
//! ```
//!
//! Start at [`run`], then [`Runtime`], the one trait behind which containers are. Everything that
//! can be computed (what to do with a pod, what its status is) is a plain function in `pod`.
//! This crate knows nothing of the store, the scheduler or any other component.

mod agent;
pub mod docker;
mod eviction;
mod feed;
mod health;
mod heartbeat;
pub mod images;
mod mailbox;
mod node;
pub(crate) mod pod;
mod probe;
pub mod runtime;
mod server;
pub mod sim;
mod sources;
mod token;
mod volume;
mod worker;

pub use agent::{Config, Error, KubeletServer, NodeConfig, run};
pub use runtime::Runtime;
#[doc(hidden)]
pub use server::fuzz;
