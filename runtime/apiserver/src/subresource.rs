//! scale, binding and finalize.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use trimtab_api::{ApiError, Kind, Object, Operation, label_selector_text, patch, table};

use crate::admission::{self, Attributes, Verb};
use crate::decode::Expected;
use crate::handler::{Answer, Call};
use crate::negotiate::{Form, Shape};
use crate::server::ApiServer;
use crate::write::{self, Committed, Mode, Written, commit};
use crate::{body, decode, delete, encode, negotiate, read, stored};

pub(crate) async fn scale(server: &ApiServer, call: &Call<'_>) -> Answer {
    let entry = read::find(server, call).await?;
    let current = scale_of(&call.kind, &encode::to_object(&call.kind, &entry));
    let wanted = match *call.method {
        Method::GET => return scale_told(server, call, &current),
        Method::PUT => decode::value(call, Expected::of("autoscaling/v1", "Scale"))?,
        Method::PATCH if call.is_apply() => applied_scale(call, &current)?,
        Method::PATCH => patched_scale(call, current.clone())?,
        _ => return Err(ApiError::method_not_allowed()),
    };
    let wanted = admit(server, call, Verb::Update, ("autoscaling/v1", "Scale"), wanted, Some(&current)).await?;
    let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        let path = trimtab_api::field::Path::new("spec").child("replicas");
        let error = trimtab_api::field::Error::invalid(&path, replicas, "must be greater than or equal to 0");
        return Err(ApiError::invalid(&call.kind, call.path.name, &[error]));
    }
    let version = wanted["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    let paths = call.kind.scale.as_ref().ok_or_else(ApiError::no_such_path)?;
    let at = steps(&paths.spec_replicas);
    let whole = Call {
        path: crate::path::ResourcePath { subresource: "", ..call.path.clone() },
        kind: Arc::clone(&call.kind),
        ..call.borrowed()
    };
    // What is answered is a Scale, which may have forms that the resource has not.
    let written = if call.is_apply() {
        let mut applied = Object::default();
        applied.set(&at, replicas);
        write::applied_scale(server, &whole, &applied).await?
    } else {
        // A patch that repeats the version it was made from is not bound to it.
        let bound = *call.method == Method::PUT && !version.is_empty();
        write::written(server, &whole, Mode::Scale { is_applied: false }, !bound, |old| {
            let mut new = old.clone();
            new.set(&at, replicas);
            let version = if bound { version.as_str() } else { old.resource_version() };
            new.set(&["metadata", "resourceVersion"], version);
            Ok(new)
        })
        .await?
    };
    let object = match written {
        Written::Stored(entry) => encode::to_object(&call.kind, &entry),
        Written::Only(object) => object,
    };
    scale_told(server, call, &scale_of(&call.kind, &object))
}

/// The labels of a node that its pods get, too.
const TOPOLOGY: [&str; 2] = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

/// The columns of a Scale (`pkg/printers/internalversion`): name, type, format and description.
const SCALE_COLUMNS: [(&str, &str, &str, &str); 4] = [
    ("Name", "string", "name", "The name of what is scaled."),
    ("Desired", "integer", "", "How many instances there are to be."),
    ("Available", "integer", "", "How many instances there are."),
    ("Age", "string", "", "How long ago it was made."),
];

fn scale_told(server: &ApiServer, call: &Call<'_>, scale: &Value) -> Answer {
    let form = negotiate::form(call.headers, &call.kind);
    let Some(Form { encoding, .. }) = form.ok().filter(|form| form.shape == Shape::Table) else {
        return body::plain(StatusCode::OK, call.headers, scale);
    };
    let object = Object(scale.as_object().cloned().unwrap_or_default());
    let age = table::age(object.str_at(&["metadata", "creationTimestamp"]), server.inner.env.now().as_second());
    let cells = json!([object.name(), scale["spec"]["replicas"], scale["status"]["replicas"], age]);
    let columns: Value = SCALE_COLUMNS
        .into_iter()
        .map(|(name, type_, format, description)| {
            json!({"name": name, "type": type_, "format": format, "description": description, "priority": 0})
        })
        .collect();
    let table = json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": object.resource_version()}, "columnDefinitions": columns,
        "rows": [table::row_of(cells, &object, read::include(call)?)]});
    body::object(StatusCode::OK, encoding, &table)
}

