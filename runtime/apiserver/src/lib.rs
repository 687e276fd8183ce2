//! HTTP over the store: the API server.
//!
//! Driven by the registry of kinds alone: no kind is named in the generic machinery. What a kind
//! needs beyond its [`trimtab_api::Strategy`] and must be decided with the store at hand, such as a
//! Service's address, is a [`Hook`] beside it. Start at [`ApiServer`].

mod addresses;
mod admission;
mod aggregation;
mod allocate;
mod audit;
mod auth;
mod backend;
mod body;
mod budget;
mod cleaner;
mod components;
mod conversion;
mod corked;
mod decode;
mod definitions;
mod delete;
mod discovery;
mod encode;
mod eviction;
mod expire;
mod flow;
mod gzip;
mod handler;
mod health;
mod kept;
mod metrics;
mod negotiate;
mod nodes;
mod openapi;
mod openapi_v2;
mod operations;
mod options;
mod outside;
mod pass;
mod path;
mod patience;
mod presence;
mod protobuf;
mod proxy;
mod ranges;
mod read;
mod selectable;
mod serve;
mod server;
mod stored;
mod subresource;
mod tagged;
mod warnings;
mod watch;
mod websocket;
mod write;

pub use allocate::{Hook, ServiceAddresses};
pub use audit::{Audit, AuditPolicy, Destination, PolicyError, Rotation};
pub use auth::{Identity, KeyError, ServiceAccounts, SigningKey};
pub use components::Watching;
pub use nodes::NodeTls;
pub use patience::Patience;
pub use serve::ServeError;
pub use server::{ApiServer, Config};
