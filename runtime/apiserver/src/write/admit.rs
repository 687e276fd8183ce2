//! Who has a say in a write: the kind itself, admission, and what gives out what is unique.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use trimtab_api::apply::{self, Given, Writer};
use trimtab_api::kinds::warnings;
use trimtab_api::{Admission, ApiError, Kind, Object, Operation};

use super::Mode;
use crate::admission::{self, Mutated, Verb};
use crate::auth;
use crate::handler::Call;
use crate::server::ApiServer;

/// What is stored, unless it is a new object.
fn replaced(operation: Operation<'_>) -> Option<&Object> {
    match operation {
        Operation::Create => None,
        Operation::Update { old } | Operation::UpdateStatus { old } => Some(old),
    }
}

/// What admission is told of a write, beside the object.
fn attributes<'a>(
    call: &'a Call<'a>,
    operation: Operation<'a>,
    api_version: &'a str,
    name: &'a str,
) -> admission::Attributes<'a> {
    let old = replaced(operation);
    let verb = if old.is_some() { Verb::Update } else { Verb::Create };
    let kind = (api_version, &*call.kind.kind);
    admission::Attributes { call, verb, version: None, kind, name, old, options: None, dry_run: call.dry_run() }
}

/// Lets those change the object who may.
pub(super) async fn mutate(
    server: &ApiServer,
    call: &Call<'_>,
    operation: Operation<'_>,
    object: &mut Object,
) -> Result<Mutated, ApiError> {
    let (api_version, name) = (call.kind.api_version(), object.name().to_owned());
    let write = attributes(call, operation, &api_version, &name);
    // What is wrong with it is told once nobody changes it any more.
    let filled = Mutex::new(Given::default());
    let fill = |object: &mut Object| {
        let given = shape(call, operation, object).given;
        filled.lock().unwrap_or_else(PoisonError::into_inner).add(&given);
    };
    let mut mutated = admission::mutate(server, &write, object, &fill).await?;
    mutated.given.add(&filled.into_inner().unwrap_or_else(PoisonError::into_inner));
    if mutated.is_asked {
        // They stand in the path, which nobody changes; but one that is to be generated may be given.
        if !name.is_empty() {
            object.set(&["metadata", "name"], name);
        }
        if call.kind.namespaced() {
            object.set(&["metadata", "namespace"], call.path.namespace);
        }
    }
    Ok(mutated)
}

/// Asks those who may refuse it. What the hook gave out goes back if one does.
pub(super) async fn validate(
    server: &ApiServer,
    call: &Call<'_>,
    operation: Operation<'_>,
    object: &Object,
) -> Result<(), ApiError> {
    let api_version = call.kind.api_version();
    let write = attributes(call, operation, &api_version, object.name());
    let answer = admission::validate(server, &write, Some(object)).await;
    if answer.is_err() {
        release(server, &call.kind, object, write.old);
    }
    answer
}

/// Typed clients may leave out since when a condition holds, or say `null`: its type has a time at all events, and all
/// who read it count on one. They read what they wrote: this is the time that stands for none.
fn date_conditions(kind: &Kind, object: &mut Object) {
    const CONDITION: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Condition";
    const SINCE: &str = "lastTransitionTime";
    const NEVER: &str = "0001-01-01T00:00:00Z";
    let schema = kind.schema.get().properties.get("status").and_then(|status| status.properties.get("conditions"));
    let of_items = schema.and_then(|conditions| conditions.items.as_ref()?.definition.as_deref());
    if !kind.built_in || of_items != Some(CONDITION) {
        return;
    }
    let conditions = object.0.get_mut("status").and_then(|status| status.get_mut("conditions"));
    for condition in conditions.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(condition) = condition.as_object_mut().filter(|condition| !condition.contains_key(SINCE)) {
            condition.insert(SINCE.to_owned(), NEVER.into());
        }
    }
}

