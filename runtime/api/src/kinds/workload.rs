//! What makes pods from a template: what Deployments, ReplicaSets, StatefulSets, DaemonSets and Jobs have in common
//! (`pkg/apis/apps/validation`).

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use crate::at::At;
use crate::check::{Checks, text};
use crate::field::Error;
use crate::kinds::pod::{check_template, default_template};
use crate::kinds::ruled::default;
use crate::object::Object;
use crate::selector::Selector;

/// Fills the template of pods at `path`. One that is none stays, for [`template`] to tell.
pub(super) fn fill_template(object: &mut Object, path: &[&str]) {
    let template = object.at(path).cloned().unwrap_or_else(|| json!({}));
    let Ok(mut template) = crate::from_value::<PodTemplateSpec>(&template) else { return };
    default_template(&mut template);
    // What was read from JSON can be written as JSON.
    if let Ok(filled) = serde_json::to_value(&template) {
        object.set(path, filled);
    }
}

/// The template of pods that stands at `at`.
pub(super) fn template(at: &At<'_>, checks: &mut Checks) -> PodTemplateSpec {
    crate::from_value::<PodTemplateSpec>(at.value).unwrap_or_else(|error| {
        checks.push(Error::type_invalid(&at.path, "", error));
        PodTemplateSpec::default()
    })
}

/// An update strategy rolls unless it says otherwise.
pub(super) fn fill_strategy(object: &mut Object, field: &str, defaults: &[(&str, Value)]) {
    default(object, &["spec", field, "type"], "RollingUpdate");
    if object.str_at(&["spec", field, "type"]) == "RollingUpdate" {
        for (name, value) in defaults {
            default(object, &["spec", field, "rollingUpdate", name], value.clone());
        }
    }
}

/// What upstream says of a selector: each kind has its own words.
pub(super) struct SelectorTexts {
    /// Whether it must be there.
    pub(super) required: bool,
    /// Of one that selects everything.
    pub(super) empty: &'static str,
    /// Of one that makes no sense.
    pub(super) unreadable: Option<&'static str>,
}

/// The selector makes sense, and selects what the template makes.
pub(super) fn check_selector(spec: &At<'_>, made: &PodTemplateSpec, texts: &SelectorTexts, checks: &mut Checks) {
    let at = spec.get("selector");
    let selector = if at.is_set() { at.label_selector(checks) } else { None };
    if !at.is_set() && texts.required {
        at.required("", checks);
    }
    if selector == Some(LabelSelector::default()) {
        at.invalid(texts.empty, checks);
    }
    match selector.as_ref().map(Selector::try_from) {
        Some(Ok(selector)) if selects(&selector, made) => {}
        None | Some(Err(_)) if at.is_set() => {
            texts.unreadable.into_iter().for_each(|detail| at.invalid(detail, checks));
        }
        // No selector at all selects nothing.
        _ => not_selected(spec, checks),
    }
}

pub(super) fn selects(selector: &Selector, made: &PodTemplateSpec) -> bool {
    selector.matches_map(made.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref()))
}

pub(super) fn not_selected(spec: &At<'_>, checks: &mut Checks) {
    let labels = spec.get("template").get("metadata").get("labels");
    labels.invalid("`selector` does not match template `labels`", checks);
}

/// The pods are right, and run for good. `kind` is whose they are said to be.
pub(super) fn check_lasting_pods(at: &At<'_>, made: &PodTemplateSpec, kind: &str, many: bool, checks: &mut Checks) {
    check_template(&at.path, made, checks);
    let (Some(pod), at) = (&made.spec, at.get("spec")) else { return };
    for (index, volume) in pod.volumes.iter().flatten().enumerate().filter(|_| many) {
        if volume.gce_persistent_disk.as_ref().is_some_and(|disk| disk.read_only != Some(true)) {
            let path = at.get("volumes").path.index(index).child("gcePersistentDisk").child("readOnly");
            let detail = "must be true for replicated pods > 1; GCE PD can only be mounted on multiple machines if it is read-only";
            checks.invalid(&path, false, detail);
        }
    }
    let policy = text(&pod.restart_policy);
    if policy != "Always" {
        checks.push(Error::not_supported(&at.get("restartPolicy").path, policy, &["Always"]));
    }
    if pod.active_deadline_seconds.is_some() {
        let detail = format!("activeDeadlineSeconds in {kind} is not Supported");
        at.get("activeDeadlineSeconds").forbidden(&detail, checks);
    }
}

/// The counts of a status add up: those of `parts` are no more than all of them.
pub(super) fn check_counts(status: &At<'_>, parts: &[&str], checks: &mut Checks) {
    let count = |field: &str| status.get(field).int().unwrap_or(0);
    for field in parts.iter().filter(|field| count(field) > count("replicas")) {
        checks.invalid(&status.path.child(field), count(field), "cannot be greater than status.replicas");
    }
}

/// Those that are available are ready.
pub(super) fn check_available(status: &At<'_>, detail: &str, checks: &mut Checks) {
    let (available, ready) = (status.get("availableReplicas"), status.get("readyReplicas"));
    if available.int().unwrap_or(0) > ready.int().unwrap_or(0) {
        available.invalid(detail, checks);
    }
}

/// How often a name was taken is not taken back.
pub(super) fn check_collisions(status: &At<'_>, old: &Object, checks: &mut Checks) {
    let new = status.get("collisionCount");
    if At::of(old, "status").get("collisionCount").int() > new.int() {
        checks.invalid(&new.path, new.int().unwrap_or(0), "cannot be decremented");
    }
}
