//! New objects.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;
use trimtab_api::apply::Given;
use trimtab_api::{ApiError, Kind, Object, Operation};
use trimtab_store::{Entry, Precondition};

use super::admit::{admit, mutate, release, validate};
use super::commit::{Committed, commit_over};
use super::{Mode, SYSTEM_FIELDS};
use crate::admission;
use crate::handler::{Answer, Call};
use crate::server::ApiServer;
use crate::{decode, encode, negotiate, read};

/// Letters behind a generateName, how much of it stands before them, and how often another name is tried.
const SUFFIX: usize = 5;
const MAX_PREFIX: usize = 63 - SUFFIX;
const NAME_TRIES: usize = 8;

pub(crate) async fn create(server: &ApiServer, call: &Call<'_>) -> Answer {
    let object = decode::object(call)?;
    created(server, call, object).await
}

pub(super) async fn created(server: &ApiServer, call: &Call<'_>, object: Object) -> Answer {
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
    // Those who change it see it without a name, if it is to be given one.
    let given = begun(server, call, &mut placed).await?;
    let prefix = generate_name(&placed).to_owned();
    let generated = placed.name().is_empty() && !prefix.is_empty();
    for attempt in 0.. {
        let object = if generated {
            let mut object = placed.clone();
            object.set(&["metadata", "name"], format!("{prefix}{}", server.inner.env.name_suffix(SUFFIX)));
            object
        } else {
            // There is no other try.
            std::mem::take(&mut placed)
        };
        let new = admit_new(server, call, object, Mode::Update, given.clone()).await?;
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

// The first apply of an object makes it.
pub(super) async fn upserted(server: &ApiServer, call: &Call<'_>, mut object: Object) -> Answer {
    let kind = &call.kind;
    let given = begun(server, call, &mut object).await?;
    let mut new = admit_new(server, call, object, Mode::Apply, given).await?;
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

/// Stores a new object. What was taken for it goes back if it cannot be stored.
async fn commit_new(server: &ApiServer, call: &Call<'_>, new: &Object) -> Result<Arc<Entry>, Committed> {
    let stored = commit_over(server, call, None, new, Precondition::Absent).await;
    if stored.is_err() {
        release(server, &call.kind, new, None);
    }
    stored
}

async fn exists(server: &ApiServer, kind: &Kind, object: &Object) -> Result<(), ApiError> {
    let key = encode::key(kind, object.namespace(), object.name());
    match server.inner.store.get(&key).await.map_err(read::read_error)? {
        Some(_) => Err(ApiError::already_exists(kind, object.name())),
        None => Ok(()),
    }
}

// Name and namespace come from the object and the path, and must agree.
pub(super) fn place(kind: &Kind, call: &Call<'_>, object: &mut Object) -> Result<(), ApiError> {
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

/// What a name begins with that is generated.
fn generate_name(object: &Object) -> &str {
    let prefix = object.str_at(&["metadata", "generateName"]);
    &prefix[..prefix.floor_char_boundary(MAX_PREFIX)]
}

/// Lets those change a new object who may. Answers what it was given.
async fn begun(server: &ApiServer, call: &Call<'_>, new: &mut Object) -> Result<Given, ApiError> {
    namespace_takes(server, &call.kind, new).await?;
    Ok(mutate(server, call, Operation::Create, new).await?.given)
}

/// A new object with all that it gets, admitted by all who have a say.
async fn admit_new(
    server: &ApiServer,
    call: &Call<'_>,
    mut new: Object,
    mode: Mode,
    mut given: Given,
) -> Result<Object, ApiError> {
    let kind = &call.kind;
    begin(server, kind, &mut new);
    without_status(kind, &mut new);
    given.add(&admission::certificates::prepare(server, call, Operation::Create, &mut new));
    admit(server, call, Operation::Create, mode, given, &mut new)?;
    validate(server, call, Operation::Create, &new).await?;
    Ok(new)
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
