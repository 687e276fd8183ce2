//! Pod security: what a namespace's labels let its pods do
//! (<https://kubernetes.io/docs/concepts/security/pod-security-admission/>).

use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Value;
use trimtab_api::field::{Error, Path};
use trimtab_api::pod_security::{Level, Violation, violations};
use trimtab_api::{ApiError, Object};

use super::{Attributes, Verb, namespace};
use crate::server::ApiServer;
use crate::stored;

const PREFIX: &str = "pod-security.kubernetes.io/";
/// Under which it is logged what a namespace wants logged.
const AUDITED: &str = "pod-security.kubernetes.io/audit-violations";
/// What of a kind of objects that make pods stands for the pods.
const TEMPLATES: [(&str, &str, &[&str]); 8] = [
    ("", "podtemplates", &["template", "spec"]),
    ("", "replicationcontrollers", &["spec", "template", "spec"]),
    ("apps", "daemonsets", &["spec", "template", "spec"]),
    ("apps", "deployments", &["spec", "template", "spec"]),
    ("apps", "replicasets", &["spec", "template", "spec"]),
    ("apps", "statefulsets", &["spec", "template", "spec"]),
    ("batch", "jobs", &["spec", "template", "spec"]),
    ("batch", "cronjobs", &["spec", "jobTemplate", "spec", "template", "spec"]),
];

/// One of a namespace's labels, and what it says.
struct Policy {
    level: Level,
    version: String,
}

impl Policy {
    /// What is not said, or cannot be read, is no restriction: labels are checked when they are written.
    fn of(namespace: &Object, mode: &str) -> Self {
        let label = |name: String| namespace.labels().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
        let level = label(format!("{PREFIX}{mode}")).and_then(|name| Level::named(&name));
        let version = label(format!("{PREFIX}{mode}-version"));
        Self { level: level.unwrap_or(Level::Privileged), version: version.unwrap_or_else(|| "latest".to_owned()) }
    }

    fn told(&self, found: &[Violation]) -> String {
        let each = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        format!("PodSecurity \"{}:{}\": {each}", self.level, self.version)
    }
}

/// # Errors
/// 403 for a pod that may do more than its namespace lets it; 422 for a namespace whose labels say nothing known.
pub(super) async fn check(server: &ApiServer, write: &Attributes<'_>, object: Option<&Object>) -> Result<(), ApiError> {
    let (kind, part) = (&write.call.kind, write.call.path.subresource);
    let Some(object) = object.filter(|_| matches!(write.verb, Verb::Create | Verb::Update)) else { return Ok(()) };
    if (&*kind.group, &*kind.plural, part) == ("", "namespaces", "") {
        check_labels(write, object)?;
        return warn_of_pods(server, write, object).await;
    }
    let is_pod = (&*kind.group, &*kind.plural) == ("", "pods");
    let template = TEMPLATES.iter().find(|(group, plural, _)| (&*kind.group, &*kind.plural) == (*group, *plural));
    let path = match part {
        "" if is_pod && write.verb == Verb::Create => &["spec"][..],
        // Of a pod that is there, they alone add to what it may do.
        "ephemeralcontainers" if is_pod => &["spec"],
        "" => match template {
            Some((_, _, path)) => path,
            None => return Ok(()),
        },
        _ => return Ok(()),
    };
    if !namespace::mentions(server, write, PREFIX).await? {
        return Ok(());
    }
    let Some(namespace) = namespace::labels(server, write, Some(object)).await? else { return Ok(()) };
    let Some(spec) = object.at(path).and_then(|spec| trimtab_api::from_value::<PodSpec>(spec).ok()) else {
        return Ok(());
    };
    // Whatever makes pods is made: they are what is refused.
    for mode in if is_pod { &["enforce", "warn", "audit"][..] } else { &["warn", "audit"] } {
        let policy = Policy::of(&namespace, mode);
        let found = violations(policy.level, &spec);
        if found.is_empty() {
            continue;
        }
        let told = policy.told(&found);
        match (*mode, write.call.record) {
            ("enforce", _) => return Err(ApiError::forbidden(kind, write.name, format!("violates {told}"))),
            ("warn", _) => write.call.warnings.add(format!("would violate {told}")),
            (_, Some(record)) => record.annotate(AUDITED, format!("would violate {told}")),
            (_, None) => {}
        }
    }
    Ok(())
}

fn check_labels(write: &Attributes<'_>, namespace: &Object) -> Result<(), ApiError> {
    let mut errors = Vec::new();
    // What was wrong before is no reason to refuse a change of something else.
    let is_new = |label: &(&str, &str)| !write.old.is_some_and(|old| old.labels().any(|there| there == *label));
    for (key, value) in namespace.labels().filter(is_new) {
        let path = Path::new("metadata").child("labels").key(key);
        match key.strip_prefix(PREFIX) {
            Some("enforce" | "audit" | "warn") if Level::named(value).is_none() => {
                errors.push(Error::invalid(&path, value, "must be one of privileged, baseline, restricted"));
            }
            Some("enforce-version" | "audit-version" | "warn-version") if !is_version(value) => {
                errors.push(Error::invalid(&path, value, "must be \"latest\" or \"v1.x\""));
            }
            _ => {}
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(&write.call.kind, namespace.name(), &errors)) }
}

fn is_version(text: &str) -> bool {
    let minor = text.strip_prefix("v1.");
    text == "latest" || minor.is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Who makes a namespace stricter is told which of its pods would not be let in any more.
async fn warn_of_pods(server: &ApiServer, write: &Attributes<'_>, namespace: &Object) -> Result<(), ApiError> {
    let Some(old) = write.old else { return Ok(()) };
    let policy = Policy::of(namespace, "enforce");
    if policy.level <= Policy::of(old, "enforce").level {
        return Ok(());
    }
    let mut told: Vec<(String, Vec<String>)> = Vec::new();
    for pod in stored::list(server, ("", "v1", "pods"), namespace.name()).await? {
        let spec = pod.at(&["spec"]).and_then(|spec| trimtab_api::from_value::<PodSpec>(spec).ok());
        let is_over = matches!(pod.at(&["status", "phase"]).and_then(Value::as_str), Some("Succeeded" | "Failed"));
        let found = spec.filter(|_| !is_over).map(|spec| violations(policy.level, &spec)).unwrap_or_default();
        if found.is_empty() {
            continue;
        }
        let reasons = found.iter().map(|violation| violation.reason).collect::<Vec<_>>().join(", ");
        match told.iter_mut().find(|(known, _)| *known == reasons) {
            Some((_, names)) => names.push(pod.name().to_owned()),
            None => told.push((reasons, vec![pod.name().to_owned()])),
        }
    }
    if told.is_empty() {
        return Ok(());
    }
    let (name, level, version) = (namespace.name(), policy.level, &policy.version);
    let warnings = &write.call.warnings;
    warnings.add(format!(
        "existing pods in namespace {name:?} violate the new PodSecurity enforce level \"{level}:{version}\""
    ));
    for (reasons, names) in told {
        let others = match names.len() - 1 {
            0 => String::new(),
            1 => " (and 1 other pod)".to_owned(),
            more => format!(" (and {more} other pods)"),
        };
        warnings.add(format!("{}{others}: {reasons}", names[0]));
    }
    Ok(())
}
