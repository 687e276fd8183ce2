//! LimitRanges (`pkg/apis/core/validation`, `pkg/apis/core/v1/defaults.go`).

use std::collections::BTreeSet;

use serde_json::Map;

use crate::at::{self, At};
use crate::check::Checks;
use crate::kinds::ruled::Ruled;
use crate::names;
use crate::object::Object;
use crate::quantity::Quantity;

/// LimitRanges.
pub const LIMIT_RANGE: Ruled = Ruled::new().filled(fill).checked(check);

const RATIO: &str = "maxLimitRequestRatio";
const LISTS: [&str; 5] = ["max", "min", "default", "defaultRequest", RATIO];
const TYPES: [&str; 3] = ["Pod", "Container", "PersistentVolumeClaim"];

/// A container gets at most `max` and asks for what it gets, or at least for `min`.
fn fill(range: &mut Object) {
    for limit in at::items_mut(at::at_mut(range, &["spec", "limits"])) {
        for list in LISTS {
            limit.get_mut(list).into_iter().for_each(at::canonical_quantities);
        }
        if limit["type"] != "Container" {
            continue;
        }
        for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
            for (name, amount) in limit[from].as_object().cloned().into_iter().flatten() {
                at::default_in(limit, to, Map::new());
                at::default_in(&mut limit[to], &name, amount);
            }
        }
    }
}

fn check(range: &Object, checks: &mut Checks) {
    let mut types = BTreeSet::new();
    for limit in At::of(range, "spec").get("limits").items() {
        let type_ = limit.get("type");
        checks.follows(&type_.path, type_.text(), names::qualified_name);
        if !type_.text().contains('/') && !TYPES.contains(&type_.text()) {
            type_.invalid("must be a standard limit type or fully qualified", checks);
        }
        if !types.insert(type_.text()) {
            type_.duplicate(checks);
        }
        check_names(&limit, checks);
        if type_.text() == "PersistentVolumeClaim"
            && !["min", "max"].iter().any(|list| limit.get(list).get("storage").is_set())
        {
            let detail = "either minimum or maximum storage value is required, but neither was provided";
            limit.get("limits").required(detail, checks);
        }
        let names: BTreeSet<_> =
            LISTS.iter().flat_map(|list| limit.get(list).entries()).map(|(name, _)| name).collect();
        names.into_iter().for_each(|name| check_order(&limit, name, checks));
    }
}

fn check_names(limit: &At<'_>, checks: &mut Checks) {
    let type_ = limit.get("type").text();
    for list in LISTS.map(|list| limit.get(list)) {
        let is_default = list.path.to_string().contains("].default");
        if type_ == "Pod" && is_default {
            if !list.is_empty() {
                list.forbidden("may not be specified when `type` is 'Pod'", checks);
            }
            continue;
        }
        for (name, amount) in list.entries() {
            check_name(&amount, name, type_, checks);
            if let Some(Err(error)) = amount.quantity() {
                amount.invalid(&error.to_string(), checks);
            }
        }
    }
}

fn check_name(amount: &At<'_>, name: &str, type_: &str, checks: &mut Checks) {
    let problems = names::qualified_name(name);
    problems.iter().for_each(|problem| checks.invalid(&amount.path, name, problem));
    if !problems.is_empty() || name.contains('/') {
        return;
    }
    let of_container = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    if !of_container && !matches!(name, "pods" | "services" | "storage") {
        checks.invalid(&amount.path, name, "must be a standard resource type or fully qualified");
    }
    if matches!(type_, "Pod" | "Container") && !of_container {
        checks.invalid(&amount.path, name, "must be a standard resource for containers");
    }
}

