//! From a request's body to an object.

use serde_json::Value;
use trimtab_api::protobuf::{self, Message};
use trimtab_api::schema::{Checked, TypeError};
use trimtab_api::{ApiError, Kind, MAX_DEPTH, Object, depth, field};

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

/// What stands more than once in what was sent: told, or refused, as `fieldValidation` asks.
#[derive(Default)]
struct Repeated {
    /// What warns of each.
    texts: Vec<String>,
    is_yaml: bool,
}

impl Repeated {
    fn json(paths: Vec<String>) -> Self {
        let texts = paths.into_iter().map(|path| format!("duplicate field {path:?}")).collect();
        Self { texts, is_yaml: false }
    }

    /// What is said of it when it is an error. Upstream's reader of YAML tells of all at once.
    fn errors(&self) -> Vec<String> {
        if self.is_yaml && !self.texts.is_empty() {
            vec![format!("yaml: unmarshal errors:\n  {}", self.texts.join("\n  "))]
        } else {
            self.texts.clone()
        }
    }
}

/// Reads the body as a value of the `expected` kind, which it may or may not name.
///
/// # Errors
/// 415 for another media type, 400 for what cannot be read.
pub(crate) fn value(call: &Call<'_>, expected: Expected<'_>) -> Result<Value, ApiError> {
    Ok(read_body(call, expected)?.0)
}

fn read_body(call: &Call<'_>, expected: Expected<'_>) -> Result<(Value, Repeated), ApiError> {
    let (value, repeated) = match call.content_type() {
        "" | "application/json" => {
            let (value, paths) = text(trimtab_api::read_json_noting(&call.body))?;
            (value, Repeated::json(paths))
        }
        "application/yaml" | "application/apply-patch+yaml" => {
            // JSON is YAML, too, and most who apply send it: it is read in a tenth of the time.
            match trimtab_api::read_json_noting(&call.body) {
                Ok((value, paths)) if paths.is_empty() => (value, Repeated::default()),
                _ => {
                    let (value, texts) = text(yaml(&call.body))?;
                    (value, Repeated { texts, is_yaml: true })
                }
            }
        }
        protobuf::CONTENT_TYPE if expected.message.is_some() => (message(&call.body, expected)?, Repeated::default()),
        other => {
            let count = if expected.message.is_some() { 3 } else { 2 };
            return Err(ApiError::unsupported_media_type(other, &negotiate::MEDIA_TYPES[..count]));
        }
    };
    bounded(&value)?;
    if let Some(record) = call.record {
        record.sent(&value);
    }
    Ok((value, repeated))
}

/// A JSON document that says what to change.
pub(crate) struct Patch {
    pub value: Value,
    /// What a strict reader finds wrong with it.
    strict: Vec<String>,
}

/// Reads the body as a patch; a JSON patch's operations have no fields that there are not.
///
/// # Errors
/// 400 for what cannot be read.
pub(crate) fn patch(call: &Call<'_>) -> Result<Patch, ApiError> {
    let read = trimtab_api::read_json_noting(&call.body);
    let (value, repeated) = read.map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
    bounded(&value)?;
    if let Some(record) = call.record {
        record.patched(&value);
    }
    let strict = match &value {
        Value::Array(operations) => {
            let repeated = repeated.into_iter().map(|path| format!("json patch duplicate field {path:?}"));
            repeated.chain(unknown_of_operations(operations)).collect()
        }
        _ => Repeated::json(repeated).texts,
    };
    Ok(Patch { value, strict })
}

fn unknown_of_operations(operations: &[Value]) -> impl Iterator<Item = String> {
    const KNOWN: [&str; 4] = ["op", "path", "from", "value"];
    let fields =
        |operation: &Value| operation.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    operations.iter().enumerate().flat_map(move |(index, operation)| {
        let names: Vec<String> = fields(operation);
        names.into_iter().filter(|name| !KNOWN.contains(&name.as_str())).map(move |name| {
            let path = format!("[{index}].{name}");
            format!("json patch unknown field {path:?}")
        })
    })
}

fn bounded(body: &Value) -> Result<(), ApiError> {
    if depth(body) <= MAX_DEPTH {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("the body is nested deeper than {MAX_DEPTH} levels")))
}

/// Not as any YAML may be: a few aliases can say more than memory holds.
fn yaml(body: &[u8]) -> Result<(Value, Vec<String>), String> {
    trimtab_api::from_yaml_noting(std::str::from_utf8(body).map_err(|error| error.to_string())?)
}

