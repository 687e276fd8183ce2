//! When a job's failed pods fail it, and when some of its indexes are enough.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::Value;

use crate::at::At;
use crate::check::Checks;
use crate::field::Error;
use crate::names;

use super::indexes;

const MAX_RULES: usize = 20;
const MAX_PATTERNS: usize = 20;
const MAX_EXIT_CODES: usize = 255;
/// In bytes.
const MAX_INDEXES: usize = 64 * 1024;

/// What is wrong with the policies of a job.
pub(super) fn check(spec: &At<'_>, template: &PodTemplateSpec, checks: &mut Checks) {
    let (failure, success) = (spec.get("podFailurePolicy"), spec.get("successPolicy"));
    if failure.is_set() {
        failure.get("rules").at_most(MAX_RULES, checks);
        for rule in failure.get("rules").items() {
            check_failure(spec, &rule, template, checks);
        }
    }
    if success.is_set() && super::is_indexed(spec) {
        check_successes(spec, &success.get("rules"), checks);
    } else if success.is_set() {
        success.invalid("requires indexed completion mode", checks);
    }
    let allowed = if failure.is_set() { &["Failed"][..] } else { &["Failed", "TerminatingOrFailed"] };
    spec.get("podReplacementPolicy").maybe_one_of(allowed, checks);
}

/// There is a text, one of `supported`; upstream lists them when there is none.
fn one_of(at: &At<'_>, supported: &[&str], checks: &mut Checks) {
    if at.is_empty() {
        let quoted: Vec<_> = supported.iter().map(|value| format!("{value:?}")).collect();
        at.required(&format!("valid values: [{}]", quoted.join(" ")), checks);
    } else {
        at.maybe_one_of(supported, checks);
    }
}

fn check_failure(spec: &At<'_>, rule: &At<'_>, template: &PodTemplateSpec, checks: &mut Checks) {
    let action = rule.get("action");
    if action.text() != "FailIndex" {
        one_of(&action, &["Count", "FailIndex", "FailJob", "Ignore"], checks);
    } else if !spec.get("backoffLimitPerIndex").is_set() {
        action.invalid("requires the backoffLimitPerIndex to be set", checks);
    }
    let (codes, conditions) = (rule.get("onExitCodes"), rule.get("onPodConditions"));
    if codes.is_set() {
        check_exit_codes(&codes, template, checks);
    }
    conditions.at_most(MAX_PATTERNS, checks);
    for pattern in conditions.items() {
        checks.follows(&pattern.get("type").path, pattern.get("type").text(), names::qualified_name);
        one_of(&pattern.get("status"), &["False", "True", "Unknown"], checks);
    }
    let detail = match (codes.is_set(), !conditions.is_empty()) {
        (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return,
    };
    checks.push(Error::invalid_whole(&rule.path, detail));
}

fn check_exit_codes(codes: &At<'_>, template: &PodTemplateSpec, checks: &mut Checks) {
    one_of(&codes.get("operator"), &["In", "NotIn"], checks);
    let name = codes.get("containerName");
    let pod = template.spec.as_ref();
    let mut containers =
        pod.into_iter().flat_map(|pod| pod.containers.iter().chain(pod.init_containers.iter().flatten()));
    if name.is_set() && !containers.any(|container| container.name == name.text()) {
        name.invalid("must be one of the container or initContainer names in the pod template", checks);
    }
    let values = codes.get("values");
    if values.is_empty() {
        checks.invalid(&values.path, Value::Array(Vec::new()), "at least one value is required");
    }
    values.at_most(MAX_EXIT_CODES, checks);
    let mut known = Vec::new();
    for value in values.items() {
        if value.int() == Some(0) && codes.get("operator").text() == "In" {
            value.invalid("must not be 0 for the In operator", checks);
        }
        if known.contains(&value.int()) {
            value.duplicate(checks);
        }
        known.push(value.int());
    }
    if !known.is_sorted() {
        values.invalid("must be ordered", checks);
    }
}

fn check_successes(spec: &At<'_>, rules: &At<'_>, checks: &mut Checks) {
    if rules.is_empty() {
        rules.required("at least one rules must be specified when the successPolicy is specified", checks);
    }
    rules.at_most(MAX_RULES, checks);
    let completions = spec.get("completions").int().unwrap_or(0);
    for rule in rules.items() {
        let (count, indexes) = (rule.get("succeededCount"), rule.get("succeededIndexes"));
        if !count.is_set() && !indexes.is_set() {
            rule.required("at least one of succeededCount or succeededIndexes must be specified", checks);
        }
        let mut named = 0;
        if indexes.text().len() > MAX_INDEXES {
            checks.push(Error::too_long(&indexes.path, MAX_INDEXES));
        }
        match indexes::count(indexes.text(), completions) {
            Ok(total) => named = total,
            Err(error) => indexes.invalid(&format!("error parsing succeededIndexes: {error}"), checks),
        }
        count.non_negative(checks);
        let wanted = count.int().unwrap_or(0);
        if wanted > completions {
            let what = "the number of specified completions";
            count.invalid(&format!("must be less than or equal to {completions} ({what})"), checks);
        }
        if indexes.is_set() && wanted > named {
            let what = "the number of indexes in the specified succeededIndexes field";
            count.invalid(&format!("must be less than or equal to {named} ({what})"), checks);
        }
    }
}
