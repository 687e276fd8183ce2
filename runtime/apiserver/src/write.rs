//! create, update, patch and status.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;
use trimtab_api::apply::{self, Writer};
use trimtab_api::kinds::warnings;
use trimtab_api::patch::{self, PatchError};
use trimtab_api::{Admission, ApiError, Kind, Object, Operation};
use trimtab_store::{CommitError, Entry, Precondition, Write};

use crate::admission::{self, Verb};
use crate::conversion;
use crate::handler::{Answer, Call};
use crate::negotiate;
use crate::read;
use crate::server::ApiServer;
use crate::{auth, decode, delete, encode};

/// Letters behind a generateName, and how often another name is tried.
const SUFFIX: usize = 5;
const NAME_TRIES: usize = 8;
/// How often a patch is tried again on a newer version of the object.
const PATCH_TRIES: usize = 8;
/// Filled by the system; a client's value is put back.
const SYSTEM_FIELDS: [&str; 6] =
    ["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"];

pub(crate) async fn create(server: &ApiServer, call: &Call<'_>) -> Answer {
    let object = decode::object(call)?;
    created(server, call, object).await
}

async fn created(server: &ApiServer, call: &Call<'_>, object: Object) -> Answer {
    let form = negotiate::form(call.headers, &call.kind)?;
    let (object, entry) = insert(server, call, object).await?;
    match entry {
        Some(entry) => read::one(server, call, form, StatusCode::CREATED, &entry),
        None => read::formed(server, call, form, StatusCode::CREATED, &object),
    }
}

/// Makes a new object; the entry is `None` after a dry run.
async fn insert(server: &ApiServer, call: &Call<'_>, object: Object) -> Result<(Object, Option<Arc<Entry>>), ApiError> {
    let kind = &call.kind;
    if !object.resource_version().is_empty() {
        return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
    }
    let mut placed = object;
    place(kind, call, &mut placed)?;
    let generate = placed.str_at(&["metadata", "generateName"]).to_owned();
    let generated = placed.name().is_empty() && !generate.is_empty();
    for attempt in 0.. {
        let object = if generated {
            let mut object = placed.clone();
            object.set(&["metadata", "name"], format!("{generate}{}", server.inner.env.name_suffix(SUFFIX)));
            object
        } else {
            // There is no other try.
            std::mem::take(&mut placed)
        };
        let new = admit_new(server, call, object).await?;
        let new = apply::track(
            None,
            new,
            writer(&kind.api_version(), &call.manager(), "", &server.inner.timestamp()),
            kind.schema.get(),
        );
        if call.dry_run() {
            release(server, kind, &new, None);
            exists(server, kind, &new).await?;
            admission::quota::charge(server, call, &new, None).await?;
            return Ok((new, None));
        }
        match commit_new(server, call, &new).await {
            Ok(entry) => return Ok((new, Some(entry))),
            Err(Committed::Conflict(_)) if generated && attempt < NAME_TRIES => {}
            Err(Committed::Conflict(_)) => return Err(ApiError::already_exists(kind, new.name())),
            Err(Committed::Other(error)) => return Err(error),
        }
    }
    unreachable!("the loop above ends by returning")
}

/// Stores a new object. What was taken for it goes back if it cannot be stored.
async fn commit_new(server: &ApiServer, call: &Call<'_>, new: &Object) -> Result<Arc<Entry>, Committed> {
    let kind = &call.kind;
    let failed = match admission::quota::charge(server, call, new, None).await {
        Err(error) => Committed::Other(error),
        Ok(charge) => match commit_over(server, kind, None, new, Precondition::Absent).await {
            Ok(entry) => return Ok(entry),
            Err(failed) => {
                charge.refund(server).await;
                failed
            }
        },
    };
    release(server, kind, new, None);
    Err(failed)
}

async fn exists(server: &ApiServer, kind: &Kind, object: &Object) -> Result<(), ApiError> {
    let key = encode::key(kind, object.namespace(), object.name());
    match server.inner.store.get(&key).await.map_err(read::read_error)? {
        Some(_) => Err(ApiError::already_exists(kind, object.name())),
        None => Ok(()),
    }
}

// Name and namespace come from the object and the path, and must agree.
fn place(kind: &Kind, call: &Call<'_>, object: &mut Object) -> Result<(), ApiError> {
    if kind.namespaced() {
        if call.path.namespace.is_empty() {
            return Err(ApiError::bad_request("an empty namespace may not be set during creation"));
        }
        let found = object.namespace();
        if !found.is_empty() && found != call.path.namespace {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        object.set(&["metadata", "namespace"], call.path.namespace);
    } else if let Some(metadata) = object.0.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("namespace");
    }
    if !call.path.name.is_empty() {
        let found = object.name();
        if !found.is_empty() && found != call.path.name {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({found}) does not match the name on the URL ({})",
                call.path.name
            )));
        }
        object.set(&["metadata", "name"], call.path.name);
    }
    Ok(())
}