/// The kind's own defaults and validation.
fn shape(call: &Call<'_>, operation: Operation<'_>, object: &mut Object) -> Admission {
    let kind = &*call.kind;
    date_conditions(kind, object);
    // No strategy looks at the owners, and their typed form would not be what was written.
    let managers = object.remove(&["metadata", "managedFields"]);
    let admission = match (operation, call.path.subresource) {
        (Operation::Update { old }, part) if !part.is_empty() => kind.strategy.admit_part(part, old, object),
        _ => kind.strategy.admit(operation, object),
    };
    if let Some(managers) = managers {
        object.set(&["metadata", "managedFields"], managers);
    }
    // Typed forms leave these to the wire.
    object.set(&["apiVersion"], kind.api_version());
    object.set(&["kind"], &*kind.kind);
    admission
}

/// Defaults, validation, who owns what, and what the kind's hook gives out. Of what it was `given` so far, and is given
/// here, nobody is the owner.
pub(super) fn admit(
    server: &ApiServer,
    call: &Call<'_>,
    operation: Operation<'_>,
    mode: Mode,
    mut given: Given,
    object: &mut Object,
) -> Result<(), ApiError> {
    let kind = &*call.kind;
    warnings_of_owners(call, object);
    let mut errors = trimtab_api::meta::validate(kind, object);
    if let Some(old) = replaced(operation) {
        errors.extend(trimtab_api::meta::validate_update(object, old));
    }
    if errors.is_empty() {
        let admission = shape(call, operation, object);
        errors = admission.errors;
        given.add(&admission.given);
        let more = if errors.is_empty() { warnings::of(kind, operation, object) } else { Vec::new() };
        admission.warnings.into_iter().chain(more).for_each(|text| call.warnings.add(text));
        if kind.inert && !matches!(operation, Operation::UpdateStatus { .. }) {
            call.warnings.add(format!("{} are kept, but nothing in this cluster acts on them yet", kind.resource()));
        }
    }
    if errors.is_empty() {
        if !mode.is_apply() {
            track(server, call, operation, mode, given, object);
        }
        let old = match operation {
            Operation::Update { old } => Some(old),
            _ => None,
        };
        auth::escalation::check(&server.inner.authorizer, call, old, object)?;
        admission::certificates::check(server, call, operation, object)?;
    }
    if let (true, Some(hook)) = (errors.is_empty(), server.inner.hook(kind)) {
        match operation {
            Operation::Create => errors = hook.admit(None, object),
            Operation::Update { old } => errors = hook.admit(Some(old), object),
            Operation::UpdateStatus { .. } => hook.admit_status(object),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(kind, object.name(), &errors)) }
}

/// Of owners that are named twice, one stays.
fn warnings_of_owners(call: &Call<'_>, object: &mut Object) {
    let twice = trimtab_api::meta::dedup_owners(object);
    if !twice.is_empty() {
        call.warnings.add(format!(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may \
             reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            twice.join(", ")
        ));
    }
}

/// Keeps the owners true through the write.
fn track(
    server: &ApiServer,
    call: &Call<'_>,
    operation: Operation<'_>,
    mode: Mode,
    mut given: Given,
    object: &mut Object,
) {
    let (kind, schema) = (&call.kind, call.kind.schema.get());
    let old = replaced(operation);
    // Whoever makes an object sets no status, but the cluster does.
    if old.is_none() && kind.status {
        given.part(object, "status", schema);
    }
    let (api_version, manager, time) = (kind.api_version(), call.manager(), server.inner.timestamp());
    let subresource = if mode.asks() { call.path.subresource } else { "scale" };
    let writer = Writer { manager: &manager, api_version: &api_version, subresource, time: &time };
    *object = apply::track(old, std::mem::take(object), &given, writer, schema);
}

/// Gives back what the hook gave out for a write that was not made.
pub(super) fn release(server: &ApiServer, kind: &Kind, object: &Object, kept: Option<&Object>) {
    if let Some(hook) = server.inner.hook(kind) {
        hook.release(object, kept);
    }
}
