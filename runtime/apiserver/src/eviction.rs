//! eviction: a pod goes on behalf of somebody who drains its node
//! (<https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/>).

use std::sync::Arc;

use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;
use serde::Deserialize;
use serde_json::{Value, json};
use trimtab_api::{ApiError, Object};
use trimtab_store::{Entry, Precondition};

use crate::admission::Verb;
use crate::decode::Expected;
use crate::handler::{Answer, Call};
use crate::path::ResourcePath;
use crate::server::ApiServer;
use crate::subresource::{admit, made};
use crate::write::{Committed, commit};
use crate::{budget, decode, delete, encode, read};

/// Deletes the call's pod, if its disruption budget lets it go. Who may have a say is asked about the eviction alone:
/// the delete is its consequence.
pub(crate) async fn evict(server: &ApiServer, call: &Call<'_>) -> Answer {
    if *call.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let eviction = decode::value(call, Expected::of("policy/v1", "Eviction"))?;
    if eviction["metadata"]["name"].as_str() != Some(call.path.name) {
        return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
    }
    let eviction = admit(server, call, Verb::Create, ("policy/v1", "Eviction"), eviction, None).await?;
    let mut options = options(&eviction)?;
    if call.dry_run() {
        options.dry_run = Some(vec!["All".to_owned()]);
    }
    let whole = Call { path: ResourcePath { subresource: "", ..call.path.clone() }, ..call.borrowed() };
    let mut entry = read::find(server, &whole).await?;
    let pod = encode::to_object(&call.kind, &entry);
    budget::spend(server, &pod, delete::is_dry_run(&options)).await?;
    loop {
        match go(server, call, &mut options, &entry).await {
            Ok(()) => return made(call),
            Err(Committed::Conflict(Some(newer))) => entry = newer,
            Err(Committed::Conflict(None)) => return Err(ApiError::not_found(&call.kind, call.path.name)),
            Err(Committed::Other(error)) => return Err(error),
        }
    }
}

fn options(eviction: &Value) -> Result<DeleteOptions, ApiError> {
    let options = eviction.get("deleteOptions").filter(|options| !options.is_null()).cloned();
    let bad = |error| ApiError::bad_request(format!("deleteOptions: {error}"));
    DeleteOptions::deserialize(&options.unwrap_or_else(|| json!({}))).map_err(bad)
}

/// Says of the pod why it goes, and deletes it.
async fn go(
    server: &ApiServer,
    call: &Call<'_>,
    options: &mut DeleteOptions,
    entry: &Arc<Entry>,
) -> Result<(), Committed> {
    let kind = &call.kind;
    let mut pod = encode::to_object(kind, entry);
    delete::preconditions(kind, &pod, options).map_err(Committed::Other)?;
    if delete::is_dry_run(options) || pod.deletion_timestamp().is_some() {
        return delete::attempt(server, kind, options, entry, pod).await.map(drop);
    }
    disrupt(&mut pod, &server.inner.timestamp());
    let marked = commit(server, kind, &pod, Precondition::At(entry.mod_revision)).await?;
    // The version that was asked for is the one before.
    if let Some(wanted) = &mut options.preconditions {
        wanted.resource_version = None;
    }
    delete::attempt(server, kind, options, &marked, encode::to_object(kind, &marked)).await.map(drop)
}

/// Gives a pod the condition that says who ends it
/// (<https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions>).
fn disrupt(pod: &mut Object, now: &str) {
    let mut conditions = match pod.remove(&["status", "conditions"]) {
        Some(Value::Array(conditions)) => conditions,
        _ => Vec::new(),
    };
    conditions.retain(|condition| condition["type"] != "DisruptionTarget");
    conditions.push(json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting", "lastProbeTime": null, "lastTransitionTime": now}));
    pod.set(&["status", "conditions"], conditions);
}
