//! Where a pod may go: node selector, affinity, tolerations, topology spread.

use k8s_openapi::api::core::v1::{
    NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, PodSpec, Toleration,
    TopologySpreadConstraint, WeightedPodAffinityTerm,
};

use crate::check::{Checks, text};
use crate::field::{Error, Path};
use crate::names;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// What is wrong with where a pod is to go.
pub(super) fn check(path: &Path, spec: &PodSpec, checks: &mut Checks) {
    checks.labels(&path.child("nodeSelector"), spec.node_selector.as_ref());
    check_affinity(&path.child("affinity"), spec, checks);
    check_tolerations(&path.child("tolerations"), spec.tolerations.as_deref().unwrap_or_default(), checks);
    for (index, constraint) in spec.topology_spread_constraints.iter().flatten().enumerate() {
        check_spread(&path.child("topologySpreadConstraints").index(index), constraint, checks);
    }
}

fn check_affinity(path: &Path, spec: &PodSpec, checks: &mut Checks) {
    let Some(affinity) = &spec.affinity else { return };
    if let Some(node) = &affinity.node_affinity {
        let path = path.child("nodeAffinity");
        if let Some(selector) = &node.required_during_scheduling_ignored_during_execution {
            check_node_selector(&path.child(REQUIRED), selector, checks);
        }
        let preferred = node.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        for (index, term) in preferred.enumerate() {
            let path = path.child(PREFERRED).index(index);
            check_weight(&path, term.weight, checks);
            check_term(&path.child("preference"), &term.preference, Values::Any, checks);
        }
    }
    if let Some(pods) = &affinity.pod_affinity {
        let (required, preferred) = (
            pods.required_during_scheduling_ignored_during_execution.as_deref(),
            pods.preferred_during_scheduling_ignored_during_execution.as_deref(),
        );
        check_pod_terms(&path.child("podAffinity"), required, preferred, checks);
    }
    if let Some(pods) = &affinity.pod_anti_affinity {
        let (required, preferred) = (
            pods.required_during_scheduling_ignored_during_execution.as_deref(),
            pods.preferred_during_scheduling_ignored_during_execution.as_deref(),
        );
        check_pod_terms(&path.child("podAntiAffinity"), required, preferred, checks);
    }
}

fn check_weight(path: &Path, weight: i32, checks: &mut Checks) {
    if !(1..=100).contains(&weight) {
        checks.invalid(&path.child("weight"), weight, "must be in the range 1-100");
    }
}

/// Whether the values of a requirement must be label values. Upstream lets a preference's be
/// anything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    Labels,
    Any,
}

/// What is wrong with a selector of nodes.
pub(crate) fn check_node_selector(path: &Path, selector: &NodeSelector, checks: &mut Checks) {
    let path = path.child("nodeSelectorTerms");
    if selector.node_selector_terms.is_empty() {
        checks.push(Error::required(&path, "must have at least one node selector term"));
    }
    for (index, term) in selector.node_selector_terms.iter().enumerate() {
        check_term(&path.index(index), term, Values::Labels, checks);
    }
}

fn check_term(path: &Path, term: &NodeSelectorTerm, values: Values, checks: &mut Checks) {
    for (index, requirement) in term.match_expressions.iter().flatten().enumerate() {
        check_requirement(&path.child("matchExpressions").index(index), requirement, values, checks);
    }
    for (index, requirement) in term.match_fields.iter().flatten().enumerate() {
        check_field_requirement(&path.child("matchFields").index(index), requirement, checks);
    }
}

fn check_requirement(path: &Path, requirement: &NodeSelectorRequirement, kind: Values, checks: &mut Checks) {
    let values = requirement.values.as_deref().unwrap_or_default();
    match requirement.operator.as_str() {
        "Gt" | "Lt" if values.len() != 1 => {
            let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
            checks.push(Error::required(&path.child("values"), detail));
        }
        "Gt" | "Lt" => {}
        operator => checks.set_operator(path, operator, values),
    }
    checks.follows(&path.child("key"), &requirement.key, names::qualified_name);
    for (index, value) in values.iter().enumerate().filter(|_| kind == Values::Labels) {
        checks.follows(&path.child("values").index(index), value, names::label_value);
    }
}

fn check_field_requirement(path: &Path, requirement: &NodeSelectorRequirement, checks: &mut Checks) {
    let values = requirement.values.as_deref().unwrap_or_default();
    match requirement.operator.as_str() {
        "In" | "NotIn" if values.len() != 1 => {
            let detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            checks.push(Error::required(&path.child("values"), detail));
        }
        "In" | "NotIn" => {}
        operator => checks.invalid(&path.child("operator"), operator, "not a valid selector operator"),
    }
    if requirement.key != "metadata.name" {
        return checks.invalid(&path.child("key"), &requirement.key, "not a valid field selector key");
    }
    for (index, value) in values.iter().enumerate() {
        checks.follows(&path.child("values").index(index), value, names::dns1123_subdomain);
    }
}

