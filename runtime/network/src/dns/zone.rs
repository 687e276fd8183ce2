//! The names of the cluster, after the Kubernetes DNS specification 1.1.0. Pure.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use trimtab_api::ObjectRef;

use crate::snapshot::{Snapshot, is_ready, service_of};

/// The version of the specification, which `dns-version.DOMAIN` tells.
const SPECIFICATION: &str = "1.1.0";

/// What a name has. Names are lowercase, with a dot at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    A(Ipv4Addr),
    Srv { port: u16, target: String },
    Cname(String),
    Ptr(String),
    Txt(String),
}

/// All names of one cluster.
#[derive(Debug, Default)]
pub(crate) struct Zone {
    /// Lowercase, with a dot at the end: `cluster.local.`.
    domain: String,
    records: HashMap<String, Vec<Data>>,
    /// Names that have no record but lie above one: they exist, with no data.
    above: HashSet<String>,
}

/// What is known of a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// Its records, none when it only lies above others.
    Name(&'a [Data]),
    /// The address in a pod's name.
    Pod(Ipv4Addr),
    /// It is ours to answer for and does not exist.
    Nothing,
    /// Somebody else answers for it.
    Elsewhere,
}

impl Zone {
    /// Computes every name of `snapshot` under `domain` (`cluster.local`).
    pub(crate) fn new(domain: &str, snapshot: &Snapshot) -> Self {
        let domain = format!("{}.", domain.trim_end_matches('.').to_lowercase());
        let mut zone = Self { domain, ..Self::default() };
        zone.above.insert(zone.domain.clone());
        for parent in ["svc", "pod"] {
            zone.above.insert(format!("{parent}.{}", zone.domain));
        }
        zone.add(format!("dns-version.{}", zone.domain), Data::Txt(SPECIFICATION.to_owned()));
        let mut slices: HashMap<ObjectRef, Vec<&EndpointSlice>> = HashMap::new();
        for slice in snapshot.slices.iter().filter(|slice| slice.address_type == "IPv4") {
            if let Some(service) = service_of(slice) {
                slices.entry(service).or_default().push(slice);
            }
        }
        for service in &snapshot.services {
            let name = ObjectRef::of(&**service);
            zone.add_service(&name, service, slices.get(&name).map_or(&[], Vec::as_slice));
        }
        zone
    }

    /// The domain, with a dot at the end.
    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// What is known of `name`, which is lowercase and ends with a dot.
    pub(crate) fn find(&self, name: &str) -> Found<'_> {
        if let Some(records) = self.records.get(name) {
            return Found::Name(records);
        }
        if self.above.contains(name) {
            return Found::Name(&[]);
        }
        match name.strip_suffix(&self.domain).and_then(|rest| rest.strip_suffix('.')) {
            Some(rest) => pod_address(rest).map_or(Found::Nothing, Found::Pod),
            None => Found::Elsewhere,
        }
    }

    fn add_service(&mut self, service: &ObjectRef, object: &Service, slices: &[&EndpointSlice]) {
        let Some(spec) = &object.spec else { return };
        let base = format!("{}.{}.svc.{}", service.name, service.namespace, self.domain);
        match (spec.type_.as_deref(), spec.cluster_ip.as_deref()) {
            (Some("ExternalName"), _) => {
                let target = spec.external_name.as_deref().unwrap_or_default().trim_end_matches('.');
                self.add(base, Data::Cname(format!("{}.", target.to_lowercase())));
            }
            (_, Some("None")) => self.add_headless(&base, slices),
            (_, Some(ip)) => {
                if let Ok(ip) = ip.parse() {
                    self.add_cluster_ip(&base, ip, spec);
                }
            }
            _ => {}
        }
    }

    fn add_cluster_ip(&mut self, base: &str, ip: Ipv4Addr, spec: &ServiceSpec) {
        self.add(base.to_owned(), Data::A(ip));
        self.add(reverse(ip), Data::Ptr(base.to_owned()));
        for port in spec.ports.iter().flatten() {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            self.add_srv(base, port.name.as_deref(), protocol, Some(port.port), base);
        }
    }

    /// A headless Service has the addresses of its endpoints, and a name for each.
    fn add_headless(&mut self, base: &str, slices: &[&EndpointSlice]) {
        for slice in slices {
            for endpoint in slice.endpoints.iter().flatten().filter(|endpoint| is_ready(endpoint)) {
                let Some(ip) = endpoint.addresses.first().and_then(|ip| ip.parse().ok()) else { continue };
                let name = format!("{}.{base}", host_name(endpoint, ip));
                self.add(base.to_owned(), Data::A(ip));
                self.add(name.clone(), Data::A(ip));
                self.add(reverse(ip), Data::Ptr(name.clone()));
                for port in slice.ports.iter().flatten() {
                    let protocol = port.protocol.as_deref().unwrap_or("TCP");
                    self.add_srv(base, port.name.as_deref(), protocol, port.port, &name);
                }
            }
        }
        // Without endpoints the Service still exists, with no data.
        self.records.entry(base.to_owned()).or_default();
        self.add_above(base);
    }

    /// `_port._protocol.SERVICE`; ports without a name have none.
    fn add_srv(&mut self, base: &str, name: Option<&str>, protocol: &str, port: Option<i32>, target: &str) {
        let (Some(name), Some(port)) = (name.filter(|name| !name.is_empty()), port) else { return };
        let Ok(port) = u16::try_from(port) else { return };
        let owner = format!("_{name}._{}.{base}", protocol.to_lowercase());
        self.add(owner, Data::Srv { port, target: target.to_owned() });
    }

    fn add(&mut self, name: String, data: Data) {
        self.add_above(&name);
        let records = self.records.entry(name).or_default();
        if !records.contains(&data) {
            records.push(data);
        }
    }

    fn add_above(&mut self, name: &str) {
        if !name.ends_with(&self.domain) {
            return;
        }
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.').filter(|(_, parent)| *parent != self.domain) {
            if !self.above.insert(parent.to_owned()) {
                break;
            }
            rest = parent;
        }
    }
}

