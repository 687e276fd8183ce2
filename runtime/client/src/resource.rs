//! Where a kind is served.

use std::any::TypeId;
use std::borrow::Cow;

use k8s_openapi::NamespaceResourceScope;
use trimtab_api::Kind;

/// Group, version, resource name and scope of a kind: all that a request's path needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ApiResource {
    /// The API group; `""` for the core group.
    pub group: Cow<'static, str>,
    /// The version.
    pub version: Cow<'static, str>,
    /// The kind.
    pub kind: Cow<'static, str>,
    /// The resource name in paths.
    pub plural: Cow<'static, str>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
}

impl ApiResource {
    /// Of a type known at compile time.
    pub fn of<K: k8s_openapi::Resource>() -> Self
    where
        K::Scope: 'static,
    {
        Self {
            group: K::GROUP.into(),
            version: K::VERSION.into(),
            kind: K::KIND.into(),
            plural: K::URL_PATH_SEGMENT.into(),
            namespaced: TypeId::of::<K::Scope>() == TypeId::of::<NamespaceResourceScope>(),
        }
    }

    /// `v1`, or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `pods`, or `websites.demo.io`.
    pub fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.to_string() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The path of the collection (`name` empty), an object, or its subresource.
    pub fn path(&self, namespace: Option<&str>, name: &str, subresource: &str) -> String {
        let mut path = if self.group.is_empty() { "/api/".to_owned() } else { format!("/apis/{}/", self.group) };
        path += &self.version;
        if let Some(namespace) = namespace.filter(|_| self.namespaced) {
            path = path + "/namespaces/" + namespace;
        }
        path = path + "/" + &self.plural;
        for part in [name, subresource].into_iter().filter(|part| !part.is_empty()) {
            path = path + "/" + part;
        }
        path
    }
}

impl From<&Kind> for ApiResource {
    fn from(kind: &Kind) -> Self {
        Self {
            group: kind.group.clone(),
            version: kind.version.clone(),
            kind: kind.kind.clone(),
            plural: kind.plural.clone(),
            namespaced: kind.namespaced(),
        }
    }
}
