//! An OpenAPI v2 document as a message, as Kubernetes' Go clients read it
//! (`openapi.v2.Document` of <https://github.com/google/gnostic>, `openapiv2/OpenAPIv2.proto`).

use std::convert::Infallible;

use serde_json::{Map, Value};

use super::wire::{self, FIXED64};

/// The message of an OpenAPI v2 document. What such a document has no place for is left out.
pub fn openapi_v2(document: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    text(&mut out, 1, document.get("swagger"));
    nested(&mut out, 2, |out| {
        text(out, 1, document["info"].get("title"));
        text(out, 2, document["info"].get("version"));
    });
    nested(&mut out, 8, |out| named(out, 2, document.get("paths"), path_item));
    nested(&mut out, 9, |out| named(out, 1, document.get("definitions"), schema));
    out
}

fn path_item(out: &mut Vec<u8>, item: &Value) {
    for (method, number) in [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("patch", 8)] {
        if let Some(found) = item.get(method) {
            nested(out, number, |out| operation(out, found));
        }
    }
    list(item.get("parameters")).for_each(|found| nested(out, 9, |out| parameter(out, found)));
}

fn operation(out: &mut Vec<u8>, operation: &Value) {
    list(operation.get("tags")).for_each(|tag| text(out, 1, Some(tag)));
    text(out, 3, operation.get("description"));
    text(out, 5, operation.get("operationId"));
    list(operation.get("produces")).for_each(|media| text(out, 6, Some(media)));
    list(operation.get("consumes")).for_each(|media| text(out, 7, Some(media)));
    list(operation.get("parameters")).for_each(|found| nested(out, 8, |out| parameter(out, found)));
    nested(out, 9, |out| named(out, 1, operation.get("responses"), response));
    list(operation.get("schemes")).for_each(|scheme| text(out, 10, Some(scheme)));
    extensions(out, 13, operation);
}

fn parameter(out: &mut Vec<u8>, parameter: &Value) {
    let within = parameter["in"].as_str().unwrap_or_default();
    nested(out, 1, |out| match within {
        "body" => nested(out, 1, |out| {
            text(out, 1, parameter.get("description"));
            text(out, 2, parameter.get("name"));
            text(out, 3, parameter.get("in"));
            flag(out, 4, parameter.get("required"));
            parameter.get("schema").into_iter().for_each(|found| nested(out, 5, |out| schema(out, found)));
        }),
        _ => nested(out, 2, |out| {
            let query = within == "query";
            nested(out, if query { 3 } else { 4 }, |out| {
                flag(out, 1, parameter.get("required"));
                text(out, 2, parameter.get("in"));
                text(out, 3, parameter.get("description"));
                text(out, 4, parameter.get("name"));
                text(out, if query { 6 } else { 5 }, parameter.get("type"));
                flag(out, if query { 20 } else { 19 }, parameter.get("uniqueItems"));
            });
        }),
    });
}

fn response(out: &mut Vec<u8>, response: &Value) {
    nested(out, 1, |out| {
        text(out, 1, response.get("description"));
        if let Some(found) = response.get("schema") {
            nested(out, 2, |out| nested(out, 1, |out| schema(out, found)));
        }
    });
}

fn schema(out: &mut Vec<u8>, found: &Value) {
    let Some(fields) = found.as_object() else { return };
    for (name, value) in fields {
        let value = Some(value);
        match name.as_str() {
            "$ref" => text(out, 1, value),
            "format" => text(out, 2, value),
            "title" => text(out, 3, value),
            "description" => text(out, 4, value),
            "default" => any(out, 5, value),
            "multipleOf" => double(out, 6, value),
            "maximum" => double(out, 7, value),
            "exclusiveMaximum" => flag(out, 8, value),
            "minimum" => double(out, 9, value),
            "exclusiveMinimum" => flag(out, 10, value),
            "maxLength" => integer(out, 11, value),
            "minLength" => integer(out, 12, value),
            "pattern" => text(out, 13, value),
            "maxItems" => integer(out, 14, value),
            "minItems" => integer(out, 15, value),
            "uniqueItems" => flag(out, 16, value),
            "maxProperties" => integer(out, 17, value),
            "minProperties" => integer(out, 18, value),
            "required" => list(value).for_each(|name| text(out, 19, Some(name))),
            "enum" => list(value).for_each(|value| any(out, 20, Some(value))),
            "additionalProperties" => nested(out, 21, |out| match value {
                Some(Value::Bool(_)) => flag(out, 2, value),
                _ => value.into_iter().for_each(|found| nested(out, 1, |out| schema(out, found))),
            }),
            "type" => nested(out, 22, |out| text(out, 1, value)),
            "items" => nested(out, 23, |out| {
                value.into_iter().for_each(|found| nested(out, 1, |out| schema(out, found)));
            }),
            "allOf" => list(value).for_each(|found| nested(out, 24, |out| schema(out, found))),
            "properties" => nested(out, 25, |out| named(out, 1, value, schema)),
            "example" => any(out, 30, value),
            _ => {}
        }
    }
    extensions(out, 31, found);
}

/// What begins with `x-`, which nobody but its users knows.
fn extensions(out: &mut Vec<u8>, number: u32, of: &Value) {
    let fields = of.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("x-"));
    for (name, value) in fields {
        nested(out, number, |out| {
            wire::put_bytes(out, 1, name.as_bytes());
            any(out, 2, Some(value));
        });
    }
}

/// A map, which is a list of names and values.
fn named(out: &mut Vec<u8>, number: u32, map: Option<&Value>, write: fn(&mut Vec<u8>, &Value)) {
    for (name, value) in map.and_then(Value::as_object).into_iter().flat_map(Map::iter) {
        nested(out, number, |out| {
            wire::put_bytes(out, 1, name.as_bytes());
            nested(out, 2, |out| write(out, value));
        });
    }
}

/// Any value, as YAML, of which JSON is a part.
fn any(out: &mut Vec<u8>, number: u32, value: Option<&Value>) {
    if let Some(value) = value {
        nested(out, number, |out| wire::put_bytes(out, 2, format!("{value}\n").as_bytes()));
    }
}

fn text(out: &mut Vec<u8>, number: u32, value: Option<&Value>) {
    if let Some(text) = value.and_then(Value::as_str) {
        wire::put_bytes(out, number, text.as_bytes());
    }
}

fn flag(out: &mut Vec<u8>, number: u32, value: Option<&Value>) {
    if let Some(flag) = value.and_then(Value::as_bool) {
        wire::put_int(out, number, flag.into());
    }
}

fn integer(out: &mut Vec<u8>, number: u32, value: Option<&Value>) {
    if let Some(value) = value.and_then(Value::as_i64) {
        wire::put_int(out, number, value);
    }
}

fn double(out: &mut Vec<u8>, number: u32, value: Option<&Value>) {
    if let Some(value) = value.and_then(Value::as_f64) {
        wire::put_tag(out, number, FIXED64);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn nested(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let Ok(()) = wire::put_nested(out, number, |out| {
        write(out);
        Ok::<_, Infallible>(())
    });
}
