//! Webhooks, and how one is asked.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::Value;
use trimtab_api::kinds::webhooks;
use trimtab_api::{ApiError, Object};
use trimtab_client::{Body, HttpTransport, Transport, TransportError};

use super::Attributes;
use super::review;
use crate::server::ApiServer;
use crate::{backend, encode, read};

/// A validating one is a mutating one that may not change anything.
pub(super) use k8s_openapi::api::admissionregistration::v1::MutatingWebhook as Webhook;

/// The most that an answer may say: a patch of the largest object.
const MAX_ANSWER: usize = 8 << 20;

/// All webhooks of the configurations of one kind, those of the first name first.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn configured(server: &ApiServer, plural: &str) -> Result<Vec<Webhook>, ApiError> {
    let kinds = server.inner.kinds();
    let Some(kind) = kinds.by_resource("admissionregistration.k8s.io", "v1", plural) else { return Ok(Vec::new()) };
    let page = server.inner.store.list(&encode::prefix(kind, ""), trimtab_store::Page::default()).await;
    let entries = page.map_err(read::read_error)?.entries;
    let hooks = entries.iter().map(|entry| webhooks::webhooks(&encode::to_object(kind, entry)));
    let hooks: Result<Vec<_>, _> = hooks.collect();
    Ok(hooks.map_err(|error| ApiError::internal(format!("{}: {error}", kind.resource())))?.concat())
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
    let (transport, path) = transport(server, hook).await?;
    let uri = format!("{path}?timeout={seconds}s");
    let url = format!("{}{uri}", transport.server());
    let failed = |cause: String| format!("failed to call webhook: Post {url:?}: {cause}");
    let request = Request::builder().method(Method::POST).uri(&uri);
    let request = request.header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json");
    let request = request.body(Bytes::from(body)).map_err(|error| failed(error.to_string()))?;
    let answer = async {
        let response = transport.send(request).await.map_err(|error| failed(root_cause(&error)))?;
        let status = response.status();
        let body = whole(response.into_body()).await.map_err(failed)?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body[..body.len().min(1_024)]).into_owned();
            return Err(failed(format!("the server answered {status}: {text}")));
        }
        Ok(body)
    };
    let limit = server.inner.env.sleep(Duration::from_secs(seconds));
    let body = tokio::select! {
        answer = answer => answer?,
        () = limit => return Err(failed("context deadline exceeded".to_owned())),
    };
    review::verdict(&hook.name, &uid, version, &body)
        .map_err(|error| format!("received invalid webhook response: {error}"))
}

async fn whole(mut body: Body) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|error| error.to_string())?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > MAX_ANSWER {
            return Err(format!("the answer is larger than {MAX_ANSWER} bytes"));
        }
    }
    Ok(bytes)
}

fn root_cause(error: &TransportError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// How the webhook is reached, and the path there.
async fn transport(server: &ApiServer, hook: &Webhook) -> Result<(std::sync::Arc<HttpTransport>, String), String> {
    let config = &hook.client_config;
    let (base, path, at) = match (&config.url, &config.service) {
        (Some(url), _) => {
            let start = url.find("://").map_or(0, |at| at + 3);
            let end = url[start..].find('/').map_or(url.len(), |at| start + at);
            (url[..end].to_owned(), url[end..].to_owned(), None)
        }
        (None, Some(service)) => {
            let port = service.port.unwrap_or(443);
            let found = backend::of(server, &service.namespace, &service.name, port).await;
            let found = found.map_err(|error| error.status().message.clone().unwrap_or_default())?;
            let path = service.path.clone().unwrap_or_default();
            (format!("https://{}:{}", found.host, found.port), path, found.at)
        }
        (None, None) => return Err("its clientConfig names neither a url nor a service".to_owned()),
    };
    let ca = config.ca_bundle.as_ref().map(|bundle| bundle.0.as_slice()).filter(|pem| !pem.is_empty());
    let key = format!("{base} {at:?} {}", String::from_utf8_lossy(ca.unwrap_or_default()));
    let made = server.inner.outside.get(&key, || HttpTransport::trusting(&base, ca, at));
    let transport = made.map_err(|error| format!("its clientConfig cannot be used: {}", root_cause(&error)))?;
    Ok((transport, if path.is_empty() { "/".to_owned() } else { path }))
}
