//! What a schema in a definition may say, and what can be asked of it.

use serde_json::{Value, json};

use super::definition::{Mistakes, known};
use super::yaml::below;

/// What an alternative may constrain; everything else is declared outside of it.
const CONSTRAINTS: [&str; 21] = [
    "allOf",
    "anyOf",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "properties",
    "required",
];
/// What else a schema says.
const DECLARATIONS: [&str; 15] = [
    "additionalProperties",
    "default",
    "description",
    "example",
    "externalDocs",
    "nullable",
    "type",
    "uniqueItems",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
];
/// What the quantities of Kubernetes look like, as controller-gen writes it.
const QUANTITY: &str = "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$";

/// Notes what of a schema is wrong by itself.
pub(super) fn check(schema: &Value, pointer: &str, mistakes: &mut Mistakes) {
    let mut keywords = [&CONSTRAINTS[..], &DECLARATIONS].concat();
    keywords.sort_unstable();
    known(schema, pointer, &keywords, mistakes);
    if has_properties(schema) && schema["additionalProperties"].is_object() {
        let message = "an object either names its fields or says what all of them are; remove one";
        mistakes.at(&below(pointer, "additionalProperties"), message);
    }
    let is_int_or_string = schema["x-kubernetes-int-or-string"] == true;
    for keyword in ["oneOf", "anyOf", "allOf"] {
        for (index, alternative) in schema[keyword].as_array().into_iter().flatten().enumerate() {
            let pointer = below(&below(pointer, keyword), index);
            constrains(alternative, &pointer, is_int_or_string, mistakes);
        }
    }
    if schema["not"].is_object() {
        constrains(&schema["not"], &below(pointer, "not"), false, mistakes);
    }
}

fn constrains(schema: &Value, pointer: &str, is_int_or_string: bool, mistakes: &mut Mistakes) {
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        let pointer = below(pointer, keyword);
        match keyword.as_str() {
            "type" if is_int_or_string => {}
            "properties" => {
                for (name, property) in value.as_object().into_iter().flatten() {
                    constrains(property, &below(&pointer, name), false, mistakes);
                }
            }
            "items" | "not" => constrains(value, &pointer, false, mistakes),
            "oneOf" | "anyOf" | "allOf" => {
                for (index, alternative) in value.as_array().into_iter().flatten().enumerate() {
                    constrains(alternative, &below(&pointer, index), is_int_or_string, mistakes);
                }
            }
            keyword if CONSTRAINTS.contains(&keyword) => {}
            _ => {
                let message =
                    format!("an alternative only constrains what is declared outside of it; move {keyword} there");
                mistakes.at(&pointer, message);
            }
        }
    }
}

/// Whether the fields of an object are named.
pub(super) fn has_properties(schema: &Value) -> bool {
    schema["properties"].as_object().is_some_and(|properties| !properties.is_empty())
}

/// The texts that a value may be, if it is one of several.
pub(super) fn choices(schema: &Value) -> Option<Vec<&str>> {
    let all: Vec<_> = schema["enum"].as_array()?.iter().filter(|choice| !choice.is_null()).collect();
    let texts: Option<Vec<_>> = all.iter().map(|choice| choice.as_str()).collect();
    texts.filter(|texts| schema["type"] == "string" && !texts.is_empty() && schema.get("format").is_none())
}

/// Whether exactly one of the object's fields is there, whichever.
pub(super) fn is_union(schema: &Value) -> bool {
    let Some(properties) = schema["properties"].as_object() else { return false };
    let plain = [
        "default",
        "description",
        "nullable",
        "oneOf",
        "properties",
        "type",
        "x-kubernetes-validations",
        "x-kubernetes-map-type",
    ];
    let is_plain =
        schema.as_object().is_some_and(|schema| schema.keys().all(|keyword| plain.contains(&keyword.as_str())));
    let alternatives = schema["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_free = |property: &Value| property.get("default").is_none() && property["nullable"] != true;
    is_plain
        && alternatives.len() == properties.len()
        && properties.len() > 1
        && properties
            .iter()
            .all(|(name, property)| is_free(property) && alternatives.contains(&json!({"required": [name]})))
}

/// Whether a value is a quantity, such as `500m`.
pub(super) fn is_quantity(schema: &Value) -> bool {
    schema["pattern"] == QUANTITY
}
