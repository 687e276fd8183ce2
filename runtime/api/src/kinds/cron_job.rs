//! CronJobs: jobs made by the clock (`pkg/apis/batch/validation`).

use crate::at::At;
use crate::cells;
use crate::check::Checks;
use crate::field::Path;
use crate::kinds::ruled::{Ruled, default};
use crate::kinds::{job, schedule};
use crate::object::Object;
use crate::time_zone;

/// CronJobs.
pub const CRON_JOB: Ruled = Ruled::printed(cells::cron_job)
    .filled(|cron_job| {
        default(cron_job, &["spec", "concurrencyPolicy"], "Allow");
        default(cron_job, &["spec", "suspend"], false);
        default(cron_job, &["spec", "successfulJobsHistoryLimit"], 3);
        default(cron_job, &["spec", "failedJobsHistoryLimit"], 1);
        job::fill_pods(cron_job, &["spec", "jobTemplate", "spec"]);
    })
    .created(|cron_job, checks| {
        if cron_job.name().len() > MAX_NAME {
            let detail = format!("must be no more than {MAX_NAME} bytes");
            checks.invalid(&Path::new("metadata").child("name"), cron_job.name(), &detail);
        }
        check_schedule(&At::of(cron_job, "spec"), false, checks);
        check_zone(&At::of(cron_job, "spec").get("timeZone"), checks);
    })
    .checked(check)
    .updated(|new, old, checks| {
        let (spec, old) = (At::of(new, "spec"), At::of(old, "spec"));
        check_schedule(&spec, old.get("schedule").text().contains("TZ"), checks);
        if !spec.get("timeZone").same(&old.get("timeZone")) {
            check_zone(&spec.get("timeZone"), checks);
        }
    });

/// A job is named after its CronJob, with a suffix of 11 characters, and its name is at most 63 characters long.
const MAX_NAME: usize = 52;

fn check(cron_job: &Object, checks: &mut Checks) {
    let spec = At::of(cron_job, "spec");
    spec.get("startingDeadlineSeconds").non_negative(checks);
    spec.get("concurrencyPolicy").one_of(&["Allow", "Forbid", "Replace"], checks);
    let job = spec.get("jobTemplate").get("spec");
    job::check_spec(&job, checks);
    if job.get("selector").is_set() {
        job.get("selector").invalid("`selector` will be auto-generated", checks);
    }
    if job.get("manualSelector").flag() {
        job.get("manualSelector").unsupported(&["nil", "false"], checks);
    }
    spec.all_non_negative(&["successfulJobsHistoryLimit", "failedJobsHistoryLimit"], checks);
}

/// Zones have their own field. What was stored with one in the schedule may keep it.
fn check_schedule(spec: &At<'_>, may_have_zone: bool, checks: &mut Checks) {
    let at = spec.get("schedule");
    if at.is_empty() {
        return at.required("", checks);
    }
    if let Err(error) = schedule::check(at.text()) {
        at.invalid(&error, checks);
    }
    let has_zone = at.text().contains("TZ");
    if has_zone && !may_have_zone {
        at.invalid("cannot use TZ or CRON_TZ in schedule, use timeZone field instead", checks);
    } else if has_zone && spec.get("timeZone").is_set() {
        at.invalid("cannot use both timeZone field and TZ or CRON_TZ in schedule", checks);
    }
}

/// A time zone is named as the IANA names it.
fn check_zone(zone: &At<'_>, checks: &mut Checks) {
    if !zone.is_set() {
        return;
    }
    if zone.is_empty() {
        return zone.invalid("timeZone must be nil or non-empty string", checks);
    }
    let is_part = |part: &str| {
        let fits = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte));
        fits && (1..=14).contains(&part.len()) && !part.starts_with('-') && !matches!(part, "." | "..")
    };
    let known = zone.text().split('/').all(is_part) && time_zone::named(zone.text()).is_some();
    if zone.text().eq_ignore_ascii_case("local") {
        let detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        zone.invalid(detail, checks);
    } else if !known {
        zone.invalid(&format!("unknown time zone {}", zone.text()), checks);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::fixture::{create_errors, created, update_errors};

    const FINE: &str = "{kind: CronJob, metadata: {name: c, namespace: n}, spec: {schedule: '*/5 * * * *', jobTemplate: {spec: {template: {spec: {restartPolicy: OnFailure, containers: [{name: c, image: i}]}}}}}}";

    #[test]
    fn what_does_not_fit_is_named() {
        let made = created(&CRON_JOB, FINE);
        assert_eq!(made.at(&["spec", "successfulJobsHistoryLimit"]), Some(&json!(3)));
        let pod = ["spec", "jobTemplate", "spec", "template", "spec", "dnsPolicy"];
        assert_eq!(made.str_at(&pod), "ClusterFirst");
        let schedule = |text: &str| FINE.replace("'*/5 * * * *'", &format!("'{text}'"));
        let with = |rest: &str| FINE.replace("spec: {schedule", &format!("spec: {{{rest}, schedule"));
        let job = |rest: &str| FINE.replace("spec: {template", &format!("spec: {{{rest}, template"));
        let long = "c".repeat(53);
        for (yaml, expected) in [
            (schedule(""), "spec.schedule: Required value"),
            (
                schedule("* * * *"),
                "spec.schedule: Invalid value: \"* * * *\": expected exactly 5 fields, found 4: [* * * *]",
            ),
            (
                schedule("TZ=UTC 0 * * * *"),
                "spec.schedule: Invalid value: \"TZ=UTC 0 * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ),
            (with("timeZone: ''"), "spec.timeZone: Invalid value: \"\": timeZone must be nil or non-empty string"),
            (with("timeZone: a//b"), "spec.timeZone: Invalid value: \"a//b\": unknown time zone a//b"),
            (
                with("timeZone: europe/berlin"),
                "spec.timeZone: Invalid value: \"europe/berlin\": unknown time zone europe/berlin",
            ),
            (
                with("timeZone: local"),
                "spec.timeZone: Invalid value: \"local\": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
            ),
            (
                with("concurrencyPolicy: Queue"),
                "spec.concurrencyPolicy: Unsupported value: \"Queue\": supported values: \"Allow\", \"Forbid\", \"Replace\"",
            ),
            (
                with("failedJobsHistoryLimit: -1"),
                "spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                with("startingDeadlineSeconds: -1"),
                "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                job("selector: {matchLabels: {a: b}}"),
                "spec.jobTemplate.spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: `selector` will be auto-generated",
            ),
            (
                job("manualSelector: true"),
                "spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \"nil\", \"false\"",
            ),
            (
                FINE.replace("OnFailure", "Always"),
                "spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
            ),
            (
                FINE.replace("name: c, namespace", &format!("name: {long}, namespace")),
                &format!("metadata.name: Invalid value: \"{long}\": must be no more than 52 bytes"),
            ),
        ] {
            assert_eq!(create_errors(&CRON_JOB, &yaml), [expected], "{yaml}");
        }
        let found = update_errors(&CRON_JOB, FINE, |new| new.set(&["spec", "schedule"], "61 * * * *"));
        let expected = "spec.schedule: Invalid value: \"61 * * * *\": end of range (61) above maximum (59): 61";
        assert_eq!(found, [expected]);
    }
}
