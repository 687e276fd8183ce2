//! The registry of kinds. A built-in kind and a custom one are described alike.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::strategy::Strategy;

type Str = Cow<'static, str>;

/// Whether a kind's objects live in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each object is in a namespace.
    Namespaced,
    /// The objects belong to the whole cluster.
    Cluster,
}

/// A printer column of `kubectl get`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The heading, such as `Ready`.
    pub name: Str,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub type_: Str,
    /// An OpenAPI format, `name` for the name column.
    pub format: Str,
    /// What the column shows.
    pub description: Str,
    /// 0 is always shown; more only with `-o wide`.
    pub priority: i32,
    /// Where the value stands, such as `.spec.replicas`; `""` when the kind's [`Strategy::cell`]
    /// computes it.
    pub json_path: Str,
}

/// Where the `scale` subresource reads and writes, each as `.spec.replicas`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalePaths {
    /// The desired count.
    pub spec_replicas: Str,
    /// The observed count.
    pub status_replicas: Str,
    /// The selector, a string or a map; `""` when there is none.
    pub label_selector: Str,
}

/// One version of one kind: all that the generic machinery needs to know of it.
pub struct Kind {
    /// The API group; `""` for the core group.
    pub group: Str,
    /// The version, such as `v1`.
    pub version: Str,
    /// The kind, such as `Pod`.
    pub kind: Str,
    /// The kind of a list, such as `PodList`.
    pub list_kind: Str,
    /// The resource name in paths, such as `pods`.
    pub plural: Str,
    /// The name in the singular, such as `pod`.
    pub singular: Str,
    /// Short names, such as `po`.
    pub short_names: Vec<Str>,
    /// Categories, such as `all`.
    pub categories: Vec<Str>,
    /// Whether objects live in a namespace.
    pub scope: Scope,
    /// The verbs served, in discovery's order; `create` alone for a kind that is never stored.
    pub verbs: Vec<Str>,
    /// Whether `status` is a subresource.
    pub status: bool,
    /// The `scale` subresource.
    pub scale: Option<ScalePaths>,
    /// Further subresources, such as `log`.
    pub subresources: Vec<Subresource>,
    /// Printer columns, `Name` first.
    pub columns: Vec<Column>,
    /// Fields that a field selector may name, such as `.spec.nodeName`, besides `metadata.name`
    /// and `metadata.namespace`.
    pub selectable_fields: Vec<Str>,
    /// The schema of the whole object, made when first asked for.
    pub schema: crate::schema::Lazy,
    /// The JSON schemas that documents are made of, by definition name; the kind's own among them.
    pub definitions: fn() -> serde_json::Map<String, serde_json::Value>,
    /// The kind's own behaviour.
    pub strategy: &'static dyn Strategy,
    /// Whether the kind is Kubernetes' own: only these take strategic merge patches.
    pub built_in: bool,
}

/// A subresource that is neither `status` nor `scale`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// The last part of the path, such as `binding`.
    pub name: Str,
    /// The kind of what is sent to it.
    pub kind: Str,
    /// The verbs served.
    pub verbs: Vec<Str>,
}

impl Kind {
    /// `pods`, or `websites.demo.io`.
    pub fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.to_string() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `v1`, or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Whether `verb` is served.
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }

    /// The subresource called `name`, if it is neither `status` nor `scale`.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }

    /// Whether objects live in a namespace.
    pub fn namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({} {})", self.api_version(), self.kind)
    }
}

/// All kinds that are served. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    by_resource: Arc<BTreeMap<(Str, Str, Str), Arc<Kind>>>,
}

impl Kinds {
    /// The registry with `kinds` in it; a later one replaces an earlier one of the same group,
    /// version and plural.
    #[must_use]
    pub fn with(&self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        let mut by_resource = BTreeMap::clone(&self.by_resource);
        for kind in kinds {
            by_resource.insert((kind.group.clone(), kind.version.clone(), kind.plural.clone()), Arc::new(kind));
        }
        Self { by_resource: Arc::new(by_resource) }
    }

    /// Every kind, ordered by group, version and plural.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.by_resource.values()
    }

    /// The kind served under `group`, `version` and `plural`, as in a request's path.
    pub fn by_resource<'a>(&'a self, group: &'a str, version: &'a str, plural: &'a str) -> Option<&'a Arc<Kind>> {
        find(&self.by_resource, group, version, plural)
    }

    /// The kind of an object's `apiVersion` and `kind`.
    pub fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Kind>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.iter().find(|k| k.kind == kind && k.group == group && k.version == version)
    }
}

// A function of its own, so that the map's key type may shrink to the lifetime of the query.
type Key<'a> = (Cow<'a, str>, Cow<'a, str>, Cow<'a, str>);

fn find<'a>(
    kinds: &'a BTreeMap<Key<'a>, Arc<Kind>>,
    group: &'a str,
    version: &'a str,
    plural: &'a str,
) -> Option<&'a Arc<Kind>> {
    kinds.get(&(Cow::Borrowed(group), Cow::Borrowed(version), Cow::Borrowed(plural)))
}
