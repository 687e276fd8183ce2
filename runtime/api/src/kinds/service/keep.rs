//! What an update keeps of what was allocated, and drops when the type no longer has it
//! (`patchAllocatedValues`, `dropTypeDependentFields`).

use k8s_openapi::api::core::v1::{ServicePort, ServiceSpec};

use crate::check::text;

/// Fills into `new` the addresses and node ports of `old` that it leaves out and still needs, and
/// clears those that it merely repeats and needs no more.
pub(super) fn keep_allocated(new: &mut ServiceSpec, old: &ServiceSpec) {
    keep_address(new, old);
    match (needs_node_port(new), needs_node_port(old)) {
        (true, true) => keep_node_ports(new, old),
        (false, true) if node_ports(new).iter().all(|port| *port == 0 || node_ports(old).contains(port)) => {
            new.ports.iter_mut().flatten().for_each(|port| port.node_port = None);
        }
        _ => {}
    }
    if needs_health_check(new) && needs_health_check(old) && new.health_check_node_port.unwrap_or_default() == 0 {
        new.health_check_node_port = old.health_check_node_port;
    }
    if !needs_health_check(new) && new.health_check_node_port == old.health_check_node_port {
        new.health_check_node_port = None;
    }
    if !super::is_external(new) && new.external_traffic_policy == old.external_traffic_policy {
        new.external_traffic_policy = None;
    }
    if text(&new.type_) != "LoadBalancer" {
        let allocate = &mut new.allocate_load_balancer_node_ports;
        if *allocate == old.allocate_load_balancer_node_ports {
            *allocate = None;
        }
        if new.load_balancer_class == old.load_balancer_class {
            new.load_balancer_class = None;
        }
    }
}

fn has_address(spec: &ServiceSpec) -> bool {
    matches!(text(&spec.type_), "ClusterIP" | "NodePort" | "LoadBalancer")
}

fn keep_address(new: &mut ServiceSpec, old: &ServiceSpec) {
    if !has_address(old) {
        return;
    }
    if !has_address(new) {
        if new.cluster_ip == old.cluster_ip && new.cluster_ips == old.cluster_ips {
            (new.cluster_ip, new.cluster_ips) = (None, None);
        }
        if new.ip_families == old.ip_families && new.ip_family_policy == old.ip_family_policy {
            (new.ip_families, new.ip_family_policy) = (None, None);
        }
        return;
    }
    if text(&new.cluster_ip).is_empty() {
        new.cluster_ip.clone_from(&old.cluster_ip);
        new.cluster_ips.clone_from(&old.cluster_ips);
    }
    if new.ip_families.as_ref().is_none_or(Vec::is_empty) {
        new.ip_families.clone_from(&old.ip_families);
    }
    if new.ip_family_policy.is_none() {
        new.ip_family_policy.clone_from(&old.ip_family_policy);
    }
}

fn needs_node_port(spec: &ServiceSpec) -> bool {
    match text(&spec.type_) {
        "NodePort" => true,
        "LoadBalancer" => spec.allocate_load_balancer_node_ports != Some(false),
        _ => false,
    }
}

fn needs_health_check(spec: &ServiceSpec) -> bool {
    text(&spec.type_) == "LoadBalancer" && text(&spec.external_traffic_policy) == "Local"
}

fn node_ports(spec: &ServiceSpec) -> Vec<i32> {
    spec.ports.iter().flatten().map(|port| port.node_port.unwrap_or_default()).collect()
}

/// A port without a node port gets that of the old port of the same protocol and number, unless
/// another port asks for it.
fn keep_node_ports(new: &mut ServiceSpec, old: &ServiceSpec) {
    let taken = node_ports(new);
    let of_old = |port: &ServicePort| {
        let same = |old: &&ServicePort| old.protocol == port.protocol && old.port == port.port;
        old.ports.iter().flatten().find(same).and_then(|old| old.node_port)
    };
    for port in new.ports.iter_mut().flatten() {
        if port.node_port.unwrap_or_default() == 0 {
            port.node_port = of_old(port).filter(|number| !taken.contains(number));
        }
    }
}
