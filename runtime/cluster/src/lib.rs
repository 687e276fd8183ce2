//! Wiring: any set of components in one process, their certificates and their order.
//!
//! [`Cluster::start`] is a whole cluster, as `trimtab up` runs it; [`component::run`] is one
//! component against any API server. What a component does is decided in its own crate.

mod bootstrap;
mod cluster;
pub mod component;
mod data_dir;
mod down;
mod files;
pub mod pki;
mod tls;

pub use cluster::{Cluster, Config, RuntimeChoice, SERVICE_CIDR_TEXT, StartError};
pub use data_dir::{DataDir, DataDirError, default_data_dir};
pub use down::{DownError, down};
