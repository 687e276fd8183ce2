//! What is wrong with a service (`ValidateService`).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};

use super::super::endpoints::check_not_special;
use super::{is_external, is_headless};
use crate::check::{Checks, text};
use crate::field::{Error, Path};
use crate::names;

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// The node ports that a service may have.
const NODE_PORTS: std::ops::RangeInclusive<i32> = 30_000..=32_767;

/// The longest session affinity: a day, in seconds.
const MAX_AFFINITY: i32 = 86_400;

/// What is wrong with `service`, which has been filled.
pub(super) fn check(service: &Service, checks: &mut Checks) {
    let Some(spec) = &service.spec else { return };
    let path = Path::new("spec");
    let ports = spec.ports.as_deref().unwrap_or_default();
    if ports.is_empty() && !is_headless(spec) && text(&spec.type_) != "ExternalName" {
        checks.required(&path.child("ports"));
    }
    check_type(&path, spec, checks);
    check_ports(&path.child("ports"), ports, spec, checks);
    checks.labels(&path.child("selector"), spec.selector.as_ref());
    check_affinity(&path, spec, checks);
    check_addresses(&path, spec, checks);
    check_policies(&path, spec, checks);
}

fn check_type(path: &Path, spec: &ServiceSpec, checks: &mut Checks) {
    let type_ = text(&spec.type_);
    checks.one_of(&path.child("type"), type_, &TYPES);
    let first_ip = path.child("clusterIPs").index(0);
    match type_ {
        "LoadBalancer" | "NodePort" if is_headless(spec) => {
            let detail = format!("may not be set to 'None' for {type_} services");
            checks.invalid(&first_ip, "None", &detail);
        }
        "ExternalName" => check_external_name(path, spec, checks),
        _ => {}
    }
    let only_balancer = [
        (
            "LoadBalancerSourceRanges",
            spec.load_balancer_source_ranges.as_ref().is_some_and(|ranges| !ranges.is_empty()),
        ),
        ("allocateLoadBalancerNodePorts", spec.allocate_load_balancer_node_ports.is_some()),
        ("loadBalancerClass", spec.load_balancer_class.is_some()),
    ];
    for (field, _) in only_balancer.into_iter().filter(|(_, is_set)| *is_set && type_ != "LoadBalancer") {
        checks.forbidden(&path.child(field), "may only be used when `type` is 'LoadBalancer'");
    }
}

fn check_external_name(path: &Path, spec: &ServiceSpec, checks: &mut Checks) {
    for (field, is_set) in [
        ("clusterIPs", spec.cluster_ips.as_ref().is_some_and(|ips| !ips.is_empty())),
        ("ipFamilies", spec.ip_families.as_ref().is_some_and(|families| !families.is_empty())),
        ("ipFamilyPolicy", spec.ip_family_policy.is_some()),
    ] {
        if is_set {
            checks.forbidden(&path.child(field), "may not be set for ExternalName services");
        }
    }
    let name = text(&spec.external_name);
    checks.named(&path.child("externalName"), name.strip_suffix('.').unwrap_or(name), names::dns1123_subdomain);
}

fn check_ports(path: &Path, ports: &[ServicePort], spec: &ServiceSpec, checks: &mut Checks) {
    let (mut names, mut node_ports, mut numbers) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        check_port(&path, port, ports.len() > 1, checks);
        let name = text(&port.name);
        if !name.is_empty() && !names.insert(name) {
            checks.push(Error::duplicate(&path.child("name"), name));
        }
        if let Some(number) = port.node_port.filter(|number| *number != 0) {
            check_node_port(&path.child("nodePort"), number, spec, checks);
            if !node_ports.insert((&port.protocol, number)) {
                checks.push(Error::duplicate(&path.child("nodePort"), number));
            }
        }
        if !numbers.insert((&port.protocol, port.port)) {
            let key = serde_json::json!({"port": port.port, "protocol": port.protocol});
            checks.push(Error::duplicate(&path, key));
        }
    }
}

fn check_port(path: &Path, port: &ServicePort, name_required: bool, checks: &mut Checks) {
    let name = text(&port.name);
    if name_required || !name.is_empty() {
        checks.named(&path.child("name"), name, names::dns1123_label);
    }
    checks.port(&path.child("port"), port.port);
    checks.one_of(&path.child("protocol"), text(&port.protocol), &PROTOCOLS);
    if let Some(target) = &port.target_port {
        checks.port_or_name(&path.child("targetPort"), target);
    }
    if let Some(protocol) = &port.app_protocol {
        checks.follows(&path.child("appProtocol"), protocol, names::qualified_name);
    }
}

fn check_node_port(path: &Path, number: i32, spec: &ServiceSpec, checks: &mut Checks) {
    if text(&spec.type_) == "ClusterIP" {
        return checks.forbidden(path, "may not be used when `type` is 'ClusterIP'");
    }
    if !NODE_PORTS.contains(&number) {
        let detail = "provided port is not in the valid range. The range of valid ports is 30000-32767";
        checks.invalid(path, number, detail);
    }
}

