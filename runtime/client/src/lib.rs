//! A typed and dynamic client of the API, over HTTPS or in process.
//!
//! Start at [`Client`], then [`Api`]. The client knows no kind by name: a typed `Api<K>` takes
//! what it needs from `K`, a dynamic one from discovery.

mod api;
mod bearer;
mod client;
pub mod discovery;
mod error;
mod http;
pub mod kubeconfig;
mod lean;
mod params;
mod resource;
mod transport;
mod watch;

pub use api::{Api, List};
pub use bearer::Bearer;
pub use client::{Client, request};
pub use discovery::{Discovered, Discovery};
pub use error::{Error, root_cause};
pub use http::{HttpTransport, Trust, fetch, provider};
pub use kubeconfig::Kubeconfig;
pub use params::{DeleteParams, ListParams, Patch, Propagation};
pub use resource::ApiResource;
pub use transport::{
    AsyncReadWrite, Body, BoxError, Switched, Transport, TransportError, Upgraded, empty_body, header_list,
};
pub use watch::WatchEvent;

/// What every call of this crate answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;
