//! The service table: which address and port leads to which backends. Pure.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use trimtab_api::ObjectRef;

use crate::snapshot::{Snapshot, is_ready, is_serving_terminating, service_of};

/// A transport protocol that is balanced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    fn parse(name: Option<&str>) -> Option<Self> {
        match name.unwrap_or("TCP") {
            "TCP" => Some(Self::Tcp),
            "UDP" => Some(Self::Udp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Which backend a new connection goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Affinity {
    /// The next in turn.
    None,
    /// The same for the same client, as long as the backends stay the same.
    ClientIp,
}

/// Where a Service listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frontend {
    /// The cluster IP.
    pub ip: Ipv4Addr,
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Frontend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.ip, self.port, self.protocol)
    }
}

/// One port of one Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The Service.
    pub service: ObjectRef,
    /// Its address inside the cluster.
    pub frontend: Frontend,
    /// Its port on every address of the node, for NodePort and LoadBalancer Services.
    pub node_port: Option<u16>,
    /// How clients are spread.
    pub affinity: Affinity,
    /// Where connections go, in a stable order.
    pub backends: Vec<SocketAddrV4>,
}

/// What a Service asks for and this proxy does not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The Service.
    pub service: ObjectRef,
    /// The field and why, for people.
    pub message: String,
}

/// The desired state of the proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Every balanced port.
    pub ports: Vec<Port>,
    /// What is left out.
    pub unsupported: Vec<Unsupported>,
}

/// Computes the table. Headless and ExternalName Services have no address, so no entry.
pub fn table(snapshot: &Snapshot) -> Table {
    let mut slices: HashMap<ObjectRef, Vec<&EndpointSlice>> = HashMap::new();
    for slice in snapshot.slices.iter().filter(|slice| slice.address_type == "IPv4") {
        if let Some(service) = service_of(slice) {
            slices.entry(service).or_default().push(slice);
        }
    }
    let mut table = Table::default();
    for service in &snapshot.services {
        let name = ObjectRef::of(&**service);
        add_service(&mut table, service, &name, slices.get(&name).map_or(&[], Vec::as_slice));
    }
    table.ports.sort_by_key(|port| port.frontend);
    table
}

fn add_service(table: &mut Table, service: &Service, name: &ObjectRef, slices: &[&EndpointSlice]) {
    let Some(spec) = &service.spec else { return };
    let Some(ip) = cluster_ip(spec) else { return };
    let mut refuse = |message: String| table.unsupported.push(Unsupported { service: name.clone(), message });
    let Ok(ip) = ip.parse::<Ipv4Addr>() else {
        return refuse(format!("spec.clusterIP: {ip} is no IPv4 address, and only those are balanced"));
    };
    if spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty()) {
        refuse("spec.externalIPs: not supported; use a node port".to_owned());
    }
    for port in spec.ports.iter().flatten() {
        let Some(protocol) = Protocol::parse(port.protocol.as_deref()) else {
            refuse(format!("spec.ports: protocol {} is not balanced", port.protocol.as_deref().unwrap_or_default()));
            continue;
        };
        let Ok(number) = u16::try_from(port.port) else { continue };
        table.ports.push(Port {
            service: name.clone(),
            frontend: Frontend { ip, protocol, port: number },
            node_port: node_port(spec, port),
            affinity: affinity(spec),
            backends: backends(port, protocol, slices),
        });
    }
}

/// The address that the proxy serves; `None` for headless and ExternalName Services and while
/// none is allocated.
fn cluster_ip(spec: &ServiceSpec) -> Option<&str> {
    let external = spec.type_.as_deref() == Some("ExternalName");
    spec.cluster_ip.as_deref().filter(|ip| !external && !ip.is_empty() && *ip != "None")
}

fn node_port(spec: &ServiceSpec, port: &ServicePort) -> Option<u16> {
    let has = matches!(spec.type_.as_deref(), Some("NodePort" | "LoadBalancer"));
    port.node_port.filter(|_| has).and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0)
}

fn affinity(spec: &ServiceSpec) -> Affinity {
    if spec.session_affinity.as_deref() == Some("ClientIP") { Affinity::ClientIp } else { Affinity::None }
}

/// The addresses of the ready endpoints; of those that end but still serve when none is ready.
/// A slice has a Service's port under the port's name.
fn backends(port: &ServicePort, protocol: Protocol, slices: &[&EndpointSlice]) -> Vec<SocketAddrV4> {
    let collect = |wanted: fn(&Endpoint) -> bool| {
        let mut found: BTreeMap<SocketAddrV4, ()> = BTreeMap::new();
        for slice in slices {
            let ports = slice.ports.iter().flatten().filter(|candidate| is_for(candidate, port, protocol));
            for number in ports.filter_map(|candidate| u16::try_from(candidate.port?).ok()) {
                let endpoints = slice.endpoints.iter().flatten().filter(|endpoint| wanted(endpoint));
                // The addresses of one endpoint are the same place: the first is enough.
                let ips = endpoints.filter_map(|endpoint| endpoint.addresses.first()?.parse().ok());
                found.extend(ips.map(|ip| (SocketAddrV4::new(ip, number), ())));
            }
        }
        found.into_keys().collect::<Vec<_>>()
    };
    let ready = collect(is_ready);
    if ready.is_empty() { collect(is_serving_terminating) } else { ready }
}

