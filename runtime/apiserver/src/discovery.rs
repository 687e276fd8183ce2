//! What is served: `/api`, `/apis` and below, plain and aggregated
//! (<https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api>).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use ring::digest;
use serde_json::{Value, json};
use trimtab_api::{ApiError, Kind, Kinds, Version};

use crate::aggregation::{self, Aggregation, Other};
use crate::body;
use crate::handler::Answer;
use crate::negotiate::clauses;
use crate::server::ApiServer;

mod converted;

pub(crate) fn answer(server: &ApiServer, path: &str, headers: &HeaderMap) -> Option<Answer> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if !matches!(parts.as_slice(), [""] | ["api" | "apis"] | ["api", _] | ["apis", _] | ["apis", _, _]) {
        return None;
    }
    let (kinds, aggregation) = (server.inner.kinds(), &*server.inner.aggregation);
    let others = aggregation.others();
    let groups = groups(&kinds, &others, aggregation);
    let value = match parts.as_slice() {
        [""] => json!({"paths": paths(&groups)}),
        ["api"] | ["apis"] => return Some(Ok(root(&groups, parts[0] == "api", headers))),
        ["api", version] => return Some(resources(&groups, "", version)),
        ["apis", group] => match group_of(&groups, group) {
            Some(group) => group,
            None => return Some(Err(ApiError::no_such_path())),
        },
        ["apis", group, version] => return Some(resources(&groups, group, version)),
        _ => return None,
    };
    Some(Ok(body::json(StatusCode::OK, &value)))
}

fn paths(groups: &Groups<'_>) -> Vec<String> {
    let mut paths: Vec<String> =
        ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
            .map(str::to_owned)
            .to_vec();
    for (group, versions) in groups {
        let prefix = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        paths.extend(versions.iter().map(|(version, _)| format!("{prefix}/{version}")));
    }
    paths.sort();
    paths
}

/// Who serves a version of a group.
enum Served<'a> {
    Here(Vec<&'a Kind>),
    There(&'a Other),
}

type Versions<'a> = Vec<(&'a str, Served<'a>)>;
type Groups<'a> = Vec<(&'a str, Versions<'a>)>;

/// All that is served, what clients are to prefer first.
fn groups<'a>(kinds: &'a Kinds, others: &'a [Other], aggregation: &Aggregation) -> Groups<'a> {
    let mut found: BTreeMap<&str, BTreeMap<Version<'_>, Served<'_>>> = BTreeMap::new();
    for kind in kinds.iter() {
        let version = found.entry(&kind.group).or_default().entry(Version(&kind.version));
        if let Served::Here(kinds) = version.or_insert_with(|| Served::Here(Vec::new())) {
            kinds.push(kind);
        }
    }
    for other in others.iter().filter(|other| other.known.group != aggregation::GROUP) {
        let version = Version(&other.known.version);
        found.entry(&other.known.group).or_default().insert(version, Served::There(other));
    }
    // Sorting keeps the order of those that are equal, by name.
    let mut groups: Vec<(i64, (&str, Versions<'_>))> = Vec::new();
    for (group, versions) in found {
        let mut versions: Vec<_> = versions.into_iter().map(|(version, served)| (version.0, served)).collect();
        let of_group = versions.iter().map(|(version, _)| aggregation.priority(group, version).0).max();
        versions.sort_by_cached_key(|(version, _)| Reverse(aggregation.priority(group, version).1));
        groups.push((of_group.unwrap_or_default(), (group, versions)));
    }
    groups.sort_by_key(|(priority, _)| Reverse(*priority));
    groups.into_iter().map(|(_, group)| group).collect()
}

fn root(groups: &Groups<'_>, core: bool, headers: &HeaderMap) -> http::Response<trimtab_client::Body> {
    let aggregated = clauses(headers).find(|clause| {
        clause.media == "application/json"
            && clause.param("as") == "APIGroupDiscoveryList"
            && clause.param("g") == "apidiscovery.k8s.io"
    });
    if let Some(clause) = aggregated.filter(|clause| matches!(clause.param("v"), "v2" | "v2beta1")) {
        let version = clause.param("v");
        let items: Vec<Value> = groups
            .iter()
            .filter(|(group, _)| group.is_empty() == core)
            .map(|(group, versions)| aggregate(group, versions))
            .collect();
        let list = json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items});
        let content_type = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
        return body::bytes(StatusCode::OK, &content_type, list.to_string());
    }
    let value = if core {
        json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
    } else {
        let list: Vec<Value> = groups
            .iter()
            .filter(|(group, _)| !group.is_empty())
            .map(|(group, versions)| plain(group, versions))
            .collect();
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": list})
    };
    body::json(StatusCode::OK, &value)
}

fn plain(group: &str, versions: &Versions<'_>) -> Value {
    let one = |(version, _): &(&str, _)| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let list: Vec<Value> = versions.iter().map(one).collect();
    json!({"name": group, "versions": list, "preferredVersion": list.first()})
}

fn group_of(groups: &Groups<'_>, group: &str) -> Option<Value> {
    let (_, versions) = groups.iter().find(|(known, _)| *known == group && !group.is_empty())?;
    let mut value = plain(group, versions);
    value["kind"] = "APIGroup".into();
    value["apiVersion"] = "v1".into();
    Some(value)
}

fn resources(groups: &Groups<'_>, group: &str, version: &str) -> Answer {
    let versions = groups.iter().find(|(known, _)| *known == group).map(|(_, versions)| versions);
    let found = versions.and_then(|versions| versions.iter().find(|(known, _)| *known == version));
    // What others serve, they tell themselves.
    let Some((_, Served::Here(kinds))) = found else { return Err(ApiError::no_such_path()) };
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let list: Vec<Value> = kinds.iter().flat_map(|kind| listed(kind)).collect();
    Ok(body::json(
        StatusCode::OK,
        &json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list}),
    ))
}

