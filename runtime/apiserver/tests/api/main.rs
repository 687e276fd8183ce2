//! The API server, asked in process over the in-memory store, and once over TLS.

mod accounts;
mod agents;
mod authority;
mod callers;
mod certificates;
mod conversion;
mod definitions;
mod delete;
mod harness;
mod history;
mod kubectl;
mod list;
mod model;
mod negotiate;
mod nodes;
mod policies;
mod protobuf;
mod reviews;
mod roles;
mod subresources;
mod tls;
mod tokens;
mod views;
mod watch;
mod webhooks;
mod write;
