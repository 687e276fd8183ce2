//! patch: of JSON, merge, strategic merge, and server-side apply.

use std::sync::Arc;

use serde_json::Value;
use trimtab_api::apply::{self, Writer};
use trimtab_api::patch::{self, PatchError};
use trimtab_api::{ApiError, Kind, Object};

use super::create::{place, upserted};
use super::{Mode, Written, update, written};
use crate::handler::{Answer, Call};
use crate::server::ApiServer;
use crate::{decode, read};

pub(crate) async fn patch(server: &ApiServer, call: &Call<'_>) -> Answer {
    let kind = &call.kind;
    match call.content_type() {
        "application/apply-patch+yaml" | "application/apply-patch+json" => apply_patch(server, call).await,
        "application/json-patch+json" => {
            let body = decode::patch(call)?;
            patched(server, call, &body, |current| patch::json(current, &body.value)).await
        }
        "application/merge-patch+json" => {
            let body = decode::patch(call)?;
            patched(server, call, &body, |current| Ok(patch::merge(current, &body.value))).await
        }
        "application/strategic-merge-patch+json" if kind.built_in => {
            let body = decode::patch(call)?;
            let schema = Arc::clone(kind.schema.get());
            patched(server, call, &body, |current| patch::strategic(&current, &body.value, &schema)).await
        }
        other => Err(ApiError::unsupported_media_type(other, &patch_types(kind))),
    }
}

/// The types of patches that objects of `kind` take.
pub(crate) fn patch_types(kind: &Kind) -> Vec<&'static str> {
    let mut types = vec!["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];
    types.extend(kind.built_in.then_some("application/strategic-merge-patch+json"));
    types
}

pub(crate) fn patch_error(error: PatchError) -> ApiError {
    match error {
        PatchError::TooLarge(_) => ApiError::new(413, "RequestEntityTooLarge", error.to_string()),
        PatchError::Rejected(_) => ApiError::new(422, "Invalid", error.to_string()),
        _ => ApiError::bad_request(error.to_string()),
    }
}

async fn patched(
    server: &ApiServer,
    call: &Call<'_>,
    patch: &decode::Patch,
    change: impl Fn(Value) -> Result<Value, PatchError>,
) -> Answer {
    // A patch that names no version is for whatever is there.
    update(server, call, Mode::Update, true, |current| {
        let result = change(Value::Object(current.0.clone())).map_err(patch_error)?;
        let Value::Object(map) = result else {
            return Err(ApiError::bad_request("the patched object is not an object"));
        };
        let object = decode::patched(call, patch, map)?;
        stands_where(call, &object)?;
        Ok(object)
    })
    .await
}

/// No patch gives an object another name, or takes it to another namespace.
fn stands_where(call: &Call<'_>, object: &Object) -> Result<(), ApiError> {
    let (name, namespace) = (object.name(), object.namespace());
    if !name.is_empty() && name != call.path.name {
        let wanted = call.path.name;
        let text = format!("the name of the object ({name}) does not match the name on the URL ({wanted})");
        return Err(ApiError::bad_request(text));
    }
    if !namespace.is_empty() && namespace != call.path.namespace && call.kind.namespaced() {
        let wanted = call.path.namespace;
        let text =
            format!("the namespace of the object ({namespace}) does not match the namespace on the request ({wanted})");
        return Err(ApiError::bad_request(text));
    }
    Ok(())
}

async fn apply_patch(server: &ApiServer, call: &Call<'_>) -> Answer {
    let kind = &call.kind;
    let mut applied = decode::object(call)?;
    if applied.at(&["metadata", "managedFields"]).and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    apply::check(&applied, kind.schema.get()).map_err(ApiError::bad_request)?;
    place(kind, call, &mut applied)?;
    only_part(kind, call.path.subresource, &mut applied);
    let there = read::find(server, call).await;
    if there.as_ref().is_err_and(ApiError::is_not_found) && call.path.subresource.is_empty() {
        server.inner.authorizer.may_also(call, "create")?;
        let object = put_over(server, call, call.path.subresource, None, &applied)?;
        match upserted(server, call, object).await {
            // Somebody else made it meanwhile: it is there to be applied to.
            Err(error) if error.is_already_exists() => {}
            answer => return answer,
        }
    }
    update(server, call, Mode::Apply, true, |current| {
        put_over(server, call, call.path.subresource, Some(current), &applied)
    })
    .await
}

/// Leaves of `applied` what can be applied by this subresource: nobody comes to own what he cannot set.
fn only_part(kind: &Kind, subresource: &str, applied: &mut Object) {
    const IDENTITY: [&str; 4] = ["name", "namespace", "uid", "resourceVersion"];
    if kind.status && subresource.is_empty() {
        applied.remove(&["status"]);
    } else if subresource == "status" {
        applied.0.retain(|name, _| matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
        let metadata = applied.0.get_mut("metadata").and_then(Value::as_object_mut);
        if let Some(metadata) = metadata.filter(|_| !kind.status_metadata) {
            metadata.retain(|name, _| IDENTITY.contains(&name.as_str()));
        }
    }
}

/// Applies `applied`, which came by the scale subresource, to the object of the call.
pub(crate) async fn applied_scale(server: &ApiServer, call: &Call<'_>, applied: &Object) -> Result<Written, ApiError> {
    let mode = Mode::Scale { is_applied: true };
    written(server, call, mode, true, |current| put_over(server, call, "scale", Some(current), applied)).await
}

fn put_over(
    server: &ApiServer,
    call: &Call<'_>,
    subresource: &str,
    current: Option<&Object>,
    applied: &Object,
) -> Result<Object, ApiError> {
    let kind = &call.kind;
    let (api_version, time) = (kind.api_version(), server.inner.timestamp());
    let writer =
        Writer { manager: call.query.get("fieldManager"), api_version: &api_version, subresource, time: &time };
    apply::apply(current, applied, writer, call.query.flag("force"), kind.schema.get())
        .map_err(|found| conflict(kind, call.path.name, &found))
}

fn conflict(kind: &Kind, name: &str, found: &apply::Conflicts) -> ApiError {
    let what = if let [(manager, path)] = found.0.as_slice() {
        format!("Apply failed with 1 conflict: conflict with {manager}: {path}")
    } else {
        let of_each = found.0.chunk_by(|(one, _), (other, _)| one == other).map(|all| {
            let paths: String = all.iter().map(|(_, path)| format!("\n- {path}")).collect();
            format!("conflicts with {}:{paths}", all[0].0)
        });
        format!("Apply failed with {} conflicts: {}", found.0.len(), of_each.collect::<Vec<_>>().join("\n"))
    };
    let error = ApiError::new(409, "Conflict", what);
    let error = found.0.iter().fold(error, |error, (manager, path)| {
        error.with_cause("FieldManagerConflict", Some(path), format!("conflict with {manager}"))
    });
    error.with_details(|details| {
        details.kind = Some(kind.plural.to_string());
        details.name = Some(name.to_owned());
    })
}
