//! Webhooks, and how one is asked.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use trimtab_api::kinds::webhooks;
use trimtab_api::{ApiError, Kind, Object};

use super::Attributes;
use super::review;
use crate::server::ApiServer;
use crate::{outside, stored};

/// A validating one is a mutating one that may not change anything.
pub(super) use k8s_openapi::api::admissionregistration::v1::MutatingWebhook as Webhook;

/// A webhook that is asked about a write.
pub(super) struct Asked {
    pub webhook: Webhook,
    /// The version of the kind that it knows.
    pub version: Arc<Kind>,
}

/// All webhooks of the configurations of one kind, those of the first name first.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn configured(server: &ApiServer, plural: &str) -> Result<Vec<Webhook>, ApiError> {
    let configurations = stored::list(server, (super::GROUP, "v1", plural), "").await?;
    let hooks: Result<Vec<_>, _> = configurations.iter().map(webhooks::webhooks).collect();
    Ok(hooks.map_err(|error| ApiError::internal(format!("{plural}.{}: {error}", super::GROUP)))?.concat())
}

/// Asks `hook`; the patch that it wants made, if any.
///
/// # Errors
/// When it refuses the write, or cannot be asked and its failure policy is not to ignore that.
pub(super) async fn ask(
    server: &ApiServer,
    hook: &Webhook,
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
            return Ok(None);
        }
        Err(why) => return Err(ApiError::internal(format!("failed calling webhook {:?}: {why}", hook.name))),
    };
    verdict.warnings.into_iter().for_each(|text| write.call.warnings.add(text));
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