/// The Scale that is applied, which has to say how many there are to be.
fn applied_scale(call: &Call<'_>, current: &Value) -> Result<Value, ApiError> {
    let mut applied = decode::value(call, Expected::of("autoscaling/v1", "Scale"))?;
    if applied["spec"]["replicas"].is_null() {
        let path = trimtab_api::field::Path::new("spec").child("replicas");
        let error = trimtab_api::field::Error::required(&path, "a Scale is applied for its replicas");
        return Err(ApiError::invalid(&call.kind, call.path.name, &[error]));
    }
    applied["metadata"] = current["metadata"].clone();
    Ok(applied)
}

fn patched_scale(call: &Call<'_>, current: Value) -> Result<Value, ApiError> {
    let body = decode::patch(call)?.value;
    match call.content_type() {
        "application/json-patch+json" => patch::json(current, &body).map_err(write::patch_error),
        "application/merge-patch+json" | "application/strategic-merge-patch+json" => Ok(patch::merge(current, &body)),
        other => Err(ApiError::unsupported_media_type(
            other,
            &["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"],
        )),
    }
}

fn steps(path: &str) -> Vec<&str> {
    path.trim_start_matches('.').split('.').collect()
}

fn scale_of(kind: &Kind, object: &Object) -> Value {
    let count = |path: &str| object.at(&steps(path)).and_then(Value::as_i64).unwrap_or(0);
    let Some(paths) = &kind.scale else { return Value::Null };
    let selector = match object.at(&steps(&paths.label_selector)) {
        Some(Value::String(text)) => text.clone(),
        Some(selector) => label_selector_text(selector),
        None => String::new(),
    };
    let metadata = json!({"name": object.name(), "namespace": object.namespace(), "uid": object.uid(),
        "resourceVersion": object.resource_version(), "creationTimestamp": object.at(&["metadata", "creationTimestamp"])});
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": count(&paths.spec_replicas)},
        "status": {"replicas": count(&paths.status_replicas), "selector": selector}})
}

/// Lets those who have a say look at what is sent to a subresource. Answers what they have made of it.
///
/// # Errors
/// When one refuses it.
pub(crate) async fn admit(
    server: &ApiServer,
    call: &Call<'_>,
    verb: Verb,
    kind: (&str, &str),
    sent: Value,
    old: Option<&Value>,
) -> Result<Value, ApiError> {
    let object = |value: Value| Object(if let Value::Object(fields) = value { fields } else { Map::new() });
    let (mut sent, old) = (object(sent), old.cloned().map(object));
    let name = if call.path.name.is_empty() { sent.name().to_owned() } else { call.path.name.to_owned() };
    let old = old.as_ref();
    let write =
        Attributes { call, verb, version: None, kind, name: &name, old, options: None, dry_run: call.dry_run() };
    match verb {
        // There is nothing to be changed of a connection.
        Verb::Connect => admission::admit(server, &write, Some(&sent)).await?,
        _ => admission::admit_sent(server, &write, &mut sent).await?,
    }
    Ok(Value::Object(sent.0))
}