/// The endpoint's own host name, or its address with dashes.
fn host_name(endpoint: &Endpoint, ip: Ipv4Addr) -> String {
    let own = endpoint.hostname.as_deref().filter(|name| !name.is_empty());
    own.map_or_else(|| ip.to_string().replace('.', "-"), str::to_lowercase)
}

/// `9.0.96.10.in-addr.arpa.`
fn reverse(ip: Ipv4Addr) -> String {
    let [a, b, c, d] = ip.octets();
    format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
}

/// The address in `10-244-0-5.NAMESPACE.pod`.
fn pod_address(name: &str) -> Option<Ipv4Addr> {
    let [ip, namespace, "pod"] = name.split('.').collect::<Vec<_>>()[..] else { return None };
    if namespace.is_empty() { None } else { ip.replace('-', ".").parse().ok() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::tests::{service, slice, snapshot};

    fn zone() -> Zone {
        let services = [
            service("web", json!({"clusterIP": "10.96.0.9", "ports": [{"name": "http", "port": 80}, {"port": 81}]})),
            service("db", json!({"clusterIP": "None", "ports": [{"name": "sql", "port": 5432}]})),
            service("empty", json!({"clusterIP": "None"})),
            service("out", json!({"type": "ExternalName", "externalName": "Example.COM"})),
        ];
        let endpoints = json!([{"addresses": ["10.244.0.5"], "hostname": "db-0"}, {"addresses": ["10.244.0.6"]},
                               {"addresses": ["10.244.0.7"], "conditions": {"ready": false}}]);
        let slices = [slice("db", json!([{"name": "sql", "port": 5432, "protocol": "TCP"}]), endpoints)];
        Zone::new("cluster.local", &snapshot(&services, &slices))
    }

    fn name(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn names_are_those_of_the_specification() {
        let zone = zone();
        let check = |name: &str, expected: &[Data]| assert_eq!(zone.find(name), Found::Name(expected), "{name}");
        let ip = |text: &str| Data::A(text.parse().unwrap());
        let web = "web.default.svc.cluster.local.";
        check(web, &[ip("10.96.0.9")]);
        check("_http._tcp.web.default.svc.cluster.local.", &[Data::Srv { port: 80, target: name(web) }]);
        check("9.0.96.10.in-addr.arpa.", &[Data::Ptr(name(web))]);
        check("db.default.svc.cluster.local.", &[ip("10.244.0.5"), ip("10.244.0.6")]);
        check("db-0.db.default.svc.cluster.local.", &[ip("10.244.0.5")]);
        check("10-244-0-6.db.default.svc.cluster.local.", &[ip("10.244.0.6")]);
        check("5.0.244.10.in-addr.arpa.", &[Data::Ptr(name("db-0.db.default.svc.cluster.local."))]);
        let srv = |target: &str| Data::Srv { port: 5432, target: name(target) };
        check(
            "_sql._tcp.db.default.svc.cluster.local.",
            &[srv("db-0.db.default.svc.cluster.local."), srv("10-244-0-6.db.default.svc.cluster.local.")],
        );
        check("out.default.svc.cluster.local.", &[Data::Cname(name("example.com."))]);
        check("dns-version.cluster.local.", &[Data::Txt(name("1.1.0"))]);
    }

    #[test]
    fn no_data_is_told_from_no_name() {
        let zone = zone();
        for exists in ["cluster.local.", "svc.cluster.local.", "default.svc.cluster.local."] {
            assert_eq!(zone.find(exists), Found::Name(&[]), "{exists}");
        }
        assert_eq!(zone.find("_tcp.web.default.svc.cluster.local."), Found::Name(&[]));
        assert_eq!(zone.find("empty.default.svc.cluster.local."), Found::Name(&[]));
        for missing in ["nope.default.svc.cluster.local.", "web.other.svc.cluster.local.", "x.cluster.local."] {
            assert_eq!(zone.find(missing), Found::Nothing, "{missing}");
        }
        assert_eq!(zone.find("10-244-0-5.default.pod.cluster.local."), Found::Pod("10.244.0.5".parse().unwrap()));
        assert_eq!(zone.find("10-244-0.default.pod.cluster.local."), Found::Nothing);
        assert_eq!(zone.find("example.com."), Found::Elsewhere);
        assert_eq!(zone.find("mycluster.local."), Found::Elsewhere);
    }
}
