//! Jobs: pods that run to their end (`pkg/apis/batch/validation`, `pkg/registry/batch/job`).

use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::{Value, json};

use crate::at::{self, At};
use crate::cells;
use crate::check::{Checks, text};
use crate::field::{Error, Path};
use crate::kinds::pod::check_template;
use crate::kinds::ruled::{Ruled, default};
use crate::kinds::workload;
use crate::names;
use crate::object::Object;
use crate::selector::Selector;

mod indexes;
mod policy;
mod status;
#[cfg(test)]
mod tests;

/// Jobs.
pub const JOB: Ruled = Ruled::printed(cells::job)
    .begun(generate_selector)
    .filled(fill)
    .created(check_new)
    .checked(|job, checks| {
        let spec = At::of(job, "spec");
        let template = check_spec(&spec, checks);
        check_selector(&spec, &template, checks);
    })
    .updated(check_update)
    .status(status::check);

const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";
const MAX_PARALLELISM: i64 = 100_000;
const MANY_COMPLETIONS: i64 = 100_000;
const MAX_PARALLELISM_OF_MANY: i64 = 10_000;
const MAX_MANAGED_BY: usize = 63;

/// The labels by which a job finds its pods. The unprefixed ones are upstream's older names of them.
fn labels(job: &Object) -> [(&'static str, String); 4] {
    let (uid, name) = (job.uid().to_owned(), job.name().to_owned());
    [
        ("controller-uid", uid.clone()),
        ("job-name", name.clone()),
        (CONTROLLER_UID, uid),
        ("batch.kubernetes.io/job-name", name),
    ]
}

fn is_manual(job: &Object) -> bool {
    At::of(job, "spec").get("manualSelector").flag()
}

/// A job that does not bring its own selector selects by its uid: no other's pods carry that.
fn generate_selector(job: &mut Object) {
    let uid = job.uid().to_owned();
    if is_manual(job) || uid.is_empty() {
        return;
    }
    // What somebody set to another value stays, for the checks to tell.
    for (key, value) in labels(job) {
        default(job, &["spec", "template", "metadata", "labels", key], value);
    }
    default(job, &["spec", "selector", "matchLabels", CONTROLLER_UID], uid);
}

fn fill(job: &mut Object) {
    let is_set = |job: &Object, field| job.at(&["spec", field]).is_some();
    // Both absent is one pod, once; completions alone are worked off one by one.
    if !is_set(job, "completions") && !is_set(job, "parallelism") {
        job.set(&["spec", "completions"], 1);
    }
    default(job, &["spec", "parallelism"], 1);
    let limit = if is_set(job, "backoffLimitPerIndex") { i32::MAX } else { 6 };
    default(job, &["spec", "backoffLimit"], limit);
    default(job, &["spec", "completionMode"], "NonIndexed");
    default(job, &["spec", "suspend"], false);
    default(job, &["spec", "manualSelector"], false);
    let replaced = if is_set(job, "podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    default(job, &["spec", "podReplacementPolicy"], replaced);
    fill_pods(job, &["spec"]);
    let labels = job.at(&["spec", "template", "metadata", "labels"]).cloned();
    if let Some(labels) = labels.filter(|_| job.labels().next().is_none()) {
        job.set(&["metadata", "labels"], labels);
    }
}

/// Fills what every specification of a job is filled with, one in a CronJob as well.
pub(super) fn fill_pods(job: &mut Object, spec: &[&str]) {
    workload::fill_template(job, &[spec, &["template"]].concat());
    for rule in at::items_mut(at::at_mut(job, &[spec, &["podFailurePolicy", "rules"]].concat())) {
        for pattern in at::items_mut(rule.get_mut("onPodConditions")) {
            at::default_in(pattern, "status", "True");
        }
    }
}

fn check_new(job: &Object, checks: &mut Checks) {
    check_generated(job, checks);
    let spec = At::of(job, "spec");
    let completions = spec.get("completions").int().unwrap_or(0);
    if is_indexed(&spec) && completions > 0 {
        // The last pod's host name: its name and its index.
        let host = format!("{}-{}", job.name(), completions - 1);
        if !names::dns1123_label(&host).is_empty() {
            let detail = format!("will not able to create pod with invalid DNS label: {host}");
            checks.invalid(&Path::new("metadata").child("name"), job.name(), &detail);
        }
    }
}

/// Labels and selector are what was generated.
fn check_generated(job: &Object, checks: &mut Checks) {
    let spec = At::of(job, "spec");
    if is_manual(job) || !spec.get("selector").is_set() {
        return;
    }
    if job.uid().is_empty() {
        checks.required(&Path::new("metadata").child("uid"));
    }
    let found = spec.get("template").get("metadata").get("labels");
    for (key, value) in labels(job) {
        let path = found.path.key(key);
        let detail = format!("must be '{value}'");
        match found.get(key).text() {
            label if label == value => {}
            "" => checks.push(Error::required(&path, &detail)),
            _ => checks.invalid(&path, found.value, &detail),
        }
    }
    let labels = labels(job);
    let of = |key: &str| labels.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str());
    let selector = spec.get("selector");
    let typed = serde_json::from_value(selector.value.clone()).unwrap_or_default();
    if Selector::try_from(&typed).is_ok_and(|selector| !selector.matches(of)) {
        selector.invalid("`selector` not auto-generated", checks);
    }
}

fn check_selector(spec: &At<'_>, template: &PodTemplateSpec, checks: &mut Checks) {
    let at = spec.get("selector");
    if !at.is_set() {
        at.required("", checks);
        return workload::not_selected(spec, checks);
    }
    let selector = at.label_selector(checks);
    if let Some(Ok(selector)) = selector.as_ref().map(Selector::try_from)
        && !workload::selects(&selector, template)
    {
        workload::not_selected(spec, checks);
    }
}

fn is_indexed(spec: &At<'_>) -> bool {
    spec.get("completionMode").text() == "Indexed"
}

/// What is wrong with a job's specification but its selector. Answers the template.
pub(super) fn check_spec(spec: &At<'_>, checks: &mut Checks) -> PodTemplateSpec {
    const COUNTS: [&str; 7] = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ];
    spec.all_non_negative(&COUNTS, checks);
    let (per_index, failed) = (spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes"));
    if failed.is_set() && !per_index.is_set() {
        per_index.required("when maxFailedIndexes is specified", checks);
    }
    let manager = spec.get("managedBy");
    if manager.is_set() {
        manager.named(names::domain_prefixed_path, checks);
        if manager.text().len() > MAX_MANAGED_BY {
            checks.push(Error::too_long(&manager.path, MAX_MANAGED_BY));
        }
    }
    spec.get("completionMode").maybe_one_of(&["NonIndexed", "Indexed"], checks);
    if is_indexed(spec) {
        check_indexed(spec, checks);
    } else {
        for field in [&per_index, &failed].into_iter().filter(|field| field.is_set()) {
            field.invalid("requires indexed completion mode", checks);
        }
    }
    let template = workload::template(&spec.get("template"), checks);
    policy::check(spec, &template, checks);
    check_pods(spec, &template, checks);
    template
}

fn check_indexed(spec: &At<'_>, checks: &mut Checks) {
    let (parallelism, completions) = (spec.get("parallelism"), spec.get("completions"));
    let failed = spec.get("maxFailedIndexes");
    if !completions.is_set() {
        completions.required("when completion mode is Indexed", checks);
    }
    let at_most = |at: &At<'_>, max: i64, when: &str, checks: &mut Checks| {
        if at.int().is_some_and(|value| value > max) {
            at.invalid(&format!("must be less than or equal to {max}{when}"), checks);
        }
    };
    at_most(&parallelism, MAX_PARALLELISM, " when completion mode is Indexed", checks);
    let completions = completions.int().unwrap_or(i64::MAX);
    if failed.int().is_some_and(|failed| failed > completions) {
        failed.invalid("must be less than or equal to completions", checks);
    }
    at_most(&failed, MAX_PARALLELISM, "", checks);
    if (MANY_COMPLETIONS + 1..i64::MAX).contains(&completions) && spec.get("backoffLimitPerIndex").is_set() {
        if !failed.is_set() {
            failed.required(&format!("must be specified when completions is above {MANY_COMPLETIONS}"), checks);
        }
        let when = format!(" when completions are above {MANY_COMPLETIONS} and used with backoff limit per index");
        at_most(&parallelism, MAX_PARALLELISM_OF_MANY, &when, checks);
        at_most(&failed, MAX_PARALLELISM_OF_MANY, &when, checks);
    }
}

