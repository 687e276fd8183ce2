//! OpenAPI v3: an index, and a document for each group and version. Documents are made when they
//! are asked for and not kept: they are large, and clients cache them by hash.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde_json::{Map, Value, json};
use trimtab_api::schema::own_definition;
use trimtab_api::{ApiError, Kind};

use crate::body;
use crate::handler::Answer;
use crate::negotiate::{MEDIA_TYPES, clauses};
use crate::operations::{self, Operation, Parameter, Sent};
use crate::path::Query;
use crate::server::ApiServer;
use crate::tagged::tagged;
use crate::write::patch_types;

const JSON: &str = "application/json";

pub(crate) fn answer(server: &ApiServer, path: &str, headers: &HeaderMap, uri: &Uri) -> Option<Answer> {
    let rest = path.strip_prefix("/openapi/v3")?.trim_matches('/');
    if !headers.is_empty()
        && headers.contains_key(http::header::ACCEPT)
        && clauses(headers).all(|c| !matches!(c.media, JSON | "*/*" | "application/*"))
    {
        return Some(Err(ApiError::not_acceptable(&[JSON])));
    }
    let kinds = server.inner.kinds();
    let mut by_path: BTreeMap<String, Vec<&Kind>> = BTreeMap::new();
    for kind in kinds.iter() {
        by_path.entry(document_path(kind)).or_default().push(kind);
    }
    if rest.is_empty() {
        let entry = |(path, kinds): (&String, &Vec<&Kind>)| {
            (path.clone(), json!({"serverRelativeURL": url(path, &hash(kinds))}))
        };
        let mut paths: Map<String, Value> = by_path.iter().map(entry).collect();
        for other in server.inner.aggregation.others() {
            let path = other.known.path().trim_start_matches('/').to_owned();
            // Our own document would be of what is not served here.
            match other.discovered.as_ref().and_then(|found| found.openapi.as_deref()) {
                Some(url) => drop(paths.insert(path, json!({"serverRelativeURL": url}))),
                None => drop(paths.remove(&path)),
            }
        }
        return Some(Ok(body::json(StatusCode::OK, &json!({"paths": paths}))));
    }
    let Some(kinds) = by_path.get(rest) else { return Some(Err(ApiError::no_such_path())) };
    let (tag, query) = (hash(kinds), Query::of(uri));
    let asked = query.get("hash");
    if !asked.is_empty() && asked != tag {
        // It is of what was served before.
        let mut response = body::json(StatusCode::MOVED_PERMANENTLY, &Value::Null);
        response.headers_mut().extend(HeaderValue::from_str(&url(rest, &tag)).ok().map(|value| (LOCATION, value)));
        return Some(Ok(response));
    }
    let mut response = tagged(headers, &tag, || body::json(StatusCode::OK, &document(kinds)));
    if !asked.is_empty() {
        let immutable = HeaderValue::from_static("public, immutable");
        response.headers_mut().insert(CACHE_CONTROL, immutable);
    }
    Some(Ok(response))
}

fn url(path: &str, hash: &str) -> String {
    format!("/openapi/v3/{path}?hash={hash}")
}

pub(crate) fn document_path(kind: &Kind) -> String {
    if kind.group.is_empty() {
        format!("api/{}", kind.version)
    } else {
        format!("apis/{}/{}", kind.group, kind.version)
    }
}

// The built-in schemas change with the program alone, defined ones with their definitions: neither
// need be read for this.
pub(crate) fn hash(kinds: &[&Kind]) -> String {
    let mut hasher = DefaultHasher::new();
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    for kind in kinds {
        (&*kind.kind, &*kind.plural, kind.defined.as_ref().map(|defined| defined.since)).hash(&mut hasher);
        if !kind.built_in && kind.defined.is_none() {
            format!("{:?}", kind.schema.get()).hash(&mut hasher);
        }
    }
    format!("{:016X}", hasher.finish())
}

fn document(kinds: &[&Kind]) -> Value {
    let mut schemas = Map::new();
    let mut paths = Map::new();
    for kind in kinds {
        let gvk = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        let definitions = (kind.definitions)();
        let own = own_definition(kind, &definitions).map(str::to_owned);
        for (name, schema) in definitions {
            let schema = rewritten(schema);
            let entry = schemas.entry(name.clone()).or_insert(schema);
            if Some(&name) == own.as_ref() {
                entry["x-kubernetes-group-version-kind"] = json!([gvk]);
            }
        }
        for (name, schema) in own.iter().flat_map(|own| operations::definitions(kind, own)) {
            schemas.entry(name).or_insert_with(|| rewritten(schema));
        }
        let in_path = |name: &str| {
            let schema = json!({"type": "string", "uniqueItems": true});
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        };
        paths.extend(operations::paths(kind, own.as_deref(), in_path, |found| operation(kind, found)));
    }
    json!({"openapi": "3.0.0", "info": {"title": "Trimtab", "version": "v1.36.0"}, "paths": paths, "components": {"schemas": schemas}})
}

/// References as an OpenAPI document writes them: beside one, nothing counts, so that what is said besides is said
/// around it.
fn rewritten(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(map) => {
            if map.len() > 1
                && map.get("$ref").is_some_and(Value::is_string)
                && let Some(reference) = map.remove("$ref")
            {
                map.insert("allOf".to_owned(), json!([{"$ref": reference}]));
            }
            if let Some(Value::String(reference)) = map.get_mut("$ref") {
                *reference = reference.replace("#/$defs/", "#/components/schemas/");
            }
            for value in map.values_mut() {
                *value = rewritten(value.take());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = rewritten(item.take())),
        _ => {}
    }
    schema
}

fn operation(kind: &Kind, found: Operation) -> Value {
    let answer = rewritten(found.answer.clone());
    let content: Map<String, Value> =
        MEDIA_TYPES.iter().map(|media| ((*media).to_owned(), json!({"schema": answer}))).collect();
    let response = |(code, text): &(&str, &str)| ((*code).to_owned(), json!({"description": text, "content": content}));
    let mut responses: Map<String, Value> = found.codes().iter().map(response).collect();
    responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
    let query = |parameter: &&Parameter| {
        let schema = json!({"type": parameter.type_, "uniqueItems": true});
        json!({"name": parameter.name, "in": "query", "description": parameter.description, "schema": schema})
    };
    let mut operation = json!({"operationId": found.id, "description": found.description, "tags": [found.tag],
        "x-kubernetes-action": found.action, "x-kubernetes-group-version-kind": found.gvk,
        "parameters": found.query.iter().map(query).collect::<Vec<_>>(), "responses": responses});
    let any = |schema: Value| json!({"*/*": {"schema": rewritten(schema)}});
    let body = match found.sent {
        Some(Sent::Object(schema)) => json!({"content": any(schema), "required": true}),
        Some(Sent::Options(schema)) => json!({"content": any(schema)}),
        Some(Sent::Patch) => {
            let type_ = |name: &str| (name.to_owned(), json!({"schema": {"type": "object"}}));
            let content: Map<String, Value> = patch_types(kind).into_iter().map(type_).collect();
            json!({"content": content, "required": true})
        }
        None => return operation,
    };
    operation["requestBody"] = body;
    operation
}
