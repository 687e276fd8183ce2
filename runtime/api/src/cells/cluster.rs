//! Nodes, ReplicationControllers, ConfigMaps and Secrets.

use serde_json::Value;

use super::{NONE, labels, list, or_none, text};
use crate::object::Object;

const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
const ROLE_LABEL: &str = "kubernetes.io/role";

/// The cell of the column `name` of a Node.
pub(crate) fn node(name: &str, object: &Object, _now: i64) -> Value {
    match name {
        "Status" => node_status(object).into(),
        "Roles" => roles(object).into(),
        "Internal-IP" => or_none(address(object, "InternalIP")).into(),
        "External-IP" => or_none(address(object, "ExternalIP")).into(),
        _ => Value::Null,
    }
}

fn items<'a>(object: &'a Object, path: &[&str]) -> &'a [Value] {
    object.at(path).map_or(&[], list)
}

fn node_status(object: &Object) -> String {
    let ready = items(object, &["status", "conditions"]).iter().find(|condition| condition["type"] == "Ready");
    let status = match ready.map(|condition| condition["status"] == "True") {
        Some(true) => "Ready",
        Some(false) => "NotReady",
        None => "Unknown",
    };
    let unschedulable = object.at(&["spec", "unschedulable"]) == Some(&Value::Bool(true));
    if unschedulable { format!("{status},SchedulingDisabled") } else { status.to_owned() }
}

fn roles(object: &Object) -> String {
    let role = |(key, value): (&str, &str)| match key.strip_prefix(ROLE_PREFIX) {
        Some(role) if !role.is_empty() => Some(role.to_owned()),
        None if key == ROLE_LABEL && !value.is_empty() => Some(value.to_owned()),
        _ => None,
    };
    let mut roles: Vec<_> = object.labels().filter_map(role).collect();
    roles.sort();
    roles.dedup();
    or_none(&roles.join(",")).to_owned()
}

fn address<'a>(object: &'a Object, type_: &str) -> &'a str {
    let found = items(object, &["status", "addresses"]).iter().find(|address| address["type"] == type_);
    found.map_or("", |address| text(&address["address"]))
}

/// The cell of the column `name` of a ReplicationController.
pub(crate) fn replication_controller(name: &str, object: &Object, _now: i64) -> Value {
    let containers = items(object, &["spec", "template", "spec", "containers"]);
    let joined = |field: &str| containers.iter().map(|c| text(&c[field])).collect::<Vec<_>>().join(",");
    let count = |path: &[&str]| object.at(path).and_then(Value::as_i64).unwrap_or(0);
    match name {
        "Desired" => count(&["spec", "replicas"]).into(),
        "Current" => count(&["status", "replicas"]).into(),
        "Ready" => count(&["status", "readyReplicas"]).into(),
        "Containers" => joined("name").into(),
        "Images" => joined("image").into(),
        "Selector" => object.at(&["spec", "selector"]).map_or_else(|| NONE.to_owned(), labels).into(),
        _ => Value::Null,
    }
}

/// The cell of the column `name` of a ConfigMap.
pub(crate) fn config_map(name: &str, object: &Object, _now: i64) -> Value {
    match name {
        "Data" => (entries(object, "data") + entries(object, "binaryData")).into(),
        _ => Value::Null,
    }
}

/// The cell of the column `name` of a Secret.
pub(crate) fn secret(name: &str, object: &Object, _now: i64) -> Value {
    match name {
        "Data" => entries(object, "data").into(),
        _ => Value::Null,
    }
}

fn entries(object: &Object, field: &str) -> usize {
    object.at(&[field]).and_then(Value::as_object).map_or(0, serde_json::Map::len)
}

/// The cell of the column `name` of a ComponentStatus.
pub(crate) fn component_status(name: &str, object: &Object, _now: i64) -> Value {
    let healthy = items(object, &["conditions"]).iter().find(|condition| condition["type"] == "Healthy");
    let field = |field: &str| healthy.map_or("", |condition| text(&condition[field]));
    match name {
        "Status" => match healthy.map(|condition| condition["status"] == "True") {
            Some(true) => "Healthy".into(),
            Some(false) => "Unhealthy".into(),
            None => "Unknown".into(),
        },
        "Message" => field("message").into(),
        "Error" => field("error").into(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        let Value::Object(map) = value else { panic!("an object is a map") };
        Object(map)
    }

    #[test]
    fn a_node_s_cells() {
        let ready = object(json!({
            "metadata": {"labels": {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": ""}},
            "spec": {"unschedulable": true},
            "status": {"conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "Hostname", "address": "h"}, {"type": "InternalIP", "address": "10.0.0.1"}]},
        }));
        assert_eq!(node("Status", &ready, 0), "Ready,SchedulingDisabled");
        assert_eq!(node("Roles", &ready, 0), "control-plane,worker");
        assert_eq!(node("Internal-IP", &ready, 0), "10.0.0.1");
        assert_eq!(node("External-IP", &ready, 0), "<none>");
        let dead = object(json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}));
        assert_eq!(node("Status", &dead, 0), "NotReady");
        assert_eq!(node("Status", &Object::default(), 0), "Unknown");
        assert_eq!(node("Roles", &Object::default(), 0), "<none>");
    }

    #[test]
    fn counts_are_zero_for_what_is_not_there() {
        let controller = object(json!({"spec": {"replicas": 3, "selector": {"app": "web"},
            "template": {"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}}}}));
        let cell = |name: &str| replication_controller(name, &controller, 0);
        assert_eq!(["Desired", "Current", "Ready"].map(cell), [3, 0, 0]);
        assert_eq!(["Containers", "Images", "Selector"].map(cell), ["a,b", "x,y", "app=web"]);
        let map = object(json!({"data": {"a": "1"}, "binaryData": {"b": ""}}));
        assert_eq!((config_map("Data", &map, 0), secret("Data", &map, 0)), (2.into(), 1.into()));
    }
}
