//! What is wrong with a pod's specification, in upstream's order.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodDNSConfig, PodSpec};

use crate::check::{Checks, text};
use crate::field::{Error, Path};
use crate::names;
use crate::quantity::Quantity;

use super::{container, placement, resources, security, volume};

/// Where a specification stands. A pod is held to more than a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// In a pod.
    Pod,
    /// In a template.
    Template,
}

/// What is wrong with `spec`, which has been filled.
pub(super) fn check(path: &Path, spec: &PodSpec, of: Of, checks: &mut Checks) {
    let volumes = volume::check_all(&path.child("volumes"), spec, of, checks);
    container::check_all(path, spec, &volumes, of, checks);
    check_pod_resources(&path.child("resources"), spec, checks);
    check_host_network(&path.child("containers"), spec, of, checks);
    let policies = ["Always", "OnFailure", "Never"];
    checks.one_of(&path.child("restartPolicy"), text(&spec.restart_policy), &policies);
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    checks.one_of(&path.child("dnsPolicy"), text(&spec.dns_policy), &policies);
    placement::check(path, spec, checks);
    security::check_pod(path, spec, checks);
    check_dns_config(&path.child("dnsConfig"), spec, checks);
    check_gates(path, spec, checks);
    check_names(path, spec, checks);
    check_hosts(path, spec, checks);
    if let Some(seconds) = spec.active_deadline_seconds {
        checks.within(&path.child("activeDeadlineSeconds"), seconds, 1, i32::MAX.into());
    }
    if let Some(policy) = &spec.preemption_policy {
        checks.one_of(&path.child("preemptionPolicy"), policy, &["PreemptLowerPriority", "Never"]);
    }
    if let Some(os) = &spec.os {
        checks.one_of(&path.child("os").child("name"), &os.name, &["linux", "windows"]);
    }
}

fn check_names(path: &Path, spec: &PodSpec, checks: &mut Checks) {
    let subdomain = names::dns1123_subdomain;
    checks.maybe_named(&path.child("serviceAccountName"), text(&spec.service_account_name), subdomain);
    checks.maybe_named(&path.child("nodeName"), text(&spec.node_name), subdomain);
    checks.maybe_named(&path.child("hostname"), text(&spec.hostname), names::dns1123_label);
    checks.maybe_named(&path.child("subdomain"), text(&spec.subdomain), names::dns1123_label);
    checks.maybe_named(&path.child("priorityClassName"), text(&spec.priority_class_name), subdomain);
    if let Some(class) = &spec.runtime_class_name {
        checks.follows(&path.child("runtimeClassName"), class, subdomain);
    }
}

fn check_gates(path: &Path, spec: &PodSpec, checks: &mut Checks) {
    for (index, gate) in spec.readiness_gates.iter().flatten().enumerate() {
        let path = path.child("readinessGates").index(index).child("conditionType");
        checks.follows(&path, &gate.condition_type, names::qualified_name);
    }
    let mut seen = Vec::new();
    for (index, gate) in spec.scheduling_gates.iter().flatten().enumerate() {
        let path = path.child("schedulingGates").index(index);
        checks.follows(&path, &gate.name, names::qualified_name);
        if seen.contains(&&gate.name) {
            checks.push(Error::duplicate(&path, &gate.name));
        }
        seen.push(&gate.name);
    }
}

fn check_hosts(path: &Path, spec: &PodSpec, checks: &mut Checks) {
    for (index, alias) in spec.host_aliases.iter().flatten().enumerate() {
        let path = path.child("hostAliases").index(index);
        checks.follows(&path.child("ip"), &alias.ip, names::ip_address);
        for (index, name) in alias.hostnames.iter().flatten().enumerate() {
            checks.follows(&path.child("hostnames").index(index), name, names::dns1123_subdomain);
        }
    }
}

/// A pod on the host's network listens on the host's ports.
fn check_host_network(path: &Path, spec: &PodSpec, of: Of, checks: &mut Checks) {
    if spec.host_network != Some(true) {
        return;
    }
    for (index, Container { ports, .. }) in spec.containers.iter().enumerate() {
        for (at, port) in ports.iter().flatten().enumerate() {
            let host_port = port.host_port.unwrap_or_default();
            if (of == Of::Pod || host_port != 0) && host_port != port.container_port {
                let path = path.index(index).child("ports").index(at).child("hostPort");
                checks.invalid(&path, host_port, "must match `containerPort` when `hostNetwork` is true");
            }
        }
    }
}

fn check_dns_config(path: &Path, spec: &PodSpec, checks: &mut Checks) {
    let config = spec.dns_config.as_ref();
    let servers = config.and_then(|config| config.nameservers.as_deref()).unwrap_or_default();
    if text(&spec.dns_policy) == "None" {
        if config.is_none() {
            let detail = "must provide `dnsConfig` when `dnsPolicy` is None";
            return checks.push(Error::required(path, detail));
        }
        if servers.is_empty() {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return checks.push(Error::required(&path.child("nameservers"), detail));
        }
    }
    if servers.len() > 3 {
        checks.invalid(&path.child("nameservers"), servers, "must not have more than 3 nameservers");
    }
    for (index, server) in servers.iter().enumerate() {
        checks.follows(&path.child("nameservers").index(index), server, names::ip_address);
    }
    config.into_iter().for_each(|config| check_searches(path, config, checks));
}

fn check_searches(path: &Path, config: &PodDNSConfig, checks: &mut Checks) {
    let searches = config.searches.as_deref().unwrap_or_default();
    let path_of = path.child("searches");
    if searches.len() > 32 {
        checks.invalid(&path_of, searches, "must not have more than 32 search paths");
    }
    if searches.join(" ").len() > 2048 {
        let detail = "must not have more than 2048 characters (including spaces) in the search list";
        checks.invalid(&path_of, searches, detail);
    }
    for (index, search) in searches.iter().enumerate().filter(|(_, search)| *search != ".") {
        // Upstream's relaxed rule: an underscore is as good as a dash's neighbour.
        let plain = search.strip_suffix('.').unwrap_or(search).replace('_', "a");
        for problem in names::dns1123_subdomain(&plain) {
            checks.invalid(&path_of.index(index), search, &problem);
        }
    }
    for (index, option) in config.options.iter().flatten().enumerate() {
        if text(&option.name).is_empty() {
            checks.push(Error::required(&path.child("options").index(index), "must not be empty"));
        }
    }
}

/// The requests of a whole pod cover those of its containers.
fn check_pod_resources(path: &Path, spec: &PodSpec, checks: &mut Checks) {
    let Some(own) = &spec.resources else { return };
    if own.claims.is_some() {
        checks.forbidden(&path.child("claims"), "claims cannot be set for Resources at pod-level");
    }
    resources::check(path, own, checks);
    let Some(requests) = &own.requests else { return };
    for (name, sum) in summed_requests(spec) {
        let given = requests.get(name).and_then(|text| Quantity::try_from(text).ok()).unwrap_or_default();
        if sum > given {
            let detail = format!("must be greater than or equal to aggregate container requests of {sum}");
            checks.invalid(&path.child("requests").key(name), given.to_string(), &detail);
        }
    }
}

fn summed_requests(spec: &PodSpec) -> BTreeMap<&str, Quantity> {
    let lists = spec.containers.iter().filter_map(|container| container.resources.as_ref()?.requests.as_ref());
    let mut sums = BTreeMap::<&str, Quantity>::new();
    for (name, amount) in lists.flatten() {
        if let Ok(amount) = Quantity::try_from(amount) {
            let sum = sums.entry(name).or_default();
            *sum = *sum + amount;
        }
    }
    sums
}