/// The pods are right, and end.
fn check_pods(spec: &At<'_>, template: &PodTemplateSpec, checks: &mut Checks) {
    let at = spec.get("template");
    check_template(&at.path, template, checks);
    let policy = template.spec.as_ref().map_or("", |pod| text(&pod.restart_policy));
    let path = at.path.child("spec").child("restartPolicy");
    match policy {
        "Never" => {}
        "OnFailure" if spec.get("podFailurePolicy").is_set() => {
            checks.invalid(&path, policy, "only \"Never\" is supported when podFailurePolicy is specified");
        }
        "OnFailure" => {}
        "" | "Always" => {
            checks.push(Error::required(&path, "valid values: \"OnFailure\", \"Never\""));
        }
        _ => checks.push(Error::not_supported(&path, policy, &["OnFailure", "Never"])),
    }
}

fn check_update(new: &Object, old: &Object, checks: &mut Checks) {
    const FIXED: [&str; 5] =
        ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"];
    let (spec, old_spec) = (At::of(new, "spec"), At::of(old, "spec"));
    let (completions, parallelism) = (spec.get("completions"), spec.get("parallelism"));
    if !is_indexed(&spec) {
        completions.immutable(&old_spec.get("completions"), checks);
    } else if completions.is_set()
        && !completions.same(&old_spec.get("completions"))
        && completions.int() != parallelism.int()
    {
        completions.invalid("can only be modified in tandem with spec.parallelism", checks);
    }
    spec.all_immutable(&old_spec, &["selector"], checks);
    check_template_update(new, old, checks);
    spec.all_immutable(&old_spec, &FIXED, checks);
}

