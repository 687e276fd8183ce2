//! LimitRanges: what a pod's containers get that do not say what they need, and how much a pod or a claim
//! may ask for (`plugin/pkg/admission/limitranger`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use crate::quantity::Quantity;
use crate::quota::{Amounts, pod_limits, pod_requests};

/// Tells what a pod got.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

type List = BTreeMap<String, Text>;

fn items<'a>(range: &'a LimitRange, type_: &'a str) -> impl Iterator<Item = &'a LimitRangeItem> {
    range.spec.iter().flat_map(|spec| &spec.limits).filter(move |item| item.type_ == type_)
}

/// Gives the containers of `pod` what `range` says those get that say nothing.
pub fn fill(pod: &mut Pod, range: &LimitRange) {
    let (mut requests, mut limits) = (List::new(), List::new());
    for item in items(range, "Container") {
        requests.extend(item.default_request.clone().unwrap_or_default());
        limits.extend(item.default.clone().unwrap_or_default());
    }
    let Some(spec) = &mut pod.spec else { return };
    let mut told = Vec::new();
    let all = spec.containers.iter_mut().map(|container| (container, "container"));
    let init = spec.init_containers.iter_mut().flatten().map(|container| (container, "init container"));
    for (container, what) in all.chain(init) {
        told.extend(fill_container(container, what, &requests, &limits));
    }
    if !told.is_empty() {
        let text = format!("LimitRanger plugin set: {}", told.join("; "));
        pod.metadata.annotations.get_or_insert_default().insert(ANNOTATION.to_owned(), text);
    }
}

fn fill_container(container: &mut Container, what: &str, requests: &List, limits: &List) -> Vec<String> {
    let resources = container.resources.get_or_insert_default();
    let set = [(&mut resources.requests, requests, "request"), (&mut resources.limits, limits, "limit")];
    let mut told = Vec::new();
    for (own, defaults, list) in set {
        let missing: Vec<_> =
            defaults.iter().filter(|(name, _)| !own.as_ref().is_some_and(|own| own.contains_key(*name))).collect();
        if missing.is_empty() {
            continue;
        }
        let names = missing.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        told.push(format!("{names} {list} for {what} {}", container.name));
        own.get_or_insert_default().extend(missing.into_iter().map(|(name, amount)| (name.clone(), amount.clone())));
    }
    told
}

/// What of `pod` is less or more than `range` allows.
pub fn check_pod(pod: &Pod, range: &LimitRange) -> Vec<String> {
    let mut errors = Vec::new();
    let Some(spec) = &pod.spec else { return errors };
    for item in range.spec.iter().flat_map(|spec| &spec.limits) {
        match item.type_.as_str() {
            "Container" => {
                for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
                    let resources = container.resources.clone().unwrap_or_default();
                    let ResourceRequirements { requests, limits, .. } = &resources;
                    Asked { requests: read(requests.as_ref()), limits: read(limits.as_ref()) }.check(item, &mut errors);
                }
            }
            "Pod" => Asked { requests: pod_requests(spec), limits: pod_limits(spec) }.check(item, &mut errors),
            _ => {}
        }
    }
    errors
}

/// What of `claim` is less or more than `range` allows.
pub fn check_claim(claim: &PersistentVolumeClaim, range: &LimitRange) -> Vec<String> {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let requests = read(resources.and_then(|resources| resources.requests.as_ref()));
    let asked = Asked { requests, limits: Amounts::new() };
    let mut errors = Vec::new();
    for item in items(range, "PersistentVolumeClaim") {
        for (name, least) in read(item.min.as_ref()) {
            errors.extend(asked.at_least(&item.type_, &name, least));
        }
        for (name, most) in read(item.max.as_ref()) {
            let limit = format!("maximum {name} usage per {} is {most}", item.type_);
            match asked.requests.get(&name) {
                None => errors.push(format!("{limit}.  No request is specified")),
                Some(request) if *request > most => errors.push(format!("{limit}, but request is {request}")),
                Some(_) => {}
            }
        }
    }
    errors
}

fn read(list: Option<&List>) -> Amounts {
    let entries = list.into_iter().flatten();
    entries.filter_map(|(name, text)| Some((name.clone(), Quantity::try_from(text).ok()?))).collect()
}

/// What a container or a pod asks for.
struct Asked {
    requests: Amounts,
    limits: Amounts,
}

impl Asked {
    fn check(&self, item: &LimitRangeItem, errors: &mut Vec<String>) {
        for (name, least) in read(item.min.as_ref()) {
            errors.extend(self.at_least(&item.type_, &name, least));
        }
        for (name, most) in read(item.max.as_ref()) {
            errors.extend(self.at_most(&item.type_, &name, most));
        }
        for (name, ratio) in read(item.max_limit_request_ratio.as_ref()) {
            errors.extend(self.in_ratio(&item.type_, &name, ratio));
        }
    }

