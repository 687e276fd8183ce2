//! Structural schemas: every field is declared once, outside of the alternatives that constrain it
//! (`k8s.io/apiextensions-apiserver/pkg/apiserver/schema`, `ValidateStructural`).

use serde_json::{Value, json};

use super::text;
use crate::field::{Error, Path};

/// What may not stand within an alternative, and what it must be instead.
const FORBIDDEN: [(&str, &str); 14] = [
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("externalDocs", "must be undefined to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
];
/// Keywords that hold lists of alternatives.
const JUNCTORS: [&str; 3] = ["anyOf", "allOf", "oneOf"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// Why a schema is not structural, in the order of the texts.
pub(super) fn check(schema: &Value, path: &Path) -> Vec<Error> {
    let mut errors = Vec::new();
    invariants(schema, Level::Root, path, &mut errors);
    completeness(schema, path, &mut errors);
    errors.sort_by_key(ToString::to_string);
    errors
}

fn invariants(schema: &Value, level: Level, path: &Path, errors: &mut Vec<Error>) {
    let type_ = text(&schema["type"]);
    let is = |extension: &str| schema[extension] == true;
    let (embedded, int_or_string) = (is("x-kubernetes-embedded-resource"), is("x-kubernetes-int-or-string"));
    let preserves = is("x-kubernetes-preserve-unknown-fields");
    if type_ == "array" && schema["items"].is_null() {
        errors.push(Error::required(&path.child("items"), "must be specified"));
    }
    if schema["items"].is_object() {
        invariants(&schema["items"], Level::Item, &path.child("items"), errors);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        invariants(property, Level::Field, &path.child("properties").key(name), errors);
    }
    let additional = &schema["additionalProperties"];
    if !additional.is_null() && level == Level::Root {
        errors.push(Error::forbidden(&path.child("additionalProperties"), "must not be used at the root"));
    }
    if additional.is_object() {
        invariants(additional, Level::Field, &path.child("additionalProperties"), errors);
    }
    for extension in ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"] {
        if int_or_string && is(extension) {
            let detail = "must be false if x-kubernetes-int-or-string is true";
            errors.push(Error::invalid(&path.child(extension), true, detail));
        }
    }
    value_validation(schema, path, errors);
    if embedded && type_ != "object" {
        let (path, detail) = (path.child("type"), "must be object if x-kubernetes-embedded-resource is true");
        errors.push(if type_.is_empty() {
            Error::required(&path, detail)
        } else {
            Error::invalid(&path, type_, detail)
        });
    } else if type_.is_empty() && !int_or_string && !preserves {
        let detail = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        errors.push(Error::required(&path.child("type"), detail));
    }
    if embedded && !additional.is_null() {
        let detail = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(Error::forbidden(&path.child("additionalProperties"), detail));
    }
    if level == Level::Root && !type_.is_empty() && type_ != "object" {
        errors.push(Error::invalid(&path.child("type"), type_, "must be object at the root"));
    }
    if level == Level::Root || embedded {
        resource(schema, level, path, errors);
    }
    let has_properties = schema["properties"].as_object().is_some_and(|properties| !properties.is_empty());
    if embedded && !preserves && !has_properties {
        let detail =
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        errors.push(Error::required(&path.child("properties"), detail));
    }
}

// What every object has, a schema can only restrict.
fn resource(schema: &Value, level: Level, path: &Path, errors: &mut Vec<Error>) {
    let properties = path.child("properties");
    for name in ["kind", "apiVersion"] {
        let property = &schema["properties"][name];
        if !property.is_null() && property["type"] != "string" {
            let path = properties.key(name).child("type");
            errors.push(Error::invalid(&path, text(&property["type"]), "must be string"));
        }
    }
    let metadata = &schema["properties"]["metadata"];
    let Some(map) = metadata.as_object() else { return };
    let path = properties.key("metadata");
    if metadata["type"] != "object" {
        errors.push(Error::invalid(&path.child("type"), text(&metadata["type"]), "must be object"));
    }
    let of_name = |name: &String| matches!(name.as_str(), "name" | "generateName");
    let only_names = metadata["properties"].as_object().is_none_or(|properties| properties.keys().all(of_name));
    let known = |name: &String| matches!(name.as_str(), "type" | "properties" | "default" | "description");
    if level == Level::Root && (!only_names || !map.keys().all(known)) {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.push(Error::forbidden(&path, detail));
    }
}

fn value_validation(schema: &Value, path: &Path, errors: &mut Vec<Error>) {
    for (junctor, index, alternative) in alternatives(schema) {
        nested(alternative, &path.child(junctor).index(index), errors);
    }
    if schema["not"].is_object() {
        nested(&schema["not"], &path.child("not"), errors);
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && let Err(error) = regex::Regex::new(pattern)
    {
        let detail = format!("must be a valid regular expression, but isn't: {error}");
        errors.push(Error::invalid(&path.child("pattern"), pattern, detail));
    }
}

/// The alternatives of a schema but those that say again that a value is a number or a string.
fn alternatives(schema: &Value) -> impl Iterator<Item = (&'static str, usize, &Value)> {
    let int_or_string = json!([{"type": "integer"}, {"type": "string"}]);
    JUNCTORS.into_iter().flat_map(move |junctor| {
        let skipped = junctor == "anyOf" && schema[junctor] == int_or_string;
        let first_skipped = junctor == "allOf" && schema[junctor][0]["anyOf"] == int_or_string;
        let list = schema[junctor].as_array().into_iter().flatten().enumerate();
        list.filter(move |(index, _)| !(skipped || first_skipped && *index == 0))
            .map(move |(index, alternative)| (junctor, index, alternative))
    })
}

fn nested(schema: &Value, path: &Path, errors: &mut Vec<Error>) {
    value_validation(schema, path, errors);
    if schema["items"].is_object() {
        nested(&schema["items"], &path.child("items"), errors);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = path.child("properties").key(name);
        nested(property, &path, errors);
        // It would restrict what the definition does not own.
        if name == "metadata" {
            errors.push(Error::forbidden(&path, "must not be specified in a nested context"));
        }
    }
    for (keyword, detail) in FORBIDDEN {
        let is_set = !matches!(&schema[keyword], Value::Null | Value::Bool(false)) && schema[keyword] != "";
        if is_set {
            errors.push(Error::forbidden(&path.child(keyword), detail));
        }
    }
}

fn completeness(schema: &Value, path: &Path, errors: &mut Vec<Error>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        completeness(property, &path.child("properties").key(name), errors);
    }
    for keyword in ["items", "additionalProperties"] {
        if schema[keyword].is_object() {
            completeness(&schema[keyword], &path.child(keyword), errors);
        }
    }
    declared(schema, schema, path, path, errors);
}

// What `constraint`, at `at`, constrains is declared in `schema`.
fn declared(constraint: &Value, schema: &Value, path: &Path, at: &Path, errors: &mut Vec<Error>) {
    let mut visit = |constraint: &Value, at: Path| {
        declared(constraint, schema, path, &at, errors);
        let missing = |path: &Path, at: &Path| Error::required(path, format!("because it is defined in {at}"));
        if constraint["items"].is_object() {
            let (path, at) = (path.child("items"), at.child("items"));
            if schema["items"].is_object() {
                within(&constraint["items"], &schema["items"], &path, &at, errors);
            } else {
                errors.push(missing(&path, &at));
            }
        }
        for (name, property) in constraint["properties"].as_object().into_iter().flatten() {
            let (path, at) = (path.child("properties").key(name), at.child("properties").key(name));
            match schema["properties"].get(name) {
                Some(own) => within(property, own, &path, &at, errors),
                None => errors.push(missing(&path, &at)),
            }
        }
    };
    for junctor in JUNCTORS {
        for (index, alternative) in constraint[junctor].as_array().into_iter().flatten().enumerate() {
            visit(alternative, at.child(junctor).index(index));
        }
    }
    if constraint["not"].is_object() {
        visit(&constraint["not"], at.child("not"));
    }
}

// As an alternative of its own, standing where its parent's field does.
fn within(constraint: &Value, schema: &Value, path: &Path, at: &Path, errors: &mut Vec<Error>) {
    let wrapped = json!({"not": constraint});
    let mut found = Vec::new();
    declared(&wrapped, schema, path, at, &mut found);
    let (wrong, right) = (format!("{at}.not"), at.to_string());
    errors.extend(found.into_iter().map(|mut error| {
        error.message = error.message.replacen(&wrong, &right, 1);
        error
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_structural_is_named() {
        let check = |schema: Value, expected: &[&str]| {
            let errors: Vec<_> = check(&schema, &Path::new("s")).iter().map(ToString::to_string).collect();
            assert_eq!(errors, expected, "{schema}");
        };
        let of = |property: Value| json!({"type": "object", "properties": {"p": property}});
        check(of(json!({"type": "string"})), &[]);
        check(of(json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]})), &[]);
        check(json!({}), &["s.type: Required value: must not be empty at the root"]);
        check(of(json!({})), &["s.properties[p].type: Required value: must not be empty for specified object fields"]);
        check(of(json!({"type": "array"})), &["s.properties[p].items: Required value: must be specified"]);
        check(
            of(json!({"type": "array", "items": {}})),
            &["s.properties[p].items.type: Required value: must not be empty for specified array items"],
        );
        check(
            of(json!({"type": "integer", "oneOf": [{"type": "integer"}]})),
            &["s.properties[p].oneOf[0].type: Forbidden: must be empty to be structural"],
        );
        check(
            of(json!({"type": "integer", "allOf": [{"x-kubernetes-validations": [{"rule": "self > 1"}]}]})),
            &["s.properties[p].allOf[0].x-kubernetes-validations: Forbidden: must be empty to be structural"],
        );
        check(
            of(json!({"type": "object", "anyOf": [{"properties": {"a": {"minimum": 1}}}]})),
            &[
                "s.properties[p].properties[a]: Required value: because it is defined in s.properties[p].anyOf[0].properties[a]",
            ],
        );
        check(
            of(
                json!({"type": "object", "properties": {"a": {"type": "object"}}, "not": {"properties": {"a": {"properties": {"b": {"minimum": 1}}}}}}),
            ),
            &[
                "s.properties[p].properties[a].properties[b]: Required value: because it is defined in s.properties[p].not.properties[a].properties[b]",
            ],
        );
        check(
            json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}),
            &[
                "s.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
            ],
        );
        check(
            of(json!({"type": "object", "x-kubernetes-embedded-resource": true})),
            &[
                "s.properties[p].properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
            ],
        );
    }
}
