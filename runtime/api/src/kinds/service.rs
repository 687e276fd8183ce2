//! Services. Addresses and node ports are given out by the apiserver.

use std::collections::HashSet;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::{invalid_all, typed};
use crate::cells;
use crate::field::{Error, Path};
use crate::names;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// Behaviour of Services.
pub struct Service;

impl Strategy for Service {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |service: &mut core::Service, errors| {
            if matches!(operation, Operation::Create) {
                service.status =
                    Some(core::ServiceStatus { load_balancer: Some(Default::default()), ..Default::default() });
                let name = service.metadata.name.as_deref().unwrap_or_default();
                invalid_all(errors, &Path::new("metadata").child("name"), name, names::dns1035_label(name));
            }
            if let Operation::Update { old } = operation {
                drop_node_ports(service, &old.to_typed().unwrap_or_default());
            }
            if !matches!(operation, Operation::UpdateStatus { .. }) {
                default(service);
                validate(service, errors);
            }
            if let Operation::Update { old } = operation {
                validate_update(service, &old.to_typed().unwrap_or_default(), errors);
            }
        })
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::service(name, object, now)
    }
}

fn default(service: &mut core::Service) {
    let spec = service.spec.get_or_insert_default();
    let text = |field: &mut Option<String>, value: &str| {
        field.get_or_insert_with(|| value.to_owned());
    };
    text(&mut spec.type_, "ClusterIP");
    text(&mut spec.session_affinity, "None");
    for port in spec.ports.iter_mut().flatten() {
        text(&mut port.protocol, "TCP");
        if port
            .target_port
            .as_ref()
            .is_none_or(|target| matches!(target, IntOrString::Int(0)) || *target == IntOrString::String(String::new()))
        {
            port.target_port = Some(IntOrString::Int(port.port));
        }
    }
    if spec.type_.as_deref() == Some("ExternalName") {
        return;
    }
    text(&mut spec.internal_traffic_policy, "Cluster");
    if matches!(spec.type_.as_deref(), Some("NodePort" | "LoadBalancer")) {
        text(&mut spec.external_traffic_policy, "Cluster");
    }
    text(&mut spec.ip_family_policy, "SingleStack");
    spec.ip_families.get_or_insert_with(|| vec!["IPv4".to_owned()]);
}

// Whoever makes a NodePort Service a ClusterIP one need not name its node ports to let them go
// (`pkg/registry/core/service/strategy.go`, dropTypeDependentFields).
fn drop_node_ports(service: &mut core::Service, old: &core::Service) {
    let exposed = |service: &core::Service| {
        let type_ = service.spec.as_ref().and_then(|spec| spec.type_.as_deref());
        matches!(type_, Some("NodePort" | "LoadBalancer"))
    };
    let ports = |service: &core::Service| service.spec.as_ref().and_then(|spec| spec.ports.clone()).unwrap_or_default();
    let given: HashSet<_> = ports(old).iter().filter_map(|port| port.node_port).collect();
    if !exposed(old)
        || exposed(service)
        || ports(service).iter().any(|p| p.node_port.is_some_and(|p| !given.contains(&p)))
    {
        return;
    }
    for port in service.spec.iter_mut().flat_map(|spec| spec.ports.iter_mut().flatten()) {
        port.node_port = None;
    }
}

fn validate(service: &core::Service, errors: &mut Vec<Error>) {
    let path = Path::new("spec");
    let Some(spec) = &service.spec else { return };
    let type_ = spec.type_.as_deref().unwrap_or_default();
    const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if !TYPES.contains(&type_) {
        errors.push(Error::not_supported(&path.child("type"), type_, &TYPES));
    }
    if !matches!(spec.session_affinity.as_deref(), Some("None" | "ClientIP")) {
        errors.push(Error::not_supported(
            &path.child("sessionAffinity"),
            &spec.session_affinity,
            &["ClientIP", "None"],
        ));
    }
    let headless = spec.cluster_ip.as_deref() == Some("None");
    let ports = spec.ports.as_deref().unwrap_or_default();
    if ports.is_empty() && !headless && type_ != "ExternalName" {
        errors.push(Error::required(&path.child("ports"), ""));
    }
    if type_ == "ExternalName" && spec.external_name.as_deref().unwrap_or_default().is_empty() {
        errors.push(Error::required(&path.child("externalName"), ""));
    }
    let (mut seen_names, mut seen_ports) = (HashSet::new(), HashSet::new());
    for (index, port) in ports.iter().enumerate() {
        let path = path.child("ports").index(index);
        let name = port.name.as_deref().unwrap_or_default();
        if name.is_empty() && ports.len() > 1 {
            errors.push(Error::required(&path.child("name"), ""));
        } else if !name.is_empty() {
            invalid_all(errors, &path.child("name"), name, names::dns1123_label(name));
            if !seen_names.insert(name) {
                errors.push(Error::duplicate(&path.child("name"), name));
            }
        }
        invalid_all(errors, &path.child("port"), port.port, names::port_number(port.port));
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        if !["TCP", "UDP", "SCTP"].contains(&protocol) {
            errors.push(Error::not_supported(&path.child("protocol"), protocol, &["SCTP", "TCP", "UDP"]));
        }
        if !seen_ports.insert((port.port, protocol)) {
            errors.push(Error::duplicate(&path, serde_json::json!({"port": port.port, "protocol": protocol})));
        }
        match &port.target_port {
            Some(IntOrString::Int(target)) => {
                invalid_all(errors, &path.child("targetPort"), *target, names::port_number(*target))
            }
            Some(IntOrString::String(target)) => {
                invalid_all(errors, &path.child("targetPort"), target, names::port_name(target))
            }
            None => {}
        }
        if type_ == "ClusterIP" && port.node_port.is_some_and(|port| port != 0) {
            errors.push(Error::forbidden(&path.child("nodePort"), "may not be used when `type` is 'ClusterIP'"));
        }
    }
    for (key, value) in spec.selector.iter().flatten() {
        invalid_all(errors, &path.child("selector"), key, names::qualified_name(key));
        invalid_all(errors, &path.child("selector").key(key), value, names::label_value(value));
    }
}

fn validate_update(new: &core::Service, old: &core::Service, errors: &mut Vec<Error>) {
    let ip = |service: &core::Service| {
        service.spec.as_ref().and_then(|spec| spec.cluster_ip.clone()).filter(|ip| !ip.is_empty())
    };
    let external = |service: &core::Service| {
        service.spec.as_ref().is_some_and(|spec| spec.type_.as_deref() == Some("ExternalName"))
    };
    if let (Some(before), Some(after)) = (ip(old), ip(new))
        && before != after
        && !external(old)
        && !external(new)
    {
        let path = Path::new("spec").child("clusterIPs").index(0);
        errors.push(Error::invalid(&path, [after], "may not change once set"));
    }
}