fn begin(server: &ApiServer, kind: &Kind, object: &mut Object) {
    for field in SYSTEM_FIELDS {
        object.remove(&["metadata", field]);
    }
    object.set(&["metadata", "uid"], server.inner.env.uuid());
    object.set(&["metadata", "creationTimestamp"], server.inner.timestamp());
    if kind.generations {
        object.set(&["metadata", "generation"], 1);
    }
}

// Of a built-in kind the strategy decides: a Node is registered with its status.
fn without_status(kind: &Kind, object: &mut Object) {
    if kind.status && !kind.built_in {
        object.remove(&["status"]);
    }
}

/// A new object with all that it gets, admitted by all who have a say.
async fn admit_new(server: &ApiServer, call: &Call<'_>, mut new: Object) -> Result<Object, ApiError> {
    let kind = &call.kind;
    namespace_takes(server, kind, &new).await?;
    mutate(server, call, Operation::Create, &mut new).await?;
    begin(server, kind, &mut new);
    without_status(kind, &mut new);
    admission::certificates::prepare(server, call, Operation::Create, &mut new);
    admit(server, call, Operation::Create, &mut new)?;
    validate(server, call, Operation::Create, &new).await?;
    Ok(new)
}

/// What admission is told of a write, beside the object.
fn attributes<'a>(
    call: &'a Call<'a>,
    operation: Operation<'a>,
    api_version: &'a str,
    name: &'a str,
) -> admission::Attributes<'a> {
    let (verb, old) = match operation {
        Operation::Create => (Verb::Create, None),
        Operation::Update { old } | Operation::UpdateStatus { old } => (Verb::Update, Some(old)),
    };
    let kind = (api_version, &*call.kind.kind);
    admission::Attributes { call, verb, version: None, kind, name, old, dry_run: call.dry_run() }
}

/// Lets those change the object who may. Answers whether any was asked.
async fn mutate(
    server: &ApiServer,
    call: &Call<'_>,
    operation: Operation<'_>,
    object: &mut Object,
) -> Result<bool, ApiError> {
    let (api_version, name) = (call.kind.api_version(), object.name().to_owned());
    let write = attributes(call, operation, &api_version, &name);
    // What is wrong with it is told once nobody changes it any more.
    let fill = |object: &mut Object| drop(shape(call, operation, object));
    let asked = admission::mutate(server, &write, object, &fill).await?;
    if asked {
        // They stand in the path, which nobody changes.
        object.set(&["metadata", "name"], name);
        if call.kind.namespaced() {
            object.set(&["metadata", "namespace"], call.path.namespace);
        }
    }
    Ok(asked)
}

