//! What is to be done about a file's objects: which resource each is, in what order they are
//! applied, what the file no longer holds. Pure.

use std::collections::BTreeSet;

use serde_json::Value;
use trimtab_api::Object;
use trimtab_client::{ApiResource, Discovery};

use crate::manifest_file::AppliedObject;

/// Objects with this annotation, set to `false`, outlive their file.
pub(crate) const PRUNE: &str = "trimtab.dev/prune";

/// What comes first, in this order: objects that others live in, are of, or refer to. All else
/// comes after, in the order of the files.
const FIRST: [&str; 14] = [
    "Namespace",
    "CustomResourceDefinition",
    "PriorityClass",
    "StorageClass",
    "ResourceQuota",
    "LimitRange",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ClusterRole",
    "Role",
    "Service",
];

/// What an object is, whatever its version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(resource: &ApiResource, namespace: &str, name: &str) -> Self {
        let (group, kind) = (resource.group.to_string(), resource.kind.to_string());
        Self { group, kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    pub(crate) fn of(applied: &AppliedObject) -> Self {
        let (namespace, name) = (applied.namespace.clone(), applied.name.clone());
        Self { group: group_of(&applied.api_version).to_owned(), kind: applied.kind.clone(), namespace, name }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let slash = if self.namespace.is_empty() { "" } else { "/" };
        write!(f, "{} {}{slash}{}", self.kind, self.namespace, self.name)
    }
}

fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// An object that a file wants, as it is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) key: Key,
    pub(crate) resource: ApiResource,
    pub(crate) object: Object,
}

impl Wanted {
    /// Where it stands in the order of application.
    pub(crate) fn rank(&self) -> usize {
        FIRST.iter().position(|kind| *kind == self.key.kind).unwrap_or(FIRST.len())
    }

    /// Whether it defines a kind that others may be of.
    pub(crate) fn is_definition(&self) -> bool {
        self.key.group == "apiextensions.k8s.io" && self.key.kind == "CustomResourceDefinition"
    }

    pub(crate) fn record(&self, created: bool) -> AppliedObject {
        let Key { kind, namespace, name, .. } = self.key.clone();
        AppliedObject { api_version: self.resource.api_version(), kind, namespace, name, created }
    }
}

/// What a file wants, and what of it cannot be had.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) problems: Vec<String>,
    /// Whether a kind is not served: it may be once another file is applied.
    pub(crate) unknown_kind: bool,
}

/// Finds the resource of each object. An object without a namespace, of a kind that has one, goes
/// into `namespace`.
pub(crate) fn resolve(objects: &[Object], served: &Discovery, namespace: &str) -> Resolved {
    let mut resolved = Resolved::default();
    let mut seen = BTreeSet::new();
    for object in objects {
        let Some(found) = served.of_kind(object.api_version(), object.kind()) else {
            resolved.unknown_kind = true;
            resolved.problems.push(format!(
                "{} {:?}: no kind {:?} in {:?} is served",
                object.kind(),
                object.name(),
                object.kind(),
                object.api_version()
            ));
            continue;
        };
        match want(object, found.resource.clone(), namespace) {
            Ok(wanted) if !seen.insert(wanted.key.clone()) => {
                resolved.problems.push(format!("{}: the file holds it twice", wanted.key));
            }
            Ok(wanted) => resolved.wanted.push(wanted),
            Err(problem) => resolved.problems.push(format!("{} {:?}: {problem}", object.kind(), object.name())),
        }
    }
    resolved
}

/// Where what was applied can be found: in the version that it was applied in, or where that is served no more in
/// another one.
pub(crate) fn resource_of(applied: &AppliedObject, served: &Discovery) -> Option<ApiResource> {
    let (kind, group) = (applied.kind.as_str(), group_of(&applied.api_version));
    let in_any = || served.all().find(|found| found.resource.kind == kind && found.resource.group == group);
    served.of_kind(&applied.api_version, kind).or_else(in_any).map(|found| found.resource.clone())
}

fn want(object: &Object, resource: ApiResource, namespace: &str) -> Result<Wanted, String> {
    if object.name().is_empty() {
        let why = if object.str_at(&["metadata", "generateName"]).is_empty() {
            "metadata.name is not set"
        } else {
            "metadata.generateName cannot be applied: an object of a file needs a name that stays"
        };
        return Err(why.to_owned());
    }
    let namespace = match (resource.namespaced, object.namespace()) {
        (true, "") => namespace,
        (true, own) => own,
        (false, "") => "",
        (false, own) => return Err(format!("metadata.namespace is {own:?}, but the kind has no namespaces")),
    };
    let key = Key::new(&resource, namespace, object.name());
    let mut object = without_servers_fields(object);
    if !namespace.is_empty() {
        object.set(&["metadata", "namespace"], namespace);
    }
    Ok(Wanted { key, resource, object })
}

