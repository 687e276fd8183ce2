//! What another server lists, as aggregated discovery tells it.

use serde_json::{Value, json};

use crate::aggregation::Other;

/// The resources of an `APIResourceList` as those of an `APIVersionDiscovery`.
pub(super) fn resources(other: &Other) -> Vec<Value> {
    let Some(discovered) = &other.discovered else { return Vec::new() };
    let listed = || discovered.resources.as_array().into_iter().flatten();
    let name = |resource: &Value| resource["name"].as_str().unwrap_or_default().to_owned();
    let main = listed().filter(|resource| !name(resource).is_empty() && !name(resource).contains('/'));
    main.map(|resource| {
        let scope = if resource["namespaced"] == true { "Namespaced" } else { "Cluster" };
        let mut value = json!({
            "resource": resource["name"], "responseKind": kind(other, resource), "scope": scope,
            "singularResource": resource["singularName"].as_str().unwrap_or_default(), "verbs": resource["verbs"],
        });
        for field in ["shortNames", "categories"] {
            if resource[field].is_array() {
                value[field] = resource[field].clone();
            }
        }
        let prefix = format!("{}/", name(resource));
        let below = listed().filter_map(|below| Some((below, name(below).strip_prefix(&prefix)?.to_owned())));
        let below = below.map(|(below, subresource)| {
            json!({"subresource": subresource, "responseKind": kind(other, below), "verbs": below["verbs"]})
        });
        let below: Vec<Value> = below.collect();
        if !below.is_empty() {
            value["subresources"] = below.into();
        }
        value
    })
    .collect()
}

fn kind(other: &Other, resource: &Value) -> Value {
    let or = |field: &str, own: &str| match resource[field].as_str() {
        None | Some("") => own.to_owned(),
        Some(text) => text.to_owned(),
    };
    json!({"group": or("group", &other.known.group), "version": or("version", &other.known.version), "kind": resource["kind"]})
}