/// Asks those who may refuse it. What the hook gave out goes back if one does.
async fn validate(
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

/// The kind's own defaults and validation.
fn shape(call: &Call<'_>, operation: Operation<'_>, object: &mut Object) -> Admission {
    let kind = &*call.kind;
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

/// Defaults, validation, and what the kind's hook gives out.
fn admit(server: &ApiServer, call: &Call<'_>, operation: Operation<'_>, object: &mut Object) -> Result<(), ApiError> {
    let kind = &*call.kind;
    let mut errors = trimtab_api::meta::validate(kind, object);
    if let Operation::Update { old } | Operation::UpdateStatus { old } = operation {
        errors.extend(trimtab_api::meta::validate_update(object, old));
    }
    if errors.is_empty() {
        let admission = shape(call, operation, object);
        errors = admission.errors;
        let more = if errors.is_empty() { warnings::of(kind, operation, object) } else { Vec::new() };
        admission.warnings.into_iter().chain(more).for_each(|text| call.warnings.add(text));
        if kind.inert && !matches!(operation, Operation::UpdateStatus { .. }) {
            call.warnings.add(format!("{} are kept, but nothing in this cluster acts on them yet", kind.resource()));
        }
    }
    if errors.is_empty() {
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
            Operation::UpdateStatus { .. } => {}
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(kind, object.name(), &errors)) }
}

/// Gives back what the hook gave out for a write that was not made.
fn release(server: &ApiServer, kind: &Kind, object: &Object, kept: Option<&Object>) {
    if let Some(hook) = server.inner.hook(kind) {
        hook.release(object, kept);
    }
}

// An object is made in a namespace that is there and not going.
async fn namespace_takes(server: &ApiServer, kind: &Kind, object: &Object) -> Result<(), ApiError> {
    if !kind.namespaced() {
        return Ok(());
    }
    let kinds = server.inner.kinds();
    let Some(namespaces) = kinds.by_resource("", "v1", "namespaces") else { return Ok(()) };
    let name = object.namespace();
    let key = encode::key(namespaces, "", name);
    let entry = server.inner.store.get(&key).await.map_err(read::read_error)?;
    let entry = entry.ok_or_else(|| ApiError::not_found(namespaces, name))?;
    if encode::is_deleted(&entry) {
        let detail = format!("unable to create new content in namespace {name} because it is being terminated");
        let error = ApiError::forbidden(kind, object.name(), &detail);
        return Err(error.with_cause(
            "NamespaceTerminating",
            Some("metadata.namespace"),
            format!("namespace {name} is being terminated"),
        ));
    }
    Ok(())
}

fn writer<'a>(api_version: &'a str, manager: &'a str, subresource: &'a str, time: &'a str) -> Writer<'a> {
    Writer { manager, api_version, subresource, time }
}

/// A commit that was not made.
pub(crate) enum Committed {
    /// Somebody else was first; what is there now.
    Conflict(Option<Arc<Entry>>),
    /// Anything else.
    Other(ApiError),
}

/// As [`commit`], together with what the kind's hook writes beside it.
async fn commit_over(
    server: &ApiServer,
    kind: &Kind,
    old: Option<&Object>,
    object: &Object,
    precondition: Precondition,
) -> Result<Arc<Entry>, Committed> {
    let beside = server.inner.hook(kind).map(|hook| hook.beside(old, Some(object))).unwrap_or_default();
    commit_with(server, kind, beside, object, precondition).await
}

pub(crate) async fn commit(
    server: &ApiServer,
    kind: &Kind,
    object: &Object,
    precondition: Precondition,
) -> Result<Arc<Entry>, Committed> {
    commit_with(server, kind, Vec::new(), object, precondition).await
}

async fn commit_with(
    server: &ApiServer,
    kind: &Kind,
    beside: Vec<Write>,
    object: &Object,
    precondition: Precondition,
) -> Result<Arc<Entry>, Committed> {
    let key = encode::key(kind, object.namespace(), object.name());
    let others: Vec<String> = beside.iter().map(|write| write.key.clone()).collect();
    let converted = conversion::to_storage(server, kind, object).await.map_err(Committed::Other)?;
    let stored = encode::to_stored(kind, converted.as_ref().unwrap_or(object));
    let write = Write { key, value: Some(stored), precondition };
    match server.inner.store.commit_with(beside, write).await {
        // Somebody was quicker with what is written beside it.
        Err(CommitError::Conflict { key, .. }) if others.contains(&key) => {
            let what = key.rsplit('/').next().unwrap_or_default();
            let detail = format!("{what} was taken by another request meanwhile; please try again");
            Err(Committed::Other(ApiError::conflict(kind, object.name(), detail)))
        }
        Ok((_, Some(entry))) => {
            if let Some(hook) = server.inner.hook(kind) {
                hook.written(&entry);
            }
            // It is answered with in the version that it was written in.
            let as_written = |_| {
                let value = encode::converted(kind, object, true);
                conversion::with_value(&entry, value)
            };
            Ok(converted.map_or_else(|| Arc::clone(&entry), as_written))
        }
        Ok((_, None)) => {
            Err(Committed::Other(ApiError::internal("the store answered a write without the version written")))
        }
        Err(error) => match commit_error(error) {
            Committed::Conflict(Some(current)) => {
                let current = conversion::entry(server, kind, current).await.map_err(Committed::Other)?;
                Err(Committed::Conflict(Some(current)))
            }
            other => Err(other),
        },
    }
}

pub(crate) fn commit_error(error: CommitError) -> Committed {
    match error {
        CommitError::Conflict { current, .. } => Committed::Conflict(current),
        CommitError::Closed => Committed::Other(ApiError::unavailable("the server is shutting down")),
        error => {
            tracing::error!(?error, "the store failed");
            Committed::Other(ApiError::internal("the store cannot be written"))
        }
    }
}

pub(crate) async fn replace(server: &ApiServer, call: &Call<'_>) -> Answer {
    let mut object = decode::object(call)?;
    place(&call.kind, call, &mut object)?;
    if object.name().is_empty() {
        return Err(ApiError::bad_request("metadata.name: Required value: name must be provided"));
    }
    let unconditional = object.resource_version().is_empty();
    if call.kind.created_by_update && call.path.subresource.is_empty() {
        match read::find(server, call).await {
            Err(error) if error.is_not_found() => {
                server.inner.authorizer.may_also(call, "create")?;
                return created(server, call, object).await;
            }
            there => drop(there?),
        }
    }
    // One that names the version which it replaces is tried once.
    let mut asked = Some(object);
    let next = |_: &Object| {
        let object = if unconditional { asked.clone() } else { asked.take() };
        Ok(object.expect("a conflict of a write that names its version is answered"))
    };
    update(server, call, Mode::Update, unconditional, next).await
}

/// Which part of an object is written, and how it is recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The client's own write.
    Update,
    /// A server-side apply: the owners are reckoned already.
    Apply,
    /// A client's write of the scale subresource.
    Scale,
}

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
        decode::patched(call, patch, map)
    })
    .await
}

