//! Who asks.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ring::digest;
use serde_json::{Value, json};
use trimtab_api::rbac::{MASTERS, User};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Everybody who is known is in it.
pub(super) const AUTHENTICATED: &str = "system:authenticated";
/// Everybody else.
pub(super) const UNAUTHENTICATED: &str = "system:unauthenticated";
pub(super) const ANONYMOUS: &str = "system:anonymous";
/// Every service account is in it; with `:` and a namespace, those of the namespace.
const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";
/// Under it stands what an identity was shown by.
pub(super) const CREDENTIAL: &str = "authentication.kubernetes.io/credential-id";

/// A user and the groups it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user's name.
    pub user: String,
    /// Tells it from an earlier one of the same name; `""` for most.
    pub uid: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// What else is known of it, such as by what it has shown who it is.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Identity {
    /// The user `name` in `groups`, and in the group of those who are known.
    pub fn new(name: &str, groups: &[&str]) -> Self {
        Self::known(name.to_owned(), groups.iter().map(ToString::to_string).collect())
    }

    fn known(user: String, mut groups: Vec<String>) -> Self {
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Self { user, groups, ..Self::default() }
    }

    /// Of a verified client certificate: the common name is the user, the organisations its groups
    /// (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates>).
    pub(crate) fn from_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let subject = certificate.subject();
        let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let groups = subject.iter_organization().filter_map(|o| o.as_str().ok()).map(str::to_owned).collect();
        let digest = digest::digest(&digest::SHA256, der);
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let extra = [(CREDENTIAL.to_owned(), vec![format!("X509SHA256={digest}")])].into();
        Some(Self { extra, ..Self::known(user, groups) })
    }

    /// The service account `name` of `namespace`
    /// (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens>).
    pub(crate) fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        let known = Self::known(service_account_user(namespace, name), service_account_groups(namespace));
        Self { uid: uid.to_owned(), ..known }
    }

    /// Who shows nothing.
    pub(crate) fn anonymous() -> &'static Self {
        static NOBODY: LazyLock<Identity> = LazyLock::new(|| Identity {
            user: ANONYMOUS.to_owned(),
            groups: vec![UNAUTHENTICATED.to_owned()],
            ..Identity::default()
        });
        &NOBODY
    }

    /// Whether no role is needed.
    pub(crate) fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }

    /// As `authentication.k8s.io`'s `UserInfo`.
    pub(crate) fn to_user_info(&self) -> Value {
        let mut info = json!({"username": self.user, "groups": self.groups});
        if !self.uid.is_empty() {
            info["uid"] = self.uid.as_str().into();
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }

    /// The node whose agent it is.
    pub(crate) fn node_name(&self) -> Option<&str> {
        super::node::name_of(self.as_user())
    }

    /// As roles look at it.
    pub(crate) fn as_user(&self) -> User<'_> {
        User { name: &self.user, groups: &self.groups }
    }
}

/// What groups a service account of `namespace` is in.
pub(super) fn service_account_groups(namespace: &str) -> Vec<String> {
    vec![SERVICE_ACCOUNTS.to_owned(), format!("{SERVICE_ACCOUNTS}:{namespace}")]
}

/// What the service account `name` of `namespace` is called as a user.
pub(crate) fn service_account_user(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_known_is_in_the_group_of_the_known_once() {
        assert_eq!(Identity::new("jane", &["a"]).groups, ["a", AUTHENTICATED]);
        assert_eq!(Identity::new("jane", &[AUTHENTICATED]).groups, [AUTHENTICATED]);
        assert_eq!(Identity::anonymous().groups, [UNAUTHENTICATED]);
    }
}
