//! The key that service-account tokens are signed with, and the form that a signed token has: a JSON
//! Web Signature (RFC 7515) with ES256 (RFC 7518), three parts in base64url.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const ALGORITHM: &str = "ES256";
/// What stands before the point of a P-256 key in its `SubjectPublicKeyInfo` (RFC 5480).
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the service accounts' signing key must be a P-256 key in PKCS #8")]
#[non_exhaustive]
pub struct KeyError;

/// A P-256 key. Whoever has it can make tokens of any service account.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    /// As upstream makes it: the digest of the public key.
    id: String,
}

impl SigningKey {
    /// The key in `der`, in PKCS #8 with its public part.
    ///
    /// # Errors
    /// When it is no such key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new())
            .map_err(|_| KeyError)?;
        let spki = [&SPKI_PREFIX, pair.public_key().as_ref()].concat();
        let id = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &spki));
        Ok(Self { pair, id })
    }

    /// A token that says `claims`; `None` when the system has no randomness.
    pub fn sign(&self, claims: &impl Serialize) -> Option<String> {
        let header = json!({"alg": ALGORITHM, "kid": self.id});
        let claims = serde_json::to_vec(claims).ok()?;
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).ok()?;
        Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Whether `token` is signed with this key.
    pub(super) fn has_signed(&self, token: &Signed<'_>) -> bool {
        if token.algorithm != ALGORITHM || token.key_id.as_ref().is_some_and(|id| *id != self.id) {
            return false;
        }
        let key = signature::UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key().as_ref());
        key.verify(token.text.as_bytes(), &token.signature).is_ok()
    }

    /// The public part, as one of a JSON Web Key Set (RFC 7517).
    pub(super) fn public(&self) -> Value {
        // An uncompressed point: a mark, and two numbers of 32 bytes.
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({"use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": ALGORITHM,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
    }
}

/// A token taken apart. Nothing in it is to be believed before its signature is checked.
pub(super) struct Signed<'a> {
    /// What is signed.
    text: &'a str,
    algorithm: String,
    key_id: Option<String>,
    signature: Vec<u8>,
    pub(super) claims: Vec<u8>,
}

impl<'a> Signed<'a> {
    /// Takes a token apart; `None` when it is none of ours by its form.
    pub(super) fn parse(token: &'a str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Header {
            alg: String,
            #[serde(default)]
            kid: Option<String>,
        }
        let (text, signature) = token.rsplit_once('.')?;
        let (header, claims) = text.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        Some(Self {
            text,
            algorithm: header.alg,
            key_id: header.kid,
            signature: decode(signature)?,
            claims: decode(claims)?,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn key() -> SigningKey {
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        SigningKey::from_pkcs8(der.as_ref()).unwrap()
    }

    #[test]
    fn a_token_is_known_by_the_key_that_signed_it() {
        let (own, other) = (key(), key());
        let token = own.sign(&json!({"a": 1})).unwrap();
        let signed = Signed::parse(&token).unwrap();
        assert!(own.has_signed(&signed) && !other.has_signed(&signed));
        assert_eq!(signed.claims, br#"{"a":1}"#);
    }

    #[test]
    fn nothing_in_a_token_can_be_changed() {
        let key = key();
        let token = key.sign(&json!({"a": 1})).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let other = URL_SAFE_NO_PAD.encode(r#"{"a":2}"#);
        let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        for forged in [
            format!("{}.{other}.{}", parts[0], parts[2]),
            format!("{unsigned}.{}.", parts[1]),
            format!("{unsigned}.{}.{}", parts[1], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
        ] {
            assert!(Signed::parse(&forged).is_none_or(|signed| !key.has_signed(&signed)), "{forged}");
        }
        for none in ["", "a", "a.b", "a.b.c", "....", &token[1..]] {
            assert!(Signed::parse(none).is_none(), "{none}");
        }
    }

    #[test]
    fn another_kind_of_key_is_refused() {
        assert!(SigningKey::from_pkcs8(b"x").is_err());
    }
}