async fn apply_patch(server: &ApiServer, call: &Call<'_>) -> Answer {
    let kind = &call.kind;
    let manager = call.query.get("fieldManager");
    let mut applied = decode::object(call)?;
    if applied.at(&["metadata", "managedFields"]).and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    apply::check(&applied, kind.schema.get()).map_err(ApiError::bad_request)?;
    place(kind, call, &mut applied)?;
    let time = server.inner.timestamp();
    let version = kind.api_version();
    let who = writer(&version, manager, call.path.subresource, &time);
    let force = call.query.flag("force");
    let conflicts = |found: apply::Conflicts| conflict(kind, call.path.name, &found);
    let there = read::find(server, call).await;
    if there.as_ref().is_err_and(ApiError::is_not_found) && call.path.subresource.is_empty() {
        server.inner.authorizer.may_also(call, "create")?;
        let object = apply::apply(None, &applied, who, force, kind.schema.get()).map_err(conflicts)?;
        match upserted(server, call, object).await {
            // Somebody else made it meanwhile: it is there to be applied to.
            Err(error) if error.is_already_exists() => {}
            answer => return answer,
        }
    }
    update(server, call, Mode::Apply, true, |current| {
        apply::apply(Some(current), &applied, who, force, kind.schema.get()).map_err(conflicts)
    })
    .await
}