/// Of a definition that is going nothing more is made or changed.
fn verbs_of(kind: &Kind) -> Vec<&str> {
    let going = kind.defined.as_ref().is_some_and(|defined| defined.terminating);
    let verbs = kind.verbs.iter().map(|verb| &**verb);
    verbs.filter(|verb| !going || !matches!(*verb, "create" | "patch" | "update")).collect()
}

fn listed(kind: &Kind) -> Vec<Value> {
    let mut own = json!({"name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced(), "kind": kind.kind, "verbs": verbs_of(kind)});
    // Of what is only asked, nothing is stored.
    if kind.verbs.iter().any(|verb| verb == "list") {
        own["storageVersionHash"] = storage_version_hash(kind).into();
    }
    if !kind.short_names.is_empty() {
        own["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        own["categories"] = json!(kind.categories);
    }
    let below = below(kind).into_iter().map(|(name, response, verbs)| {
        let (group, version, response_kind) = response;
        let mut value = json!({"name": format!("{}/{name}", kind.plural), "singularName": "", "namespaced": kind.namespaced(), "kind": response_kind, "verbs": verbs});
        if group != kind.group {
            value["group"] = group.into();
            value["version"] = version.into();
        }
        value
    });
    std::iter::once(own).chain(below).collect()
}

/// What is the same as long as objects are stored in the same version of the same kind.
fn storage_version_hash(kind: &Kind) -> String {
    let (group, version) = match (&kind.defined, kind.view) {
        (Some(defined), _) => (&*kind.group, &*defined.storage),
        (None, Some(view)) => (view.group, view.version),
        (None, None) => (&*kind.group, &*kind.version),
    };
    let stored = format!("{group}/{version}/{}", kind.kind);
    STANDARD.encode(&digest::digest(&digest::SHA256, stored.as_bytes()).as_ref()[..8])
}

pub(crate) type Below = (String, (String, String, String), Vec<String>);

/// Subresources: name, the kind they answer with, verbs.
pub(crate) fn below(kind: &Kind) -> Vec<Below> {
    let own = (kind.group.to_string(), kind.version.to_string(), kind.kind.to_string());
    let verbs = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut found = Vec::new();
    if kind.status {
        found.push(("status".to_owned(), own.clone(), verbs(&["get", "patch", "update"])));
    }
    if kind.scale.is_some() {
        let scale = ("autoscaling".to_owned(), "v1".to_owned(), "Scale".to_owned());
        found.push(("scale".to_owned(), scale, verbs(&["get", "patch", "update"])));
    }
    for subresource in &kind.subresources {
        let (group, version) = match &*subresource.kind {
            "Eviction" => ("policy", "v1"),
            "TokenRequest" => ("authentication.k8s.io", "v1"),
            _ => (&*own.0, &*own.1),
        };
        let response = (group.to_owned(), version.to_owned(), subresource.kind.to_string());
        found.push((
            subresource.name.to_string(),
            response,
            subresource.verbs.iter().map(ToString::to_string).collect(),
        ));
    }
    found
}

fn aggregate(group: &str, versions: &Versions<'_>) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|(version, served)| {
            let (resources, freshness) = match served {
                Served::Here(kinds) => (kinds.iter().map(|kind| aggregated(kind)).collect(), "Current"),
                Served::There(other) => {
                    (converted::resources(other), if other.is_current() { "Current" } else { "Stale" })
                }
            };
            let resources: Vec<Value> = resources;
            json!({"version": version, "resources": resources, "freshness": freshness})
        })
        .collect();
    let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated(kind: &Kind) -> Value {
    let kind_value =
        |(group, version, kind): &(String, String, String)| json!({"group": group, "version": version, "kind": kind});
    let own = (kind.group.to_string(), kind.version.to_string(), kind.kind.to_string());
    let subresources: Vec<Value> = below(kind)
        .iter()
        .map(|(name, response, verbs)| json!({"subresource": name, "responseKind": kind_value(response), "verbs": verbs}))
        .collect();
    let scope = if kind.namespaced() { "Namespaced" } else { "Cluster" };
    let mut value = json!({"resource": kind.plural, "responseKind": kind_value(&own), "scope": scope, "singularResource": kind.singular, "verbs": verbs_of(kind)});
    if !kind.short_names.is_empty() {
        value["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        value["categories"] = json!(kind.categories);
    }
    if !subresources.is_empty() {
        value["subresources"] = subresources.into();
    }
    value
}
