//! The table against the schemas of the kinds that are served.

use serde_json::{Map, Value};

use crate::protobuf::Message;
use crate::protobuf::table::{Label, Place, Type, all};

const SPECIAL: [(&str, Type); 11] = [
    ("io.k8s.apimachinery.pkg.api.resource.Quantity", Type::Quantity),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", Type::Raw),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", Type::MicroTime),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", Type::Time),
    ("io.k8s.apimachinery.pkg.runtime.RawExtension", Type::Raw),
    ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", Type::IntOrString),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON", Type::Raw),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray", Type::SchemaOrArray),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool", Type::SchemaOrBool),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray", Type::SchemaOrStrings),
    // An `ExtraValue` is a list in the schema.
    ("", Type::Strings),
];

fn type_of(schema: &Value) -> Type {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.trim_start_matches("#/$defs/");
        let special = SPECIAL.iter().find(|(special, _)| *special == name).map(|(_, type_)| *type_);
        return special.unwrap_or_else(|| Type::Message(Message::index_of(name).expect(name)));
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("byte")) => Type::Bytes,
        (Some("string"), None) => Type::String,
        (Some("boolean"), None) => Type::Bool,
        (Some("integer"), Some("int32")) => Type::Int32,
        (Some("integer"), Some("int64")) => Type::Int64,
        (Some("number"), Some("double")) => Type::Double,
        (Some("array"), None) => Type::Strings,
        found => panic!("{found:?} is no type of the table"),
    }
}

fn label_and_type(place: &Place, schema: &Value) -> (Label, Type) {
    match schema["type"].as_str() {
        Some("array") if place.field.type_ == Type::Strings => (Label::One, Type::Strings),
        Some("array") => (Label::List, type_of(&schema["items"])),
        Some("object") => (Label::Map, type_of(&schema["additionalProperties"])),
        _ => (Label::One, type_of(schema)),
    }
}

/// What a schema says is there on the wire, with a type that fits, and the other way about. A kind that is served but
/// not in the table could not be told to a client that speaks nothing else.
#[test]
fn every_property_of_every_definition_is_in_the_table() {
    let definitions = include_str!("../../../../../manifests/definitions.json");
    let definitions: Map<String, Value> = serde_json::from_str(definitions).unwrap();
    let mut checked = 0;
    for (name, definition) in &definitions {
        if SPECIAL.iter().any(|(special, _)| special == name) {
            continue;
        }
        let message = Message::of_definition(name).unwrap_or_else(|| panic!("{name} is not in the table"));
        let none = Map::new();
        let properties = definition["properties"].as_object().unwrap_or(&none);
        let is_object = properties.contains_key("metadata") && properties.contains_key("apiVersion");
        for (property, schema) in properties {
            // Those of a whole object are in the envelope.
            if is_object && ["apiVersion", "kind"].contains(&property.as_str()) {
                continue;
            }
            let Some(place) = message.place(property) else {
                // `DeleteOptions` is an object without metadata.
                assert!(["apiVersion", "kind"].contains(&property.as_str()), "{name} has no field {property}");
                continue;
            };
            assert_eq!((place.field.label, place.field.type_), label_and_type(place, schema), "{name} {property}");
            checked += 1;
        }
        for place in message.places() {
            assert!(properties.contains_key(place.field.name), "{name} has no property {}", place.field.name);
        }
    }
    assert!(checked > 1_000, "{checked}");
}

#[test]
fn every_kind_that_is_served_has_a_message() {
    for kind in crate::builtin().iter() {
        let message = Message::of(&kind.api_version(), &kind.kind).unwrap_or_else(|| panic!("{kind:?}"));
        assert!(message.place("metadata").is_some(), "{kind:?}");
    }
    assert!(Message::of("demo.io/v1", "Website").is_none());
    // Those that every group has, under whichever name clients call them.
    for version in ["v1", "apps/v1", "meta.k8s.io/v1", "demo.io/v1"] {
        assert_eq!(
            Message::of(version, "DeleteOptions").map(Message::definition).as_deref(),
            Some("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")
        );
    }
}

#[test]
fn no_number_and_no_name_is_there_twice() {
    for message in all() {
        let mut names: Vec<&str> = message.places().iter().map(|place| place.field.name).collect();
        let mut numbers: Vec<_> = message.places().iter().map(|place| (&place.embedded, place.field.number)).collect();
        let count = names.len();
        names.dedup();
        numbers.sort();
        numbers.dedup();
        assert_eq!((names.len(), numbers.len()), (count, count), "{}", message.definition());
    }
}
