//! Signs the tokens of service accounts that Secrets hold.

use std::fmt;
use std::path::Path;

use trimtab_api::kinds::service_account::SecretClaims;
use trimtab_apiserver::SigningKey;
use trimtab_controllers::TokenSigner;

use crate::error::{StartError, other};
use crate::pki;

/// The key that the API server knows its tokens by.
pub(crate) struct TokenKey(SigningKey);

impl TokenKey {
    /// The key in this file (PEM).
    ///
    /// # Errors
    /// If the file cannot be read, or holds no such key.
    pub(crate) fn open(path: &Path) -> Result<Self, StartError> {
        Self::of(&pki::read_key(path, pki::SERVICE_ACCOUNT_KEY)?)
    }

    /// The key that is `der`, in PKCS #8.
    ///
    /// # Errors
    /// If it is no such key.
    pub(crate) fn of(der: &[u8]) -> Result<Self, StartError> {
        SigningKey::from_pkcs8(der).map(Self).map_err(other("use the service accounts' signing key"))
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey")
    }
}

impl TokenSigner for TokenKey {
    fn sign(&self, claims: &SecretClaims) -> Result<String, String> {
        self.0.sign(claims).ok_or_else(|| "failed to generate token".to_owned())
    }
}

/// Says what a token says, and nobody is let in by it: a real one is another each time that it is signed, and what a
/// test's cluster writes is not.
#[derive(Debug)]
pub(crate) struct Unsigned;

impl TokenSigner for Unsigned {
    fn sign(&self, claims: &SecretClaims) -> Result<String, String> {
        serde_json::to_string(claims).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Pki;

    #[test]
    fn the_key_of_the_data_directory_signs() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::open(dir.path(), trimtab_env::Env::system().now()).unwrap();
        let made = TokenKey::of(&pki.service_account_key().unwrap()).unwrap();
        let read = TokenKey::open(&dir.path().join("sa.key")).unwrap();
        let claims = SecretClaims::new("default", "robot-token", "robot", "1");
        let header = |key: &TokenKey| key.sign(&claims).unwrap().split('.').next().unwrap().to_owned();
        assert_eq!(header(&made), header(&read), "it names the key");
        assert!(TokenKey::open(&dir.path().join("ca.crt")).is_err());
    }
}
