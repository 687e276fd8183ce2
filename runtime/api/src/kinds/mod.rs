//! The built-in kinds' own behaviour, one file per kind: defaults, validation, what a write may
//! touch. Everything else about a kind stands in its YAML file (`manifests/kinds/`).

mod binding;
mod config_map;
mod endpoint_slice;
mod endpoints;
mod event;
mod lease;
mod namespace;
mod node;
pub mod pod;
mod replication_controller;
mod secret;
mod service;
mod service_account;

pub use binding::Binding;
pub use config_map::ConfigMap;
pub use endpoint_slice::EndpointSlice;
pub use endpoints::Endpoints;
pub use event::Event;
pub use lease::Lease;
pub use namespace::Namespace;
pub use node::Node;
pub use pod::Pod;
pub use replication_controller::ReplicationController;
pub use secret::Secret;
pub use service::Service;
pub use service_account::ServiceAccount;
