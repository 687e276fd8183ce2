//! Endpoints and EndpointSlices: how they are printed.

use serde_json::Value;

use super::joined_or_none;
use crate::object::Object;
use crate::strategy::Strategy;

/// More than so many are summed up as `+ 2 more...`.
const SHOWN: usize = 3;

/// Behaviour of Endpoints.
pub struct Endpoints;

impl Strategy for Endpoints {
    fn cell(&self, _name: &str, object: &Object, _now: i64) -> Value {
        let mut pairs = Vec::new();
        for subset in list(object.at(&["subsets"])) {
            let ports: Vec<_> = list(subset.get("ports")).filter_map(|port| port["port"].as_i64()).collect();
            for address in list(subset.get("addresses")).filter_map(|address| address["ip"].as_str()) {
                if ports.is_empty() {
                    pairs.push(address.to_owned());
                }
                pairs.extend(ports.iter().map(|port| format!("{address}:{port}")));
            }
        }
        shortened(pairs)
    }
}

/// Behaviour of EndpointSlices.
pub struct EndpointSlice;

impl Strategy for EndpointSlice {
    fn cell(&self, name: &str, object: &Object, _now: i64) -> Value {
        if name == "Ports" {
            let ports: Vec<_> =
                list(object.at(&["ports"])).filter_map(|p| p["port"].as_i64()).map(|p| p.to_string()).collect();
            return if ports.is_empty() { "<unset>".into() } else { shortened(ports) };
        }
        let addresses = list(object.at(&["endpoints"])).flat_map(|endpoint| list(endpoint.get("addresses")));
        let addresses: Vec<_> = addresses.filter_map(Value::as_str).map(str::to_owned).collect();
        if addresses.is_empty() { "<unset>".into() } else { shortened(addresses) }
    }
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn shortened(mut items: Vec<String>) -> Value {
    if items.len() <= SHOWN {
        return joined_or_none(items);
    }
    let more = items.len() - SHOWN;
    items.truncate(SHOWN);
    format!("{} + {more} more...", items.join(",")).into()
}