// The first apply of an object makes it.
async fn upserted(server: &ApiServer, call: &Call<'_>, object: Object) -> Answer {
    let kind = &call.kind;
    let mut new = admit_new(server, call, object).await?;
    new.remove(&["metadata", "resourceVersion"]);
    let form = negotiate::form(call.headers, kind)?;
    if call.dry_run() {
        release(server, kind, &new, None);
        admission::quota::charge(server, call, &new, None).await?;
        return read::formed(server, call, form, StatusCode::CREATED, &new);
    }
    match commit_new(server, call, &new).await {
        Ok(entry) => read::one(server, call, form, StatusCode::CREATED, &entry),
        Err(Committed::Conflict(_)) => Err(ApiError::already_exists(kind, new.name())),
        Err(Committed::Other(error)) => Err(error),
    }
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

/// Reads the object, changes it, and writes it back; again when somebody else was first and
/// `retry`.
pub(crate) async fn update(
    server: &ApiServer,
    call: &Call<'_>,
    mode: Mode,
    retry: bool,
    change: impl FnMut(&Object) -> Result<Object, ApiError>,
) -> Answer {
    let form = negotiate::form(call.headers, &call.kind)?;
    match written(server, call, mode, retry, change).await? {
        Written::Stored(entry) => read::one(server, call, form, StatusCode::OK, &entry),
        Written::Only(object) => read::formed(server, call, form, StatusCode::OK, &object),
    }
}

/// As [`update`], for whoever answers otherwise.
pub(crate) async fn written(
    server: &ApiServer,
    call: &Call<'_>,
    mode: Mode,
    retry: bool,
    mut change: impl FnMut(&Object) -> Result<Object, ApiError>,
) -> Result<Written, ApiError> {
    let mut entry = read::find(server, call).await?;
    for attempt in 0.. {
        let old = encode::to_object(&call.kind, &entry);
        let asked = change(&old)?;
        match write(server, call, mode, &entry, &old, asked).await {
            Ok(written) => return Ok(written),
            Err(Committed::Conflict(Some(newer))) if retry && attempt < PATCH_TRIES => entry = newer,
            Err(Committed::Conflict(None)) => return Err(ApiError::not_found(&call.kind, call.path.name)),
            Err(Committed::Conflict(Some(_))) => return Err(ApiError::stale(&call.kind, call.path.name)),
            Err(Committed::Other(error)) => return Err(error),
        }
    }
    unreachable!("the loop above ends by returning")
}

/// What became of an update.
pub(crate) enum Written {
    /// It, or what was there and equal, is stored.
    Stored(Arc<Entry>),
    /// It is not stored: a dry run, or its last finalizer went and it with it.
    Only(Object),
}

async fn write(
    server: &ApiServer,
    call: &Call<'_>,
    mode: Mode,
    entry: &Arc<Entry>,
    old: &Object,
    asked: Object,
) -> Result<Written, Committed> {
    let kind = &call.kind;
    let other = Committed::Other;
    if !asked.uid().is_empty() && asked.uid() != old.uid() {
        let detail =
            format!("Precondition failed: UID in precondition: {}, UID in object meta: {}", asked.uid(), old.uid());
        return Err(other(ApiError::conflict(kind, old.name(), detail)));
    }
    let version = asked.resource_version();
    if !version.is_empty() && version != old.resource_version() {
        return Err(other(ApiError::stale(kind, old.name())));
    }
    // An approval is a part of the status.
    let status = matches!(call.path.subresource, "status" | "approval");
    let mut new = keep(kind, old, asked, status);
    let operation = if status { Operation::UpdateStatus { old } } else { Operation::Update { old } };
    // Of a scale subresource, those who have a say have seen the Scale.
    let asks = mode != Mode::Scale;
    if asks && mutate(server, call, operation, &mut new).await.map_err(other)? {
        new = keep(kind, old, new, status);
    }
    admission::certificates::prepare(server, call, operation, &mut new);
    admit(server, call, operation, &mut new).map_err(other)?;
    if asks {
        validate(server, call, operation, &new).await.map_err(other)?;
    }
    if kind.generations && !status && kind.strategy.generation_changes(old, &new) {
        let generation = old.at(&["metadata", "generation"]).and_then(Value::as_i64).unwrap_or(0) + 1;
        new.set(&["metadata", "generation"], generation);
    }
    new.set(&["metadata", "resourceVersion"], old.resource_version());
    if mode != Mode::Apply {
        let time = server.inner.timestamp();
        let (version, manager) = (kind.api_version(), call.manager());
        new = apply::track(Some(old), new, writer(&version, &manager, call.path.subresource, &time), kind.schema.get());
    }
    if new == *old && encode::is_as_stored(kind, &new, entry) {
        return Ok(Written::Stored(Arc::clone(entry)));
    }
    if delete::is_due(kind, &new) && !call.dry_run() {
        delete::remove(server, kind, entry).await?;
        return Ok(Written::Only(new));
    }
    let charge = match admission::quota::charge(server, call, &new, Some(old)).await {
        Ok(charge) if !call.dry_run() => charge,
        answer => {
            release(server, kind, &new, Some(old));
            return answer.map(|_| Written::Only(new)).map_err(other);
        }
    };
    match commit_over(server, kind, Some(old), &new, Precondition::At(entry.mod_revision)).await {
        Ok(entry) => {
            release(server, kind, old, Some(&new));
            Ok(Written::Stored(entry))
        }
        Err(error) => {
            charge.refund(server).await;
            release(server, kind, &new, Some(old));
            Err(error)
        }
    }
}

/// What the write may not touch is put back: the system's fields, and `status` or all but it (and, of most
/// built-in kinds, the metadata).
fn keep(kind: &Kind, old: &Object, asked: Object, status: bool) -> Object {
    let mut new = asked;
    if status {
        let is_written = |name: &str| name == "status" || (name == "metadata" && kind.status_metadata);
        let managers = new.remove(&["metadata", "managedFields"]);
        // What is equal already is not copied: most writers of a status hand the rest back as it is.
        new.0.retain(|name, _| is_written(name) || old.0.contains_key(name));
        for (name, value) in old.0.iter().filter(|(name, _)| !is_written(name)) {
            if new.0.get(name) != Some(value) {
                new.0.insert(name.clone(), value.clone());
            }
        }
        if let Some(managers) = managers {
            new.set(&["metadata", "managedFields"], managers);
        }
    } else if kind.status {
        match old.0.get("status") {
            Some(status) => new.set(&["status"], status.clone()),
            None => drop(new.remove(&["status"])),
        }
    }
    for field in SYSTEM_FIELDS {
        match old.at(&["metadata", field]) {
            Some(value) => new.set(&["metadata", field], value.clone()),
            None => drop(new.remove(&["metadata", field])),
        }
    }
    new
}
