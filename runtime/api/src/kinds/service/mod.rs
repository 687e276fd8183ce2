//! Services: defaults, and what an update keeps of what was allocated
//! (`pkg/registry/core/service`). Allocating addresses and node ports is the apiserver's.

use k8s_openapi::api::core::v1::{LoadBalancerStatus, Service as Typed, ServiceSpec, ServiceStatus};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use crate::cells;
use crate::check::{Checks, text};
use crate::kinds::{stored, typed};
use crate::names;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

mod keep;
mod validate;

/// How long a client stays with its pod, in seconds.
const AFFINITY_SECONDS: i32 = 10_800;

/// Services.
#[derive(Clone, Copy, Debug, Default)]
pub struct Service;

impl Strategy for Service {
    fn check_name(&self, name: &str) -> Vec<String> {
        names::dns1035_label(name)
    }

    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |service: &mut Typed, checks| match operation {
            Operation::Create => {
                let spec = service.spec.get_or_insert_default();
                fill(spec);
                give(spec, checks);
                service.status =
                    Some(ServiceStatus { load_balancer: Some(LoadBalancerStatus::default()), conditions: None });
                validate::check(service, checks);
            }
            Operation::Update { old } => {
                let Some(old) = stored::<Typed>(old, checks) else { return };
                let (spec, old) = (service.spec.get_or_insert_default(), old.spec.unwrap_or_default());
                fill(spec);
                agree_on_cluster_ip(spec);
                keep::keep_allocated(spec, &old);
                give(spec, checks);
                validate::check_update(spec, &old, checks);
                validate::check(service, checks);
            }
            Operation::UpdateStatus { .. } => {}
        })
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::service(name, object, now)
    }
}

fn fill(spec: &mut ServiceSpec) {
    set(&mut spec.session_affinity, "None");
    match text(&spec.session_affinity) {
        "None" => spec.session_affinity_config = None,
        "ClientIP" => {
            let config = spec.session_affinity_config.get_or_insert_default();
            config.client_ip.get_or_insert_default().timeout_seconds.get_or_insert(AFFINITY_SECONDS);
        }
        _ => {}
    }
    set(&mut spec.type_, "ClusterIP");
    for port in spec.ports.iter_mut().flatten() {
        set(&mut port.protocol, "TCP");
        let is_unset = match &port.target_port {
            None => true,
            Some(IntOrString::Int(number)) => *number == 0,
            Some(IntOrString::String(name)) => name.is_empty(),
        };
        if is_unset {
            port.target_port = Some(IntOrString::Int(port.port));
        }
    }
    let type_ = text(&spec.type_).to_owned();
    if is_external(spec) {
        set(&mut spec.external_traffic_policy, "Cluster");
    }
    if matches!(type_.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
        set(&mut spec.internal_traffic_policy, "Cluster");
    }
    if type_ == "LoadBalancer" {
        spec.allocate_load_balancer_node_ports.get_or_insert(true);
    }
}

/// What a service gets that is no default (upstream fills it as it allocates).
fn give(spec: &mut ServiceSpec, checks: &mut Checks) {
    let had = [
        spec.cluster_ip.is_some(),
        spec.cluster_ips.is_some(),
        spec.ip_families.is_some(),
        spec.ip_family_policy.is_some(),
    ];
    agree_on_cluster_ip(spec);
    fill_families(spec);
    let given =
        ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"].into_iter().zip(had).filter(|(_, had)| !had);
    given.for_each(|(field, _)| checks.given.field(&["spec", field]));
}

/// `clusterIP` is the first of `clusterIPs`. Either may be given.
fn agree_on_cluster_ip(spec: &mut ServiceSpec) {
    let first = spec.cluster_ips.as_ref().and_then(|ips| ips.first()).cloned();
    match (text(&spec.cluster_ip).to_owned(), first) {
        (ip, None) if !ip.is_empty() => spec.cluster_ips = Some(vec![ip]),
        (ip, Some(first)) if ip.is_empty() => spec.cluster_ip = Some(first),
        _ => {}
    }
}

/// The families of a cluster with IPv4 alone. A headless service without a selector has both, for
/// its endpoints are not the cluster's.
fn fill_families(spec: &mut ServiceSpec) {
    if text(&spec.type_) == "ExternalName" {
        return;
    }
    let any_family = is_headless(spec) && spec.selector.as_ref().is_none_or(|selector| selector.is_empty());
    set(&mut spec.ip_family_policy, if any_family { "RequireDualStack" } else { "SingleStack" });
    let families = spec.ip_families.get_or_insert_default();
    if families.is_empty() {
        families.push("IPv4".to_owned());
    }
    let both = any_family && text(&spec.ip_family_policy) != "SingleStack";
    if both && families.len() == 1 {
        families.push(if families[0] == "IPv4" { "IPv6" } else { "IPv4" }.to_owned());
    }
}

fn set(value: &mut Option<String>, default: &str) {
    if value.as_deref().unwrap_or_default().is_empty() {
        *value = Some(default.to_owned());
    }
}

/// Whether the service has no address of its own.
fn is_headless(spec: &ServiceSpec) -> bool {
    text(&spec.cluster_ip) == "None"
}

/// Whether the service can be reached from outside.
fn is_external(spec: &ServiceSpec) -> bool {
    let has_ips = spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty());
    let type_ = text(&spec.type_);
    matches!(type_, "NodePort" | "LoadBalancer") || (type_ == "ClusterIP" && has_ips)
}

#[cfg(test)]
mod tests;