/// Binds a pod to a node: once, and with its `PodScheduled` condition.
pub(crate) async fn bind(server: &ApiServer, call: &Call<'_>) -> Answer {
    if *call.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let kinds = server.inner.kinds();
    let served = |plural| kinds.by_resource("", "v1", plural).ok_or_else(ApiError::no_such_path);
    let (pods, bindings) = (served("pods")?, served("bindings")?);
    let binding = serde_json::from_value(decode::value(call, Expected::of("v1", "Binding"))?);
    let mut binding: Object = binding.map_err(|error| ApiError::bad_request(error.to_string()))?;
    let admission = bindings.strategy.admit(Operation::Create, &mut binding);
    let name = if call.path.name.is_empty() { binding.name().to_owned() } else { call.path.name.to_owned() };
    let name = name.as_str();
    if !admission.errors.is_empty() {
        return Err(ApiError::invalid(bindings, name, &admission.errors));
    }
    for (key, value) in topology(server, binding.str_at(&["target", "name"])).await? {
        if binding.at(&["metadata", "labels", &key]).is_none() {
            binding.set(&["metadata", "labels", &key], value);
        }
    }
    let admitted = admit(server, call, Verb::Create, ("v1", "Binding"), Value::Object(binding.0), None).await?;
    let binding = Object(admitted.as_object().cloned().unwrap_or_default());
    let key = encode::key(pods, call.path.namespace, name);
    let mut entry =
        server.inner.store.get(&key).await.map_err(read::read_error)?.ok_or_else(|| ApiError::not_found(pods, name))?;
    loop {
        let mut pod = encode::to_object(pods, &entry);
        trimtab_api::kinds::pod::bind(&mut pod, &binding, &server.inner.timestamp())
            .map_err(|error| ApiError::conflict(pods, name, error))?;
        if call.dry_run() {
            break;
        }
        match commit(server, pods, &pod, trimtab_store::Precondition::At(entry.mod_revision)).await {
            Ok(_) => break,
            Err(Committed::Conflict(Some(newer))) => entry = newer,
            Err(Committed::Conflict(None)) => return Err(ApiError::not_found(pods, name)),
            Err(Committed::Other(error)) => return Err(error),
        }
    }
    made(call)
}

/// Where the node is, as its labels say and those of its pods are to say
/// (<https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#podtopologylabels>).
async fn topology(server: &ApiServer, node: &str) -> Result<Vec<(String, String)>, ApiError> {
    let Some(node) = stored::get(server, ("", "v1", "nodes"), "", node).await? else { return Ok(Vec::new()) };
    let labels = node.labels().filter(|(key, _)| TOPOLOGY.contains(key));
    Ok(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

/// What is answered when something is made of which there is nothing to be shown.
pub(crate) fn made(call: &Call<'_>) -> Answer {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    body::plain(StatusCode::CREATED, call.headers, &status)
}

/// Replaces `spec.finalizers`, which an update leaves alone; the last one going takes the object.
pub(crate) async fn finalize(server: &ApiServer, call: &Call<'_>) -> Answer {
    if *call.method != Method::PUT {
        return Err(ApiError::method_not_allowed());
    }
    let asked = decode::object(call)?;
    let form = negotiate::form(call.headers, &call.kind)?;
    let entry = read::find(server, call).await?;
    let mut new = encode::to_object(&call.kind, &entry);
    let version = asked.resource_version();
    if !version.is_empty() && version != new.resource_version() {
        return Err(ApiError::stale(&call.kind, new.name()));
    }
    new.set(&["spec", "finalizers"], asked.at(&["spec", "finalizers"]).cloned().unwrap_or_else(|| json!([])));
    let (old, api_version) = (encode::to_object(&call.kind, &entry), call.kind.api_version());
    let write = Attributes {
        call,
        verb: Verb::Update,
        version: None,
        kind: (&api_version, &call.kind.kind),
        name: call.path.name,
        old: Some(&old),
        options: None,
        dry_run: call.dry_run(),
    };
    admission::admit_sent(server, &write, &mut new).await?;
    let failed = |failed: Committed| match failed {
        Committed::Conflict(_) => ApiError::stale(&call.kind, call.path.name),
        Committed::Other(error) => error,
    };
    if delete::is_due(&call.kind, &new) {
        delete::remove(server, &call.kind, &entry).await.map_err(failed)?;
        return read::formed(server, call, form, StatusCode::OK, &new);
    }
    let stored =
        commit(server, &call.kind, &new, trimtab_store::Precondition::At(entry.mod_revision)).await.map_err(failed)?;
    read::one(server, call, form, StatusCode::OK, &stored)
}