fn check_pod_terms(
    path: &Path,
    required: Option<&[PodAffinityTerm]>,
    preferred: Option<&[WeightedPodAffinityTerm]>,
    checks: &mut Checks,
) {
    for (index, term) in required.into_iter().flatten().enumerate() {
        check_pod_term(&path.child(REQUIRED).index(index), term, checks);
    }
    for (index, term) in preferred.into_iter().flatten().enumerate() {
        let path = path.child(PREFERRED).index(index);
        check_weight(&path, term.weight, checks);
        check_pod_term(&path.child("podAffinityTerm"), &term.pod_affinity_term, checks);
    }
}

fn check_pod_term(path: &Path, term: &PodAffinityTerm, checks: &mut Checks) {
    if let Some(selector) = &term.label_selector {
        checks.label_selector(&path.child("labelSelector"), selector);
    }
    if let Some(selector) = &term.namespace_selector {
        checks.label_selector(&path.child("namespaceSelector"), selector);
    }
    for namespace in term.namespaces.iter().flatten() {
        checks.follows(&path.child("namespace"), namespace, names::dns1123_label);
    }
    if term.topology_key.is_empty() {
        checks.push(Error::required(&path.child("topologyKey"), "can not be empty"));
    }
    checks.follows(&path.child("topologyKey"), &term.topology_key, names::qualified_name);
}

/// What is wrong with tolerations.
pub(crate) fn check_tolerations(path: &Path, tolerations: &[Toleration], checks: &mut Checks) {
    for (index, toleration) in tolerations.iter().enumerate() {
        let path = path.index(index);
        let (key, operator) = (text(&toleration.key), text(&toleration.operator));
        checks.maybe_named(&path.child("key"), key, names::qualified_name);
        if key.is_empty() && operator != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            checks.invalid(&path.child("operator"), operator, detail);
        }
        let effect = text(&toleration.effect);
        if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            checks.invalid(&path.child("effect"), effect, detail);
        }
        check_toleration_value(&path.child("operator"), operator, text(&toleration.value), checks);
        if !effect.is_empty() {
            check_taint_effect(&path.child("effect"), effect, checks);
        }
    }
}

fn check_toleration_value(path: &Path, operator: &str, value: &str, checks: &mut Checks) {
    match operator {
        "Equal" | "" => {
            let problems = names::label_value(value);
            if !problems.is_empty() {
                checks.invalid(path, value, &problems.join(";"));
            }
        }
        "Exists" if value.is_empty() => {}
        "Exists" => checks.invalid(path, value, "value must be empty when `operator` is 'Exists'"),
        _ => checks.push(Error::not_supported(path, operator, &["Equal", "Exists"])),
    }
}

/// What is wrong with the effect of a taint, or with that of a toleration that names one.
pub(crate) fn check_taint_effect(path: &Path, effect: &str, checks: &mut Checks) {
    checks.one_of(path, effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
}

fn check_spread(path: &Path, constraint: &TopologySpreadConstraint, checks: &mut Checks) {
    if constraint.max_skew <= 0 {
        checks.invalid(&path.child("maxSkew"), constraint.max_skew, "must be greater than zero");
    }
    if constraint.topology_key.is_empty() {
        checks.push(Error::required(&path.child("topologyKey"), "can not be empty"));
    } else {
        checks.follows(&path.child("topologyKey"), &constraint.topology_key, names::qualified_name);
    }
    let unsatisfiable = ["DoNotSchedule", "ScheduleAnyway"];
    if !unsatisfiable.contains(&constraint.when_unsatisfiable.as_str()) {
        let path = path.child("whenUnsatisfiable");
        checks.push(Error::not_supported(&path, &constraint.when_unsatisfiable, &unsatisfiable));
    }
    if let Some(domains) = constraint.min_domains {
        let path = path.child("minDomains");
        if domains <= 0 {
            checks.invalid(&path, domains, "must be greater than zero");
        }
        if constraint.when_unsatisfiable != "DoNotSchedule" {
            let detail = "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway";
            checks.invalid(&path, domains, detail);
        }
    }
    for (field, policy) in
        [("nodeAffinityPolicy", &constraint.node_affinity_policy), ("nodeTaintsPolicy", &constraint.node_taints_policy)]
    {
        if policy.is_some() {
            checks.one_of(&path.child(field), text(policy), &["Honor", "Ignore"]);
        }
    }
    if let Some(selector) = &constraint.label_selector {
        checks.label_selector(&path.child("labelSelector"), selector);
    }
}
