//! The API server, asked in process over the in-memory store, and once over TLS.

mod authority;
mod delete;
mod harness;
mod list;
mod model;
mod negotiate;
mod nodes;
mod subresources;
mod tls;
mod watch;
mod write;
