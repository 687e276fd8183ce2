//! What a service account's token says
//! (<https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens>).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use trimtab_api::kinds::service_account::SecretClaims;

use crate::auth::Identity;
use crate::auth::identity::CREDENTIAL;

/// The claims. Times are in seconds since 1970.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Claims {
    #[serde(default, deserialize_with = "one_or_many")]
    pub(super) aud: Vec<String>,
    pub(super) exp: i64,
    #[serde(default)]
    pub(super) iat: i64,
    #[serde(default)]
    pub(super) iss: String,
    #[serde(default)]
    pub(super) jti: String,
    #[serde(rename = "kubernetes.io")]
    pub(super) private: Private,
    #[serde(default)]
    pub(super) nbf: i64,
    #[serde(default)]
    pub(super) sub: String,
}

/// Of Kubernetes alone: whose token it is, and with what it ends.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Private {
    pub(super) namespace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<Reference>,
    pub(super) serviceaccount: Reference,
    /// When whoever uses the token should have asked for another; 0 is never.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) warnafter: i64,
}

/// One object, and no later one of its name.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Reference {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) uid: String,
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// RFC 7519 lets one audience stand for itself.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::One(one) => vec![one],
        Either::Many(many) => many,
    })
}

impl Claims {
    /// What a token of ours says, or one that is kept in a Secret, which says neither for whom nor until when it is;
    /// `None` when it is another's.
    pub(super) fn read(json: &[u8], issuer: &str) -> Option<Self> {
        if let Ok(claims) = serde_json::from_slice::<SecretClaims>(json)
            && claims.iss == SecretClaims::ISSUER
        {
            return Some(Self::kept(claims, issuer));
        }
        serde_json::from_slice::<Self>(json).ok().filter(|claims| claims.iss == issuer)
    }

    fn kept(claims: SecretClaims, issuer: &str) -> Self {
        let private = Private {
            namespace: claims.namespace,
            secret: Some(Reference { name: claims.secret, uid: String::new() }),
            serviceaccount: Reference { name: claims.account, uid: claims.uid },
            ..Private::default()
        };
        Self {
            aud: vec![issuer.to_owned()],
            exp: i64::MAX,
            iat: 0,
            iss: claims.iss,
            jti: String::new(),
            private,
            nbf: 0,
            sub: claims.sub,
        }
    }

    /// Whether the token is one that is kept in a Secret.
    pub(super) fn is_kept(&self) -> bool {
        self.iss == SecretClaims::ISSUER
    }

    /// Who shows this token: the service account, and for which pod or node.
    pub(super) fn identity(&self) -> Identity {
        let Private { namespace, serviceaccount: account, pod, node, .. } = &self.private;
        let mut extra = BTreeMap::new();
        let mut tell = |key: &str, value: &str| {
            if !value.is_empty() {
                extra.insert(key.to_owned(), vec![value.to_owned()]);
            }
        };
        if !self.jti.is_empty() {
            tell(CREDENTIAL, &format!("JTI={}", self.jti));
        }
        if let Some(Reference { name, uid }) = pod {
            tell("authentication.kubernetes.io/pod-name", name);
            tell("authentication.kubernetes.io/pod-uid", uid);
        }
        if let Some(Reference { name, uid }) = node {
            tell("authentication.kubernetes.io/node-name", name);
            tell("authentication.kubernetes.io/node-uid", uid);
        }
        Identity { extra, ..Identity::service_account(namespace, &account.name, &account.uid) }
    }
}
