//! Nodes.

use serde_json::Value;

use super::joined_or_none;
use crate::object::Object;
use crate::strategy::Strategy;

const ROLE: &str = "node-role.kubernetes.io/";

/// Behaviour of Nodes.
pub struct Node;

impl Strategy for Node {
    fn cell(&self, name: &str, object: &Object, _now: i64) -> Value {
        match name {
            "Status" => status(object).into(),
            "Roles" => joined_or_none(object.labels().filter_map(|(key, _)| key.strip_prefix(ROLE)).map(str::to_owned)),
            "Internal-IP" => address(object, "InternalIP"),
            "External-IP" => address(object, "ExternalIP"),
            _ => Value::Null,
        }
    }
}

fn status(object: &Object) -> String {
    let conditions = object.at(&["status", "conditions"]).and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    let status = match ready.map(|ready| &ready["status"]) {
        Some(status) if status == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let cordoned = object.at(&["spec", "unschedulable"]).is_some_and(|flag| flag == true);
    if cordoned { format!("{status},SchedulingDisabled") } else { status.to_owned() }
}

fn address(object: &Object, type_: &str) -> Value {
    let addresses = object.at(&["status", "addresses"]).and_then(Value::as_array);
    let found = addresses.into_iter().flatten().find(|address| address["type"] == type_);
    found.map_or_else(|| "<none>".into(), |address| address["address"].clone())
}
