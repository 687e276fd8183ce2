//! Who asks.

use trimtab_api::ApiError;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A user and the groups it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user's name.
    pub user: String,
    /// Its groups.
    pub groups: Vec<String>,
}

impl Identity {
    /// The user `name` in `groups`.
    pub fn new(name: &str, groups: &[&str]) -> Self {
        Self { user: name.to_owned(), groups: groups.iter().map(ToString::to_string).collect() }
    }

    /// Of a verified client certificate: the common name is the user, the organisations its groups
    /// (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates>).
    pub(crate) fn from_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let subject = certificate.subject();
        let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let groups = subject.iter_organization().filter_map(|o| o.as_str().ok()).map(str::to_owned).collect();
        Some(Self { user, groups })
    }
}

/// What anyone may ask: whether the server is well, and its version.
const OPEN: [&str; 5] = ["/healthz", "/livez", "/readyz", "/version", "/version/"];

/// Whether `identity` may ask for `path`. Whoever is known may do everything: there is no
/// authorisation by role yet.
///
/// # Errors
/// 401 for a stranger on any path but health and version.
pub(crate) fn authorize(identity: Option<&Identity>, path: &str) -> Result<(), ApiError> {
    let open = OPEN.contains(&path) || ["/livez/", "/readyz/", "/healthz/"].iter().any(|p| path.starts_with(p));
    if identity.is_some() || open { Ok(()) } else { Err(ApiError::unauthorized()) }
}