/// min <= defaultRequest <= default <= max, of those that there are.
fn check_order(limit: &At<'_>, name: &str, checks: &mut Checks) {
    // What is less, what is more, where it is told, whose value is told, and what the two are called.
    const ORDER: [(&str, &str, &str, &str, &str, &str); 6] = [
        ("min", "max", "min", "min", "min", "max"),
        ("min", "defaultRequest", "defaultRequest", "defaultRequest", "min", "default request"),
        ("defaultRequest", "max", "defaultRequest", "defaultRequest", "default request", "max"),
        ("defaultRequest", "default", "defaultRequest", "defaultRequest", "default request", "default limit"),
        ("min", "default", "default", "min", "min", "default"),
        ("default", "max", "default", "max", "default", "max"),
    ];
    let amount = |list: &str| limit.get(list).get(name).quantity().and_then(Result::ok);
    let tell = |list: &str, value: &str, detail: &str, checks: &mut Checks| {
        checks.invalid(&limit.get(list).path.key(name), limit.get(value).get(name).value, detail);
    };
    for (less, more, told, value, low, high) in ORDER {
        let (Some(a), Some(b)) = (amount(less), amount(more)) else { continue };
        if a > b {
            tell(told, value, &format!("{low} value {a} is greater than {high} value {b}"), checks);
        }
    }
    // What cannot be shared out twice is asked for in full.
    let shared = !name.starts_with("hugepages-") && (!name.contains('/') || name.contains("kubernetes.io/"));
    if let (Some(request), Some(limit)) = (amount("defaultRequest"), amount("default"))
        && !shared
        && request != limit
    {
        let detail = format!("default value {limit} must equal to defaultRequest value {request} in {name}");
        tell("defaultRequest", "defaultRequest", &detail, checks);
    }
    let Some(ratio) = amount(RATIO) else { return };
    if ratio < Quantity::from_units(1) {
        tell(RATIO, RATIO, &format!("ratio {ratio} is less than 1"), checks);
    }
    if let (Some(min), Some(max)) = (amount("min"), amount("max")) {
        let most = max.approximately() / min.approximately();
        if ratio.approximately() > most {
            tell(RATIO, RATIO, &format!("ratio {ratio} is greater than max/min = {most:.6}"), checks);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::fixture::{create_errors, created};

    fn range(limit: &str) -> String {
        format!("{{metadata: {{name: r, namespace: n}}, spec: {{limits: [{limit}]}}}}")
    }

    #[test]
    fn a_container_gets_what_it_may() {
        let made = created(&LIMIT_RANGE, &range("{type: Container, max: {cpu: 2}, min: {memory: 1024Ki}}"));
        let limit = &made.0["spec"]["limits"][0];
        assert_eq!(limit["default"], json!({"cpu": "2"}));
        assert_eq!(limit["defaultRequest"], json!({"cpu": "2", "memory": "1Mi"}));
        let pod = created(&LIMIT_RANGE, &range("{type: Pod, max: {cpu: 2}}"));
        assert!(pod.0["spec"]["limits"][0].get("default").is_none());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (limit, expected) in [
            (
                "{type: Node}",
                vec!["spec.limits[0].type: Invalid value: \"Node\": must be a standard limit type or fully qualified"],
            ),
            ("{type: Pod}, {type: Pod}", vec!["spec.limits[1].type: Duplicate value: \"Pod\""]),
            (
                "{type: Pod, default: {cpu: 1}}",
                vec!["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"],
            ),
            (
                "{type: Pod, min: {cpu: 3}, max: {cpu: 2}}",
                vec!["spec.limits[0].min[cpu]: Invalid value: \"3\": min value 3 is greater than max value 2"],
            ),
            (
                "{type: Container, max: {cpu: 2}, default: {cpu: 1}, defaultRequest: {cpu: 1500m}}",
                vec![
                    "spec.limits[0].defaultRequest[cpu]: Invalid value: \"1500m\": default request value 1500m is greater than default limit value 1",
                ],
            ),
            (
                "{type: Container, default: {cpu: 3}, defaultRequest: {cpu: 1}, max: {cpu: 2}}",
                vec!["spec.limits[0].default[cpu]: Invalid value: \"2\": default value 3 is greater than max value 2"],
            ),
            (
                "{type: Pod, maxLimitRequestRatio: {cpu: 500m}}",
                vec!["spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is less than 1"],
            ),
            (
                "{type: Pod, min: {cpu: 1}, max: {cpu: 2}, maxLimitRequestRatio: {cpu: 3}}",
                vec![
                    "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"3\": ratio 3 is greater than max/min = 2.000000",
                ],
            ),
            (
                "{type: PersistentVolumeClaim}",
                vec![
                    "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided",
                ],
            ),
            (
                "{type: Pod, max: {disk: 1}}",
                vec![
                    "spec.limits[0].max[disk]: Invalid value: \"disk\": must be a standard resource type or fully qualified",
                    "spec.limits[0].max[disk]: Invalid value: \"disk\": must be a standard resource for containers",
                ],
            ),
        ] {
            assert_eq!(create_errors(&LIMIT_RANGE, &range(limit)), expected, "{limit}");
        }
    }
}