/// A manifest that was exported from a server carries what the server fills; nobody wants it set.
fn without_servers_fields(object: &Object) -> Object {
    let mut object = object.clone();
    object.remove(&["status"]);
    for field in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"] {
        object.remove(&["metadata", field]);
    }
    object
}

/// What `memory` holds and `wanted` does not, last applied first.
pub(crate) fn superfluous<'a>(memory: &'a [AppliedObject], wanted: &BTreeSet<Key>) -> Vec<&'a AppliedObject> {
    memory.iter().rev().filter(|applied| !wanted.contains(&Key::of(applied))).collect()
}

/// `memory` with what is about to be applied. `created` tells of what is not in it yet.
pub(crate) fn remembering(
    memory: &[AppliedObject],
    wanted: &[Wanted],
    created: impl Fn(&Key) -> bool,
) -> Vec<AppliedObject> {
    let mut next = memory.to_vec();
    for want in wanted {
        match next.iter_mut().find(|applied| Key::of(applied) == want.key) {
            Some(applied) => applied.api_version = want.resource.api_version(),
            None => next.push(want.record(created(&want.key))),
        }
    }
    next
}

/// What tells whether someone else has changed the fields that `manager` applied: who takes a field
/// over, or removes it, takes it out of the manager's set (KEP-555).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fingerprint {
    uid: String,
    generation: Option<i64>,
    fields: Option<Value>,
    version: Option<u64>,
}

impl Fingerprint {
    pub(crate) fn of(object: &Object, manager: &str) -> Self {
        let entries = object.at(&["metadata", "managedFields"]).and_then(Value::as_array).into_iter().flatten();
        let own = |entry: &&Value| {
            entry["manager"] == manager
                && entry["operation"] == "Apply"
                && entry.get("subresource").is_none_or(|s| s == "")
        };
        Self {
            uid: object.uid().to_owned(),
            generation: object.at(&["metadata", "generation"]).and_then(Value::as_i64),
            fields: entries.into_iter().find(own).map(|entry| entry["fieldsV1"].clone()),
            version: object.resource_version().parse().ok(),
        }
    }

    /// Whether the manager has applied any field.
    pub(crate) fn is_managed(&self) -> bool {
        self.fields.is_some()
    }

    /// Whether `seen`, an event of the watch, is a change since this was taken.
    pub(crate) fn is_changed_by(&self, seen: &Self) -> bool {
        let old_news = self.uid == seen.uid && self.version.zip(seen.version).is_some_and(|(own, seen)| seen <= own);
        let same = (&self.uid, self.generation, &self.fields) == (&seen.uid, seen.generation, &seen.fields);
        !old_news && !same
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use trimtab_api::manifest;
    use trimtab_client::Discovered;

    use super::*;

    fn served() -> Discovery {
        let discovered = |group: &'static str, version: &'static str, kind: &'static str, namespaced| Discovered {
            resource: ApiResource {
                group: group.into(),
                version: version.into(),
                kind: kind.into(),
                plural: format!("{}s", kind.to_lowercase()).into(),
                namespaced,
            },
            singular: kind.to_lowercase(),
            short_names: Vec::new(),
            categories: Vec::new(),
            verbs: Vec::new(),
            subresources: Vec::new(),
        };
        let kinds = [("", "v1", "Pod", true), ("", "v1", "Namespace", false), ("demo.io", "v2", "Site", true)];
        Discovery {
            resources: kinds
                .map(|(group, version, kind, namespaced)| discovered(group, version, kind, namespaced))
                .to_vec(),
            others: vec![discovered("demo.io", "v1", "Site", true)],
            unavailable: Vec::new(),
        }
    }

    fn resolved(text: &str) -> Resolved {
        resolve(&manifest::read(text).unwrap(), &served(), "default")
    }

    #[test]
    fn an_object_goes_where_it_says_or_into_the_default_namespace() {
        let text = "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n\
                    {apiVersion: v1, kind: Pod, metadata: {name: b, namespace: shop}}\n---\n\
                    {apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n";
        let resolved = resolved(text);
        let keys: Vec<_> = resolved.wanted.iter().map(|wanted| wanted.key.to_string()).collect();
        assert_eq!(keys, ["Pod default/a", "Pod shop/b", "Namespace shop"]);
        assert_eq!(resolved.wanted[0].object.namespace(), "default");
        assert!(resolved.wanted[2].rank() < resolved.wanted[0].rank());
    }

