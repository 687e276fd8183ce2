//! Who may do what (`rbac.authorization.k8s.io/v1`), as a computation: a [`Policy`] holds the roles
//! and bindings, and says whether a [`User`] may do what [`Attributes`] describe. Nothing here reads
//! or watches anything.

mod covers;
mod policy;
mod rule;

pub use covers::{describe, uncovered};
pub use policy::{Binding, Grant, Held, Policy};
pub use rule::allows;

/// The API group of roles and bindings.
pub const GROUP: &str = "rbac.authorization.k8s.io";
/// Whoever is in it may do everything, whatever the roles say.
pub const MASTERS: &str = "system:masters";

/// Who asks, as far as roles look at it.
#[derive(Clone, Copy, Debug)]
pub struct User<'a> {
    /// The user's name.
    pub name: &'a str,
    /// The groups it is in.
    pub groups: &'a [String],
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attributes<'a> {
    /// For something of the API.
    Resource {
        /// Such as `list` or `deletecollection`.
        verb: &'a str,
        /// `""` for all namespaces and for what is in none.
        namespace: &'a str,
        /// The API group; `""` for the core group.
        group: &'a str,
        /// The version of the API; no rule looks at it.
        version: &'a str,
        /// The plural name.
        resource: &'a str,
        /// `""` for the object itself.
        subresource: &'a str,
        /// `""` for no object in particular.
        name: &'a str,
    },
    /// For a path that names no resource.
    Path {
        /// The method in lower case.
        verb: &'a str,
        /// Such as `/healthz`.
        path: &'a str,
    },
}

/// Of a service account's user name, the namespace and the name.
pub fn service_account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?
        .split_once(':')
        .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty() && !name.contains(':'))
}
