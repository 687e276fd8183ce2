//! delete and deletecollection.

use std::sync::Arc;

use http::StatusCode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;
use serde::Deserialize;
use serde_json::{Value, json};
use trimtab_api::{ApiError, Kind, Object, Operation, field};
use trimtab_store::{Entry, Precondition, Write};

use crate::admission::{self, Attributes, Verb};
use crate::decode::Expected;
use crate::handler::{Answer, Call};
use crate::read::{self, Filter};
use crate::server::{ApiServer, format_time};
use crate::write::{Committed, commit, commit_error};
use crate::{body, decode, encode, negotiate};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";
const POLICIES: [&str; 3] = ["Background", "Foreground", "Orphan"];

/// Deletes the call's object: it goes, or stays with a deletion timestamp for its grace period and
/// finalizers.
pub(crate) async fn delete(server: &ApiServer, call: &Call<'_>) -> Answer {
    let options = options(call)?;
    let form = negotiate::form(call.headers, &call.kind)?;
    let mut entry = read::find(server, call).await?;
    loop {
        match admitted(server, call, &options, &entry).await {
            Ok(Deleted::Marked(object)) => {
                // Only who asks in the old way not to leave what it owns is told that this takes a while.
                let left = options.orphan_dependents == Some(false);
                let code = if left { StatusCode::ACCEPTED } else { StatusCode::OK };
                return read::formed(server, call, form, code, &object);
            }
            Ok(Deleted::Gone(object)) if call.kind.answers_deleted => {
                return read::formed(server, call, form, StatusCode::OK, &object);
            }
            Ok(Deleted::Gone(object)) => return body::plain(StatusCode::OK, call.headers, &gone(&call.kind, &object)),
            Err(Committed::Conflict(Some(newer))) => entry = newer,
            Err(Committed::Conflict(None)) => return Err(ApiError::not_found(&call.kind, call.path.name)),
            Err(Committed::Other(error)) => return Err(error),
        }
    }
}

fn options(call: &Call<'_>) -> Result<DeleteOptions, ApiError> {
    let mut options = DeleteOptions::default();
    if !call.body.is_empty() {
        let bad =
            |error: serde_json::Error| ApiError::bad_request(format!("the delete options cannot be read: {error}"));
        let expected = Expected::of("meta.k8s.io/v1", "DeleteOptions");
        options = DeleteOptions::deserialize(&decode::value(call, expected)?).map_err(bad)?;
    }
    let text = |name: &str| Some(call.query.get(name)).filter(|text| !text.is_empty());
    if let Some(seconds) = text("gracePeriodSeconds") {
        let bad = |_| ApiError::bad_request(format!("gracePeriodSeconds {seconds:?} is not a whole number"));
        options.grace_period_seconds = Some(seconds.parse().map_err(bad)?);
    }
    if let Some(policy) = text("propagationPolicy") {
        options.propagation_policy = Some(policy.to_owned());
    }
    if let Some(orphan) = text("orphanDependents") {
        options.orphan_dependents = Some(orphan != "false" && orphan != "0");
    }
    if call.dry_run() {
        options.dry_run = Some(vec!["All".to_owned()]);
    }
    check(&options)?;
    Ok(options)
}

fn check(options: &DeleteOptions) -> Result<(), ApiError> {
    let mut errors = Vec::new();
    let policy = options.propagation_policy.as_deref();
    if let Some(unknown) = policy.filter(|policy| !POLICIES.contains(policy)) {
        errors.push(field::Error::not_supported(&field::Path::new("propagationPolicy"), unknown, &POLICIES));
    }
    if policy.is_some() && options.orphan_dependents.is_some() {
        let both = "orphanDependents and deletionPropagation cannot be both set";
        errors.push(field::Error::invalid(&field::Path::new("propagationPolicy"), policy, both));
    }
    if let Some(other) = options.dry_run.iter().flatten().find(|value| *value != "All") {
        errors.push(field::Error::not_supported(&field::Path::new("dryRun"), other, &["All"]));
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid_as("meta.k8s.io", "DeleteOptions", "", &errors)) }
}

/// What became of an object that was to be deleted.
pub(crate) enum Deleted {
    /// It is there no more. What it was, marked.
    Gone(Object),
    /// It is marked, and waits for its grace period or finalizers.
    Marked(Object),
}

/// As [`attempt`], if those who have a say allow it.
async fn admitted(
    server: &ApiServer,
    call: &Call<'_>,
    options: &DeleteOptions,
    entry: &Arc<Entry>,
) -> Result<Deleted, Committed> {
    let (old, api_version) = (encode::to_object(&call.kind, entry), call.kind.api_version());
    let write = Attributes {
        call,
        verb: Verb::Delete,
        version: None,
        kind: (&api_version, &call.kind.kind),
        name: old.name(),
        old: Some(&old),
        options: Some(options),
        dry_run: is_dry_run(options),
    };
    admission::admit(server, &write, None).await.map_err(Committed::Other)?;
    attempt(server, &call.kind, options, entry, old).await
}

pub(crate) fn is_dry_run(options: &DeleteOptions) -> bool {
    options.dry_run.as_ref().is_some_and(|list| !list.is_empty())
}

