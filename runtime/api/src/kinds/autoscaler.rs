//! HorizontalPodAutoscalers (`pkg/apis/autoscaling/validation`, `pkg/apis/autoscaling/v2/defaults.go`).

use serde_json::{Value, json};

use crate::at::At;
use crate::cells;
use crate::check::Checks;
use crate::kinds::ruled::{Ruled, default};
use crate::names;
use crate::object::Object;

/// HorizontalPodAutoscalers.
pub const HORIZONTAL_POD_AUTOSCALER: Ruled = Ruled::printed(cells::autoscaler)
    .filled(fill)
    .created(|autoscaler, checks| check_least(&At::of(autoscaler, "spec"), 1, checks))
    .checked(check)
    .updated(|new, old, checks| {
        // What was let down to none may stay there.
        let was_none = At::of(old, "spec").get("minReplicas").int() == Some(0);
        check_least(&At::of(new, "spec"), i64::from(!was_none), checks);
    })
    .status(|new, _, checks| {
        At::of(new, "status").all_non_negative(&["currentReplicas", "desiredReplicas"], checks);
    });

/// In seconds.
const MAX_WINDOW: i64 = 3600;
/// In seconds.
const MAX_PERIOD: i64 = 1800;
/// The types of metrics, and where each is told.
const SOURCES: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];
const TYPES: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];

