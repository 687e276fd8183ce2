//! From a request's body to an object.

use serde_json::Value;
use trimtab_api::protobuf::{self, Message};
use trimtab_api::schema::{Checked, TypeError};
use trimtab_api::{ApiError, Kind, MAX_DEPTH, Object, depth};

use crate::handler::Call;
use crate::negotiate;

/// What a body is to be.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub api_version: &'a str,
    pub kind: &'a str,
    /// Its protobuf form, if it has one.
    pub message: Option<&'static Message>,
}

impl<'a> Expected<'a> {
    /// Of a kind of the program.
    pub(crate) fn of(api_version: &'a str, kind: &'a str) -> Self {
        Self { api_version, kind, message: Message::of(api_version, kind) }
    }
}

/// Reads the body as a value of the `expected` kind, which it may or may not name.
///
/// # Errors
/// 415 for another media type, 400 for what cannot be read.
pub(crate) fn value(call: &Call<'_>, expected: Expected<'_>) -> Result<Value, ApiError> {
    let value = match call.content_type() {
        "" | "application/json" => text(trimtab_api::read_json(&call.body))?,
        "application/yaml" | "application/apply-patch+yaml" => text(yaml(&call.body))?,
        protobuf::CONTENT_TYPE if expected.message.is_some() => message(&call.body, expected)?,
        other => {
            let count = if expected.message.is_some() { 3 } else { 2 };
            return Err(ApiError::unsupported_media_type(other, &negotiate::MEDIA_TYPES[..count]));
        }
    };
    bounded(&value)?;
    if let Some(record) = call.record {
        record.sent(&value);
    }
    Ok(value)
}

/// Reads the body as a JSON document that says what to change.
///
/// # Errors
/// 400 for what cannot be read.
pub(crate) fn patch(call: &Call<'_>) -> Result<Value, ApiError> {
    let patch = trimtab_api::read_json(&call.body);
    let patch = patch.map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
    bounded(&patch)?;
    if let Some(record) = call.record {
        record.patched(&patch);
    }
    Ok(patch)
}

fn bounded(body: &Value) -> Result<(), ApiError> {
    if depth(body) <= MAX_DEPTH {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("the body is nested deeper than {MAX_DEPTH} levels")))
}

/// Not as any YAML may be: a few aliases can say more than memory holds.
fn yaml(body: &[u8]) -> Result<Value, String> {
    trimtab_api::from_yaml(std::str::from_utf8(body).map_err(|error| error.to_string())?)
}

fn text<E: std::fmt::Display>(read: Result<Value, E>) -> Result<Value, ApiError> {
    read.map_err(|error| ApiError::bad_request(format!("the body cannot be read: {error}")))
}

/// Reads an enveloped message, in upstream's words when it is none
/// (`k8s.io/apiserver/pkg/endpoints/handlers/rest.go`).
fn message(body: &[u8], expected: Expected<'_>) -> Result<Value, ApiError> {
    let wanted = expected.kind;
    let unknown = protobuf::open(body).map_err(|error| {
        let what = format!("the object provided is unrecognized (must be of type {wanted}): {error}");
        ApiError::bad_request(format!("{what} ({})", summary(body)))
    })?;
    // What the client leaves out is what the path says.
    let or = |found: &str, expected: &str| if found.is_empty() { expected.to_owned() } else { found.to_owned() };
    let (api_version, kind) = (or(unknown.api_version, expected.api_version), or(unknown.kind, wanted));
    let refused = |why: String| {
        let version = api_version.rsplit('/').next().unwrap_or_default();
        ApiError::bad_request(format!("{kind} in version {version:?} cannot be handled as a {wanted}: {why}"))
    };
    let found = Message::of(&api_version, &kind)
        .ok_or_else(|| refused(format!("no kind {kind:?} is registered for version {api_version:?}")))?;
    let mut object = found.decode(unknown.raw).map_err(|error| refused(error.to_string()))?;
    object.insert("apiVersion".to_owned(), api_version.as_str().into());
    object.insert("kind".to_owned(), kind.as_str().into());
    Ok(object.into())
}

/// The beginning of what is no message.
fn summary(body: &[u8]) -> String {
    const SHOWN: usize = 30;
    let (shown, more) = (&body[..body.len().min(SHOWN)], if body.len() > SHOWN { " ..." } else { "" });
    match shown.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(shown).into_owned() + more,
        Some(_) => shown.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + more,
    }
}

/// Reads the body as an object of the call's kind.
///
/// # Errors
/// As [`value`], and 400 for an object of another kind.
pub(crate) fn object(call: &Call<'_>) -> Result<Object, ApiError> {
    let kind = &call.kind;
    let api_version = kind.api_version();
    let expected = Expected { api_version: &api_version, kind: &kind.kind, message: negotiate::message(kind) };
    let Value::Object(map) = value(call, expected)? else {
        return Err(ApiError::bad_request("the body is not an object"));
    };
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
        _ => {
            texts.into_iter().for_each(|text| call.warnings.add(text));
            Ok(())
        }
    }
}
