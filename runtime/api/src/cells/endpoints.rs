//! Endpoints and EndpointSlices: the first three of each, and how many more there are.

use serde_json::Value;

use super::{NONE, first_three, list, text};
use crate::object::Object;

/// The cell of the column `name` of Endpoints.
pub(crate) fn endpoints(name: &str, object: &Object, _now: i64) -> Value {
    if name != "Endpoints" {
        return Value::Null;
    }
    let subsets = object.0.get("subsets").map_or(&[][..], list);
    if subsets.is_empty() {
        return NONE.into();
    }
    first_three(&subsets.iter().flat_map(subset).collect::<Vec<_>>()).into()
}

// A headless service may have no ports.
fn subset(subset: &Value) -> Vec<String> {
    let addresses = || list(&subset["addresses"]).iter().map(|address| text(&address["ip"]));
    match list(&subset["ports"]) {
        [] => addresses().map(str::to_owned).collect(),
        ports => ports.iter().flat_map(|port| addresses().map(|ip| host_port(ip, &port["port"]))).collect(),
    }
}

fn host_port(ip: &str, port: &Value) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

/// The cell of the column `name` of an EndpointSlice.
pub(crate) fn endpoint_slice(name: &str, object: &Object, _now: i64) -> Value {
    let items = |field: &str| object.0.get(field).map_or(&[][..], list);
    let shown: Vec<String> = match name {
        "Ports" => items("ports").iter().map(slice_port).collect(),
        "Endpoints" => {
            items("endpoints").iter().flat_map(|e| list(&e["addresses"])).map(|a| text(a).to_owned()).collect()
        }
        _ => return Value::Null,
    };
    if shown.is_empty() { "<unset>".into() } else { first_three(&shown).into() }
}

fn slice_port(port: &Value) -> String {
    match (port["port"].as_i64(), text(&port["name"])) {
        (Some(number), _) => number.to_string(),
        (None, "") => "*".to_owned(),
        (None, name) => name.to_owned(),
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
    fn endpoints_list_three_and_count_the_rest() {
        let check = |subsets: Value, expected: &str| {
            assert_eq!(endpoints("Endpoints", &object(json!({"subsets": subsets})), 0), expected);
        };
        check(json!([]), "<none>");
        check(json!([{"addresses": [{"ip": "10.0.0.1"}]}]), "10.0.0.1");
        check(json!([{"addresses": [{"ip": "::1"}], "ports": [{"port": 80}]}]), "[::1]:80");
        let four = json!([{"ip": "a"}, {"ip": "b"}]);
        check(json!([{"addresses": four, "ports": [{"port": 1}, {"port": 2}]}]), "a:1,b:1,a:2 + 1 more...");
        check(json!([{"notReadyAddresses": [{"ip": "a"}], "ports": [{"port": 1}]}]), "");
    }

    #[test]
    fn a_slice_s_ports_may_be_unset() {
        let slice =
            object(json!({"ports": [{"port": 80}, {"name": "x"}, {}], "endpoints": [{"addresses": ["a", "b"]}]}));
        assert_eq!(endpoint_slice("Ports", &slice, 0), "80,x,*");
        assert_eq!(endpoint_slice("Endpoints", &slice, 0), "a,b");
        assert_eq!(endpoint_slice("Endpoints", &Object::default(), 0), "<unset>");
    }
}
