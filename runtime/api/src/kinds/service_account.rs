//! Service accounts: only the names of their secrets are kept
//! (`pkg/registry/core/serviceaccount`). And what a token says that is kept in a Secret.

use k8s_openapi::api::core::v1::{ObjectReference, ServiceAccount as Typed};
use serde::{Deserialize, Serialize};

use crate::kinds::typed;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// The type of the Secrets that hold tokens of service accounts
/// (<https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets>).
pub const TOKEN_SECRET: &str = "kubernetes.io/service-account-token";
/// The annotation of such a Secret that names the account.
pub const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
/// The annotation that tells the account from a later one of its name.
pub const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";
/// Where among the data of such a Secret the token is.
pub const TOKEN_KEY: &str = "token";

/// What a token says that is kept in a Secret: it has no end but the Secret's and the account's.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct SecretClaims {
    /// [`SecretClaims::ISSUER`].
    pub iss: String,
    /// The namespace of both.
    #[serde(rename = "kubernetes.io/serviceaccount/namespace")]
    pub namespace: String,
    /// The Secret.
    #[serde(rename = "kubernetes.io/serviceaccount/secret.name")]
    pub secret: String,
    /// The account.
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.name")]
    pub account: String,
    /// The account's uid.
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.uid")]
    pub uid: String,
    /// The account as a user.
    pub sub: String,
}

impl SecretClaims {
    /// Who makes such tokens, of whatever cluster.
    pub const ISSUER: &str = "kubernetes/serviceaccount";

    /// That the token in `secret` is that of the account of this name and `uid`.
    pub fn new(namespace: &str, secret: &str, account: &str, uid: &str) -> Self {
        Self {
            iss: Self::ISSUER.to_owned(),
            namespace: namespace.to_owned(),
            secret: secret.to_owned(),
            account: account.to_owned(),
            uid: uid.to_owned(),
            sub: format!("system:serviceaccount:{namespace}:{account}"),
        }
    }
}

/// Service accounts.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceAccount;

impl Strategy for ServiceAccount {
    fn admit(&self, _: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |account: &mut Typed, _| {
            for secret in account.secrets.iter_mut().flatten() {
                *secret = ObjectReference { name: secret.name.take(), ..ObjectReference::default() };
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::created;

    #[test]
    fn secrets_are_named_and_nothing_more() {
        let account =
            created(&ServiceAccount, "{metadata: {name: a, namespace: d}, secrets: [{name: s, uid: u, kind: X}]}");
        assert_eq!(account.0["secrets"], serde_json::json!([{"name": "s"}]));
    }
}
