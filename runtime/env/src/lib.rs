//! Time, randomness and tasks, handed to every component from outside.
//!
//! No other crate reads the system clock, draws random numbers or calls `tokio::spawn`: it asks
//! the [`Env`] it was given, and gives its tasks to a [`Tasks`] that joins them. That is what lets
//! a whole cluster run in virtual time under a seed. `clippy.toml` refuses the direct calls.

mod collections;
mod env;
mod locks;
mod tasks;

pub use collections::{HashMap, HashSet, Hashing};
pub use env::Env;
pub use locks::{exclusive, lock, shared};
pub use tasks::{Tasks, panic_text};
pub use tokio::time::Instant;
pub use tokio_util::sync::CancellationToken;
