//! Who asks, and what it may do.
//!
//! ```text
//! certificate, token -> Identity --+
//! request -> Attributes -----------+--> Authorizer (what nodes need; the roles and bindings of the store) -> yes or 403
//! ```

mod attributes;
mod authenticate;
mod authorizer;
pub(crate) mod bootstrap;
mod bootstrap_token;
pub(crate) mod escalation;
mod identity;
mod impersonate;
mod node;
mod policy;
pub(crate) mod review;
mod simulated;
pub(crate) mod token;

pub(crate) use attributes::Asked;
pub(crate) use authenticate::{acting, caller};
pub(crate) use authorizer::Authorizer;
pub use identity::Identity;
pub(crate) use simulated::is_agent as is_simulated_nodes;
pub use token::{KeyError, ServiceAccounts, SigningKey};