    #[test]
    fn a_version_other_than_the_preferred_is_asked_for_if_it_is_served() {
        let first = resolved("{apiVersion: demo.io/v1, kind: Site, metadata: {name: a}}");
        assert_eq!(first.wanted[0].resource.api_version(), "demo.io/v1");
        let third = resolved("{apiVersion: demo.io/v3, kind: Site, metadata: {name: a}}");
        assert!(third.unknown_kind && third.wanted.is_empty(), "{third:?}");
        // What was applied in a version that has gone meanwhile is found all the same.
        let mut applied = first.wanted[0].record(true);
        for (version, found) in [("v1", "demo.io/v1"), ("v0", "demo.io/v2")] {
            applied.api_version = format!("demo.io/{version}");
            assert_eq!(resource_of(&applied, &served()).unwrap().api_version(), found);
        }
        applied.kind = "Page".to_owned();
        assert_eq!(resource_of(&applied, &served()), None);
    }

    #[test]
    fn one_bad_object_leaves_the_others() {
        let text = "{apiVersion: v1, kind: Site, metadata: {name: a}}\n---\n\
                    {apiVersion: v1, kind: Namespace, metadata: {name: b, namespace: c}}\n---\n\
                    {apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n\
                    {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: default}}\n";
        let resolved = resolved(text);
        assert!(resolved.unknown_kind);
        let expected = [
            "Site \"a\": no kind \"Site\" in \"v1\" is served",
            "Namespace \"b\": metadata.namespace is \"c\", but the kind has no namespaces",
            "Pod default/a: the file holds it twice",
        ];
        assert_eq!(resolved.problems, expected);
        assert_eq!(resolved.wanted.len(), 1);
    }

    #[test]
    fn what_the_server_fills_is_not_sent() {
        let text = "{apiVersion: v1, kind: Pod, metadata: {name: a, uid: u, resourceVersion: '1', labels: {x: z}}, \
                    spec: {}, status: {phase: Running}}";
        let metadata = json!({"name": "a", "namespace": "default", "labels": {"x": "z"}});
        let expected = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}});
        assert_eq!(serde_json::to_value(&resolved(text).wanted[0].object).unwrap(), expected);
    }

    #[test]
    fn memory_grows_before_and_shrinks_after() {
        let first = resolved("{apiVersion: demo.io/v1, kind: Site, metadata: {name: a}}").wanted;
        let second = resolved(
            "{apiVersion: demo.io/v2, kind: Site, metadata: {name: a}}\n---\n\
                               {apiVersion: v1, kind: Pod, metadata: {name: b}}",
        )
        .wanted;
        let memory = remembering(&[], &first, |_| true);
        let memory = remembering(&memory, &second, |_| false);
        let told: Vec<_> = memory.iter().map(|a| (&*a.api_version, &*a.name, a.created)).collect();
        assert_eq!(told, [("demo.io/v2", "a", true), ("v1", "b", false)], "a new version is no new object");
        let keep: BTreeSet<Key> = second[..1].iter().map(|wanted| wanted.key.clone()).collect();
        assert_eq!(superfluous(&memory, &keep), [&memory[1]]);
        let all: Vec<_> = superfluous(&memory, &BTreeSet::new()).into_iter().map(|a| &*a.name).collect();
        assert_eq!(all, ["b", "a"], "last applied, first pruned");
    }

    #[test]
    fn a_fingerprint_changes_with_the_fields_that_are_ours() {
        let object = |version: &str, uid: &str, fields: Value| {
            let entry = json!({"manager": "m", "operation": "Apply", "fieldsV1": fields});
            let other = json!({"manager": "o", "operation": "Update", "fieldsV1": {"f:x": {}}});
            let metadata = json!({"uid": uid, "resourceVersion": version, "managedFields": [other, entry]});
            let object: Object = serde_json::from_value(json!({"metadata": metadata})).unwrap();
            Fingerprint::of(&object, "m")
        };
        let own = object("5", "u", json!({"f:data": {}}));
        assert!(!own.is_changed_by(&object("6", "u", json!({"f:data": {}}))), "someone wrote another field");
        assert!(own.is_changed_by(&object("6", "u", json!({}))), "someone took ours");
        assert!(!own.is_changed_by(&object("4", "u", json!({}))), "that was before");
        assert!(own.is_changed_by(&object("4", "v", json!({"f:data": {}}))), "it is another object");
    }
}
