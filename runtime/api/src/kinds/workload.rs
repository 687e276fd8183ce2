//! What makes pods from a template: Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs and CronJobs
//! (`pkg/apis/apps`, `pkg/apis/batch`: defaults and validation).

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;
use serde_json::{Value, json};

use super::printed::default;
use crate::cells;
use crate::check::Checks;
use crate::field::{Error, Path};
use crate::kinds::pod::{check_template, default_template};
use crate::object::Object;
use crate::selector::Selector;
use crate::strategy::{Admission, Operation, Strategy};

/// A kind that makes pods from a template.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Where the specification with the template is.
    spec: &'static [&'static str],
    /// The restart policies that the template may have.
    restart_policies: &'static [&'static str],
    /// Whether a selector must be given, and match the template's labels.
    selects: bool,
    /// Fields of the specification that stay as they were made.
    fixed: &'static [&'static str],
    /// Counts that must not be negative.
    counts: &'static [&'static str],
    fill: fn(&mut Object),
    cell: fn(&str, &Object, i64) -> Value,
}

const SPEC: &[&str] = &["spec"];

const SCALED: Workload = Workload {
    spec: SPEC,
    restart_policies: &["Always"],
    selects: true,
    fixed: &["selector"],
    counts: &["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"],
    fill: |_| {},
    cell: cells::workload,
};

/// Deployments.
pub const DEPLOYMENT: Workload = Workload {
    fill: |deployment| {
        default(deployment, &["spec", "replicas"], 1);
        default(deployment, &["spec", "revisionHistoryLimit"], 10);
        default(deployment, &["spec", "progressDeadlineSeconds"], 600);
        rolling(deployment, "strategy", &[("maxUnavailable", json!("25%")), ("maxSurge", json!("25%"))]);
    },
    ..SCALED
};

/// ReplicaSets.
pub const REPLICA_SET: Workload =
    Workload { fill: |replica_set| default(replica_set, &["spec", "replicas"], 1), ..SCALED };

/// StatefulSets.
pub const STATEFUL_SET: Workload = Workload {
    fixed: &["selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates"],
    fill: |set| {
        default(set, &["spec", "replicas"], 1);
        default(set, &["spec", "revisionHistoryLimit"], 10);
        default(set, &["spec", "podManagementPolicy"], "OrderedReady");
        let retain = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
        default(set, &["spec", "persistentVolumeClaimRetentionPolicy"], retain);
        rolling(set, "updateStrategy", &[("partition", json!(0))]);
    },
    ..SCALED
};

/// DaemonSets.
pub const DAEMON_SET: Workload = Workload {
    fill: |set| {
        default(set, &["spec", "revisionHistoryLimit"], 10);
        rolling(set, "updateStrategy", &[("maxUnavailable", json!(1)), ("maxSurge", json!(0))]);
    },
    ..SCALED
};

const RUN_TO_END: Workload = Workload {
    restart_policies: &["OnFailure", "Never"],
    selects: false,
    fixed: &["selector", "template", "completionMode"],
    counts: &["parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"],
    ..SCALED
};

/// Jobs.
pub const JOB: Workload = Workload { fill: |job| fill_job(job, SPEC), cell: cells::job, ..RUN_TO_END };

/// CronJobs.
pub const CRON_JOB: Workload = Workload {
    spec: &["spec", "jobTemplate", "spec"],
    fixed: &[],
    fill: |job| {
        default(job, &["spec", "concurrencyPolicy"], "Allow");
        default(job, &["spec", "suspend"], false);
        default(job, &["spec", "successfulJobsHistoryLimit"], 3);
        default(job, &["spec", "failedJobsHistoryLimit"], 1);
    },
    cell: cells::cron_job,
    ..RUN_TO_END
};

/// An update strategy rolls unless it says otherwise.
fn rolling(object: &mut Object, field: &str, defaults: &[(&str, Value)]) {
    default(object, &["spec", field, "type"], "RollingUpdate");
    if object.str_at(&["spec", field, "type"]) == "RollingUpdate" {
        for (name, value) in defaults {
            default(object, &["spec", field, "rollingUpdate", name], value.clone());
        }
    }
}

/// What a Job is filled with. Its selector is its own: no other's pods carry its uid.
fn fill_job(job: &mut Object, spec: &[&str]) {
    let at = |field| [spec, &[field]].concat();
    let one = |job: &Object, field| job.at(&at(field)).is_none();
    // Both absent is one pod, once; completions alone are worked off one by one.
    if one(job, "completions") && one(job, "parallelism") {
        job.set(&at("completions"), 1);
    }
    default(job, &at("parallelism"), 1);
    default(job, &at("backoffLimit"), 6);
    default(job, &at("completionMode"), "NonIndexed");
    default(job, &at("suspend"), false);
    default(job, &at("podReplacementPolicy"), "TerminatingOrFailed");
    let uid = job.uid().to_owned();
    let is_manual = job.at(&at("manualSelector")) == Some(&Value::Bool(true));
    if !uid.is_empty() && !is_manual && one(job, "selector") {
        job.set(&at("selector"), json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}));
        let name = job.name().to_owned();
        let labels = [spec, &["template", "metadata", "labels"]].concat();
        for (key, value) in [("controller-uid", &uid), ("job-name", &name)] {
            for key in [key.to_owned(), format!("batch.kubernetes.io/{key}")] {
                job.set(&[&labels[..], &[key.as_str()]].concat(), value.as_str());
            }
        }
    }
}

