//! The service proxy and the cluster's DNS: what makes a Service reachable by address and by name.
//!
//! ```text
//! Services, EndpointSlices ──▶ snapshot ──▶ model  ──▶ proxy   kernel rules (nftables), listeners
//!                                      └──▶ records ──▶ dns    answers
//! ```
//!
//! Start at [`proxy::run`] and [`dns::run`]. Both are pure functions of one [`snapshot`], with thin
//! adapters around them. Neither knows of containers: an endpoint is an address.

pub mod dns;
pub mod model;
pub mod proxy;
pub mod snapshot;
