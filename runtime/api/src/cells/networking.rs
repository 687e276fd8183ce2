//! Ingresses, policies and addresses.

use serde_json::Value;

use super::workload::selector;
use super::{NONE, first_three, get, list, or_none, text};
use crate::object::Object;

/// Ingresses.
pub(crate) fn ingress(name: &str, object: &Object, _now: i64) -> Value {
    match name {
        "Class" => or_none(text(get(object, "spec.ingressClassName"))).into(),
        "Hosts" => {
            let rules = list(get(object, "spec.rules")).iter().map(|rule| text(&rule["host"]));
            let hosts: Vec<_> = rules.filter(|host| !host.is_empty()).map(str::to_owned).collect();
            if hosts.is_empty() { "*".into() } else { first_three(&hosts).into() }
        }
        "Address" => {
            let points = list(get(object, "status.loadBalancer.ingress")).iter();
            let address = |point: &Value| match text(&point["ip"]) {
                "" => text(&point["hostname"]).to_owned(),
                ip => ip.to_owned(),
            };
            points.map(address).collect::<Vec<_>>().join(",").into()
        }
        "Ports" if list(get(object, "spec.tls")).is_empty() => "80".into(),
        "Ports" => "80, 443".into(),
        _ => Value::Null,
    }
}

/// IngressClasses.
pub(crate) fn ingress_class(name: &str, object: &Object, _now: i64) -> Value {
    let parameters = get(object, "spec.parameters");
    match (name, text(&parameters["apiGroup"])) {
        ("Parameters", _) if parameters.is_null() => NONE.into(),
        ("Parameters", "") => format!("{}/{}", text(&parameters["kind"]), text(&parameters["name"])).into(),
        ("Parameters", group) => format!("{}.{group}/{}", text(&parameters["kind"]), text(&parameters["name"])).into(),
        _ => Value::Null,
    }
}

/// NetworkPolicies.
pub(crate) fn network_policy(name: &str, object: &Object, _now: i64) -> Value {
    match name {
        "Pod-Selector" => selector(get(object, "spec.podSelector")).into(),
        _ => Value::Null,
    }
}

/// IPAddresses.
pub(crate) fn ip_address(name: &str, object: &Object, _now: i64) -> Value {
    let parent = get(object, "spec.parentRef");
    if name != "ParentRef" || parent.is_null() {
        return Value::Null;
    }
    let named = ["group", "resource", "namespace", "name"].map(|field| text(&parent[field]));
    named.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/").into()
}

/// ServiceCIDRs.
pub(crate) fn service_cidr(name: &str, object: &Object, _now: i64) -> Value {
    match name {
        "CIDRs" => list(get(object, "spec.cidrs")).iter().map(text).collect::<Vec<_>>().join(",").into(),
        _ => Value::Null,
    }
}
