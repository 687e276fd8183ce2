//! From the schema of a Rust type to the structural schema that a CustomResourceDefinition carries
//! (<https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>):
//! nothing refers, `null` is a flag, and every field is declared once, outside of the alternatives
//! that constrain it.

mod alternatives;
mod annotate;
mod unsaid;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use alternatives::{alternatives, constraint, is_constraint, joined};
pub use annotate::annotate;
pub(crate) use unsaid::all_unsaid;
use unsaid::{ANYTHING, UNSAID, unsaid};

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";
const VALIDATIONS: &str = "x-kubernetes-validations";

/// Keywords of JSON Schema that a CustomResourceDefinition does not have. Most say nothing of what is
/// allowed; of the others [`structure`] has taken what can be said.
const UNKNOWN: [&str; 16] = [
    "$comment",
    "$schema",
    "additionalItems",
    "contentEncoding",
    "contentMediaType",
    "definitions",
    "deprecated",
    "else",
    "examples",
    "if",
    "patternProperties",
    "propertyNames",
    "readOnly",
    "then",
    "title",
    "writeOnly",
];

/// The structural schema of `T`, as the `openAPIV3Schema` of a CustomResourceDefinition holds it.
///
/// A type that refers to itself is anything where it does: a structural schema cannot say more of it. An
/// enum whose variants are of several JSON types (but a whole number or a string) has none; where it
/// stands there is no type, so that no API server takes the definition, and `x-trimtab-unsaid` tells why.
pub fn structural<T: JsonSchema>() -> Value {
    annotated::<T>(&Value::Null)
}

/// As [`structural`], with further keywords, as [`annotate`] takes them.
pub fn annotated<T: JsonSchema>(keywords: &Value) -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    annotate(&mut schema, keywords);
    let root_type = schema["type"].clone();
    let definitions = schema.as_object_mut().and_then(|map| map.remove("definitions")).unwrap_or_default();
    structure(&mut schema, &|reference| match reference.strip_prefix("#/definitions/") {
        Some(name) => definitions[name]["type"].clone(),
        None => root_type.clone(),
    });
    schema
}

/// Tells the type of what a reference refers to.
type TypeOf<'a> = &'a dyn Fn(&str) -> Value;

fn structure(schema: &mut Value, type_of: TypeOf<'_>) {
    let Some(map) = schema.as_object_mut() else {
        // `true` allows anything, `false` nothing.
        *schema = if *schema == true { anything() } else { json!({PRESERVE: true, "not": {}}) };
        return;
    };
    no_reference(map, type_of);
    let is_anything = [PRESERVE, INT_OR_STRING].iter().any(|extension| map.get(*extension) == Some(&true.into()));
    null_is_a_flag(map);
    // What was set to null is to be as if it had not been said.
    map.retain(|_, value| !value.is_null());
    constant_is_a_choice(map);
    numbers(map);
    keys(map);
    if map.get("additionalProperties") == Some(&Value::Bool(false)) {
        // Structural schemas prune what is unknown; they do not forbid it.
        map.remove("additionalProperties");
    }
    for property in map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        structure(property, type_of);
    }
    one_kind_of_item(map, type_of);
    for keyword in ["items", "additionalProperties"] {
        match map.get_mut(keyword) {
            Some(child @ Value::Object(_)) => structure(child, type_of),
            Some(Value::Bool(true)) => drop(map.insert(keyword.to_owned(), anything())),
            _ => {}
        }
    }
    names_or_values(map);
    for keyword in ["oneOf", "anyOf", "allOf"] {
        alternatives(map, keyword, type_of);
    }
    if let Some(not) = map.get_mut("not").filter(|not| !is_constraint(not)) {
        structure(not, type_of);
        *not = constraint(not, &Value::Null);
    }
    if map.get("type").is_some_and(|type_| type_ == "array") {
        map.entry("items").or_insert_with(anything);
        set(map);
    }
    if is_anything {
        // Whoever says so wants no more to be said.
        unsaid::settle(map);
    }
    optional_by_default(map);
    map.retain(|keyword, _| !UNKNOWN.contains(&keyword.as_str()));
    typed(map);
}

fn anything() -> Value {
    json!({PRESERVE: true})
}

// What refers to itself cannot be written out: from there on it is anything of its type.
fn no_reference(map: &mut Map<String, Value>, type_of: TypeOf<'_>) {
    let Some(reference) = map.remove("$ref") else { return };
    let type_ = reference.as_str().map(type_of).filter(Value::is_string);
    map.extend(type_.map(|type_| ("type".to_owned(), type_)));
    map.insert(PRESERVE.to_owned(), true.into());
}

// `type: [T, null]`, and `anyOf: [T, {type: null}]`, are how an Option is written.
fn null_is_a_flag(map: &mut Map<String, Value>) {
    let mut nullable = false;
    if let Some(type_) = map.get("type") {
        let types = type_.as_array().map_or_else(|| vec![type_.clone()], Clone::clone);
        let rest: Vec<_> = types.iter().filter(|type_| *type_ != "null").cloned().collect();
        nullable = rest.len() < types.len();
        if let [only] = &rest[..] {
            map.insert("type".to_owned(), only.clone());
        } else {
            map.remove("type");
        }
    }
    if let Some(Value::Array(choices)) = map.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
    }
    for keyword in ["anyOf", "oneOf"] {
        let Some(Value::Array(mut alternatives)) = map.remove(keyword) else { continue };
        let all = alternatives.len();
        alternatives.retain(|alternative| alternative["type"] != "null");
        let had_null = alternatives.len() < all;
        nullable |= had_null;
        match &mut alternatives[..] {
            // What is said of the field holds over what is said of its type.
            [only] if had_null => {
                annotate(only, &Value::Object(std::mem::take(map)));
                *map = only.as_object().cloned().unwrap_or_default();
            }
            [] => {}
            _ => drop(map.insert(keyword.to_owned(), alternatives.into())),
        }
    }
    if nullable {
        map.entry("nullable").or_insert(Value::Bool(true));
    }
    if map.get("nullable") == Some(&Value::Bool(false)) {
        map.remove("nullable");
    }
}

