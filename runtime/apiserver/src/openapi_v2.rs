//! OpenAPI v2: one document of all that is served, as JSON and as the message that Go clients read. Made when it is
//! asked for and not kept: it is large, and clients that have version 3 do not ask.

use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use trimtab_api::schema::own_definition;
use trimtab_api::{ApiError, Kind, Kinds, protobuf};

use crate::body;
use crate::handler::Answer;
use crate::negotiate::{MEDIA_TYPES, clauses};
use crate::openapi;
use crate::operations::{self, Operation, Parameter, Sent};
use crate::tagged::tagged;
use crate::write::patch_types;

const JSON: &str = "application/json";
/// What clients ask for, of which only the second is a media type (RFC 6838): upstream answers both with it.
const MESSAGE: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
];

pub(crate) fn answer(kinds: &Kinds, path: &str, headers: &HeaderMap) -> Option<Answer> {
    if path.trim_end_matches('/') != "/openapi/v2" {
        return None;
    }
    let message = match clauses(headers).find_map(|clause| match clause.media {
        JSON | "application/*" | "*/*" => Some(false),
        media => MESSAGE.contains(&media).then_some(true),
    }) {
        Some(message) => message,
        None if headers.contains_key(http::header::ACCEPT) => {
            return Some(Err(ApiError::not_acceptable(&[JSON, MESSAGE[0], MESSAGE[1]])));
        }
        None => false,
    };
    let all: Vec<&Kind> = kinds.iter().map(|kind| &**kind).collect();
    let tag = format!("{}{}", openapi::hash(&all), if message { "-protobuf" } else { "" });
    Some(Ok(tagged(headers, &tag, || match message {
        true => body::bytes(StatusCode::OK, MESSAGE[1], protobuf::openapi_v2(&document(kinds))),
        false => body::json(StatusCode::OK, &document(kinds)),
    })))
}

fn document(kinds: &Kinds) -> Value {
    let (mut all, mut paths) = (Map::new(), Map::new());
    for kind in kinds.iter() {
        let gvk = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        let definitions = (kind.definitions)();
        let own = own_definition(kind, &definitions).map(str::to_owned);
        for (name, schema) in definitions {
            let is_own = Some(&name) == own.as_ref();
            let entry = all.entry(name).or_insert_with(|| plain(schema));
            if is_own {
                entry["x-kubernetes-group-version-kind"] = json!([gvk]);
            }
        }
        for (name, schema) in own.iter().flat_map(|own| operations::definitions(kind, own)) {
            all.entry(name).or_insert_with(|| plain(schema));
        }
        let in_path =
            |name: &str| json!({"name": name, "in": "path", "required": true, "type": "string", "uniqueItems": true});
        paths.extend(operations::paths(kind, own.as_deref(), in_path, |found| operation(kind, found)));
    }
    json!({"swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.36.0"}, "paths": paths, "definitions": all})
}

/// A schema as version 2 has it: without what it does not know. A client takes what it does not find for allowed, so
/// a field that is one of several things has no type at all, as upstream.
fn plain(schema: Value) -> Value {
    let Value::Object(mut fields) = schema else { return schema };
    let any_value = fields.remove("nullable") == Some(true.into())
        || fields.get("x-kubernetes-preserve-unknown-fields") == Some(&true.into());
    if any_value {
        fields.remove("items");
        fields.remove("properties");
        if fields.get("x-kubernetes-preserve-unknown-fields").is_none() {
            fields.remove("type");
        }
    }
    if fields.contains_key("x-kubernetes-int-or-string") {
        fields.remove("type");
    }
    // Beside a reference a description counts here, so it need not be wrapped.
    if let Some(Value::Array(parts)) = fields.remove("allOf")
        && let [Value::Object(part)] = parts.as_slice()
        && part.contains_key("$ref")
    {
        fields.extend(part.clone());
    }
    for name in ["oneOf", "anyOf", "not"] {
        if fields.remove(name).is_some() {
            fields.remove("type");
        }
    }
    let known = |(name, value): (String, Value)| {
        let value = plain_field(&name, value);
        (name, value)
    };
    fields.into_iter().map(known).collect()
}

fn plain_field(name: &str, value: Value) -> Value {
    match (name, value) {
        ("$ref", Value::String(reference)) => reference.replace("#/$defs/", "#/definitions/").into(),
        ("items" | "additionalProperties", value) => plain(value),
        ("properties", Value::Object(map)) => map.into_iter().map(|(name, schema)| (name, plain(schema))).collect(),
        (_, value) => value,
    }
}

fn operation(kind: &Kind, found: Operation) -> Value {
    let mut parameters = Vec::new();
    let mut body = |schema: Value, required: bool| {
        let mut body = json!({"name": "body", "in": "body", "schema": plain(schema)});
        if required {
            body["required"] = true.into();
        }
        parameters.push(body);
    };
    let consumes = if matches!(found.sent, Some(Sent::Patch)) { patch_types(kind) } else { vec!["*/*"] };
    let answer = plain(found.answer.clone());
    let response = |(code, text): &(&str, &str)| ((*code).to_owned(), json!({"description": text, "schema": answer}));
    let mut responses: Map<String, Value> = found.codes().iter().map(response).collect();
    responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
    match found.sent {
        Some(Sent::Object(schema)) => body(schema, true),
        Some(Sent::Options(schema)) => body(schema, false),
        Some(Sent::Patch) => body(json!({"type": "object"}), true),
        None => {}
    }
    let query = |parameter: &&Parameter| {
        let Parameter { name, type_, description } = parameter;
        json!({"name": name, "in": "query", "type": type_, "description": description, "uniqueItems": true})
    };
    parameters.extend(found.query.iter().map(query));
    json!({"operationId": found.id, "description": found.description, "tags": [found.tag], "schemes": ["https"],
        "produces": MEDIA_TYPES, "consumes": consumes, "parameters": parameters, "x-kubernetes-action": found.action,
        "x-kubernetes-group-version-kind": found.gvk, "responses": responses})
}
