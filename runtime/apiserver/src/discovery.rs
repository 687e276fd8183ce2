//! What is served: `/api`, `/apis` and below, plain and aggregated
//! (<https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api>).

use std::collections::BTreeMap;

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use trimtab_api::{ApiError, Kind, Kinds, Version};

use crate::body;
use crate::handler::Answer;
use crate::negotiate::clauses;

pub(crate) fn answer(kinds: &Kinds, path: &str, headers: &HeaderMap) -> Option<Answer> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let value = match parts.as_slice() {
        [""] => json!({"paths": paths(kinds)}),
        ["api"] | ["apis"] => return Some(Ok(root(kinds, parts[0] == "api", headers))),
        ["api", version] => return Some(resources(kinds, "", version)),
        ["apis", group] => match group_of(kinds, group) {
            Some(group) => group,
            None => return Some(Err(ApiError::no_such_path())),
        },
        ["apis", group, version] => return Some(resources(kinds, group, version)),
        _ => return None,
    };
    Some(Ok(body::json(StatusCode::OK, &value)))
}

fn paths(kinds: &Kinds) -> Vec<String> {
    let mut paths: Vec<String> =
        ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
            .map(str::to_owned)
            .to_vec();
    for (group, versions) in groups(kinds) {
        let prefix = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        paths.extend(versions.keys().map(|version| format!("{prefix}/{}", version.0)));
    }
    paths.sort();
    paths
}

type Versions<'a> = BTreeMap<Version<'a>, Vec<&'a Kind>>;

fn groups(kinds: &Kinds) -> BTreeMap<&str, Versions<'_>> {
    let mut groups: BTreeMap<&str, Versions<'_>> = BTreeMap::new();
    for kind in kinds.iter() {
        groups.entry(&kind.group).or_default().entry(Version(&kind.version)).or_default().push(kind);
    }
    groups
}

fn root(kinds: &Kinds, core: bool, headers: &HeaderMap) -> http::Response<trimtab_client::Body> {
    let aggregated = clauses(headers).find(|clause| {
        clause.media == "application/json"
            && clause.param("as") == "APIGroupDiscoveryList"
            && clause.param("g") == "apidiscovery.k8s.io"
    });
    if let Some(clause) = aggregated.filter(|clause| matches!(clause.param("v"), "v2" | "v2beta1")) {
        let version = clause.param("v");
        let items: Vec<Value> = groups(kinds)
            .into_iter()
            .filter(|(group, _)| group.is_empty() == core)
            .map(|(group, versions)| aggregate(group, &versions))
            .collect();
        let list = json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items});
        let content_type = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
        return body::bytes(StatusCode::OK, &content_type, list.to_string());
    }
    let value = if core {
        json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
    } else {
        let list: Vec<Value> = groups(kinds)
            .into_iter()
            .filter(|(group, _)| !group.is_empty())
            .map(|(group, versions)| plain(group, &versions))
            .collect();
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": list})
    };
    body::json(StatusCode::OK, &value)
}

fn plain(group: &str, versions: &Versions<'_>) -> Value {
    let one =
        |Version(version): &Version<'_>| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let list: Vec<Value> = versions.keys().map(one).collect();
    json!({"name": group, "versions": list, "preferredVersion": list.first()})
}

fn group_of(kinds: &Kinds, group: &str) -> Option<Value> {
    let groups = groups(kinds);
    let mut value = plain(group, groups.get(group).filter(|_| !group.is_empty())?);
    value["kind"] = "APIGroup".into();
    value["apiVersion"] = "v1".into();
    Some(value)
}

fn resources(kinds: &Kinds, group: &str, version: &str) -> Answer {
    let groups = groups(kinds);
    let kinds =
        groups.get(group).and_then(|versions| versions.get(&Version(version))).ok_or_else(ApiError::no_such_path)?;
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

type Below = (String, (String, String, String), Vec<String>);

/// Subresources: name, the kind they answer with, verbs.
fn below(kind: &Kind) -> Vec<Below> {
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
        .map(|(Version(version), kinds)| {
            let resources: Vec<Value> = kinds.iter().map(|kind| aggregated(kind)).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    let metadata = if group.is_empty() {
        json!({"creationTimestamp": null})
    } else {
        json!({"name": group, "creationTimestamp": null})
    };
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
