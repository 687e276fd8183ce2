//! Endpoints (`ValidateEndpoints`).

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints as Typed};
use serde_json::Value;

use crate::cells;
use crate::check::{Checks, text};
use crate::field::{Error, Path};
use crate::kinds::typed;
use crate::names;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// Endpoints.
#[derive(Clone, Copy, Debug, Default)]
pub struct Endpoints;

impl Strategy for Endpoints {
    fn admit(&self, _: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |endpoints: &mut Typed, checks| {
            for (index, subset) in endpoints.subsets.iter_mut().flatten().enumerate() {
                for port in subset.ports.iter_mut().flatten() {
                    port.protocol.get_or_insert_with(|| "TCP".to_owned());
                }
                check_subset(&Path::new("subsets").index(index), subset, checks);
            }
        })
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::endpoints(name, object, now)
    }
}

fn check_subset(path: &Path, subset: &EndpointSubset, checks: &mut Checks) {
    let ready = subset.addresses.as_deref().unwrap_or_default();
    let not_ready = subset.not_ready_addresses.as_deref().unwrap_or_default();
    if ready.is_empty() && not_ready.is_empty() {
        checks.push(Error::required(path, "must specify `addresses` or `notReadyAddresses`"));
    }
    for (field, addresses) in [("addresses", ready), ("notReadyAddresses", not_ready)] {
        for (index, address) in addresses.iter().enumerate() {
            check_address(&path.child(field).index(index), address, checks);
        }
    }
    let ports = subset.ports.as_deref().unwrap_or_default();
    for (index, port) in ports.iter().enumerate() {
        check_port(&path.child("ports").index(index), port, ports.len() > 1, checks);
    }
}

fn check_address(path: &Path, address: &EndpointAddress, checks: &mut Checks) {
    checks.follows(&path.child("ip"), &address.ip, names::ip_address);
    checks.maybe_named(&path.child("hostname"), text(&address.hostname), names::dns1123_label);
    checks.maybe_named(&path.child("nodeName"), text(&address.node_name), names::dns1123_subdomain);
    check_not_special(&path.child("ip"), &address.ip, checks);
}

/// What is wrong with an address that others are to reach: that it means this host alone.
pub(super) fn check_not_special(path: &Path, ip: &str, checks: &mut Checks) {
    let Ok(address) = ip.parse::<IpAddr>() else { return };
    let local = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    if address.is_unspecified() {
        checks.invalid(path, ip, &format!("may not be unspecified ({ip})"));
    }
    for (is_special, detail) in [
        (address.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (local.0, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (local.1, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    ] {
        if is_special {
            checks.invalid(path, ip, detail);
        }
    }
}

fn check_port(path: &Path, port: &EndpointPort, name_required: bool, checks: &mut Checks) {
    let name = text(&port.name);
    if name_required || !name.is_empty() {
        checks.named(&path.child("name"), name, names::dns1123_label);
    }
    checks.port(&path.child("port"), port.port);
    checks.one_of(&path.child("protocol"), text(&port.protocol), &["SCTP", "TCP", "UDP"]);
    checks.maybe_named(&path.child("appProtocol"), text(&port.app_protocol), names::qualified_name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::create_errors;

    #[test]
    fn what_is_wrong_with_endpoints() {
        for (subset, expected) in [
            ("{addresses: [{ip: 10.0.0.1}], ports: [{port: 80}]}", vec![]),
            (
                "{ports: [{port: 80}]}",
                vec!["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"],
            ),
            (
                "{addresses: [{ip: 127.0.0.1}]}",
                vec![
                    "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
                ],
            ),
            (
                "{addresses: [{ip: here}]}",
                vec![
                    "subsets[0].addresses[0].ip: Invalid value: \"here\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                ],
            ),
            (
                "{addresses: [{ip: 10.0.0.1}], ports: [{port: 80}, {name: b, port: 0}]}",
                vec![
                    "subsets[0].ports[0].name: Required value",
                    "subsets[0].ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                ],
            ),
        ] {
            let yaml = format!("{{metadata: {{name: e, namespace: d}}, subsets: [{subset}]}}");
            assert_eq!(create_errors(&Endpoints, &yaml), expected, "{subset}");
        }
    }
}
