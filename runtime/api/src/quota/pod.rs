//! What a pod uses: of each thing, as much as its containers may need at the same time.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use super::Amounts;
use crate::object::Object;
use crate::quantity::Quantity;

/// What is told as `requests.NAME` and `limits.NAME`.
const COMPUTE: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// What each container has to ask for, once a quota limits it.
const REQUIRED: [&str; 6] = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

type List = Option<BTreeMap<String, Text>>;

/// Adds what the pod uses to `used`. One that has ended, or has been ending for longer than it was given, is
/// only counted as an object.
pub(super) fn add(pod: &Object, now: i64, used: &mut Amounts) {
    let Ok(pod) = pod.to_typed::<Pod>() else { return };
    if !is_charged(&pod, now) {
        return;
    }
    used.insert("pods".to_owned(), Quantity::from_units(1));
    let spec = pod.spec.unwrap_or_default();
    used.extend(named(&requests(&spec), &limits(&spec)));
}

fn is_charged(pod: &Pod, now: i64) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let (deleted, grace) = (&pod.metadata.deletion_timestamp, pod.metadata.deletion_grace_period_seconds);
    let is_overdue = deleted.as_ref().zip(grace).is_some_and(|(deleted, grace)| now > deleted.0.as_second() + grace);
    !matches!(phase, Some("Failed" | "Succeeded")) && !is_overdue
}

/// Amounts under the names that quotas know them by.
fn named(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut named = Amounts::new();
    for (name, amount) in requests {
        let is_extended = name.contains('/') && !name.contains("kubernetes.io/");
        if COMPUTE.contains(&name.as_str()) || name.starts_with("hugepages-") {
            named.insert(name.clone(), *amount);
            named.insert(format!("requests.{name}"), *amount);
        } else if is_extended {
            named.insert(format!("requests.{name}"), *amount);
        }
    }
    let limits = limits.iter().filter(|(name, _)| COMPUTE.contains(&name.as_str()));
    named.extend(limits.map(|(name, amount)| (format!("limits.{name}"), *amount)));
    named
}

/// What a pod asks for in all.
pub fn requests(spec: &PodSpec) -> Amounts {
    let mut all = at_once(spec, |resources| &resources.requests);
    for (name, amount) in read(spec.overhead.as_ref()) {
        super::add(&mut all, name, amount);
    }
    all
}

/// What a pod may use in all, of that of which it may not use everything.
pub fn limits(spec: &PodSpec) -> Amounts {
    let mut all = at_once(spec, |resources| &resources.limits);
    for (name, amount) in read(spec.overhead.as_ref()) {
        if let Some(sum) = all.get_mut(&name) {
            *sum = *sum + amount;
        }
    }
    all
}

/// The sum of the containers, or the largest init container where that is more; one that keeps running counts
/// with those behind it. What is said of the whole pod counts in their place.
fn at_once(spec: &PodSpec, list: fn(&ResourceRequirements) -> &List) -> Amounts {
    let (mut sum, mut sidecars, mut largest) = (Amounts::new(), Amounts::new(), Amounts::new());
    let raise = |largest: &mut Amounts, to: &Amounts| {
        for (name, amount) in to {
            let most = largest.entry(name.clone()).or_default();
            *most = (*most).max(*amount);
        }
    };
    let plus = |sum: &mut Amounts, more: &Amounts| {
        more.iter().for_each(|(name, amount)| super::add(sum, name.clone(), *amount));
    };
    for container in spec.init_containers.iter().flatten() {
        let mut own = of(container, list);
        if container.restart_policy.as_deref() == Some("Always") {
            plus(&mut sum, &own);
            plus(&mut sidecars, &own);
            raise(&mut largest, &sidecars);
        } else {
            plus(&mut own, &sidecars);
            raise(&mut largest, &own);
        }
    }
    spec.containers.iter().for_each(|container| plus(&mut sum, &of(container, list)));
    raise(&mut sum, &largest);
    sum.extend(spec.resources.as_ref().map(|resources| read(list(resources).as_ref())).unwrap_or_default());
    sum
}

fn of(container: &Container, list: fn(&ResourceRequirements) -> &List) -> Amounts {
    container.resources.as_ref().map(|resources| read(list(resources).as_ref())).unwrap_or_default()
}

fn read(list: Option<&BTreeMap<String, Text>>) -> Amounts {
    let entries = list.into_iter().flatten();
    entries.filter_map(|(name, text)| Some((name.clone(), Quantity::try_from(text).ok()?))).collect()
}

/// Each container has to say how much it uses of what is `limited`.
///
/// # Errors
/// What which of them leave out.
pub(super) fn check_constraints(limited: &[&str], pod: &Object) -> Result<(), String> {
    let required: Vec<&str> = limited.iter().copied().filter(|name| REQUIRED.contains(name)).collect();
    let Some(spec) = pod.to_typed::<Pod>().ok().and_then(|pod| pod.spec) else { return Ok(()) };
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
        let said = named(&of(container, |r| &r.requests), &of(container, |r| &r.limits));
        for name in required.iter().filter(|name| !said.contains_key(**name)) {
            missing.entry(name).or_default().insert(&container.name);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let each = missing
        .into_iter()
        .map(|(name, containers)| format!("{name} for: {}", containers.into_iter().collect::<Vec<_>>().join(",")));
    Err(format!("must specify {}", each.collect::<Vec<_>>().join("; ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn init_containers_count_where_they_need_more() {
        let container =
            |cpu: &str| json!({"name": "c", "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}});
        let mut sidecar = container("100m");
        sidecar["restartPolicy"] = "Always".into();
        let spec = json!({"initContainers": [sidecar, container("1")], "containers": [container("200m"), container("300m")],
            "overhead": {"cpu": "10m", "memory": "1Mi"}});
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        let told = |amounts: Amounts| amounts.into_iter().map(|(n, a)| format!("{n}={a}")).collect::<Vec<_>>();
        assert_eq!(told(requests(&spec)), ["cpu=1110m", "memory=1Mi"]);
        assert_eq!(told(limits(&spec)), ["cpu=1110m"]);
    }
}
