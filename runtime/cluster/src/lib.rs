//! Wiring: any set of components in one process, their certificates and their order.
//!
//! [`component`] has one function for each component, for a process of its own; [`Cluster::start`]
//! runs them all in one, as `trimtab up` does. What a component does is decided in its own crate.

mod bootstrap;
mod cluster;
pub mod component;
mod data_dir;
mod der;
mod down;
mod error;
mod files;
mod identity;
mod kubeconfig;
mod names;
pub mod pki;
mod signer;
pub mod testing;
mod tls;
mod tokens;

pub use cluster::{Cluster, Config};
pub use data_dir::{DataDir, DataDirError, Held, Role, default_data_dir};
pub use down::{Data, DownError, down};
pub use error::StartError;
pub use names::{SERVICE_CIDR_TEXT, hostname};