fn constant_is_a_choice(map: &mut Map<String, Value>) {
    if let Some(constant) = map.remove("const") {
        map.insert("enum".to_owned(), Value::Array(vec![constant]));
    }
}

// OpenAPI knows no unsigned formats, the bound says the same; and it says by a flag that a bound is
// excluded.
fn numbers(map: &mut Map<String, Value>) {
    let is_foreign = |format: &str| format.starts_with("uint") || matches!(format, "int8" | "int16" | "int128");
    if map.get("format").and_then(Value::as_str).is_some_and(is_foreign) {
        map.remove("format");
    }
    for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        if let Some(value) = map.get(exclusive).filter(|value| value.is_number()).cloned() {
            map.insert(bound.to_owned(), value);
            map.insert(exclusive.to_owned(), true.into());
        }
    }
}

// A map whose keys are no strings: JSON's are, and what they look like cannot be said.
fn keys(map: &mut Map<String, Value>) {
    let Some(Value::Object(patterns)) = map.remove("patternProperties") else { return };
    let values: Vec<Value> = patterns.into_iter().map(|(_, values)| values).collect();
    if let [values] = &values[..] {
        map.insert("additionalProperties".to_owned(), values.clone());
    } else {
        map.insert(PRESERVE.to_owned(), true.into());
    }
}

// A flattened or tagged map: an object either names its fields or says what all of them are.
fn names_or_values(map: &mut Map<String, Value>) {
    let has_names = map.get("properties").and_then(Value::as_object).is_some_and(|names| !names.is_empty());
    let Some(values) = map.get("additionalProperties").filter(|_| has_names) else { return };
    if *values == anything() {
        map.insert(PRESERVE.to_owned(), true.into());
    } else {
        let why = format!(
            "some of its fields have names, and the others are those of a map: make the map a field of its own, or {ANYTHING}"
        );
        map.insert(UNSAID.to_owned(), why.into());
        map.remove("type");
    }
    map.remove("additionalProperties");
}

// A tuple: the items of a list have one schema.
fn one_kind_of_item(map: &mut Map<String, Value>, type_of: TypeOf<'_>) {
    let Some(Value::Array(items)) = map.get_mut("items") else { return };
    let mut items = std::mem::take(items);
    items.iter_mut().for_each(|item| structure(item, type_of));
    let all = match items.split_first() {
        Some((first, rest)) => rest.iter().try_fold(first.clone(), |all, item| joined(&all, item)),
        None => Ok(anything()),
    };
    let tell = |why: String| {
        unsaid(format!(
            "the items of this list are {why}, and have one type: give the fields of the tuple names, or {ANYTHING}"
        ))
    };
    map.insert("items".to_owned(), all.unwrap_or_else(tell));
}

// Kubernetes has no `uniqueItems`, which takes long to check; a set says the same of scalars.
fn set(map: &mut Map<String, Value>) {
    if map.remove("uniqueItems") == Some(Value::Bool(true)) && !map.contains_key("x-kubernetes-list-type") {
        let is_scalar =
            |items: &Value| matches!(items["type"].as_str(), Some(type_) if !matches!(type_, "object" | "array"));
        if map["items"][INT_OR_STRING] == true || is_scalar(&map["items"]) {
            map.insert("x-kubernetes-list-type".to_owned(), "set".into());
        }
    }
}

// What has a default need not be given.
fn optional_by_default(map: &mut Map<String, Value>) {
    let Some(Value::Array(mut required)) = map.remove("required") else { return };
    let properties = map.get("properties").unwrap_or(&Value::Null);
    required.retain(|name| properties[name.as_str().unwrap_or_default()].get("default").is_none());
    if !required.is_empty() {
        map.insert("required".to_owned(), required.into());
    }
}

// What is said by an extension is not said by a type.
fn typed(map: &mut Map<String, Value>) {
    let is = |map: &Map<String, Value>, extension: &str| map.get(extension) == Some(&Value::Bool(true));
    if is(map, INT_OR_STRING) {
        map.remove("type");
        map.remove("format");
        map.remove(PRESERVE);
        return;
    }
    if is(map, "x-kubernetes-embedded-resource") {
        map.remove("additionalProperties");
        map.insert("type".to_owned(), "object".into());
        if !map.contains_key("properties") {
            map.insert(PRESERVE.to_owned(), true.into());
        }
    }
    if is(map, PRESERVE) && map.get("additionalProperties").is_some_and(|values| *values == anything()) {
        map.remove("additionalProperties");
    }
    // A schema without a type says nothing of what it holds.
    if !map.contains_key("type") && !map.contains_key(UNSAID) {
        map.insert(PRESERVE.to_owned(), true.into());
    }
}

#[cfg(test)]
mod enums;
#[cfg(test)]
mod tests;