fn text<T, E: std::fmt::Display>(read: Result<T, E>) -> Result<T, ApiError> {
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

/// Reads the body as an object of the call's kind: checks it against the kind's schema, removes unknown
/// fields, and says so as `fieldValidation` asks.
///
/// # Errors
/// As [`value`], and 400 for an object of another kind, for a wrong type, and for unknown or repeated
/// fields under `Strict`.
pub(crate) fn object(call: &Call<'_>) -> Result<Object, ApiError> {
    let kind = &call.kind;
    let api_version = kind.api_version();
    let expected = Expected { api_version: &api_version, kind: &kind.kind, message: negotiate::message(kind) };
    let (Value::Object(map), repeated) = read_body(call, expected)? else {
        return Err(ApiError::bad_request("the body is not an object"));
    };
    let mut object = of_kind(&call.kind, Object(map))?;
    let cannot = |why: String| {
        let (name, version) = (&kind.kind, &kind.version);
        ApiError::bad_request(format!("{name} in version {version:?} cannot be handled as a {name}: {why}"))
    };
    let zeros = if call.is_apply() { Zeros::Kept } else { Zeros::Dropped };
    let unknown = unknown(kind, &mut object, zeros).map_err(|error| cannot(error.to_string()))?;
    let (repeated, unknown) = in_order(call, repeated, unknown.collect());
    // What is applied is read in two steps upstream, and repetitions are found by the second.
    let (repeated_errors, strict) = if call.is_apply() {
        (
            repeated
                .errors()
                .pop()
                .map(|all| format!("error strict decoding YAML: error converting YAML to JSON: {all}")),
            vec![],
        )
    } else {
        (None, repeated.errors())
    };
    match call.query.get("fieldValidation") {
        "Strict" => {
            let strict: Vec<String> = strict.into_iter().chain(unknown).collect();
            match repeated_errors {
                _ if !strict.is_empty() => Err(cannot(format!("strict decoding error: {}", strict.join(", ")))),
                Some(error) => Err(ApiError::bad_request(error)),
                None => Ok(object),
            }
        }
        "Ignore" => Ok(object),
        _ => {
            repeated.texts.into_iter().chain(unknown).for_each(|text| call.warnings.add(text));
            Ok(object)
        }
    }
}

/// Of a built-in kind, upstream's reader tells of what it meets as it meets it, and of what is unknown only that.
fn in_order(call: &Call<'_>, mut repeated: Repeated, unknown: Vec<String>) -> (Repeated, Vec<String>) {
    if !call.kind.built_in || repeated.is_yaml || repeated.texts.is_empty() {
        return (repeated, unknown);
    }
    let path = |text: &str| text.split_once('"').map_or("", |(_, path)| path.trim_end_matches('"')).to_owned();
    repeated.texts.retain(|text| !unknown.iter().any(|unknown| path(unknown) == path(text)));
    let texts: Vec<String> = repeated.texts.drain(..).chain(unknown).collect();
    let paths: Vec<String> = texts.iter().map(|text| path(text)).collect();
    let places = trimtab_api::in_order(&call.body, &paths.iter().map(String::as_str).collect());
    let mut placed: Vec<_> = paths.into_iter().zip(texts).collect();
    placed.sort_by_key(|(path, _)| places.iter().position(|place| place == path));
    (repeated, placed.into_iter().map(|(_, text)| text).collect())
}

/// What the patched object `map` is; in it, too, what is unknown is removed and told.
///
/// # Errors
/// 422, as upstream, for what cannot be read as an object of the kind, and for what is unknown or repeated
/// under `Strict`.
pub(crate) fn patched(call: &Call<'_>, patch: &Patch, map: serde_json::Map<String, Value>) -> Result<Object, ApiError> {
    let mut object = of_kind(&call.kind, Object(map))?;
    let refused = |object: &Object, why: String| {
        let error = field::Error::invalid(&field::Path::new("patch"), text_of(object), why);
        ApiError::invalid_as("", "", "", &[error])
    };
    let unknown =
        unknown(&call.kind, &mut object, Zeros::Dropped).map_err(|error| refused(&object, error.to_string()))?;
    let strict: Vec<String> = patch.strict.iter().cloned().chain(unknown).collect();
    match call.query.get("fieldValidation") {
        "Strict" if !strict.is_empty() => {
            Err(refused(&object, format!("strict decoding error: {}", strict.join(", "))))
        }
        "Ignore" | "Strict" => Ok(object),
        _ => {
            strict.into_iter().for_each(|text| call.warnings.add(text));
            Ok(object)
        }
    }
}

fn text_of(object: &Object) -> String {
    String::from_utf8(object.to_json()).unwrap_or_default()
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
            let name = if name == "kind" { name } else { "API version" };
            return Err(ApiError::bad_request(format!(
                "the {name} in the data ({found}) does not match the expected {name} ({wanted})"
            )));
        }
    }
    Ok(object)
}

/// What becomes of zeros that say nothing.
#[derive(Clone, Copy)]
enum Zeros {
    Dropped,
    Kept,
}

/// Of a custom object only `metadata` has types that a decoder knows; the rest is judged with all
/// else that is wrong with it.
fn read(kind: &Kind, object: &mut Object, zeros: Zeros) -> Result<Checked, TypeError> {
    let schema = kind.schema.get();
    if kind.built_in {
        return match zeros {
            Zeros::Dropped => schema.check(&mut object.0),
            Zeros::Kept => schema.check_applied(&mut object.0),
        };
    }
    let mut checked = Checked::default();
    if let (Some(metadata), Some(schema)) = (object.0.get_mut("metadata"), schema.properties.get("metadata")) {
        checked = schema.check_field("metadata", metadata)?;
    }
    checked.unknown.extend(schema.prune(&mut object.0).unknown);
    Ok(checked)
}

/// As what a client sends is read: what the kind does not know goes.
///
/// # Errors
/// For a value of another type than the kind's decoder knows.
pub(crate) fn check(kind: &Kind, object: &mut Object) -> Result<(), TypeError> {
    read(kind, object, Zeros::Dropped).map(drop)
}

/// Removes what the kind's schema does not know, and tells of it.
fn unknown(kind: &Kind, object: &mut Object, zeros: Zeros) -> Result<impl Iterator<Item = String> + use<>, TypeError> {
    Ok(read(kind, object, zeros)?.unknown.into_iter().map(|path| format!("unknown field {path:?}")))
}