    fn at_least(&self, type_: &str, name: &str, least: Quantity) -> Option<String> {
        let limit = format!("minimum {name} usage per {type_} is {least}");
        match (self.requests.get(name), self.limits.get(name)) {
            (None, _) => Some(format!("{limit}.  No request is specified")),
            (Some(request), _) if *request < least => Some(format!("{limit}, but request is {request}")),
            (_, Some(own)) if *own < least => Some(format!("{limit}, but limit is {own}")),
            _ => None,
        }
    }

    fn at_most(&self, type_: &str, name: &str, most: Quantity) -> Option<String> {
        let limit = format!("maximum {name} usage per {type_} is {most}");
        match (self.requests.get(name), self.limits.get(name)) {
            (_, None) => Some(format!("{limit}.  No limit is specified")),
            (_, Some(own)) if *own > most => Some(format!("{limit}, but limit is {own}")),
            (Some(request), _) if *request > most => Some(format!("{limit}, but request is {request}")),
            _ => None,
        }
    }

    fn in_ratio(&self, type_: &str, name: &str, most: Quantity) -> Option<String> {
        let amount = |of: &Amounts| of.get(name).copied().filter(|amount| !amount.is_zero());
        let told = format!("{name} max limit to request ratio per {type_} is {most}");
        match (amount(&self.requests), amount(&self.limits)) {
            (None, _) => Some(format!("{told}, but no request is specified or request is 0")),
            (_, None) => Some(format!("{told}, but no limit is specified or limit is 0")),
            (Some(request), Some(limit)) => {
                let ratio = limit.approximately() / request.approximately();
                (ratio > most.approximately()).then(|| format!("{told}, but provided ratio is {ratio:.6}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn range(limit: Value) -> LimitRange {
        serde_json::from_value(json!({"spec": {"limits": [limit]}})).unwrap()
    }

    fn pod(resources: Value) -> Pod {
        serde_json::from_value(json!({"spec": {"containers": [{"name": "c", "resources": resources}]}})).unwrap()
    }

    #[test]
    fn containers_get_what_they_do_not_say() {
        let range = range(json!({"type": "Container", "default": {"cpu": "500m", "memory": "500Mi"},
            "defaultRequest": {"cpu": "100m", "memory": "200Mi"}}));
        let mut some = pod(json!({"requests": {"cpu": "300m"}}));
        fill(&mut some, &range);
        assert_eq!(
            serde_json::to_value(&some.spec.unwrap().containers[0].resources).unwrap(),
            json!({"limits": {"cpu": "500m", "memory": "500Mi"}, "requests": {"cpu": "300m", "memory": "200Mi"}})
        );
        assert_eq!(
            some.metadata.annotations.unwrap()[ANNOTATION],
            "LimitRanger plugin set: memory request for container c; cpu, memory limit for container c"
        );
        let all = json!({"cpu": "1", "memory": "1Gi"});
        let full = pod(json!({"requests": all, "limits": all}));
        let mut same = full.clone();
        fill(&mut same, &range);
        assert_eq!(same, full);
    }

    #[test]
    fn what_is_too_little_or_too_much_is_told() {
        let check = |limit: Value, resources: Value, expected: &str| {
            let found = check_pod(&pod(resources.clone()), &range(limit.clone()));
            assert_eq!(found.join("; "), expected, "{limit} {resources}");
        };
        let limits = json!({"type": "Container", "min": {"cpu": "50m"}, "max": {"cpu": "500m"}, "maxLimitRequestRatio": {"cpu": "2"}});
        check(limits.clone(), json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}), "");
        check(
            limits.clone(),
            json!({"requests": {"cpu": "10m"}, "limits": {"cpu": "20m"}}),
            "minimum cpu usage per Container is 50m, but request is 10m",
        );
        check(
            limits.clone(),
            json!({"requests": {"cpu": "300m"}, "limits": {"cpu": "600m"}}),
            "maximum cpu usage per Container is 500m, but limit is 600m",
        );
        check(
            limits.clone(),
            json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "250m"}}),
            "cpu max limit to request ratio per Container is 2, but provided ratio is 2.500000",
        );
        check(
            limits,
            json!({}),
            "minimum cpu usage per Container is 50m.  No request is specified; maximum cpu usage per Container is 500m.  No limit is specified; cpu max limit to request ratio per Container is 2, but no request is specified or request is 0",
        );
        check(
            json!({"type": "Pod", "max": {"memory": "1Gi"}}),
            json!({"limits": {"memory": "2Gi"}}),
            "maximum memory usage per Pod is 1Gi, but limit is 2Gi",
        );
        let claim = |size: &str| {
            let spec = json!({"spec": {"resources": {"requests": {"storage": size}}}});
            let range =
                range(json!({"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}));
            check_claim(&serde_json::from_value(spec).unwrap(), &range).join("; ")
        };
        assert_eq!(claim("2Gi"), "");
        assert_eq!(claim("3Gi"), "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi");
        assert_eq!(claim("1Mi"), "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi");
    }
}
