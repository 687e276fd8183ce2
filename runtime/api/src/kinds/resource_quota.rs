//! ResourceQuotas (`pkg/apis/core/validation`).

use crate::at::{self, At};
use crate::cells;
use crate::check::Checks;
use crate::kinds::ruled::Ruled;
use crate::names;

/// ResourceQuotas.
pub const RESOURCE_QUOTA: Ruled = Ruled::printed(cells::resource_quota)
    .filled(|quota| at::at_mut(quota, &["spec", "hard"]).into_iter().for_each(at::canonical_quantities))
    .checked(|quota, checks| {
        let spec = At::of(quota, "spec");
        check_amounts(&spec.get("hard"), checks);
        check_scopes(&spec, checks);
        check_selector(&spec, checks);
    })
    .updated(|new, old, checks| {
        At::of(new, "spec").all_immutable(&At::of(old, "spec"), &["scopes"], checks);
    })
    .status(|new, _, checks| {
        for list in ["hard", "used"] {
            check_amounts(&At::of(new, "status").get(list), checks);
        }
    });

/// Amounts of which pods need some; they may have a fraction.
const COMPUTE: [&str; 9] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];
/// Things that are counted.
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];
const OPPOSITES: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];

fn is_standard(name: &str) -> bool {
    COMPUTE.contains(&name)
        || COUNTED.contains(&name)
        || name == "requests.storage"
        || name.trim_start_matches("requests.").starts_with("hugepages-")
}

/// The names of resources, and how much of each there is.
fn check_amounts(amounts: &At<'_>, checks: &mut Checks) {
    for (name, amount) in amounts.entries() {
        let problems = names::qualified_name(name);
        problems.iter().for_each(|problem| checks.invalid(&amount.path, name, problem));
        if problems.is_empty() && !name.contains('/') && !is_standard(name) {
            if name != "storage" {
                checks.invalid(&amount.path, name, "must be a standard resource type or fully qualified");
            }
            checks.invalid(&amount.path, name, "must be a standard resource for quota");
        }
        match amount.quantity() {
            Some(Ok(quantity)) => {
                if quantity.is_negative() {
                    amount.invalid("must be greater than or equal to 0", checks);
                }
                let whole = COUNTED.contains(&name) || name.contains('/') && !name.contains("kubernetes.io/");
                if whole && !quantity.is_whole() {
                    amount.invalid("must be an integer", checks);
                }
            }
            Some(Err(error)) => amount.invalid(&error.to_string(), checks),
            None => {}
        }
    }
}

/// Whether a scope can tell apart what is counted under `name`.
fn applies(scope: &str, name: &str) -> bool {
    match scope {
        "BestEffort" => name == "pods",
        "VolumeAttributesClass" => matches!(name, "persistentvolumeclaims" | "requests.storage"),
        scope if SCOPES.contains(&scope) => name == "pods" || COMPUTE.contains(&name),
        _ => true,
    }
}

fn applies_to_all(scope: &str, spec: &At<'_>) -> bool {
    spec.get("hard").entries().all(|(name, _)| !is_standard(name) || applies(scope, name))
}

fn check_scopes(spec: &At<'_>, checks: &mut Checks) {
    let scopes = spec.get("scopes");
    for scope in scopes.items() {
        if !SCOPES.contains(&scope.text()) {
            scopes.invalid("unsupported scope", checks);
        }
        if !applies_to_all(scope.text(), spec) {
            scopes.invalid("unsupported scope applied to resource", checks);
        }
    }
    if OPPOSITES.iter().any(|pair| pair.iter().all(|scope| scopes.has(scope))) {
        scopes.invalid("conflicting scopes", checks);
    }
}

fn check_selector(spec: &At<'_>, checks: &mut Checks) {
    let selector = spec.get("scopeSelector");
    let at = selector.get("matchExpressions");
    for expression in at.items() {
        let (scope, operator) = (expression.get("scopeName"), expression.get("operator"));
        // Upstream tells of each at the list.
        let path = |field: &str| at.path.child(field);
        if !SCOPES.contains(&scope.text()) {
            checks.invalid(&path("scopeName"), scope.text(), "unsupported scope");
        }
        if !applies_to_all(scope.text(), spec) {
            checks.invalid(&at.path, selector.value, "unsupported scope applied to resource");
        }
        let has_values = matches!(scope.text(), "PriorityClass" | "VolumeAttributesClass");
        if SCOPES.contains(&scope.text()) && !has_values && operator.text() != "Exists" {
            let detail = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
            checks.invalid(&path("operator"), operator.text(), detail);
        }
        let values = expression.get("values");
        match operator.text() {
            "In" | "NotIn" if values.is_empty() => {
                let detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                checks.push(crate::field::Error::required(&path("values"), detail));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                checks.invalid(&path("values"), values.value, detail);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => checks.invalid(&path("operator"), other, "not a valid selector operator"),
        }
    }
    let has = |wanted: &&str| at.items().any(|expression| expression.get("scopeName").text() == *wanted);
    if OPPOSITES.iter().any(|pair| pair.iter().all(has)) {
        checks.invalid(&at.path, spec.get("scopes").value, "conflicting scopes");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::fixture::{create_errors, created, status_errors, update_errors};

    fn quota(spec: &str) -> String {
        format!("{{metadata: {{name: q, namespace: n}}, spec: {spec}}}")
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let made = created(&RESOURCE_QUOTA, &quota("{hard: {cpu: 1000m, pods: 5, count/deployments.apps: 2}}"));
        assert_eq!(made.at(&["spec", "hard"]), Some(&json!({"cpu": "1", "pods": "5", "count/deployments.apps": "2"})));
        for (spec, expected) in [
            (
                "{hard: {disks: 1}}",
                vec![
                    "spec.hard[disks]: Invalid value: \"disks\": must be a standard resource type or fully qualified",
                    "spec.hard[disks]: Invalid value: \"disks\": must be a standard resource for quota",
                ],
            ),
            ("{hard: {pods: -1}}", vec!["spec.hard[pods]: Invalid value: \"-1\": must be greater than or equal to 0"]),
            ("{hard: {pods: 1500m}}", vec!["spec.hard[pods]: Invalid value: \"1500m\": must be an integer"]),
            ("{scopes: [Old]}", vec!["spec.scopes: Invalid value: [\"Old\"]: unsupported scope"]),
            (
                "{hard: {services: 1}, scopes: [Terminating]}",
                vec!["spec.scopes: Invalid value: [\"Terminating\"]: unsupported scope applied to resource"],
            ),
            (
                "{scopes: [BestEffort, NotBestEffort]}",
                vec!["spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: conflicting scopes"],
            ),
            (
                "{scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In}]}}",
                vec![
                    "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
                ],
            ),
            (
                "{scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: Is}]}}",
                vec![
                    "spec.scopeSelector.matchExpressions.operator: Invalid value: \"Is\": not a valid selector operator",
                ],
            ),
        ] {
            assert_eq!(create_errors(&RESOURCE_QUOTA, &quota(spec)), expected, "{spec}");
        }
        let scoped = quota("{hard: {pods: 1}, scopes: [BestEffort]}");
        let found = update_errors(&RESOURCE_QUOTA, &scoped, |new| new.set(&["spec", "scopes"], json!(["Terminating"])));
        assert_eq!(found, ["spec.scopes: Invalid value: [\"Terminating\"]: field is immutable"]);
        let found = status_errors(&RESOURCE_QUOTA, &scoped, json!({"used": {"pods": "-1"}}));
        assert_eq!(found, ["status.used[pods]: Invalid value: \"-1\": must be greater than or equal to 0"]);
    }
}
