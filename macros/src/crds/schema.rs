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

/// Whether every condition of Kubernetes can be read as such a value: it has the fields of one, as types that
/// hold them, and needs no other.
pub(super) fn is_condition(schema: &Value) -> bool {
    let Some(properties) = schema["properties"].as_object().filter(|_| !is_union(schema)) else { return false };
    let is_text = |property: &Value, formats: &[Value]| {
        property["type"] == "string" && property.get("enum").is_none() && formats.contains(&property["format"])
    };
    let statuses = |property: &Value| {
        choices(property).is_some_and(|all| ["True", "False", "Unknown"].iter().all(|status| all.contains(status)))
    };
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let fits = |(name, property): (&String, &Value)| match name.as_str() {
        "type" | "reason" | "message" => is_text(property, &[Value::Null]),
        "status" => is_text(property, &[Value::Null]) || statuses(property),
        "lastTransitionTime" => is_text(property, &[Value::Null, "date-time".into()]),
        // It may be unknown.
        "observedGeneration" => {
            property["type"] == "integer" && property["format"] != "int32" && !required.contains(&name.as_str().into())
        }
        name => !required.contains(&name.into()),
    };
    ["type", "status"].iter().all(|name| properties.contains_key(*name)) && properties.iter().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_told_by_its_fields() {
        let condition = |more: Value| {
            let mut properties = json!({"type": {"type": "string"}, "status": {"type": "string"}});
            properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            is_condition(&json!({"type": "object", "properties": properties, "required": ["type", "severity"]}))
        };
        assert!(condition(json!({"reason": {"type": "string", "maxLength": 9}, "other": {"type": "object"}})));
        assert!(condition(json!({"status": {"type": "string", "enum": ["Unknown", "True", "False"]}})));
        for no in [
            json!({"status": {"type": "string", "enum": ["True", "False"]}}),
            json!({"status": {"type": "boolean"}}),
            json!({"type": {"type": "string", "enum": ["Ready"]}}),
            json!({"severity": {"type": "string"}}),
            json!({"lastTransitionTime": {"type": "integer"}}),
            json!({"observedGeneration": {"type": "integer", "format": "int32"}}),
        ] {
            assert!(!condition(no.clone()), "{no}");
        }
        assert!(!is_condition(&json!({"type": "object", "properties": {"type": {"type": "string"}}})));
    }
}
