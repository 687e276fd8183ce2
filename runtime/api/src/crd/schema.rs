//! What the schema of a version must be, in upstream's words
//! (`ValidateCustomResourceDefinitionOpenAPISchema`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{rules, structural, text, texts};
use crate::check::Checks;
use crate::field::{Error, Path};
use crate::schema::Schema;

/// What may stand at the root when `status` is a subresource, as upstream names and spells it.
const AT_ROOT: [(&str, &str); 22] = [
    ("description", "Description"),
    ("type", "Type"),
    ("format", "Format"),
    ("title", "Title"),
    ("maximum", "Maximum"),
    ("exclusiveMaximum", "ExclusiveMaximum"),
    ("minimum", "Minimum"),
    ("exclusiveMinimum", "ExclusiveMinimum"),
    ("maxLength", "MaxLength"),
    ("minLength", "MinLength"),
    ("pattern", "Pattern"),
    ("maxItems", "MaxItems"),
    ("minItems", "MinItems"),
    ("uniqueItems", "UniqueItems"),
    ("multipleOf", "MultipleOf"),
    ("required", "Required"),
    ("items", "Items"),
    ("properties", "Properties"),
    ("externalDocs", "ExternalDocs"),
    ("example", "Example"),
    ("x-kubernetes-preserve-unknown-fields", "XPreserveUnknownFields"),
    ("x-kubernetes-validations", "XValidations"),
];
const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
const UNSUPPORTED: [&str; 6] = ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"];

/// How a schema is looked at, which depends on what it stands in.
#[derive(Clone, Copy, Default)]
struct Place<'a> {
    root: bool,
    /// Why there may be no defaults.
    no_default: Option<&'a str>,
    /// Whether it is of `metadata`, `kind` or `apiVersion`.
    in_meta: bool,
}

/// Checks the schema of a whole object.
pub(super) fn check(schema: &Value, has_status: bool, path: &Path, checks: &mut Checks) {
    if has_status {
        root(schema, path, checks);
    }
    if schema["nullable"] == true {
        checks.forbidden(&path.child("nullable"), "nullable cannot be true at the root");
    }
    let before = checks.errors.len();
    let structural = structural::check(schema, path);
    let is_structural = structural.is_empty();
    checks.errors.extend(structural);
    if is_structural {
        defaults(schema, path, checks);
    }
    visit(schema, Place { root: true, ..Place::default() }, path, checks);
    let is_right = checks.errors.len() == before;
    rules::check(schema, path, is_right, checks);
}

fn root(schema: &Value, path: &Path, checks: &mut Checks) {
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        let is_set = !matches!(value, Value::Null | Value::Bool(false));
        if keyword == "type" && value != "object" {
            let detail =
                "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
            checks.invalid(&path.child("type"), value, detail);
            return;
        }
        if is_set && AT_ROOT.iter().all(|(known, _)| known != keyword) {
            let names: Vec<_> = AT_ROOT.iter().map(|(_, name)| *name).collect();
            let detail = format!(
                "only [{}] fields are allowed at the root of the schema if the status subresource is enabled",
                names.join(" ")
            );
            checks.invalid(path, schema, &detail);
            return;
        }
    }
}

/// A default must be a value that the schema takes.
fn defaults(schema: &Value, path: &Path, checks: &mut Checks) {
    if let Some(default) = schema.get("default").filter(|default| !default.is_null()) {
        let (path, mut pruned) = (path.child("default"), default.clone());
        let read = Schema::from_openapi(schema);
        if let Value::Object(map) = &mut pruned {
            read.prune(map);
        }
        if pruned != *default {
            checks.invalid(&path, default, "must not have unknown fields");
        } else {
            read.fill_defaults(&mut pruned);
            checks.errors.extend(read.validate(&pruned, None, &path));
        }
    }
    below(schema, path, |child, path, _| defaults(child, &path, checks));
}

/// Calls `visit` with each schema directly within `schema` but the alternatives.
fn below<'a>(schema: &'a Value, path: &Path, mut visit: impl FnMut(&'a Value, Path, &'a str)) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        visit(property, path.child("properties").key(name), name);
    }
    for keyword in ["items", "additionalProperties"] {
        if schema[keyword].is_object() {
            visit(&schema[keyword], path.child(keyword), "");
        }
    }
}

fn visit(schema: &Value, place: Place<'_>, path: &Path, checks: &mut Checks) {
    keywords(schema, place, path, checks);
    let embedded = schema["x-kubernetes-embedded-resource"] == true;
    below(schema, path, |child, path, name| {
        let of_meta = matches!(name, "metadata" | "kind" | "apiVersion") && (place.root || embedded);
        let reason = format!("in top-level {name}");
        let no_default = match name {
            _ if of_meta && place.root => Some(reason.as_str()),
            "" if place.in_meta => Some("inside additionalProperties applying to object metadata"),
            _ => place.no_default,
        };
        visit(child, Place { root: false, no_default, in_meta: place.in_meta || of_meta }, &path, checks);
    });
    let nested = Place { root: false, ..place };
    for junctor in ["allOf", "oneOf", "anyOf"] {
        for (index, alternative) in schema[junctor].as_array().into_iter().flatten().enumerate() {
            visit(alternative, nested, &path.child(junctor).index(index), checks);
        }
    }
    if schema["not"].is_object() {
        visit(&schema["not"], nested, &path.child("not"), checks);
    }
    extensions(schema, path, checks);
    list_map(schema, path, checks);
}