fn check_affinity(path: &Path, spec: &ServiceSpec, checks: &mut Checks) {
    checks.one_of(&path.child("sessionAffinity"), text(&spec.session_affinity), &["ClientIP", "None"]);
    let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let seconds = config.and_then(|config| config.timeout_seconds);
    if let Some(seconds) = seconds.filter(|seconds| !(1..=MAX_AFFINITY).contains(seconds)) {
        let path = path.child("sessionAffinityConfig").child("clientIP").child("timeoutSeconds");
        checks.invalid(&path, seconds, &format!("must be greater than 0 and less than {MAX_AFFINITY}"));
    }
}

fn check_addresses(path: &Path, spec: &ServiceSpec, checks: &mut Checks) {
    for (index, ip) in spec.external_ips.iter().flatten().enumerate() {
        let path = path.child("externalIPs").index(index);
        checks.follows(&path, ip, names::ip_address);
        check_not_special(&path, ip, checks);
    }
    if text(&spec.type_) == "ExternalName" {
        return;
    }
    check_families(path, spec, checks);
    let (first, ips) = (text(&spec.cluster_ip), spec.cluster_ips.as_deref().unwrap_or_default());
    if ips.first().is_some_and(|ip| ip != first) {
        let path = path.child("clusterIPs");
        checks.invalid(&path, ips, "first value must match `clusterIP`");
    }
    for (index, ip) in ips.iter().enumerate().filter(|(index, ip)| *index > 0 || !matches!(ip.as_str(), "" | "None")) {
        let path = path.child("clusterIPs").index(index);
        checks.follows(&path, ip, names::ip_address);
    }
}

/// This cluster has IPv4 alone. Only a service whose endpoints are not the cluster's may be of
/// another family.
fn check_families(path: &Path, spec: &ServiceSpec, checks: &mut Checks) {
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    checks.one_of(&path.child("ipFamilyPolicy"), text(&spec.ip_family_policy), &policies);
    let families = spec.ip_families.as_deref().unwrap_or_default();
    let without_pods = is_headless(spec) && spec.selector.as_ref().is_none_or(|selector| selector.is_empty());
    for (index, family) in families.iter().enumerate() {
        let path = path.child("ipFamilies").index(index);
        checks.one_of(&path, family, &["IPv4", "IPv6"]);
        if families[..index].contains(family) {
            checks.push(Error::duplicate(&path, family));
        }
        if family == "IPv6" && !without_pods {
            checks.invalid(&path, family, "not configured on this cluster");
        }
    }
    if text(&spec.ip_family_policy) == "RequireDualStack" && !without_pods {
        let detail = "this cluster is not configured for dual-stack services";
        checks.invalid(&path.child("ipFamilyPolicy"), "RequireDualStack", detail);
    }
}

fn check_policies(path: &Path, spec: &ServiceSpec, checks: &mut Checks) {
    let external = text(&spec.external_traffic_policy);
    let at = path.child("externalTrafficPolicy");
    if is_external(spec) {
        checks.one_of(&at, external, &["Cluster", "Local"]);
    } else if !external.is_empty() {
        checks.invalid(&at, external, "may only be set for externally-accessible services");
    }
    let needs_check = text(&spec.type_) == "LoadBalancer" && external == "Local";
    if let Some(number) = spec.health_check_node_port.filter(|number| *number != 0 && !needs_check) {
        let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        checks.invalid(&path.child("healthCheckNodePort"), number, detail);
    }
    if let Some(policy) = &spec.internal_traffic_policy {
        checks.one_of(&path.child("internalTrafficPolicy"), policy, &["Cluster", "Local"]);
    }
    if let Some(distribution) = &spec.traffic_distribution {
        let supported = ["PreferClose", "PreferSameZone", "PreferSameNode"];
        checks.one_of(&path.child("trafficDistribution"), distribution, &supported);
    }
}

/// What is wrong with changing `old` into `new`: an address, once set, stays until the service
/// becomes or ceases to be an `ExternalName`.
pub(super) fn check_update(new: &ServiceSpec, old: &ServiceSpec, checks: &mut Checks) {
    if [new, old].iter().any(|spec| text(&spec.type_) == "ExternalName") {
        return;
    }
    let path = Path::new("spec");
    let ips = |spec: &ServiceSpec| spec.cluster_ips.clone().unwrap_or_default();
    if let (Some(old), new) = (ips(old).first(), ips(new)) {
        let path = path.child("clusterIPs").index(0);
        match new.first() {
            None => checks.invalid(&path, new, "primary clusterIP can not be unset"),
            Some(first) if first != old => checks.invalid(&path, &new, "may not change once set"),
            Some(_) => {}
        }
    }
    let families = |spec: &ServiceSpec| spec.ip_families.clone().unwrap_or_default();
    let (old_first, new_first) = (families(old).into_iter().next(), families(new).into_iter().next());
    if old_first.is_some() && new_first.is_some() && old_first != new_first && !is_headless(old) {
        checks.invalid(&path.child("ipFamilies").index(0), new_first, "may not change once set");
    }
}
