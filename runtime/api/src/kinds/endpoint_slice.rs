//! Endpoint slices (`pkg/apis/discovery/validation`).

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice as Typed};
use serde_json::Value;

use super::endpoints::check_not_special;
use crate::cells;
use crate::check::{Checks, text};
use crate::field::{Error, Path};
use crate::kinds::{stored, typed};
use crate::names;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20_000;

/// Endpoint slices.
#[derive(Clone, Copy, Debug, Default)]
pub struct EndpointSlice;

impl Strategy for EndpointSlice {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |slice: &mut Typed, checks| {
            for port in slice.ports.iter_mut().flatten() {
                port.name.get_or_insert_default();
                port.protocol.get_or_insert_with(|| "TCP".to_owned());
            }
            check(slice, checks);
            if let Operation::Update { old } = operation
                && let Some(old) = stored::<Typed>(old, checks)
            {
                checks.immutable(&Path::new("addressType"), &slice.address_type, &old.address_type);
            }
        })
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::endpoint_slice(name, object, now)
    }
}

fn check(slice: &Typed, checks: &mut Checks) {
    let path = Path::new("addressType");
    checks.one_of(&path, &slice.address_type, &["FQDN", "IPv4", "IPv6"]);
    let path = Path::new("endpoints");
    let endpoints = slice.endpoints.as_deref().unwrap_or_default();
    if endpoints.len() > MAX_ENDPOINTS {
        return checks.push(Error::too_many(&path, endpoints.len(), MAX_ENDPOINTS));
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        check_endpoint(&path.index(index), endpoint, &slice.address_type, checks);
    }
    check_ports(&Path::new("ports"), slice.ports.as_deref().unwrap_or_default(), checks);
}

fn check_endpoint(path: &Path, endpoint: &Endpoint, address_type: &str, checks: &mut Checks) {
    let addresses = path.child("addresses");
    match endpoint.addresses.len() {
        0 => checks.push(Error::required(&addresses, "must contain at least 1 address")),
        count if count > MAX_ADDRESSES => checks.push(Error::too_many(&addresses, count, MAX_ADDRESSES)),
        _ => {}
    }
    for (index, address) in endpoint.addresses.iter().enumerate() {
        check_address(&addresses.index(index), address, address_type, checks);
    }
    checks.maybe_named(&path.child("nodeName"), text(&endpoint.node_name), names::dns1123_subdomain);
    if let Some(hostname) = &endpoint.hostname {
        checks.follows(&path.child("hostname"), hostname, names::dns1123_label);
    }
}

fn check_address(path: &Path, address: &str, address_type: &str, checks: &mut Checks) {
    let (of_family, detail): (fn(&IpAddr) -> bool, _) = match address_type {
        "IPv4" => (IpAddr::is_ipv4, "must be an IPv4 address"),
        "IPv6" => (IpAddr::is_ipv6, "must be an IPv6 address"),
        _ => return checks.follows(path, address, names::dns1123_subdomain),
    };
    match address.parse() {
        Ok(ip) if of_family(&ip) => check_not_special(path, address, checks),
        Ok(_) => checks.invalid(path, address, detail),
        Err(_) => checks.follows(path, address, names::ip_address),
    }
}

fn check_ports(path: &Path, ports: &[EndpointPort], checks: &mut Checks) {
    if ports.len() > MAX_PORTS {
        return checks.push(Error::too_many(path, ports.len(), MAX_PORTS));
    }
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        checks.maybe_named(&path.child("name"), text(&port.name), names::dns1123_label);
        if !names.insert(text(&port.name)) {
            checks.push(Error::duplicate(&path.child("name"), text(&port.name)));
        }
        checks.one_of(&path.child("protocol"), text(&port.protocol), &["SCTP", "TCP", "UDP"]);
        if let Some(number) = port.port {
            checks.port(&path.child("port"), number);
        }
        checks.maybe_named(&path.child("appProtocol"), text(&port.app_protocol), names::qualified_name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, update_errors};

    #[test]
    fn what_is_wrong_with_a_slice() {
        for (fields, expected) in [
            ("addressType: IPv4, endpoints: [{addresses: [10.0.0.1]}], ports: [{port: 80}]", vec![]),
            ("endpoints: []", vec!["addressType: Required value"]),
            (
                "addressType: IPv4, endpoints: [{addresses: []}]",
                vec!["endpoints[0].addresses: Required value: must contain at least 1 address"],
            ),
            (
                "addressType: IPv4, endpoints: [{addresses: ['::2']}]",
                vec!["endpoints[0].addresses[0]: Invalid value: \"::2\": must be an IPv4 address"],
            ),
            (
                "addressType: IPv4, endpoints: [], ports: [{port: 1}, {port: 2}]",
                vec!["ports[1].name: Duplicate value: \"\""],
            ),
        ] {
            let yaml = format!("{{metadata: {{name: s, namespace: d}}, {fields}}}");
            assert_eq!(create_errors(&EndpointSlice, &yaml), expected, "{fields}");
        }
    }

    #[test]
    fn the_address_type_stays() {
        let yaml = "{metadata: {name: s, namespace: d}, addressType: IPv4, endpoints: []}";
        let errors = update_errors(&EndpointSlice, yaml, |slice| slice.set(&["addressType"], "IPv6"));
        assert_eq!(errors, ["addressType: Invalid value: \"IPv6\": field is immutable"]);
    }
}
