//! What a job may say of itself: its conditions, counts and times agree, and what has ended stays so.

use jiff::Timestamp;

use crate::at::At;
use crate::check::Checks;
use crate::field::Error;
use crate::object::Object;

use super::{indexes, is_indexed};

/// What is wrong with a new status of a job.
pub(super) fn check(new: &Object, old: &Object, checks: &mut Checks) {
    let (status, was, spec) = (At::of(new, "status"), At::of(old, "status"), At::of(new, "spec"));
    // What is wrong in a status that stays is somebody else's.
    if status.same(&was) {
        return;
    }
    status.all_non_negative(&["active", "succeeded", "failed", "ready", "terminating"], checks);
    check_uncounted(&status.get("uncountedTerminatedPods"), checks);
    check_conditions(&status, &spec, checks);
    check_times(&status, checks);
    if has(&status, "Complete") || has(&status, "Failed") {
        check_finished(&status, checks);
    }
    check_indexes(&status, &spec, checks);
    if status.get("ready").int() > Some(status.get("active").int().unwrap_or(0)) {
        status.get("ready").invalid("cannot set more ready pods than active", checks);
    }
    check_change(&status, &was, &spec, checks);
}

fn has(status: &At<'_>, condition: &str) -> bool {
    let is = |at: At<'_>| at.get("type").text() == condition && at.get("status").text() == "True";
    status.get("conditions").items().any(is)
}

fn check_uncounted(uncounted: &At<'_>, checks: &mut Checks) {
    let mut seen = Vec::new();
    for uid in ["succeeded", "failed"].into_iter().flat_map(|list| uncounted.get(list).items()) {
        if uid.is_empty() {
            uid.invalid("must not be empty", checks);
        } else if seen.contains(&uid.text()) {
            uid.duplicate(checks);
        }
        seen.push(uid.text());
    }
}

/// Conditions that exclude each other, or need each other.
fn check_conditions(status: &At<'_>, spec: &At<'_>, checks: &mut Checks) {
    let has = |condition| has(status, condition);
    let (complete, failed, target, met) =
        (has("Complete"), has("Failed"), has("FailureTarget"), has("SuccessCriteriaMet"));
    let wrong = [
        (complete && failed, "cannot set Complete=True and Failed=true conditions"),
        (complete && target, "cannot set Complete=True and FailureTarget=true conditions"),
        (failed && !target, "cannot set Failed=True condition without the FailureTarget=true condition"),
        (complete && !met, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"),
        (met && failed, "cannot set SuccessCriteriaMet=True and Failed=true conditions"),
        (met && target, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"),
        (
            complete && !met && spec.get("successPolicy").is_set(),
            "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
        ),
    ];
    let path = status.path.child("conditions");
    for (_, detail) in wrong.iter().filter(|(is_wrong, _)| *is_wrong) {
        checks.push(Error::invalid_whole(&path, detail));
    }
}

fn check_times(status: &At<'_>, checks: &mut Checks) {
    let (started, completed) = (status.get("startTime"), status.get("completionTime"));
    if completed.is_set() && !has(status, "Complete") {
        let detail = "cannot set completionTime when there is no Complete=True condition";
        completed.invalid(detail, checks);
    }
    if !completed.is_set() && has(status, "Complete") {
        completed.required("completionTime is required for Complete jobs", checks);
    }
    let time = |at: &At<'_>| at.text().parse::<Timestamp>().ok();
    if let (Some(start), Some(end)) = (time(&started), time(&completed))
        && end < start
    {
        completed.invalid("must be equal to or after `startTime`", checks);
    }
}

fn check_finished(status: &At<'_>, checks: &mut Checks) {
    for field in ["active", "terminating"] {
        let at = status.get(field);
        if at.int() > Some(0) {
            at.invalid(&format!("{field}>0 is invalid for finished job"), checks);
        }
    }
    if !status.get("startTime").is_set() {
        status.get("startTime").required("startTime is required for finished job", checks);
    }
    let uncounted = status.get("uncountedTerminatedPods");
    if ["succeeded", "failed"].iter().any(|list| !uncounted.get(list).is_empty()) {
        uncounted.invalid("must be empty for finished job", checks);
    }
}

fn check_indexes(status: &At<'_>, spec: &At<'_>, checks: &mut Checks) {
    let (completed, failed) = (status.get("completedIndexes"), status.get("failedIndexes"));
    if !completed.is_empty() && !is_indexed(spec) {
        completed.invalid("cannot set non-empty completedIndexes when non-indexed completion mode", checks);
    }
    if failed.is_set() && !spec.get("backoffLimitPerIndex").is_set() {
        failed.invalid("cannot set non-null failedIndexes when backoffLimitPerIndex is null", checks);
    }
    let Some(completions) = spec.get("completions").int() else { return };
    for (field, at) in [("completedIndexes", &completed), ("failedIndexes", &failed)] {
        if let Err(error) = indexes::count(at.text(), completions) {
            at.invalid(&format!("error parsing {field}: {error}"), checks);
        }
    }
    if let Some(index) = indexes::overlap(completed.text(), failed.text(), completions) {
        failed.invalid(&format!("failedIndexes and completedIndexes overlap at index: {index}"), checks);
    }
}

fn check_change(status: &At<'_>, was: &At<'_>, spec: &At<'_>, checks: &mut Checks) {
    let path = status.path.child("conditions");
    for condition in ["Failed", "Complete", "FailureTarget"] {
        if has(was, condition) && !has(status, condition) {
            let detail = format!("cannot disable the terminal {condition}=True condition");
            checks.push(Error::invalid_whole(&path, detail));
        }
    }
    for count in ["failed", "succeeded"] {
        let (new, old) = (status.get(count).int().unwrap_or(0), was.get(count).int().unwrap_or(0));
        if new < old {
            checks.invalid(&status.path.child(count), new, &format!("cannot decrease the {count} counter"));
        }
    }
    let (completed, before) = (status.get("completionTime"), was.get("completionTime"));
    if completed.is_set() && before.is_set() {
        completed.immutable(&before, checks);
    }
    let (started, before) = (status.get("startTime"), was.get("startTime"));
    if before.is_set() && !started.same(&before) && !spec.get("suspend").flag() {
        started.required("startTime cannot be removed for unsuspended job", checks);
    }
    if has(was, "SuccessCriteriaMet") && !has(status, "SuccessCriteriaMet") {
        checks.push(Error::invalid_whole(&path, "cannot disable the SuccessCriteriaMet=True condition"));
    }
}
