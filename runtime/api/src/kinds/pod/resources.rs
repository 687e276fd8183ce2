//! Resource requests and limits.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use crate::check::Checks;
use crate::field::{Error, Path};
use crate::names;
use crate::quantity::Quantity;

type Amounts = BTreeMap<String, Text>;

/// Writes every quantity in its canonical form, as upstream stores it. One that does not parse
/// stays, for [`check`] to tell.
pub(crate) fn canonical_quantities(spec: &mut PodSpec) {
    let own = spec.resources.as_mut().into_iter();
    let init = spec.init_containers.iter_mut().flatten().filter_map(|container| container.resources.as_mut());
    let containers = spec.containers.iter_mut().filter_map(|container| container.resources.as_mut());
    let lists =
        own.chain(init).chain(containers).flat_map(|resources| [&mut resources.limits, &mut resources.requests]);
    let lists = lists.chain([&mut spec.overhead]).flatten();
    lists.flat_map(BTreeMap::values_mut).for_each(canonical);
    let empty_dirs = spec.volumes.iter_mut().flatten().filter_map(|volume| volume.empty_dir.as_mut());
    empty_dirs.filter_map(|source| source.size_limit.as_mut()).for_each(canonical);
}

fn canonical(text: &mut Text) {
    if let Ok(quantity) = Quantity::try_from(&*text) {
        *text = quantity.into();
    }
}

/// What is wrong with the `requests` and `limits` of a container.
pub(super) fn check(path: &Path, resources: &ResourceRequirements, checks: &mut Checks) {
    let (limits, requests) = (resources.limits.as_ref(), resources.requests.as_ref());
    for (name, limit) in limits.into_iter().flatten() {
        check_amount(&path.child("limits").key(name), name, limit, checks);
    }
    for (name, request) in requests.into_iter().flatten() {
        let path = path.child("requests").key(name);
        if let Some(request) = check_amount(&path, name, request, checks) {
            check_against_limit(&path, name, request, limits, checks);
        }
    }
    check_huge_pages(path, limits, requests, checks);
}

fn check_amount(path: &Path, name: &str, text: &Text, checks: &mut Checks) -> Option<Quantity> {
    check_name(path, name, checks);
    match Quantity::try_from(text) {
        Ok(quantity) => {
            check_quantity(path, name, quantity, checks);
            Some(quantity)
        }
        Err(error) => {
            checks.invalid(path, &text.0, &error.to_string());
            None
        }
    }
}

/// The amount of a resource is not negative, and whole when the resource cannot be divided.
pub(crate) fn check_quantity(path: &Path, name: &str, quantity: Quantity, checks: &mut Checks) {
    if quantity.is_negative() {
        checks.invalid(path, quantity.to_string(), "must be greater than or equal to 0");
    }
    let divisible = matches!(name, "cpu" | "memory" | "storage" | "ephemeral-storage");
    if !divisible && !quantity.is_whole() {
        checks.invalid(path, quantity.to_string(), "must be an integer");
    }
}

fn check_name(path: &Path, name: &str, checks: &mut Checks) {
    let problems = names::qualified_name(name);
    let is_native = !name.contains('/') || name.contains("kubernetes.io/");
    if !problems.is_empty() {
        problems.iter().for_each(|problem| checks.invalid(path, name, problem));
    } else if !name.contains('/') && !is_container_resource(name) {
        if !matches!(name, "pods" | "services" | "storage") {
            checks.invalid(path, name, "must be a standard resource type or fully qualified");
        }
        checks.invalid(path, name, "must be a standard resource for containers");
    } else if !is_native && name.starts_with("requests.") {
        checks.invalid(path, name, "doesn't follow extended resource name standard");
    }
}

fn is_container_resource(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-")
}

fn check_against_limit(path: &Path, name: &str, request: Quantity, limits: Option<&Amounts>, checks: &mut Checks) {
    let limit = limits.and_then(|limits| limits.get(name)).and_then(|limit| Quantity::try_from(limit).ok());
    let overcommit = is_container_resource(name) && !name.starts_with("hugepages-") || name.contains("kubernetes.io/");
    match limit {
        Some(limit) if request != limit && !overcommit => {
            checks.invalid(path, request.to_string(), &format!("must be equal to {name} limit of {limit}"));
        }
        Some(limit) if request > limit => {
            let detail = format!("must be less than or equal to {name} limit of {limit}");
            checks.invalid(path, request.to_string(), &detail);
        }
        None if !overcommit => {
            checks.push(Error::required(path, "Limit must be set for non overcommitable resources"));
        }
        Some(_) | None => {}
    }
}

fn check_huge_pages(path: &Path, limits: Option<&Amounts>, requests: Option<&Amounts>, checks: &mut Checks) {
    let names = || limits.into_iter().chain(requests).flat_map(BTreeMap::keys);
    let huge = names().any(|name| name.starts_with("hugepages-"));
    if huge && !names().any(|name| name == "cpu" || name == "memory") {
        checks.forbidden(path, "HugePages require cpu or memory");
    }
}
