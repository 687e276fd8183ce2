//! What is asked of the API server: the only module that sends requests about a file's objects.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::json;
use trimtab_api::Object;
use trimtab_client::{Api, ApiResource, Client, DeleteParams, Error, Patch, Propagation, request};
use trimtab_env::Env;

use crate::manifest_file::{AppliedObject, ManifestFile, ManifestFileStatus};
use crate::plan::{PRUNE, Wanted};

/// Who owns the fields that files set.
pub(crate) const MANAGER: &str = "trimtab-sync";

/// An error with its causes, for a status.
pub(crate) fn explain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Server-side apply. A field that the kind does not have is an error, and a field that someone
/// else has changed is taken back.
pub(crate) async fn apply(client: &Client, wanted: &Wanted) -> Result<Object, Error> {
    let api = Api::<Object>::dynamic(client, &wanted.resource, Some(&wanted.key.namespace));
    let query = format!("fieldManager={MANAGER}&force=true&fieldValidation=Strict");
    let body = serde_json::to_vec(&wanted.object).map_err(|error| Error::Request(error.to_string()))?;
    let body = Some(("application/apply-patch+yaml", Bytes::from(body)));
    client.json(request(Method::PATCH, &api.path(&wanted.key.name, "", &query), body)?).await
}

/// How often, and with which pause between, a definition is asked whether it is established. The
/// server of this project says so at once; Kubernetes' takes a moment.
const ASKED: (u32, Duration) = (50, Duration::from_millis(100));

/// Waits until a definition's kind is served, for a while: what is not served then is tried again
/// with its file.
pub(crate) async fn established(client: &Client, env: &Env, name: &str) {
    let definitions = ApiResource {
        group: "apiextensions.k8s.io".into(),
        version: "v1".into(),
        kind: "CustomResourceDefinition".into(),
        plural: "customresourcedefinitions".into(),
        namespaced: false,
    };
    let api = Api::<Object>::dynamic(client, &definitions, None);
    for _ in 0..ASKED.0 {
        match api.get_opt(name).await {
            Ok(Some(definition)) if is_established(&definition) => return,
            Ok(Some(_)) => env.sleep(ASKED.1).await,
            Ok(None) | Err(_) => return,
        }
    }
}

fn is_established(definition: &Object) -> bool {
    let conditions = definition.at(&["status", "conditions"]).and_then(|conditions| conditions.as_array());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

/// Whether there is such an object.
pub(crate) async fn exists(client: &Client, wanted: &Wanted) -> Result<bool, Error> {
    let api = Api::<Object>::dynamic(client, &wanted.resource, Some(&wanted.key.namespace));
    Ok(api.get_opt(&wanted.key.name).await?.is_some())
}

/// Takes back what a file had applied: an object that it made is deleted, of another one the fields
/// that it set are given up. What the annotation protects, and what is not ours any more, stays.
pub(crate) async fn prune(client: &Client, applied: &AppliedObject, resource: &ApiResource) -> Result<(), Error> {
    let api = Api::<Object>::dynamic(client, resource, Some(&applied.namespace));
    let Some(live) = api.get_opt(&applied.name).await? else { return Ok(()) };
    if !is_managed(&live) || live.annotations().any(|pair| pair == (PRUNE, "false")) {
        return Ok(());
    }
    let done = if applied.created {
        // Only the very object that was looked at.
        let params = DeleteParams::default().uid(live.uid()).propagation(Propagation::Background);
        api.delete(&applied.name, &params).await
    } else {
        api.patch(&applied.name, &nothing(applied, resource)).await
    };
    match done {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

fn is_managed(live: &Object) -> bool {
    let entries = live.at(&["metadata", "managedFields"]).and_then(|entries| entries.as_array());
    entries.into_iter().flatten().any(|entry| entry["manager"] == MANAGER)
}

/// An apply that sets no field, so that those set before are given up.
fn nothing(applied: &AppliedObject, resource: &ApiResource) -> Patch {
    let mut object = json!({
        "apiVersion": resource.api_version(),
        "kind": applied.kind,
        "metadata": {"name": applied.name},
    });
    if !applied.namespace.is_empty() {
        object["metadata"]["namespace"] = applied.namespace.as_str().into();
    }
    Patch::Apply { object, manager: MANAGER.to_owned(), force: true }
}

/// Writes a file's status, making its object if need be.
pub(crate) async fn report(client: &Client, file: &ManifestFile, status: &ManifestFileStatus) -> Result<(), Error> {
    let api = Api::<ManifestFile>::all(client);
    let name = file.metadata.name.as_deref().unwrap_or_default();
    // A merge patch removes what is null; what is absent it would keep.
    let mut value = serde_json::to_value(status).map_err(|error| Error::Request(error.to_string()))?;
    value["lastError"] = status.last_error.clone().into();
    let patch = Patch::Merge(json!({"status": value}));
    match api.patch_status(name, &patch).await {
        Err(error) if error.is_not_found() => {
            api.create(&ManifestFile { status: None, ..file.clone() }).await?;
            api.patch_status(name, &patch).await.map(drop)
        }
        outcome => outcome.map(drop),
    }
}

/// Forgets a file that is gone.
pub(crate) async fn forget(client: &Client, file: &ManifestFile) -> Result<(), Error> {
    let name = file.metadata.name.as_deref().unwrap_or_default();
    match Api::<ManifestFile>::all(client).delete(name, &DeleteParams::default()).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
