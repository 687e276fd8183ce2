//! Services (upstream's `printService`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{labels, list, or_none, text};
use crate::object::Object;

/// The cell of the column `name`.
pub(crate) fn service(name: &str, object: &Object, _now: i64) -> Value {
    let null = Value::Null;
    let (spec, status) = (object.0.get("spec").unwrap_or(&null), object.0.get("status").unwrap_or(&null));
    match name {
        "Cluster-IP" => or_none(cluster_ip(spec)).into(),
        "External-IP" => external_ip(spec, status).into(),
        "Port(s)" => or_none(&ports(spec)).into(),
        "Selector" => labels(&spec["selector"]).into(),
        _ => Value::Null,
    }
}

fn cluster_ip(spec: &Value) -> &str {
    let first = text(&spec["clusterIPs"][0]);
    if first.is_empty() { text(&spec["clusterIP"]) } else { first }
}

fn external_ip(spec: &Value, status: &Value) -> String {
    let external = list(&spec["externalIPs"]).iter().map(text);
    match text(&spec["type"]) {
        "ClusterIP" | "NodePort" => or_none(&external.collect::<Vec<_>>().join(",")).to_owned(),
        "LoadBalancer" => {
            let ingress: BTreeSet<_> = list(&status["loadBalancer"]["ingress"]).iter().map(ingress_address).collect();
            let all = ingress.into_iter().chain(external).collect::<Vec<_>>().join(",");
            if all.is_empty() { "<pending>".to_owned() } else { all }
        }
        "ExternalName" => text(&spec["externalName"]).to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

fn ingress_address(ingress: &Value) -> &str {
    let ip = text(&ingress["ip"]);
    if ip.is_empty() { text(&ingress["hostname"]) } else { ip }
}

fn ports(spec: &Value) -> String {
    let port = |port: &Value| match port["nodePort"].as_i64() {
        Some(node_port @ 1..) => format!("{}:{node_port}/{}", port["port"], text(&port["protocol"])),
        _ => format!("{}/{}", port["port"], text(&port["protocol"])),
    };
    list(&spec["ports"]).iter().map(port).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_s_cells() {
        let check = |object: Value, expected: [&str; 4]| {
            let Value::Object(map) = object else { panic!("a service is a map") };
            let object = Object(map);
            let cells = ["Cluster-IP", "External-IP", "Port(s)", "Selector"].map(|name| service(name, &object, 0));
            assert_eq!(cells, expected.map(Value::from), "{object:?}");
        };
        check(
            json!({"spec": {"type": "NodePort", "clusterIPs": ["10.0.0.1"], "selector": {"b": "2", "a": "1"},
                "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]}}),
            ["10.0.0.1", "<none>", "80:30080/TCP,53/UDP", "a=1,b=2"],
        );
        check(
            json!({"spec": {"type": "LoadBalancer", "clusterIP": "None", "externalIPs": ["1.2.3.4"]},
                "status": {"loadBalancer": {"ingress": [{"hostname": "h"}, {"ip": "5.6.7.8"}]}}}),
            ["None", "5.6.7.8,h,1.2.3.4", "<none>", "<none>"],
        );
        check(json!({"spec": {"type": "LoadBalancer"}}), ["<none>", "<pending>", "<none>", "<none>"]);
        check(json!({"spec": {"type": "ExternalName", "externalName": "a.b"}}), ["<none>", "a.b", "<none>", "<none>"]);
    }
}
