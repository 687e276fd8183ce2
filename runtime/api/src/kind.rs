//! The registry of kinds. A built-in kind and a custom one are described alike.

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::crd::Conversion;
use crate::schema::Lazy;
use crate::strategy::Strategy;
use crate::view::View;

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
    pub schema: Arc<Lazy>,
    /// The JSON schemas that documents are made of, by definition name; the kind's own among them.
    pub definitions: Definitions,
    /// The kind's own behaviour.
    pub strategy: Box<dyn Strategy>,
    /// Whether the kind is Kubernetes' own: only these take strategic merge patches.
    pub built_in: bool,
    /// Whether nothing acts on the kind's objects yet: writers are warned.
    pub inert: bool,
    /// What whoever uses this version is warned with.
    pub deprecation: Option<Str>,
    /// Whether changes of the specification are counted, in `metadata.generation`.
    pub generations: bool,
    /// Whether what an object owns stays when nobody says otherwise.
    pub orphans: bool,
    /// Whether a PUT makes what is not there.
    pub created_by_update: bool,
    /// Whether a PUT may leave out which version it replaces.
    pub unconditional_update: bool,
    /// Whether a delete is answered with the object also when it is gone, not with a `Status`.
    pub answers_deleted: bool,
    /// Whether a write of the status may change the labels, annotations and the like, too.
    pub status_metadata: bool,
    /// How the objects are stored, when that is not under this group and version; of a custom kind
    /// its definition tells.
    pub view: Option<&'static View>,
    /// What a CustomResourceDefinition says beside the above; `None` for a kind that the program
    /// declares.
    pub defined: Option<Defined>,
}

/// Makes the JSON schemas that documents are made of. Boxing a plain function allocates nothing.
pub type Definitions = Box<dyn Fn() -> Map<String, Value> + Send + Sync>;

/// What is known of a kind that a CustomResourceDefinition defines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defined {
    /// The version that objects are stored in.
    pub storage: Str,
    /// The revision of the definition. Objects that are not written after it may lack defaults,
    /// have fields that are no longer known, and be stored in another version.
    pub since: u64,
    /// Whether the definition is being deleted: nothing new is made.
    pub terminating: bool,
    /// What converts objects from one version to another, where more changes than their
    /// `apiVersion`.
    pub conversion: Option<Arc<Conversion>>,
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

    /// The group and version that objects are stored under.
    pub fn stored_as(&self) -> (&str, &str) {
        match (self.view, &self.defined) {
            (Some(view), _) => (view.group, view.version),
            (None, Some(defined)) => (&self.group, &defined.storage),
            (None, None) => (&self.group, &self.version),
        }
    }

    /// Whether `verb` is served.
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }

    /// Whether there is a subresource called `name`; `""` is the resource itself.
    pub fn serves(&self, name: &str) -> bool {
        match name {
            "" => true,
            "status" => self.status,
            "scale" => self.scale.is_some(),
            name => self.subresource(name).is_some(),
        }
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

/// A version's name, ordered as clients prefer them: `v2`, `v1`, `v1beta2`, `v1alpha1`, and then what
/// is called otherwise, by its name
/// (<https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#version-priority>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version<'a>(
    /// Such as `v1`.
    pub &'a str,
);

impl Version<'_> {
    // What is preferred is less: stability, then the two numbers.
    fn rank(&self) -> Option<(u8, Reverse<u32>, Reverse<u32>)> {
        let rest = self.0.strip_prefix('v')?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (major, rest) = rest.split_at(end);
        let stage = |minor: &str, stage| Some((stage, Reverse(major.parse().ok()?), Reverse(minor.parse().ok()?)));
        match rest {
            "" => stage("0", 0),
            _ => match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
                (Some(minor), _) => stage(minor, 1),
                (_, Some(minor)) => stage(minor, 2),
                _ => None,
            },
        }
    }
}

impl Ord for Version<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.rank(), other.rank()) {
            (Some(own), Some(theirs)) => own.cmp(&theirs).then_with(|| self.0.cmp(other.0)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.0.cmp(other.0),
        }
    }
}

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({} {})", self.api_version(), self.kind)
    }
}

