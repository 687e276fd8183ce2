//! From a request's body to an object.

use serde_json::Value;
use trimtab_api::schema::{Checked, TypeError};
use trimtab_api::{ApiError, Kind, Object};

use crate::handler::Call;

/// Objects nested deeper than this are refused: nothing that is declared comes near it.
const MAX_DEPTH: usize = 100;

/// Reads the body as a `T`-shaped JSON or YAML value.
///
/// # Errors
/// 415 for another media type, 400 for what cannot be read.
pub(crate) fn value(call: &Call<'_>) -> Result<Value, ApiError> {
    let read = match call.content_type() {
        "" | "application/json" => serde_json::from_slice(&call.body).map_err(|e| e.to_string()),
        "application/yaml" | "application/apply-patch+yaml" => {
            serde_yaml::from_slice(&call.body).map_err(|e| e.to_string())
        }
        other => return Err(ApiError::unsupported_media_type(other, &["application/json", "application/yaml"])),
    };
    let value: Value = read.map_err(|error| ApiError::bad_request(format!("the body cannot be read: {error}")))?;
    if depth(&value) > MAX_DEPTH {
        return Err(ApiError::bad_request(format!("the body is nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(value)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Reads the body as an object of the call's kind.
///
/// # Errors
/// As [`value`], and 400 for an object of another kind.
pub(crate) fn object(call: &Call<'_>) -> Result<Object, ApiError> {
    let Value::Object(map) = value(call)? else { return Err(ApiError::bad_request("the body is not an object")) };
    of_kind(&call.kind, Object(map))
}

/// Sets `apiVersion` and `kind` where they are absent, and refuses others.
///
/// # Errors
/// 400 for an object of another kind.
pub(crate) fn of_kind(kind: &Kind, mut object: Object) -> Result<Object, ApiError> {
    let wanted = [("apiVersion", kind.api_version()), ("kind", kind.kind.to_string())];
    for (name, wanted) in wanted {
        let found = object.str_at(&[name]);
        if found.is_empty() {
            object.set(&[name], wanted);
        } else if found != wanted {
            return Err(ApiError::bad_request(format!(
                "the {name} in the data ({found}) does not match the expected {name} ({wanted})"
            )));
        }
    }
    Ok(object)
}

/// Of a custom object only `metadata` has types that a decoder knows; the rest is judged with all
/// else that is wrong with it.
fn read(kind: &Kind, object: &mut Object) -> Result<Checked, TypeError> {
    let schema = kind.schema.get();
    if kind.built_in {
        return schema.check(&mut object.0);
    }
    let mut checked = Checked::default();
    if let (Some(metadata), Some(schema)) = (object.0.get_mut("metadata"), schema.properties.get("metadata")) {
        checked = schema.check_field("metadata", metadata)?;
    }
    checked.unknown.extend(schema.prune(&mut object.0).unknown);
    Ok(checked)
}

/// Checks `object` against its kind's schema: removes unknown fields, and says so as
/// `fieldValidation` asks.
///
/// # Errors
/// 400 for a wrong type, and for unknown fields under `Strict`.
pub(crate) fn check(call: &Call<'_>, object: &mut Object) -> Result<(), ApiError> {
    let kind = &call.kind;
    let checked = read(kind, object).map_err(|error| {
        ApiError::bad_request(format!(
            "{0} in version {1:?} cannot be handled as a {0}: {error}",
            kind.kind, kind.version
        ))
    })?;
    let texts: Vec<String> = checked.unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
    match call.query.get("fieldValidation") {
        "Strict" if !texts.is_empty() => Err(ApiError::bad_request(format!(
            "{0} in version {1:?} cannot be handled as a {0}: strict decoding error: {2}",
            kind.kind,
            kind.version,
            texts.join(", ")
        ))),
        "Ignore" => Ok(()),
        "" | "Warn" | "Strict" => {
            texts.into_iter().for_each(|text| call.warnings.add(text));
            Ok(())
        }
        other => Err(ApiError::bad_request(format!("fieldValidation {other:?} is not one of Ignore, Warn, Strict"))),
    }
}
