//! The scheduler: filters the nodes that can take a pod, scores them, binds the pod to the best.
//!
//! ```text
//! watch of pods, nodes -> Core { World, Queue } -> Verdict -> binding, condition, event
//! ```
//!
//! [`run`] is the loop. What it decides is in [`core`], which knows neither time nor the API;
//! start there. A pod that fits nowhere may have less important ones leave (`preempt.rs`); one that
//! asks for what is not known here (inter-pod affinity, hard topology spread) is told so rather
//! than placed anyhow.

pub mod core;
mod filter;
mod node_info;
mod pod_info;
mod preempt;
mod queue;
mod report;
mod run;
mod score;
mod selector;
mod world;

pub use run::run;
