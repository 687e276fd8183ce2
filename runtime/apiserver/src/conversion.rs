//! Objects of a custom kind in another version than they are stored in, where the definition names a
//! webhook that converts them
//! (<https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#webhook-conversion>).
//!
//! An entry is converted as a whole: from then on it looks as if it had been stored in the version
//! that is asked for.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use trimtab_api::crd::Conversion;
use trimtab_api::{ApiError, Kind, MAX_DEPTH, Object, depth};
use trimtab_store::{Entry, Event};

use crate::server::ApiServer;
use crate::{encode, outside};

/// How long a webhook may take.
const LIMIT: Duration = Duration::from_secs(30);
/// The most that an answer may say: a page of large objects.
const MAX_ANSWER: usize = 256 << 20;
/// What of the metadata a webhook may change.
const CONVERTED: [&str; 2] = ["labels", "annotations"];

/// The entries in the version of `kind`.
///
/// # Errors
/// When the webhook cannot be asked, or answers with something else.
pub(crate) async fn entries(
    server: &ApiServer,
    kind: &Kind,
    entries: Vec<Arc<Entry>>,
) -> Result<Vec<Arc<Entry>>, ApiError> {
    let Some((conversion, storage)) = converts(kind) else { return Ok(entries) };
    let wanted = kind.api_version();
    let stored_in = |entry: &Entry| encode::stored_version(entry).unwrap_or_default();
    let mut found = entries;
    let others: Vec<usize> = (0..found.len()).filter(|index| stored_in(&found[*index]) != wanted).collect();
    // The webhook is asked once for each version that they are in.
    let mut versions: Vec<String> = others.iter().map(|index| stored_in(&found[*index])).collect();
    versions.sort();
    versions.dedup();
    for version in versions {
        let of: Vec<usize> = others.iter().copied().filter(|index| stored_in(&found[*index]) == version).collect();
        let objects: Vec<Object> = of.iter().map(|index| encode::stored_object(&found[*index])).collect();
        let converted = ask(server, kind, conversion, &wanted, objects).await?;
        for (index, object) in of.into_iter().zip(converted) {
            let is_current = version == format!("{}/{storage}", kind.group);
            let value = encode::converted(kind, &object, is_current);
            found[index] = with_value(&found[index], value);
        }
    }
    Ok(found)
}

/// As [`entries`], of one.
///
/// # Errors
/// As [`entries`].
pub(crate) async fn entry(server: &ApiServer, kind: &Kind, entry: Arc<Entry>) -> Result<Arc<Entry>, ApiError> {
    if converts(kind).is_none() {
        return Ok(entry);
    }
    let converted = entries(server, kind, vec![Arc::clone(&entry)]).await?;
    Ok(converted.into_iter().next().unwrap_or(entry))
}

/// As [`entries`], of what a watch sees.
///
/// # Errors
/// As [`entries`].
pub(crate) async fn events(server: &ApiServer, kind: &Kind, events: Vec<Event>) -> Result<Vec<Event>, ApiError> {
    if converts(kind).is_none() {
        return Ok(events);
    }
    let all = events.iter().flat_map(|event| [&event.entry, &event.previous]).flatten().map(Arc::clone).collect();
    let mut converted = entries(server, kind, all).await?.into_iter();
    let mut next = |had: &Option<Arc<Entry>>| had.as_ref().and_then(|_| converted.next());
    Ok(events
        .into_iter()
        .map(|event| {
            let (entry, previous) = (next(&event.entry), next(&event.previous));
            Event { entry, previous, ..event }
        })
        .collect())
}

/// An object of the kind `from` as an object of its other version `to`.
///
/// # Errors
/// As [`entries`].
pub(crate) async fn between(server: &ApiServer, from: &Kind, to: &Kind, object: &Object) -> Result<Object, ApiError> {
    if let Some((conversion, _)) = converts(to) {
        let converted = ask(server, to, conversion, &to.api_version(), vec![object.clone()]).await?;
        return Ok(converted.into_iter().next().unwrap_or_default());
    }
    let mut object = from.view.map_or_else(|| object.clone(), |view| view.stored(object));
    encode::bring_up(to, &mut object);
    Ok(object)
}

/// The object as it is to be stored; `None` when that is as it is.
///
/// # Errors
/// As [`entries`].
pub(crate) async fn to_storage(server: &ApiServer, kind: &Kind, object: &Object) -> Result<Option<Object>, ApiError> {
    let Some((conversion, storage)) = converts(kind) else { return Ok(None) };
    if *storage == kind.version {
        return Ok(None);
    }
    let wanted = format!("{}/{storage}", kind.group);
    let converted = ask(server, kind, conversion, &wanted, vec![object.clone()]).await?;
    Ok(converted.into_iter().next())
}

/// The entry with another value: the same version of the object, in another version of its kind.
pub(crate) fn with_value(entry: &Entry, value: Bytes) -> Arc<Entry> {
    let Entry { key, create_revision, mod_revision, .. } = entry;
    Arc::new(Entry {
        key: Arc::clone(key),
        value,
        create_revision: *create_revision,
        mod_revision: *mod_revision,
        memo: OnceLock::new(),
    })
}

fn converts(kind: &Kind) -> Option<(&Conversion, &str)> {
    let defined = kind.defined.as_ref()?;
    Some((defined.conversion.as_deref()?, &defined.storage))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    converted_objects: Option<Vec<Value>>,
    result: Option<Map<String, Value>>,
}

