//! The built-in reconcilers, one file per kind. They meet the API server through the client alone.

mod backends;
mod endpoints;
mod endpointslice;
pub mod garbage;
mod heartbeat;
mod replication;
mod taints;

pub use replication::Replication;