/// All kinds that are served. Cloning is cheap, and so is adding a kind to a thousand others: the
/// kinds themselves are shared.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    /// By group, version and plural.
    sorted: Arc<Vec<Arc<Kind>>>,
}

impl Kinds {
    /// The registry with `kinds` in it; a later one replaces an earlier one of the same group,
    /// version and plural.
    #[must_use]
    pub fn with(&self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        let mut sorted = Vec::clone(&self.sorted);
        for kind in kinds {
            match sorted.binary_search_by(|other| key(other).cmp(&key(&kind))) {
                Ok(at) => sorted[at] = Arc::new(kind),
                Err(at) => sorted.insert(at, Arc::new(kind)),
            }
        }
        Self { sorted: Arc::new(sorted) }
    }

    /// The registry without any version of `plural` in `group`.
    #[must_use]
    pub fn without(&self, group: &str, plural: &str) -> Self {
        let stays = |kind: &&Arc<Kind>| kind.group != group || kind.plural != plural;
        Self { sorted: Arc::new(self.iter().filter(stays).cloned().collect()) }
    }

    /// Every kind, ordered by group, version and plural.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.sorted.iter()
    }

    /// The kind served under `group`, `version` and `plural`, as in a request's path.
    pub fn by_resource(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        let at = self.sorted.binary_search_by(|kind| key(kind).cmp(&(group, version, plural))).ok()?;
        self.sorted.get(at)
    }

    /// The kind of an object's `apiVersion` and `kind`.
    pub fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Kind>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let mut of_group = self.from(group).iter().take_while(|k| k.group == group);
        of_group.find(|k| k.kind == kind && k.version == version)
    }

    /// The other groups and versions that the objects of `kind` are served under.
    pub fn equivalents<'a>(&'a self, kind: &'a Kind) -> impl Iterator<Item = &'a Arc<Kind>> {
        let same = |other: &&Arc<Kind>| other.plural == kind.plural && other.stored_as().0 == kind.stored_as().0;
        self.iter().filter(same).filter(|other| key(other) != key(kind))
    }

    /// The kinds of one group, ordered by version and plural.
    pub fn group<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Arc<Kind>> {
        self.from(group).iter().take_while(move |kind| kind.group == group)
    }

    fn from(&self, group: &str) -> &[Arc<Kind>] {
        &self.sorted[self.sorted.partition_point(|kind| &*kind.group < group)..]
    }
}

fn key(kind: &Kind) -> (&str, &str, &str) {
    (&kind.group, &kind.version, &kind.plural)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_preferred_as_upstream_prefers_them() {
        let mut all = ["foo10", "v1alpha1", "v10", "v11beta2", "v2", "v1", "v12alpha1", "foo1", "v3beta1", "v10beta3"];
        all.sort_by_key(|version| Version(version));
        let expected = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v1alpha1", "foo1", "foo10"];
        assert_eq!(all, expected);
    }

    #[test]
    fn kinds_are_found_by_resource_and_by_kind() {
        let kinds = crate::builtin();
        assert!(kinds.iter().map(|kind| key(kind)).is_sorted());
        assert_eq!(kinds.by_resource("apps", "v1", "deployments").unwrap().kind, "Deployment");
        assert_eq!(kinds.by_kind("apps/v1", "Deployment").unwrap().plural, "deployments");
        assert_eq!(kinds.by_kind("v1", "Pod").unwrap().plural, "pods");
        assert!(kinds.by_kind("apps/v2", "Deployment").is_none());
        let equivalents = |group, version, plural| {
            let of: Vec<String> = kinds
                .equivalents(kinds.by_resource(group, version, plural).unwrap())
                .map(|kind| kind.api_version())
                .collect();
            of
        };
        assert_eq!(equivalents("", "v1", "events"), ["events.k8s.io/v1"]);
        assert_eq!(equivalents("autoscaling", "v1", "horizontalpodautoscalers"), ["autoscaling/v2"]);
        assert!(equivalents("", "v1", "pods").is_empty());
        let fewer = kinds.without("apps", "deployments");
        assert!(fewer.by_resource("apps", "v1", "deployments").is_none());
        assert_eq!(fewer.iter().count() + 1, kinds.iter().count());
        assert!(fewer.group("apps").all(|kind| kind.group == "apps") && fewer.group("apps").count() > 0);
    }
}
