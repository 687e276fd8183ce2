//! Tokens of service accounts: made, recognised, and published so that others can recognise them.
//!
//! ```text
//! serviceaccounts/token --> Claims --(SigningKey)--> token
//! a controller --> SecretClaims --(the same key)--> token in a Secret
//! token --(SigningKey)--> Claims --(the account and what it is bound to are there still)--> Identity
//! ```

mod claims;
mod key;
mod publish;
mod request;
mod verify;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use claims::Claims;

pub use key::{KeyError, SigningKey};
pub(crate) use publish::answer as published;
pub(crate) use request::create;
pub(crate) use verify::Known;

/// How service accounts show who they are.
pub struct ServiceAccounts {
    /// What their tokens are signed with.
    pub key: SigningKey,
    /// Who the tokens say made them, and whom they are for unless they name others: an address.
    pub issuer: String,
    /// Where the public part of `key` can be read.
    pub jwks_uri: String,
}

/// The tokens of a server.
pub(crate) struct Tokens {
    config: ServiceAccounts,
    /// Tokens whose signatures were found right, by their digests.
    right: Mutex<HashMap<[u8; 32], Arc<Claims>>>,
}

impl Tokens {
    pub(crate) fn new(config: ServiceAccounts) -> Self {
        Self { config, right: Mutex::default() }
    }

    /// Whom a token is for that names nobody.
    pub(crate) fn audiences(&self) -> Vec<String> {
        vec![self.config.issuer.clone()]
    }
}
