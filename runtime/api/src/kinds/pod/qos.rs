//! A pod's quality-of-service class (`pkg/apis/core/v1/helper/qos`).

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};

use crate::quantity::Quantity;

/// The resources that make the class.
const COUNTED: [&str; 2] = ["cpu", "memory"];

/// `Guaranteed` when every container has limits that equal its requests, `BestEffort` when none has
/// either, `Burstable` otherwise.
pub fn qos_class(spec: &PodSpec) -> &'static str {
    let whole_pod = spec.resources.as_ref().filter(|resources| !is_empty(resources));
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let each: Vec<_> = match whole_pod {
        Some(resources) => vec![Some(resources)],
        None => containers.map(|Container { resources, .. }| resources.as_ref()).collect(),
    };
    if each.iter().all(|resources| resources.is_none_or(is_empty)) {
        "BestEffort"
    } else if each.iter().all(|resources| resources.is_some_and(is_guaranteed)) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

fn amount(resources: &ResourceRequirements, limit: bool, name: &str) -> Option<Quantity> {
    let list = if limit { &resources.limits } else { &resources.requests };
    let quantity: Quantity = list.as_ref()?.get(name)?.try_into().ok()?;
    (!quantity.is_zero()).then_some(quantity)
}

fn is_empty(resources: &ResourceRequirements) -> bool {
    COUNTED.iter().all(|name| amount(resources, true, name).is_none() && amount(resources, false, name).is_none())
}

fn is_guaranteed(resources: &ResourceRequirements) -> bool {
    COUNTED.iter().all(|name| {
        let limit = amount(resources, true, name);
        limit.is_some() && limit == amount(resources, false, name)
    })
}
