//! SPDY/3.1 as Kubernetes' clients speak it
//! (<https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/>).
//!
//! [`frame`] turns bytes into frames and back, and does no I/O; [`header`] is its compression of
//! headers; [`connection`] is one connection whose client opens streams.
//!
//! Flow control is served and not asked for: what a client sends is acknowledged by WINDOW_UPDATE
//! frames as it is taken, while the windows of the client are not looked at. The library that
//! kubectl and client-go use, moby/spdystream, neither sends such frames nor looks at them, so to
//! wait for them would be to wait forever. Instead a client that does not read stops its connection.

#[cfg(test)]
pub(super) mod client;
mod connection;
mod frame;
pub mod fuzz;
mod header;

pub(super) use connection::{Connection, Stream, connect};
#[cfg(test)]
pub(super) use frame::{Frame, Reset};
pub(super) use header::Headers;