fn is_for(candidate: &EndpointPort, port: &ServicePort, protocol: Protocol) -> bool {
    candidate.name.as_deref().unwrap_or_default() == port.name.as_deref().unwrap_or_default()
        && Protocol::parse(candidate.protocol.as_deref()) == Some(protocol)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn snapshot(services: &[Value], slices: &[Value]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for service in services {
            snapshot.services.push(Arc::new(serde_json::from_value(service.clone()).unwrap()));
        }
        for slice in slices {
            snapshot.slices.push(Arc::new(serde_json::from_value(slice.clone()).unwrap()));
        }
        snapshot
    }

    pub(crate) fn service(name: &str, spec: Value) -> Value {
        json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec})
    }

    pub(crate) fn slice(service: &str, ports: Value, endpoints: Value) -> Value {
        json!({
            "metadata": {"name": format!("{service}-1"), "namespace": "default",
                         "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4", "ports": ports, "endpoints": endpoints,
        })
    }

    fn endpoint(ip: &str, ready: bool, serving: bool, terminating: bool) -> Value {
        json!({"addresses": [ip], "conditions": {"ready": ready, "serving": serving, "terminating": terminating}})
    }

    fn backends_of(table: &Table) -> Vec<Vec<String>> {
        table.ports.iter().map(|port| port.backends.iter().map(ToString::to_string).collect()).collect()
    }

    #[test]
    fn ports_are_joined_to_slices_by_name_and_protocol() {
        let spec = json!({"clusterIP": "10.96.0.9", "type": "NodePort", "sessionAffinity": "ClientIP", "ports": [
            {"name": "http", "port": 80, "targetPort": "web", "nodePort": 30080},
            {"name": "dns", "port": 53, "protocol": "UDP"}]});
        let ports = json!([{"name": "http", "port": 8080, "protocol": "TCP"},
                           {"name": "dns", "port": 5353, "protocol": "UDP"}]);
        let slice = slice("web", ports, json!([endpoint("10.0.0.2", true, true, false), {"addresses": ["10.0.0.1"]}]));
        let table = table(&snapshot(&[service("web", spec)], &[slice]));
        assert_eq!(table.ports[0].frontend.to_string(), "10.96.0.9:80/tcp");
        assert_eq!((table.ports[0].node_port, table.ports[0].affinity), (Some(30080), Affinity::ClientIp));
        assert_eq!(table.ports[1].frontend.to_string(), "10.96.0.9:53/udp");
        assert_eq!(table.ports[1].node_port, None);
        let expected = [["10.0.0.1:8080", "10.0.0.2:8080"], ["10.0.0.1:5353", "10.0.0.2:5353"]];
        assert_eq!(backends_of(&table), expected);
    }

    #[test]
    fn terminating_endpoints_serve_only_when_none_is_ready() {
        let spec = json!({"clusterIP": "10.96.0.9", "ports": [{"port": 80}]});
        let check = |endpoints: Value, expected: &[&str]| {
            let slice = slice("web", json!([{"name": "", "port": 80, "protocol": "TCP"}]), endpoints);
            let table = table(&snapshot(&[service("web", spec.clone())], &[slice]));
            assert_eq!(backends_of(&table), [expected]);
        };
        let ending = || endpoint("10.0.0.1", false, true, true);
        check(json!([ending(), endpoint("10.0.0.2", true, true, false)]), &["10.0.0.2:80"]);
        check(json!([ending(), endpoint("10.0.0.3", false, false, false)]), &["10.0.0.1:80"]);
        check(json!([endpoint("10.0.0.3", false, false, true)]), &[]);
    }

    #[test]
    fn services_without_an_address_have_no_entry() {
        let headless = service("a", json!({"clusterIP": "None", "ports": [{"port": 80}]}));
        let external = service("b", json!({"type": "ExternalName", "externalName": "x.y", "ports": [{"port": 80}]}));
        let pending = service("c", json!({"ports": [{"port": 80}]}));
        assert_eq!(table(&snapshot(&[headless, external, pending], &[])), Table::default());
    }

    #[test]
    fn what_is_not_done_is_said() {
        let spec = json!({"clusterIP": "10.96.0.9", "externalIPs": ["1.2.3.4"],
                          "ports": [{"port": 80}, {"name": "s", "port": 81, "protocol": "SCTP"}]});
        let table = table(&snapshot(&[service("web", spec)], &[]));
        let messages: Vec<_> = table.unsupported.iter().map(|u| u.message.as_str()).collect();
        assert_eq!(table.ports.len(), 1);
        assert!(messages[0].starts_with("spec.externalIPs: ") && messages[1].contains("SCTP"), "{messages:?}");
    }
}
