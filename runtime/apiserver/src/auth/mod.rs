//! Who asks, and what it may do.
//!
//! ```text
//! certificate, token -> Identity --+
//! request -> Attributes -----------+--> Authorizer (the roles and bindings of the store) -> yes, 401 or 403
//! ```

mod attributes;
mod authenticate;
mod authorizer;
pub(crate) mod bootstrap;
mod bootstrap_token;
pub(crate) mod escalation;
mod identity;
mod impersonate;
mod policy;
pub(crate) mod review;
pub(crate) mod token;

pub(crate) use attributes::Asked;
pub(crate) use authenticate::caller;
pub(crate) use authorizer::Authorizer;
pub use identity::Identity;
pub use token::{KeyError, ServiceAccounts, SigningKey};