fn fill(autoscaler: &mut Object) {
    default(autoscaler, &["spec", "minReplicas"], 1);
    let processor = json!({"type": "Resource", "resource": {"name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 80}}});
    default(autoscaler, &["spec", "metrics"], vec![processor]);
    if autoscaler.at(&["spec", "behavior"]).is_some_and(Value::is_object) {
        let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
        let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
        default(autoscaler, &["spec", "behavior", "scaleUp", "stabilizationWindowSeconds"], 0);
        for (direction, policies) in [("scaleUp", vec![pods, percent.clone()]), ("scaleDown", vec![percent])] {
            default(autoscaler, &["spec", "behavior", direction, "selectPolicy"], "Max");
            default(autoscaler, &["spec", "behavior", direction, "policies"], policies);
        }
    }
}

fn check_least(spec: &At<'_>, bound: i64, checks: &mut Checks) {
    let least = spec.get("minReplicas");
    if least.int().is_some_and(|least| least < bound) {
        least.invalid(&format!("must be greater than or equal to {bound}"), checks);
    }
}

fn check(autoscaler: &Object, checks: &mut Checks) {
    let spec = At::of(autoscaler, "spec");
    let (least, most) = (spec.get("minReplicas"), spec.get("maxReplicas"));
    let wanted = most.int().unwrap_or(0);
    if wanted < 1 {
        checks.invalid(&most.path, wanted, "must be greater than 0");
    }
    if least.int().is_some_and(|least| wanted < least) {
        checks.invalid(&most.path, wanted, "must be greater than or equal to `minReplicas`");
    }
    check_reference(&spec.get("scaleTargetRef"), checks);
    let metrics = spec.get("metrics");
    metrics.items().for_each(|metric| check_metric(&metric, checks));
    let tells_of_load = |metric: At<'_>| matches!(metric.get("type").text(), "Object" | "External");
    if least.int() == Some(0) && !metrics.items().any(tells_of_load) {
        let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
        metrics.forbidden(detail, checks);
    }
    for direction in ["scaleUp", "scaleDown"] {
        let rules = spec.get("behavior").get(direction);
        if rules.is_set() {
            check_rules(&rules, checks);
        }
    }
}

fn check_reference(at: &At<'_>, checks: &mut Checks) {
    at.get("kind").named(names::path_segment, checks);
    at.get("name").named(names::path_segment, checks);
}

fn check_rules(rules: &At<'_>, checks: &mut Checks) {
    let window = rules.get("stabilizationWindowSeconds");
    if window.int() < Some(0) && window.is_set() {
        window.invalid("must be greater than or equal to zero", checks);
    }
    if window.int() > Some(MAX_WINDOW) {
        window.invalid(&format!("must be less than or equal to {MAX_WINDOW}"), checks);
    }
    rules.get("selectPolicy").maybe_one_of(&["Disabled", "Max", "Min"], checks);
    let policies = rules.get("policies");
    if policies.is_empty() {
        policies.required("must specify at least one Policy", checks);
    }
    for policy in policies.items() {
        if !["Pods", "Percent"].contains(&policy.get("type").text()) {
            policy.get("type").unsupported(&["Percent", "Pods"], checks);
        }
        for at in ["value", "periodSeconds"].map(|field| policy.get(field)) {
            if at.int().unwrap_or(0) <= 0 {
                checks.invalid(&at.path, at.int().unwrap_or(0), "must be greater than zero");
            }
        }
        if policy.get("periodSeconds").int() > Some(MAX_PERIOD) {
            policy.get("periodSeconds").invalid(&format!("must be less than or equal to {MAX_PERIOD}"), checks);
        }
    }
    let tolerance = rules.get("tolerance");
    if tolerance.quantity().is_some_and(|amount| amount.is_ok_and(|amount| amount.is_negative())) {
        tolerance.invalid("must be greater than or equal to 0", checks);
    }
}

fn check_metric(metric: &At<'_>, checks: &mut Checks) {
    let type_ = metric.get("type");
    if type_.is_empty() {
        type_.required("must specify a metric source type", checks);
    }
    let expected = SOURCES.iter().find(|(name, _)| *name == type_.text());
    let mut present = SOURCES.iter().filter(|(_, field)| metric.get(field).is_set());
    if let Some((_, field)) = present.next() {
        check_source(field, &metric.get(field), checks);
    }
    match expected {
        Some((_, field)) if !metric.get(field).is_set() => {
            metric.get(field).required("must populate information for the given metric source", checks);
        }
        Some(_) => {}
        None => checks.push(crate::field::Error::not_supported(&type_.path, type_.text(), &TYPES)),
    }
    let others = SOURCES.iter().filter(|source| expected != Some(source) && metric.get(source.1).is_set());
    if SOURCES.iter().filter(|(_, field)| metric.get(field).is_set()).count() > 1 {
        for (_, field) in others {
            metric.get(field).forbidden("must populate the given metric source only", checks);
        }
    }
}

fn check_source(field: &str, at: &At<'_>, checks: &mut Checks) {
    let target = at.get("target");
    let set = |field: &str| target.get(field).is_set();
    if field == "object" {
        check_reference(&at.get("describedObject"), checks);
    }
    if matches!(field, "object" | "external" | "pods") {
        let name = at.get("metric").get("name");
        if name.is_empty() {
            name.required("must specify a metric name", checks);
        }
        checks.follows(&name.path, name.text(), names::path_segment);
    } else if at.get("name").is_empty() {
        at.get("name").required("must specify a resource name", checks);
    }
    if field == "containerResource" {
        let container = at.get("container");
        if container.is_empty() {
            container.required("must specify a container", checks);
        }
        container.maybe_named(names::dns1123_label, checks);
    }
    check_target(&target, checks);
    let missing = |field: &str, detail: &str, checks: &mut Checks| target.get(field).required(detail, checks);
    match field {
        "object" if !set("value") && !set("averageValue") => {
            missing("averageValue", "must set either a target value or averageValue", checks);
        }
        "external" if !set("value") && !set("averageValue") => {
            missing("averageValue", "must set either a target value for metric or a per-pod target", checks);
        }
        "external" if set("value") && set("averageValue") => {
            let detail = "may not set both a target value for metric and a per-pod target";
            target.get("value").forbidden(detail, checks);
        }
        "pods" if !set("averageValue") => {
            missing("averageValue", "must specify a positive target averageValue", checks);
        }
        "resource" | "containerResource" if !set("averageUtilization") && !set("averageValue") => {
            let detail = "must set either a target raw value or a target utilization";
            missing("averageUtilization", detail, checks);
        }
        "resource" | "containerResource" if set("averageUtilization") && set("averageValue") => {
            let detail = "may not set both a target raw value and a target utilization";
            target.get("averageValue").forbidden(detail, checks);
        }
        _ => {}
    }
}

fn check_target(target: &At<'_>, checks: &mut Checks) {
    let type_ = target.get("type");
    if type_.is_empty() {
        type_.required("must specify a metric target type", checks);
    }
    if !["Utilization", "Value", "AverageValue"].contains(&type_.text()) {
        checks.invalid(&type_.path, type_.text(), "must be either Utilization, Value, or AverageValue");
    }
    for amount in ["value", "averageValue"].map(|field| target.get(field)) {
        match amount.quantity() {
            Some(Ok(quantity)) if quantity.is_negative() || quantity.is_zero() => {
                amount.invalid("must be positive", checks);
            }
            Some(Err(error)) => amount.invalid(&error.to_string(), checks),
            _ => {}
        }
    }
    let utilization = target.get("averageUtilization");
    if utilization.int().is_some_and(|percent| percent < 1) {
        utilization.invalid("must be greater than 0", checks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created};

    #[test]
    fn what_does_not_fit_is_named() {
        let autoscaler = |rest: &str| {
            format!(
                "{{metadata: {{name: a, namespace: n}}, spec: {{scaleTargetRef: {{kind: Deployment, name: d}}, {rest}}}}}"
            )
        };
        let metric = |metric: &str| autoscaler(&format!("maxReplicas: 2, metrics: [{metric}]"));
        assert_eq!(
            created(&HORIZONTAL_POD_AUTOSCALER, &autoscaler("maxReplicas: 2")).at(&["spec", "minReplicas"]),
            Some(&json!(1))
        );
        for (yaml, expected) in [
            (
                autoscaler("minReplicas: 0, maxReplicas: 2"),
                vec![
                    "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
                    "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas",
                ],
            ),
            (
                autoscaler("minReplicas: 3, maxReplicas: 2"),
                vec!["spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`"],
            ),
            (
                autoscaler("maxReplicas: 0"),
                vec![
                    "spec.maxReplicas: Invalid value: 0: must be greater than 0",
                    "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
                ],
            ),
            (
                autoscaler("maxReplicas: 2").replace("kind: Deployment, ", ""),
                vec!["spec.scaleTargetRef.kind: Required value"],
            ),
            (
                metric("{type: Resource}"),
                vec!["spec.metrics[0].resource: Required value: must populate information for the given metric source"],
            ),
            (
                metric("{type: Resource, resource: {name: cpu, target: {type: Utilization}}}"),
                vec![
                    "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization",
                ],
            ),
            (
                metric("{type: Resource, resource: {name: cpu, target: {type: Much, averageUtilization: 0}}}"),
                vec![
                    "spec.metrics[0].resource.target.type: Invalid value: \"Much\": must be either Utilization, Value, or AverageValue",
                    "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
                ],
            ),
            (
                metric("{type: Pods, pods: {metric: {}, target: {type: AverageValue, averageValue: 0}}}"),
                vec![
                    "spec.metrics[0].pods.metric.name: Required value: must specify a metric name",
                    "spec.metrics[0].pods.target.averageValue: Invalid value: 0: must be positive",
                ],
            ),
            (
                metric(
                    "{type: Pods, pods: {metric: {name: m}, target: {type: AverageValue, averageValue: 1}}, resource: {name: cpu}}",
                ),
                vec!["spec.metrics[0].resource: Forbidden: must populate the given metric source only"],
            ),
            (
                autoscaler(
                    "maxReplicas: 2, behavior: {scaleUp: {stabilizationWindowSeconds: 3601, selectPolicy: Any}}",
                ),
                vec![
                    "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
                    "spec.behavior.scaleUp.selectPolicy: Unsupported value: \"Any\": supported values: \"Disabled\", \"Max\", \"Min\"",
                ],
            ),
            (
                autoscaler(
                    "maxReplicas: 2, behavior: {scaleDown: {policies: [{type: Pods, value: 0, periodSeconds: 1801}]}}",
                ),
                vec![
                    "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero",
                    "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
                ],
            ),
        ] {
            assert_eq!(create_errors(&HORIZONTAL_POD_AUTOSCALER, &yaml), expected, "{yaml}");
        }
    }
}
