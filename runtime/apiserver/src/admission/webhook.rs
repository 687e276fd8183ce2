//! Webhooks, and how one is asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use trimtab_api::kinds::webhooks;
use trimtab_api::{ApiError, Kind, Object};

use super::Attributes;
use super::review;
use crate::server::ApiServer;
use crate::{outside, stored};

/// Whose audit annotations say what webhooks did
/// (<https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#mutating-webhook-auditing-annotations>).
const WEBHOOK: &str = "webhook.admission.k8s.io";

/// A validating one is a mutating one that may not change anything.
pub(super) use k8s_openapi::api::admissionregistration::v1::MutatingWebhook as Webhook;

/// A webhook, and the configuration that it stands in.
pub(super) struct Configured {
    configuration: Arc<str>,
    pub webhook: Webhook,
}

impl Configured {
    pub(super) fn asked_as(self, version: Arc<Kind>) -> Asked {
        Asked { configuration: self.configuration, webhook: self.webhook, version }
    }
}

/// A webhook that is asked about a write.
pub(super) struct Asked {
    configuration: Arc<str>,
    pub webhook: Webhook,
    /// The version of the kind that it knows.
    pub version: Arc<Kind>,
}

impl Asked {
    /// Notes for the audit log whether the webhook has changed the object, and how.
    pub(super) fn note(&self, turn: Turn, change: Option<&Value>, write: &Attributes<'_>) {
        let Some(record) = write.call.record else { return };
        let mut note = json!({"configuration": &*self.configuration, "webhook": self.webhook.name});
        if let Some(change) = change.filter(|_| record.keeps_objects()) {
            let mut patch = note.clone();
            (patch["patch"], patch["patchType"]) = (change.clone(), "JSONPatch".into());
            record.annotate(format!("patch.{WEBHOOK}/{turn}"), patch.to_string());
        }
        note["mutated"] = change.is_some().into();
        record.annotate(format!("mutation.{WEBHOOK}/{turn}"), note.to_string());
    }
}

/// Which one of all the webhooks is asked, and whether for the second time.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub round: usize,
    pub index: usize,
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round_{}_index_{}", self.round, self.index)
    }
}

/// All webhooks of the configurations of one kind, those of the first name first.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn configured(server: &ApiServer, plural: &str) -> Result<Vec<Configured>, ApiError> {
    let mut all = Vec::new();
    for object in stored::list(server, (super::GROUP, "v1", plural), "").await? {
        let configuration: Arc<str> = object.name().into();
        let hooks = webhooks::webhooks(&object);
        let hooks = hooks.map_err(|error| ApiError::internal(format!("{plural}.{}: {error}", super::GROUP)))?;
        all.extend(hooks.into_iter().map(|webhook| Configured { configuration: Arc::clone(&configuration), webhook }));
    }
    Ok(all)
}

/// Asks `hook`; the patch that it wants made, if any. `phase` is `mutation` or `validating`.
///
/// # Errors
/// When it refuses the write, or cannot be asked and its failure policy is not to ignore that.
pub(super) async fn ask(
    server: &ApiServer,
    hook: &Webhook,
    (phase, turn): (&str, Turn),
    write: &Attributes<'_>,
    object: Option<&Object>,
) -> Result<Option<Value>, ApiError> {
    if write.dry_run && !matches!(&*hook.side_effects, "None" | "NoneOnDryRun") {
        return Err(ApiError::bad_request(format!("admission webhook {:?} does not support dry run", hook.name)));
    }
    let verdict = match exchange(server, hook, write, object).await {
        Ok(verdict) => verdict,
        Err(why) if hook.failure_policy.as_deref() == Some("Ignore") => {
            tracing::warn!(webhook = hook.name, why, "failing open: the webhook could not be asked");
            if let Some(record) = write.call.record {
                record.annotate(format!("failed-open.{phase}.{WEBHOOK}/{turn}"), hook.name.clone());
            }
            return Ok(None);
        }
        Err(why) => return Err(ApiError::internal(format!("failed calling webhook {:?}: {why}", hook.name))),
    };
    verdict.warnings.into_iter().for_each(|text| write.call.warnings.add(text));
    if let Some(record) = write.call.record {
        verdict.notes.into_iter().for_each(|(key, note)| record.annotate(format!("{}/{key}", hook.name), note));
    }
    match verdict.refused {
        Some(refused) => Err(refused),
        None => Ok(verdict.patch),
    }
}

async fn exchange(
    server: &ApiServer,
    hook: &Webhook,
    write: &Attributes<'_>,
    object: Option<&Object>,
) -> Result<review::Verdict, String> {
    let seconds = hook.timeout_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(10);
    let versions = &hook.admission_review_versions;
    let version = ["v1", "v1beta1"].into_iter().find(|version| versions.iter().any(|v| v == version)).unwrap_or("v1");
    let uid = server.inner.env.uuid();
    let body = review::request(&uid, version, write, object).to_string();
    let (query, limit) = (format!("?timeout={seconds}s"), Duration::from_secs(seconds));
    let answer = outside::post(server, &hook.client_config, &query, limit, outside::MAX_ANSWER, body).await;
    let body = answer.map_err(|why| match why.starts_with("Post ") {
        true => format!("failed to call webhook: {why}"),
        false => why,
    })?;
    review::verdict(&hook.name, &uid, version, &body)
        .map_err(|error| format!("received invalid webhook response: {error}"))
}