/// Deletes one version of an object, which is `object`, or marks it.
pub(crate) async fn attempt(
    server: &ApiServer,
    kind: &Kind,
    options: &DeleteOptions,
    entry: &Arc<Entry>,
    object: Object,
) -> Result<Deleted, Committed> {
    preconditions(kind, &object, options).map_err(Committed::Other)?;
    let mut new = object;
    mark(server, kind, &mut new, options);
    let dry_run = is_dry_run(options);
    if is_due(kind, &new) {
        if !dry_run {
            remove(server, kind, entry).await?;
        }
        return Ok(Deleted::Gone(new));
    }
    // Most go at once. What one was that stays is read again.
    let old = encode::to_object(kind, entry);
    // Marking a namespace changes its phase.
    let admission = kind.strategy.admit(Operation::UpdateStatus { old: &old }, &mut new);
    if !admission.errors.is_empty() {
        return Err(Committed::Other(ApiError::invalid(kind, old.name(), &admission.errors)));
    }
    new.set(&["apiVersion"], kind.api_version());
    new.set(&["kind"], &*kind.kind);
    if new == old || dry_run {
        return Ok(Deleted::Marked(new));
    }
    let stored = commit(server, kind, &new, Precondition::At(entry.mod_revision)).await?;
    Ok(Deleted::Marked(encode::to_object(kind, &stored)))
}

/// # Errors
/// 409 when the object is not the one, or the version, that is meant.
pub(crate) fn preconditions(kind: &Kind, object: &Object, options: &DeleteOptions) -> Result<(), ApiError> {
    let Some(wanted) = &options.preconditions else { return Ok(()) };
    let pairs =
        [("UID", &wanted.uid, object.uid()), ("ResourceVersion", &wanted.resource_version, object.resource_version())];
    for (name, wanted, found) in pairs {
        if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
            let detail =
                format!("Precondition failed: {name} in precondition: {wanted}, {name} in object meta: {found}");
            return Err(ApiError::conflict(kind, object.name(), detail));
        }
    }
    Ok(())
}

/// Sets the deletion timestamp, or brings it forward, and the finalizer that the policy asks for.
fn mark(server: &ApiServer, kind: &Kind, object: &mut Object, options: &DeleteOptions) {
    set_finalizer(object, kind, options);
    let grace = kind.strategy.grace_period(object, options.grace_period_seconds);
    let was_marked = object.deletion_timestamp().is_some();
    let pending = object.at(&["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64);
    if was_marked && pending.is_some_and(|pending| pending <= grace) {
        return;
    }
    let due = server.inner.env.now() + std::time::Duration::from_secs(grace.unsigned_abs());
    object.set(&["metadata", "deletionTimestamp"], format_time(due));
    object.set(&["metadata", "deletionGracePeriodSeconds"], grace);
    if !was_marked {
        kind.strategy.mark_deleted(object);
    }
}

/// Has the object wait for what is done to what it owns: as the request says, else as was said before, else as
/// its kind has it.
fn set_finalizer(object: &mut Object, kind: &Kind, options: &DeleteOptions) {
    let path = &["metadata", "finalizers"];
    let before = object.at(path).and_then(Value::as_array).cloned().unwrap_or_default();
    let said_before = [ORPHAN, FOREGROUND].into_iter().find(|name| before.iter().any(|finalizer| finalizer == name));
    let waits = match (options.propagation_policy.as_deref(), options.orphan_dependents) {
        (Some("Foreground"), _) => Some(FOREGROUND),
        (Some("Orphan"), _) | (None, Some(true)) => Some(ORPHAN),
        (Some(_), _) | (None, Some(false)) => None,
        (None, None) => said_before.or_else(|| kind.orphans.then_some(ORPHAN)),
    };
    if waits == said_before {
        return;
    }
    let others = before.into_iter().filter(|finalizer| finalizer != ORPHAN && finalizer != FOREGROUND);
    let finalizers: Vec<Value> = others.chain(waits.map(Value::from)).collect();
    object.set(path, finalizers);
}

/// Whether a marked object has nothing left to wait for.
pub(crate) fn is_due(kind: &Kind, object: &Object) -> bool {
    let finalizers =
        object.at(&["metadata", "finalizers"]).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let grace = object.at(&["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64).unwrap_or(0);
    object.deletion_timestamp().is_some() && !finalizers && grace == 0 && !kind.strategy.holds_deletion(object)
}

/// Takes an object out of the store.
pub(crate) async fn remove(server: &ApiServer, kind: &Kind, entry: &Entry) -> Result<(), Committed> {
    let write = Write { key: entry.key.to_string(), value: None, precondition: Precondition::At(entry.mod_revision) };
    let Some(hook) = server.inner.hook(kind) else {
        return server.inner.store.commit(write).await.map(drop).map_err(commit_error);
    };
    let object = encode::to_object(kind, entry);
    // What goes with it is deleted whatever it is by now: of a conflict, it is the object's own.
    let beside = hook.beside(Some(&object), None);
    server.inner.store.commit_with(beside, write).await.map_err(commit_error)?;
    hook.release(&object, None);
    Ok(())
}

fn gone(kind: &Kind, object: &Object) -> Value {
    let mut details = json!({"name": object.name(), "kind": kind.plural, "uid": object.uid()});
    if !kind.group.is_empty() {
        details["group"] = (&*kind.group).into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

pub(crate) async fn delete_collection(server: &ApiServer, call: &Call<'_>) -> Answer {
    let options = options(call)?;
    let form = negotiate::form(call.headers, &call.kind)?;
    let filter = Filter::of(call)?;
    let page = read::select(server, call, &filter).await?;
    for entry in &page.entries {
        let mut entry = Arc::clone(entry);
        loop {
            match admitted(server, call, &options, &entry).await {
                Err(Committed::Conflict(Some(newer))) => entry = newer,
                Ok(_) | Err(Committed::Conflict(None)) => break,
                Err(Committed::Other(error)) => return Err(error),
            }
        }
    }
    let metadata = json!({"resourceVersion": page.revision.to_string()});
    read::answer(server, call, form, metadata, &page.entries)
}
