//! What a structural schema declares to expressions (`k8s.io/apiserver/pkg/cel/common`,
//! `SchemaDeclType`): fields that pruning would take away are not there, and neither is what has no
//! schema.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::parse::RESERVED;
use super::types::{Declared, Fields, Identity, Shape, Type};

/// The most bytes that a request has.
const MAX_REQUEST: u64 = 3 * 1024 * 1024;
/// Names that are literals and operators in expressions. With [`RESERVED`], these need escaping.
const KEYWORDS: [&str; 4] = ["true", "false", "null", "in"];

/// What `schema` declares; `None` where expressions cannot look at it. `root` is that of an object
/// with `metadata`.
pub fn declared(schema: &Value, root: bool) -> Option<Arc<Declared>> {
    declare(schema, root, "object", None).map(Arc::new)
}

fn declare(schema: &Value, root: bool, name: &str, original: Option<&str>) -> Option<Declared> {
    let make = |shape, most, least_bytes| Declared {
        shape,
        original: original.map(str::to_owned),
        most,
        least_bytes,
        identity: identity(schema),
    };
    let count = |keyword: &str| schema[keyword].as_i64().map(|count| u64::try_from(count).unwrap_or_default());
    if schema["x-kubernetes-int-or-string"] == true {
        let most = count("maxLength").map_or(MAX_REQUEST - 2, |length| length.saturating_mul(4));
        return Some(make(Shape::Scalar(Type::Dyn), most, 1));
    }
    let embedded = |schema: &Value| schema["x-kubernetes-embedded-resource"] == true;
    match schema["type"].as_str().unwrap_or(if root { "object" } else { "" }) {
        "array" => {
            let items = declare(&schema["items"], embedded(&schema["items"]), &format!("{name}.@idx"), None)?;
            let most = count("maxItems").unwrap_or((MAX_REQUEST - 2) / (items.least_bytes + 1));
            Some(make(Shape::List(Arc::new(items)), most, 2))
        }
        "object" if schema["additionalProperties"].is_object() => {
            let values = &schema["additionalProperties"];
            let values = declare(values, embedded(values), &format!("{name}.@elem"), None)?;
            let most = count("maxProperties").unwrap_or((MAX_REQUEST - 2) / (values.least_bytes + 6));
            Some(make(Shape::Map(Arc::new(values)), most, 2))
        }
        "object" => {
            let (fields, least) = fields(schema, root, name);
            let fields = Fields { name: name.to_owned(), fields, constructed: false };
            // Upstream counts nothing for an object of named fields as a whole: `self == oldSelf` is cheap.
            Some(make(Shape::Object(Arc::new(fields)), 0, least))
        }
        "string" => {
            let (type_, most, least) = string(schema, count("maxLength"));
            Some(make(Shape::Scalar(type_), most, least))
        }
        "boolean" => Some(make(Shape::Scalar(Type::Bool), 0, 4)),
        "number" => Some(make(Shape::Scalar(Type::Double), 0, 1)),
        "integer" => Some(make(Shape::Scalar(Type::Int), 0, 1)),
        _ => None,
    }
}

fn identity(schema: &Value) -> Identity {
    match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => Identity::Set,
        Some("map") => {
            let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
            Identity::Keys(keys.filter_map(Value::as_str).map(str::to_owned).collect())
        }
        _ => Identity::Place,
    }
}

fn fields(schema: &Value, root: bool, name: &str) -> (BTreeMap<String, Arc<Declared>>, u64) {
    let mut properties = schema["properties"].as_object().cloned().unwrap_or_default();
    if root {
        let text = json!({"type": "string"});
        properties.insert("kind".to_owned(), text.clone());
        properties.insert("apiVersion".to_owned(), text.clone());
        let metadata = json!({"type": "object", "properties": {"name": text.clone(), "generateName": text}});
        if !names_itself(&properties) {
            properties.insert("metadata".to_owned(), metadata);
        }
    }
    let (mut fields, mut least) = (BTreeMap::new(), 2);
    for (property, schema_of) in &properties {
        let escaped = escape(property);
        let original = escaped.as_ref().filter(|escaped| *escaped != property).map(|_| property.as_str());
        let inner = format!("{name}.{property}");
        let embedded = schema_of["x-kubernetes-embedded-resource"] == true;
        let Some(declared) = declare(schema_of, embedded, &inner, original) else { continue };
        let required = schema["required"].as_array().into_iter().flatten().any(|name| name == property);
        if required && schema_of["default"].is_null() {
            least += property.len() as u64 + declared.least_bytes + 4;
        }
        if let Some(escaped) = escaped {
            fields.insert(escaped, Arc::new(declared));
        }
    }
    (fields, least)
}

/// Whether of the metadata there is a schema that says at least what is always there.
fn names_itself(properties: &serde_json::Map<String, Value>) -> bool {
    let metadata = properties.get("metadata").unwrap_or(&Value::Null);
    let is_text = |field: &str| metadata["properties"][field]["type"] == "string";
    metadata["type"] == "object" && is_text("name") && is_text("generateName")
}

fn string(schema: &Value, length: Option<u64>) -> (Type, u64, u64) {
    match schema["format"].as_str() {
        Some("byte") => (Type::Bytes, length.unwrap_or(MAX_REQUEST - 2), 2),
        Some("duration") => (Type::Duration, 32, 4),
        Some("date") => (Type::Timestamp, 12, 12),
        Some("date-time") => (Type::Timestamp, 29, 21),
        _ => {
            let choices = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let longest = choices.map(|choice| choice.len() as u64).max();
            let most = length.map(|length| length.saturating_mul(4)).or(longest);
            (Type::String, most.unwrap_or(MAX_REQUEST - 2), 2)
        }
    }
}

/// How many values a value of `schema` holds directly below: one, or as many as its list or map may
/// have. `None` when there is no bound.
pub fn cardinality(schema: &Value) -> Option<u64> {
    match schema["type"].as_str() {
        Some("array") => schema["maxItems"].as_u64(),
        Some("object") if schema["additionalProperties"].is_object() => schema["maxProperties"].as_u64(),
        _ => Some(1),
    }
}

/// How many values of this schema fit into one request (`MaxCardinality`).
pub fn most_per_request(schema: &Value, root: bool) -> u64 {
    let least = declared(schema, root).map_or(0, |declared| declared.least_bytes);
    // At least a comma stands between two of them.
    MAX_REQUEST / (least + 1)
}

/// A property's name in expressions; `None` for one that cannot be named there
/// (`k8s.io/apiserver/pkg/cel/escaping.go`).
pub fn escape(name: &str) -> Option<String> {
    if KEYWORDS.contains(&name) || RESERVED.contains(&name) {
        return Some(format!("__{name}__"));
    }
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/".contains(c)) {
        return None;
    }
    let escaped = name.replace("__", "\u{0}");
    let escaped = escaped.replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__");
    Some(escaped.replace('\u{0}', "__underscores__"))
}