impl Strategy for Workload {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        let mut checks = Checks::default();
        if let Operation::Create = operation {
            object.remove(&["status"]);
        }
        if !matches!(operation, Operation::UpdateStatus { .. }) {
            (self.fill)(object);
            self.check(object, &mut checks);
        }
        if let Operation::Update { old } = operation {
            for field in self.fixed {
                let path = [self.spec, &[*field]].concat();
                checks.immutable(&Path::new("spec").child(field), &object.at(&path), &old.at(&path));
            }
        }
        Admission { errors: checks.errors, warnings: checks.warnings }
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        (self.cell)(name, object, now)
    }
}

impl Workload {
    fn check(&self, object: &mut Object, checks: &mut Checks) {
        let path = self.spec[1..].iter().fold(Path::new(self.spec[0]), |path, field| path.child(field));
        for field in self.counts {
            let count = object.at(&[self.spec, &[*field]].concat()).and_then(Value::as_i64);
            checks.non_negative(&path.child(field), count);
        }
        let at = [self.spec, &["template"]].concat();
        let template = object.at(&at).cloned().unwrap_or_else(|| json!({}));
        let mut template = match PodTemplateSpec::deserialize(template) {
            Ok(template) => template,
            Err(error) => return checks.push(Error::type_invalid(&path.child("template"), "", error)),
        };
        default_template(&mut template);
        self.check_selector(object, &template, &path, checks);
        let path = path.child("template");
        check_template(&path, &template, checks);
        let policy = template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or("Always");
        if !self.restart_policies.contains(&policy) {
            let path = path.child("spec").child("restartPolicy");
            checks.push(Error::not_supported(&path, policy, self.restart_policies));
        }
        match serde_json::to_value(&template) {
            Ok(filled) => object.set(&at, filled),
            Err(error) => checks.push(Error::type_invalid(&path, "", error)),
        }
    }

    fn check_selector(&self, object: &Object, template: &PodTemplateSpec, path: &Path, checks: &mut Checks) {
        if !self.selects {
            return;
        }
        let at = path.child("selector");
        let Some(selector) = object.at(&[self.spec, &["selector"]].concat()) else { return checks.required(&at) };
        let Ok(typed) = LabelSelector::deserialize(selector) else { return };
        checks.label_selector(&at, &typed);
        if typed == LabelSelector::default() {
            let kind = object.kind().to_lowercase();
            return checks.invalid(&at, selector, &format!("empty selector is invalid for {kind}"));
        }
        let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
        if Selector::try_from(&typed).is_ok_and(|selector| !selector.matches_map(labels)) {
            let at = path.child("template").child("metadata").child("labels");
            checks.invalid(&at, labels, "`selector` does not match template `labels`");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created, object};

    const TEMPLATE: &str = "{metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}";

    fn deployment(spec: &str) -> String {
        format!("{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: d, namespace: n}}, spec: {spec}}}")
    }

    #[test]
    fn a_deployment_is_filled() {
        let made = created(
            &DEPLOYMENT,
            &deployment(&format!("{{selector: {{matchLabels: {{a: b}}}}, template: {TEMPLATE}}}")),
        );
        assert_eq!(made.at(&["spec", "replicas"]), Some(&json!(1)));
        let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
        assert_eq!(made.at(&["spec", "strategy"]), Some(&strategy));
        assert_eq!(made.str_at(&["spec", "template", "spec", "dnsPolicy"]), "ClusterFirst");
        assert_eq!(DEPLOYMENT.cell("Ready", &made, 0), "0/1");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (spec, expected) in [
            (format!("{{template: {TEMPLATE}}}"), "spec.selector: Required value"),
            (
                format!("{{selector: {{}}, template: {TEMPLATE}}}"),
                "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
            ),
            (
                format!("{{selector: {{matchLabels: {{a: x}}}}, template: {TEMPLATE}}}"),
                "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
            ),
            (
                format!("{{replicas: -1, selector: {{matchLabels: {{a: b}}}}, template: {TEMPLATE}}}"),
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "{selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}".to_owned(),
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            ),
        ] {
            assert_eq!(create_errors(&DEPLOYMENT, &deployment(&spec)), [expected], "{spec}");
        }
    }

    #[test]
    fn a_selector_stays() {
        let old = created(
            &DEPLOYMENT,
            &deployment(&format!("{{selector: {{matchLabels: {{a: b}}}}, template: {TEMPLATE}}}")),
        );
        let mut new = old.clone();
        new.set(
            &["spec", "selector"],
            json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]}),
        );
        let errors = DEPLOYMENT.admit(Operation::Update { old: &old }, &mut new).errors;
        assert!(errors[0].to_string().starts_with("spec.selector: Invalid value: "), "{}", errors[0]);
        assert!(errors[0].to_string().ends_with("field is immutable"), "{}", errors[0]);
    }

    #[test]
    fn a_job_selects_its_own_pods() {
        let mut job = object(&format!(
            "{{apiVersion: batch/v1, kind: Job, metadata: {{name: j, uid: u-1}}, spec: {{template: {}}}}}",
            TEMPLATE.replace("spec: {", "spec: {restartPolicy: Never, ")
        ));
        assert_eq!(JOB.admit(Operation::Create, &mut job).errors, []);
        let selector = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}});
        assert_eq!(job.at(&["spec", "selector"]), Some(&selector));
        assert_eq!(job.str_at(&["spec", "template", "metadata", "labels", "job-name"]), "j");
        assert_eq!(
            (job.at(&["spec", "completions"]), JOB.cell("Completions", &job, 0)),
            (Some(&json!(1)), json!("0/1"))
        );
    }
}