async fn ask(
    server: &ApiServer,
    kind: &Kind,
    conversion: &Conversion,
    wanted: &str,
    objects: Vec<Object>,
) -> Result<Vec<Object>, ApiError> {
    let (group, version) = wanted.split_once('/').unwrap_or(("", wanted));
    let about = format!("{group}/{version}, Kind={}", kind.kind);
    let failed = |why: String| ApiError::internal(format!("conversion webhook for {about} failed: {why}"));
    let known = ["v1", "v1beta1"].into_iter().find(|known| conversion.versions.iter().any(|v| v == known));
    let review_version = format!("apiextensions.k8s.io/{}", known.unwrap_or("v1"));
    let uid = server.inner.env.uuid();
    let body = json!({"kind": "ConversionReview", "apiVersion": review_version,
        "request": {"uid": uid, "desiredAPIVersion": wanted, "objects": objects}});
    let config = &conversion.client_config;
    let query = format!("?timeout={}s", LIMIT.as_secs());
    let answer = outside::post(server, config, &query, LIMIT, MAX_ANSWER, body.to_string()).await.map_err(failed)?;
    let review = (&*review_version, "ConversionReview");
    let response: Response = outside::response(&answer, review, &uid, "no response provided").map_err(failed)?;
    let (result, converted) = (response.result.unwrap_or_default(), response.converted_objects.unwrap_or_default());
    if result.get("status") != Some(&Value::from("Success")) {
        let why = result.get("message").and_then(Value::as_str).filter(|why| !why.is_empty());
        return Err(failed(why.unwrap_or("response.result.status was not Success").to_owned()));
    }
    if converted.len() != objects.len() {
        return Err(ApiError::internal(format!(
            "conversion webhook for {about} returned {} objects, expected {}",
            converted.len(),
            objects.len()
        )));
    }
    let pairs = objects.iter().zip(converted).enumerate();
    pairs
        .map(|(index, (before, after))| {
            checked(before, after, wanted).map_err(|why| {
                let what = "returned invalid converted object at index";
                ApiError::internal(format!("conversion webhook for {about} {what} {index}: {why}"))
            })
        })
        .collect()
}

/// What became of `before`, with all of its metadata but what may be converted.
fn checked(before: &Object, after: Value, wanted: &str) -> Result<Object, String> {
    let Value::Object(after) = after else { return Err("it is not an object".to_owned()) };
    let mut after = Object(after);
    let text = |object: &Object, field: &str| object.str_at(&[field]).to_owned();
    if text(&after, "kind") != text(before, "kind") {
        let (expected, received) = (text(before, "kind"), text(&after, "kind"));
        return Err(format!("invalid kind (expected {expected}, received {received})"));
    }
    if text(&after, "apiVersion") != wanted {
        return Err(format!("invalid groupVersion (expected {wanted}, received {})", text(&after, "apiVersion")));
    }
    let Some(Value::Object(converted)) = after.0.remove("metadata") else {
        return Err("missing metadata in converted object".to_owned());
    };
    let own = before.0.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    for (field, what) in [("name", "name"), ("namespace", "namespace"), ("uid", "UID")] {
        let of =
            |metadata: &Map<String, Value>| metadata.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        if of(&own) != of(&converted) {
            return Err(format!("must have the same {what}: {} != {}", of(&own), of(&converted)));
        }
    }
    let mut metadata = own;
    for field in CONVERTED {
        match converted.get(field) {
            None | Some(Value::Null) => drop(metadata.remove(field)),
            Some(Value::Object(map)) if map.values().all(Value::is_string) => {
                metadata.insert(field.to_owned(), Value::Object(map.clone()));
            }
            Some(_) => return Err(format!("metadata.{field}: Invalid value: must be a map of strings")),
        }
    }
    after.0.insert("metadata".to_owned(), Value::Object(metadata));
    if after.0.values().map(depth).max().unwrap_or(0) >= MAX_DEPTH {
        return Err(format!("it is nested deeper than {MAX_DEPTH} levels"));
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_metadata_labels_and_annotations_are_converted() {
        let before = Object(json!({"apiVersion": "a/v1", "kind": "K", "metadata": {"name": "n", "uid": "u", "generation": 3, "labels": {"a": "b"}}}).as_object().cloned().unwrap());
        let check = |after: Value| checked(&before, after, "a/v2").map(|object| object.0["metadata"].to_string());
        let after = |metadata: Value| json!({"apiVersion": "a/v2", "kind": "K", "metadata": metadata, "spec": {}});
        assert_eq!(
            check(after(
                json!({"name": "n", "uid": "u", "generation": 9, "finalizers": ["x"], "annotations": {"c": "d"}})
            ))
            .unwrap(),
            json!({"name": "n", "uid": "u", "generation": 3, "annotations": {"c": "d"}}).to_string()
        );
        assert_eq!(check(after(json!({"name": "m", "uid": "u"}))).unwrap_err(), "must have the same name: n != m");
        let nested = |levels: usize| {
            let mut object = after(json!({"name": "n", "uid": "u"}));
            object["spec"] = (0..levels).fold(json!(1), |value, _| json!([value]));
            object
        };
        assert!(check(nested(MAX_DEPTH - 1)).is_ok());
        assert_eq!(check(nested(MAX_DEPTH)).unwrap_err(), "it is nested deeper than 100 levels");
        assert_eq!(
            check(json!({"apiVersion": "a/v2", "kind": "K"})).unwrap_err(),
            "missing metadata in converted object"
        );
        assert_eq!(
            check(json!({"apiVersion": "a/v1", "kind": "K"})).unwrap_err(),
            "invalid groupVersion (expected a/v2, received a/v1)"
        );
    }
}