fn keywords(schema: &Value, place: Place<'_>, path: &Path, checks: &mut Checks) {
    let type_ = text(&schema["type"]);
    if !type_.is_empty() && type_ != "null" && !TYPES.contains(&type_) {
        checks.push(Error::not_supported(&path.child("type"), type_, &TYPES));
    }
    if let (Some(reason), false) = (place.no_default, schema["default"].is_null()) {
        checks.forbidden(&path.child("default"), &format!("must not be set {reason}"));
    }
    for keyword in UNSUPPORTED.into_iter().filter(|keyword| !schema[*keyword].is_null()) {
        checks.forbidden(&path.child(keyword), &format!("{keyword} is not supported"));
    }
    if type_ == "null" {
        checks.forbidden(&path.child("type"), "type cannot be set to null, use nullable as an alternative");
    }
    if schema["items"].is_array() {
        checks.forbidden(&path.child("items"), "items must be a schema object and not an array");
    }
    if place.in_meta && schema["x-kubernetes-embedded-resource"] == true {
        checks.forbidden(&path.child("x-kubernetes-embedded-resource"), "must not be used inside of resource meta");
    }
    if schema["uniqueItems"] == true {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        checks.forbidden(&path.child("uniqueItems"), detail);
    }
    let additional = &schema["additionalProperties"];
    let has_properties = schema["properties"].as_object().is_some_and(|properties| !properties.is_empty());
    if has_properties && (additional.is_object() || *additional == false) {
        let detail = "additionalProperties and properties are mutual exclusive";
        checks.forbidden(&path.child("additionalProperties"), detail);
    }
}

fn extensions(schema: &Value, path: &Path, checks: &mut Checks) {
    let type_ = text(&schema["type"]);
    if schema["x-kubernetes-preserve-unknown-fields"] == false {
        checks.invalid(&path.child("x-kubernetes-preserve-unknown-fields"), false, "must be true or undefined");
    }
    for (extension, of, values) in [
        ("x-kubernetes-map-type", "object", &["atomic", "granular"][..]),
        ("x-kubernetes-list-type", "array", &["atomic", "set", "map"]),
    ] {
        let Some(value) = schema[extension].as_str() else { continue };
        if type_ != of {
            let (path, detail) = (path.child("type"), format!("must be {of} if {extension} is specified"));
            if type_.is_empty() {
                checks.push(Error::required(&path, detail));
            } else {
                checks.invalid(&path, type_, &detail);
            }
        } else if value == "set" {
            atomic_items(&schema["items"], &path.child("items"), checks);
        }
        if !values.contains(&value) {
            checks.push(Error::not_supported(&path.child(extension), value, values));
        }
    }
}

// Items that are each their own identity cannot be merged into.
fn atomic_items(items: &Value, path: &Path, checks: &mut Checks) {
    let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
    let (list, map) = (&items["x-kubernetes-list-type"], &items["x-kubernetes-map-type"]);
    match text(&items["type"]) {
        "array" if !list.is_null() && list != "atomic" => {
            checks.invalid(&path.child("x-kubernetes-list-type"), list, detail);
        }
        "object" if map != "atomic" => checks.invalid(&path.child("x-kubernetes-map-type"), map, detail),
        _ => {}
    }
}

fn list_map(schema: &Value, path: &Path, checks: &mut Checks) {
    let (list_type, keys) = (schema["x-kubernetes-list-type"].as_str(), &schema["x-kubernetes-list-map-keys"]);
    let (items, type_path) = (&schema["items"], path.child("x-kubernetes-list-type"));
    let has_keys = texts(keys).next().is_some();
    let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
    match list_type {
        None if has_keys => checks.push(Error::required(&type_path, detail)),
        Some(other) if has_keys && other != "map" => checks.invalid(&type_path, other, detail),
        _ => {}
    }
    if let Some(list_type @ ("set" | "map")) = list_type
        && items["nullable"] == true
    {
        let detail = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        checks.forbidden(&path.child("items").child("nullable"), &detail);
    }
    if list_type != Some("map") {
        return;
    }
    let keys_path = path.child("x-kubernetes-list-map-keys");
    if !has_keys {
        let detail = "must not be empty if x-kubernetes-list-type is map";
        checks.push(Error::required(&keys_path, detail));
    }
    if items.is_null() {
        let detail = "must have a schema if x-kubernetes-list-type is map";
        checks.push(Error::required(&path.child("items"), detail));
        return;
    }
    if items["type"] != "object" {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        checks.invalid(&path.child("items").child("type"), text(&items["type"]), detail);
        return;
    }
    let mut seen = BTreeSet::new();
    for key in texts(keys) {
        let (property, path) = (&items["properties"][key], path.child("items").child("properties").key(key));
        if property.is_null() {
            checks.invalid(&keys_path, keys, "entries must all be names of item properties");
        } else if matches!(text(&property["type"]), "array" | "object") {
            let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            checks.invalid(&path.child("type"), text(&items["type"]), detail);
        }
        if !seen.insert(key) {
            checks.invalid(&keys_path, keys, "must not contain duplicate entries");
        }
        if property.is_null() {
            continue;
        }
        if texts(&items["required"]).all(|name| name != key) && property["default"].is_null() {
            let detail =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            checks.push(Error::required(&path.child("default"), detail));
        }
        if property["nullable"] == true {
            let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            checks.forbidden(&path.child("nullable"), detail);
        }
    }
}

/// Collects the formats that a schema names.
pub(super) fn formats<'a>(schema: &'a Value, found: &mut BTreeSet<&'a str>) {
    found.extend(schema["format"].as_str().filter(|format| !format.is_empty()));
    below(schema, &Path::default(), |child, _, _| formats(child, found));
}
