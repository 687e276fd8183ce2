//! Which objects a quota is about: all, or those of its scopes
//! (<https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-scopes>).

use k8s_openapi::api::core::v1::{PodAffinityTerm, PodSpec};
use serde_json::Value;

use super::Resource;
use crate::kinds::pod::qos_class;
use crate::object::Object;

/// One scope, and what its value has to be.
struct Scope<'a> {
    name: &'a str,
    operator: &'a str,
    values: Vec<&'a str>,
}

impl Scope<'_> {
    fn admits(&self, value: &str) -> bool {
        match self.operator {
            "In" => self.values.contains(&value),
            "NotIn" => !self.values.contains(&value),
            "DoesNotExist" => value.is_empty(),
            _ => !value.is_empty(),
        }
    }
}

fn scopes(quota: &Object) -> impl Iterator<Item = Scope<'_>> {
    let list = |path: &[&str]| quota.at(path).and_then(Value::as_array).into_iter().flatten();
    let plain = list(&["spec", "scopes"]).filter_map(Value::as_str);
    let plain = plain.map(|name| Scope { name, operator: "Exists", values: Vec::new() });
    let selected = list(&["spec", "scopeSelector", "matchExpressions"]).map(|expression| Scope {
        name: expression["scopeName"].as_str().unwrap_or_default(),
        operator: expression["operator"].as_str().unwrap_or_default(),
        values: expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    });
    plain.chain(selected)
}

/// Whether the quota is not about all objects.
pub(super) fn is_scoped(quota: &Object) -> bool {
    scopes(quota).next().is_some()
}

/// Whether the quota is about `object`.
pub(super) fn selects(quota: &Object, resource: Resource<'_>, object: &Object) -> bool {
    if !is_scoped(quota) {
        return true;
    }
    match (resource.group, resource.plural) {
        ("", "pods") => {
            let spec = object.at(&["spec"]).and_then(|spec| crate::from_value::<PodSpec>(spec).ok());
            spec.is_some_and(|spec| scopes(quota).all(|scope| has_pod(&scope, &spec)))
        }
        ("", "persistentvolumeclaims") => scopes(quota).all(|scope| has_claim(&scope, object)),
        _ => false,
    }
}

fn has_pod(scope: &Scope<'_>, spec: &PodSpec) -> bool {
    let ends = spec.active_deadline_seconds.is_some_and(|seconds| seconds >= 0);
    match scope.name {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => qos_class(spec) == "BestEffort",
        "NotBestEffort" => qos_class(spec) != "BestEffort",
        "PriorityClass" => scope.admits(spec.priority_class_name.as_deref().unwrap_or_default()),
        "CrossNamespacePodAffinity" => reaches_out(spec),
        _ => false,
    }
}

/// Whether the pod wants to be near, or far from, pods of other namespaces.
fn reaches_out(spec: &PodSpec) -> bool {
    let Some(affinity) = &spec.affinity else { return false };
    let (near, far) = (affinity.pod_affinity.as_ref(), affinity.pod_anti_affinity.as_ref());
    let required = near.and_then(|near| near.required_during_scheduling_ignored_during_execution.as_ref());
    let preferred = near.and_then(|near| near.preferred_during_scheduling_ignored_during_execution.as_ref());
    let far_required = far.and_then(|far| far.required_during_scheduling_ignored_during_execution.as_ref());
    let far_preferred = far.and_then(|far| far.preferred_during_scheduling_ignored_during_execution.as_ref());
    let all = [required, far_required].into_iter().flatten().flatten();
    let weighted = [preferred, far_preferred].into_iter().flatten().flatten().map(|one| &one.pod_affinity_term);
    let out = |term: &PodAffinityTerm| {
        term.namespaces.as_ref().is_some_and(|names| !names.is_empty()) || term.namespace_selector.is_some()
    };
    all.chain(weighted).any(out)
}

/// A claim is of the attributes that it wants, that it has, and that it is being given.
fn has_claim(scope: &Scope<'_>, claim: &Object) -> bool {
    let names = [
        claim.str_at(&["spec", "volumeAttributesClassName"]),
        claim.str_at(&["status", "currentVolumeAttributesClassName"]),
        claim.str_at(&["status", "modifyVolumeStatus", "targetVolumeAttributesClassName"]),
    ];
    let mut said = names.into_iter().filter(|name| !name.is_empty()).peekable();
    let is_none = said.peek().is_none();
    scope.name == "VolumeAttributesClass" && (said.any(|name| scope.admits(name)) || (is_none && scope.admits("")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_is_of_its_scopes() {
        let check = |scopes: Value, selector: Value, spec: Value, expected: bool| {
            let object = |value: Value| Object(value.as_object().unwrap().clone());
            let quota = object(json!({"spec": {"scopes": scopes, "scopeSelector": {"matchExpressions": selector}}}));
            let pod = object(json!({"spec": spec}));
            assert_eq!(selects(&quota, Resource { group: "", plural: "pods" }, &pod), expected, "{quota:?} {pod:?}");
            // Whatever else there is has no scopes.
            let secrets = Resource { group: "", plural: "secrets" };
            assert_eq!(selects(&quota, secrets, &pod), !is_scoped(&quota));
        };
        let plain = json!({"containers": [{"name": "c"}]});
        let asking = json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]});
        check(json!([]), json!([]), plain.clone(), true);
        check(json!(["BestEffort"]), json!([]), plain.clone(), true);
        check(json!(["BestEffort"]), json!([]), asking.clone(), false);
        check(json!(["NotBestEffort", "NotTerminating"]), json!([]), asking, true);
        let high = json!([{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]);
        check(json!([]), high.clone(), plain.clone(), false);
        check(json!([]), high, json!({"priorityClassName": "high", "containers": []}), true);
        let any = json!([{"scopeName": "PriorityClass", "operator": "Exists"}]);
        check(json!([]), any, json!({"priorityClassName": "low", "containers": []}), true);
        let term = json!({"topologyKey": "zone", "namespaces": ["other"]});
        let affinity = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}});
        check(json!(["CrossNamespacePodAffinity"]), json!([]), json!({"containers": [], "affinity": affinity}), true);
        check(json!(["CrossNamespacePodAffinity"]), json!([]), plain, false);
    }
}