/// The template stays. While a job is suspended its pods' resources may change, and, before it was ever started, where
/// they may go.
fn check_template_update(new: &Object, old: &Object, checks: &mut Checks) {
    let (template, old_spec) = (At::of(new, "spec").get("template"), At::of(old, "spec"));
    let mut before = old_spec.get("template").value.clone();
    let suspended = old_spec.get("suspend").flag();
    if suspended && !At::of(old, "status").get("startTime").is_set() {
        for field in ["labels", "annotations"] {
            before["metadata"][field] = template.get("metadata").get(field).value.clone();
        }
        for field in ["nodeSelector", "tolerations", "schedulingGates"] {
            before["spec"][field] = template.get("spec").get(field).value.clone();
        }
        let affinity = template.get("spec").get("affinity").get("nodeAffinity");
        before["spec"]["affinity"]["nodeAffinity"] = affinity.value.clone();
    }
    if suspended {
        for list in ["containers", "initContainers"] {
            let containers = template.get("spec").get(list);
            for (old, new) in at::items_mut(before["spec"].get_mut(list)).zip(containers.items()) {
                if old["name"] == *new.get("name").value {
                    old["resources"] = new.get("resources").value.clone();
                }
            }
        }
    }
    if without_empty_affinity(template.value) != without_empty_affinity(&before) {
        template.invalid("field is immutable", checks);
    }
}

fn without_empty_affinity(template: &Value) -> Value {
    let mut template = at::normal(template);
    let pod = template.get_mut("spec").and_then(Value::as_object_mut);
    if let Some(pod) = pod.filter(|pod| pod.get("affinity") == Some(&json!({}))) {
        pod.remove("affinity");
    }
    template
}
