//! The scheduler: which node runs a pod. Filter, score, bind.
//!
//! [`filter`](Filtered) and score are plain functions of a pod and what is known of a node; the
//! loop around them is driven by two caches and polls nothing.

mod filter;
mod node_info;
mod queue;
mod scheduler;
mod score;

pub use filter::{Reason, refusal};
pub use node_info::{NodeInfo, Request};
pub use scheduler::run;
