//! create, update, patch and status.

mod admit;
mod commit;
mod create;
mod patch;

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;
use trimtab_api::apply::Given;
use trimtab_api::{ApiError, Kind, Object, Operation, field};
use trimtab_store::{Entry, Precondition};

use crate::admission;
use crate::handler::{Answer, Call};
use crate::server::ApiServer;
use crate::{decode, delete, encode, negotiate, read};
use admit::{admit, mutate, release, validate};
use commit::commit_over;
pub(crate) use commit::{Committed, commit, commit_error};
pub(crate) use create::create;
use create::{created, place};
pub(crate) use patch::{applied_scale, patch, patch_error, patch_types};

/// How often a patch is tried again on a newer version of the object.
const PATCH_TRIES: usize = 8;
/// Filled by the system; a client's value is put back.
const SYSTEM_FIELDS: [&str; 6] =
    ["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"];

/// How an object is written, and how that is recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The client's own write.
    Update,
    /// A server-side apply: the owners are reckoned already.
    Apply,
    /// Either of them, of the scale subresource.
    Scale {
        /// Whether it is an apply.
        is_applied: bool,
    },
}

impl Mode {
    fn is_apply(self) -> bool {
        matches!(self, Self::Apply | Self::Scale { is_applied: true })
    }

    /// Whether those who have a say are asked about the object. Of a scale subresource, they have seen the Scale.
    fn asks(self) -> bool {
        !matches!(self, Self::Scale { .. })
    }
}

pub(crate) async fn replace(server: &ApiServer, call: &Call<'_>) -> Answer {
    let mut object = decode::object(call)?;
    place(&call.kind, call, &mut object)?;
    if object.name().is_empty() {
        return Err(ApiError::bad_request("metadata.name: Required value: name must be provided"));
    }
    if object.resource_version() == "0" {
        object.remove(&["metadata", "resourceVersion"]);
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
    if unconditional && !call.kind.unconditional_update {
        read::find(server, call).await?;
        let path = field::Path::new("metadata").child("resourceVersion");
        let error = field::Error::invalid(&path, 0, "must be specified for an update");
        return Err(ApiError::invalid(&call.kind, call.path.name, &[error]));
    }
    // One that names the version which it replaces is tried once.
    let mut asked = Some(object);
    let next = |_: &Object| {
        let object = if unconditional { asked.clone() } else { asked.take() };
        Ok(object.expect("a conflict of a write that names its version is answered"))
    };
    update(server, call, Mode::Update, unconditional, next).await
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
    let mut given = Given::default();
    if mode.asks() {
        let mutated = mutate(server, call, operation, &mut new).await.map_err(other)?;
        if mutated.is_asked {
            new = keep(kind, old, new, status);
        }
        given = mutated.given;
    }
    given.add(&admission::certificates::prepare(server, call, operation, &mut new));
    admit(server, call, operation, mode, given, &mut new).map_err(other)?;
    if mode.asks() {
        validate(server, call, operation, &new).await.map_err(other)?;
    }
    if kind.generations && !status && kind.strategy.generation_changes(old, &new) {
        let generation = old.at(&["metadata", "generation"]).and_then(Value::as_i64).unwrap_or(0) + 1;
        new.set(&["metadata", "generation"], generation);
    }
    new.set(&["metadata", "resourceVersion"], old.resource_version());
    if new == *old && encode::is_as_stored(kind, &new, entry) {
        return Ok(Written::Stored(Arc::clone(entry)));
    }
    if delete::is_due(kind, &new) && !call.dry_run() {
        delete::remove(server, kind, entry).await?;
        return Ok(Written::Only(new));
    }
    if call.dry_run() {
        let charged = admission::quota::charge(server, call, &new, Some(old)).await;
        release(server, kind, &new, Some(old));
        return charged.map(|_| Written::Only(new)).map_err(other);
    }
    match commit_over(server, call, Some(old), &new, Precondition::At(entry.mod_revision)).await {
        Ok(entry) => {
            release(server, kind, old, Some(&new));
            Ok(Written::Stored(entry))
        }
        Err(error) => {
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
