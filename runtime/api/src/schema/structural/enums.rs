//! Enums of every shape, by both derives: each has a schema that a definition may hold, that takes all
//! it is written as and prunes nothing of it, or there is a word about what to change. Of those that
//! have none, `derive(Schema)` tells at compile time: `macros/src/schema/tests.rs` has the same ones.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::*;
use crate::crd;
use crate::field::Path;
use crate::schema::Schema;

/// Checks the schema of `T`, and that it takes all of `values`, as `T` does.
fn holds<T: JsonSchema + Serialize + DeserializeOwned>(expected: &Value, values: &[Value]) {
    let schema = structural::<T>();
    assert_eq!(schema, *expected, "{schema}");
    let object = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"f": schema}}}});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "as.demo.io"},
        "spec": {"group": "demo.io", "scope": "Namespaced", "names": {"kind": "A", "plural": "as"}, "versions": [
            {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": object}},
        ]},
    });
    let wrong = crd::check(&definition);
    assert!(wrong.is_empty(), "{wrong:#?}\n{schema:#}");
    let read = Schema::from_openapi(&object);
    for value in values {
        let typed: T = serde_json::from_str(&value.to_string()).unwrap();
        assert_eq!(serde_json::to_value(typed).unwrap(), *value, "it is not written as it is read");
        let whole = json!({"spec": {"f": value}});
        let mut pruned = whole.clone();
        let unknown = read.prune(pruned.as_object_mut().unwrap()).unknown;
        assert_eq!((pruned, unknown), (whole.clone(), Vec::new()));
        let errors = read.validate(&whole, None, &Path::default());
        assert!(errors.is_empty(), "{value}: {errors:?}");
    }
}

macro_rules! both {
    ($name:ident: $(#[$attribute:meta])* { $($variants:tt)* } is $schema:tt takes [$($value:tt),* $(,)?]) => {
        #[test]
        fn $name() {
            mod theirs {
                use super::*;

                #[derive(JsonSchema, Serialize, Deserialize)]
                $(#[$attribute])*
                pub(super) enum E { $($variants)* }
            }
            mod ours {
                use super::*;
                use crate as trimtab_api;

                #[derive(trimtab_api::Schema, Serialize, Deserialize)]
                #[resource(crate = "trimtab_api")]
                $(#[$attribute])*
                pub(super) enum E { $($variants)* }
            }
            let (schema, values) = (json!($schema), [$(json!($value)),*]);
            holds::<theirs::E>(&schema, &values);
            holds::<ours::E>(&schema, &values);
        }
    };
}

/// What is told of the enum by derive(JsonSchema), at which path.
macro_rules! neither {
    ($name:ident: $(#[$attribute:meta])* { $($variants:tt)* } tells $path:literal $start:literal) => {
        #[test]
        fn $name() {
            #[derive(JsonSchema)]
            #[allow(dead_code)]
            $(#[$attribute])*
            enum E { $($variants)* }
            let told: Vec<_> = all_unsaid(&structural::<E>(), &Path::new("e")).iter().map(ToString::to_string).collect();
            let expected = format!("{}: Required value: {}", $path, $start);
            assert!(told.len() == 1 && told[0].starts_with(&expected), "{told:#?}");
        }
    };
}

#[derive(JsonSchema, Serialize, Deserialize)]
struct Git {
    url: String,
    depth: Option<u8>,
}

#[derive(JsonSchema, Serialize, Deserialize)]
struct Image {
    name: String,
}

both!(external_units: #[serde(rename_all = "camelCase")] { GoodMorning, #[serde(rename = "bye")] GoodNight }
    is {"type": "string", "enum": ["goodMorning", "bye"]}
    takes ["goodMorning", "bye"]);

both!(external_skipped: { A(u8), #[serde(skip)] #[allow(dead_code)] B }
    is {"type": "object", "properties": {"A": {"type": "integer", "minimum": 0, "maximum": 255}},
        "required": ["A"]}
    takes [{"A": 1}]);

both!(external_of_every_shape: #[serde(rename_all = "camelCase", rename_all_fields = "kebab-case")] {
        Newtype(Git), Scalar(u8), List(Vec<String>), Maybe(Option<bool>), Tuple(i32, i32), Empty {}, NoItems(),
        Fields { in_words: String, other: Option<Image> },
    }
    is {"type": "object", "properties": {
        "newtype": {"type": "object", "required": ["url"], "properties": {"url": {"type": "string"},
            "depth": {"type": "integer", "minimum": 0, "maximum": 255, "nullable": true}}},
        "scalar": {"type": "integer", "minimum": 0, "maximum": 255},
        "list": {"type": "array", "items": {"type": "string"}},
        "maybe": {"type": "boolean", "nullable": true},
        "tuple": {"type": "array", "items": {"type": "integer", "format": "int32"}, "minItems": 2, "maxItems": 2},
        "empty": {"type": "object"},
        "noItems": {"type": "array", "items": {PRESERVE: true}, "maxItems": 0},
        "fields": {"type": "object", "required": ["in-words"], "properties": {"in-words": {"type": "string"},
            "other": {"type": "object", "nullable": true, "required": ["name"], "properties": {"name": {"type": "string"}}}}},
    }, "oneOf": [{"required": ["newtype"]}, {"required": ["scalar"]}, {"required": ["list"]}, {"required": ["maybe"]},
        {"required": ["tuple"]}, {"required": ["empty"]}, {"required": ["noItems"]}, {"required": ["fields"]}]}
    takes [{"newtype": {"url": "u", "depth": null}}, {"scalar": 1}, {"list": ["a"]}, {"maybe": null}, {"tuple": [1, 2]},
        {"empty": {}}, {"noItems": []}, {"fields": {"in-words": "w", "other": null}}]);

both!(internal_of_every_shape: #[serde(tag = "type", rename_all = "camelCase")] {
        Unit, Newtype(Git), Empty {}, #[serde(rename_all = "UPPERCASE")] Fields { name: String }, #[serde(skip)] #[allow(dead_code)] Not,
    }
    is {"type": "object", "properties": {"type": {"type": "string", "enum": ["unit", "newtype", "empty", "fields"]},
        "NAME": {"type": "string"}, "depth": {"type": "integer", "maximum": 255, "minimum": 0, "nullable":
        true}, "url": {"type": "string"}}, "oneOf": [{"properties": {"type": {"enum": ["unit"]}}, "required":
        ["type"]}, {"properties": {"type": {"enum": ["newtype"]}}, "required": ["type", "url"]},
        {"properties": {"type": {"enum": ["empty"]}}, "required": ["type"]}, {"properties": {"type": {"enum":
        ["fields"]}}, "required": ["type", "NAME"]}]}
    takes [{"type": "unit"}, {"type": "newtype", "url": "u", "depth": 1}, {"type": "empty"}, {"type": "fields", "NAME": "n"}]);

both!(internal_map: #[serde(tag = "type")] { Any(BTreeMap<String, Value>), Fields { size: u8 } }
    is {"type": "object", "properties": {"type": {"type": "string", "enum": ["Any", "Fields"]}, "size": {"type":
        "integer", "maximum": 255, "minimum": 0}}, "oneOf": [{"properties": {"type": {"enum": ["Any"]}},
        "required": ["type"]}, {"properties": {"type": {"enum": ["Fields"]}}, "required": ["type", "size"]}],
        PRESERVE: true}
    takes [{"type": "Any", "more": [1]}, {"type": "Fields", "size": 1}]);

both!(internal_other: #[serde(tag = "type")] { A { a: u8 }, #[serde(other)] Unknown }
    is {"type": "object", "properties": {"type": {"type": "string", "enum": ["A", "Unknown"]}, "a": {"type":
        "integer", "maximum": 255, "minimum": 0}}, "oneOf": [{"properties": {"type": {"enum": ["A"]}},
        "required": ["type", "a"]}, {"properties": {"type": {"enum": ["Unknown"]}}, "required": ["type"]}]}
    takes [{"type": "A", "a": 1}, {"type": "Unknown"}]);

both!(adjacent_of_every_shape: #[serde(tag = "t", content = "c", rename_all_fields = "camelCase")] {
        Unit, Newtype(Git), Fields { in_words: Option<String> }, Empty {},
    }
    is {"type": "object", "properties": {"c": {"type": "object", "properties": {"depth": {"type": "integer",
        "maximum": 255, "minimum": 0, "nullable": true}, "inWords": {"type": "string", "nullable": true},
        "url": {"type": "string"}}}, "t": {"type": "string", "enum": ["Unit", "Newtype", "Fields", "Empty"]}},
        "oneOf": [{"properties": {"t": {"enum": ["Unit"]}}, "required": ["t"]}, {"properties": {"c":
        {"required": ["url"]}, "t": {"enum": ["Newtype"]}}, "required": ["t", "c"]}, {"properties": {"t":
        {"enum": ["Fields"]}}, "required": ["t", "c"]}, {"properties": {"t": {"enum": ["Empty"]}}, "required":
        ["t", "c"]}]}
    takes [{"t": "Unit"}, {"t": "Newtype", "c": {"url": "u", "depth": null}}, {"t": "Fields", "c": {"inWords": null}},
        {"t": "Empty", "c": {}}]);

both!(adjacent_scalars: #[serde(tag = "t", content = "c")] { Number(u16), Name(String), Maybe(Option<String>) }
    is {"type": "object", "properties": {"c": {"nullable": true, INT_OR_STRING: true}, "t": {"type": "string",
        "enum": ["Number", "Name", "Maybe"]}}, "oneOf": [{"properties": {"c": {"maximum": 65535, "minimum":
        0}, "t": {"enum": ["Number"]}}, "required": ["t", "c"]}, {"properties": {"t": {"enum": ["Name"]}},
        "required": ["t", "c"]}, {"properties": {"t": {"enum": ["Maybe"]}}, "required": ["t", "c"]}]}
    takes [{"t": "Number", "c": 1}, {"t": "Name", "c": "n"}, {"t": "Maybe", "c": null}]);

both!(adjacent_lists: #[serde(tag = "t", content = "c")] { Pair(u8, u8), All(Vec<u8>) }
    is {"type": "object", "properties": {"c": {"type": "array", "items": {"type": "integer", "maximum": 255,
        "minimum": 0}}, "t": {"type": "string", "enum": ["Pair", "All"]}}, "oneOf": [{"properties": {"c":
        {"maxItems": 2, "minItems": 2}, "t": {"enum": ["Pair"]}}, "required": ["t", "c"]}, {"properties":
        {"t": {"enum": ["All"]}}, "required": ["t", "c"]}]}
    takes [{"t": "Pair", "c": [1, 2]}, {"t": "All", "c": [1, 2, 3]}]);

both!(untagged_number_or_text: #[serde(untagged)] { Number(u16), Name(String) }
    is {INT_OR_STRING: true}
    takes [80, "http"]);

both!(untagged_numbers: #[serde(untagged)] { Whole(i64), Any(f64) }
    is {"type": "number"}
    takes [1, 1.5]);

both!(untagged_of_one_scalar: #[serde(untagged)] { Known(Known), Other(String) }
    is {"type": "string"}
    takes ["Small", "other"]);

both!(untagged_fields: #[serde(untagged, rename_all_fields = "camelCase")] {
        Git(Git), Local { the_path: String, depth: Option<u8> }, #[serde(skip)] #[allow(dead_code)] Not(bool),
    }
    is {"type": "object", "properties": {"url": {"type": "string"}, "thePath": {"type": "string"},
        "depth": {"type": "integer", "minimum": 0, "maximum": 255, "nullable": true}},
        "anyOf": [{"required": ["url"]}, {"required": ["thePath"]}]}
    takes [{"url": "u", "depth": 1}, {"thePath": "p", "depth": null}]);

both!(untagged_choices_that_may_be_null: #[serde(untagged)] { A { a: u8, size: Option<Known> }, B { b: u8, size: Option<String> } }
    is {"type": "object", "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 255},
        "b": {"type": "integer", "minimum": 0, "maximum": 255}, "size": {"type": "string", "nullable": true}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    takes [{"a": 1, "size": null}, {"b": 1, "size": "s"}]);

both!(untagged_unit: #[serde(untagged)] { Number(u16), Nothing }
    is {"type": "integer", "minimum": 0, "maximum": 65535, "nullable": true}
    takes [1, null]);

both!(untagged_map_or_nothing_in_it: #[serde(untagged)] { Map(BTreeMap<String, u8>), Null }
    is {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 255}, "nullable": true}
    takes [{"a": 1}, null]);

both!(untagged_lists: #[serde(untagged)] { Pair(u8, u8), All(Vec<u8>) }
    is {"type": "array", "items": {"type": "integer", "maximum": 255, "minimum": 0}}
    takes [[1, 2], [1, 2, 3]]);

both!(untagged_anything: #[serde(untagged)] { Name(String), Any(Value) }
    is {PRESERVE: true}
    takes ["n", {"a": [1]}]);

both!(a_variant_without_a_tag_beside_units: { Auto, Off, #[serde(untagged)] Other(String) }
    is {"type": "string"}
    takes ["Auto", "Off", "more"]);

both!(a_number_without_a_tag_beside_units: { Auto, #[serde(untagged)] Number(u16) }
    is {"anyOf": [{"enum": ["Auto"]}, {"maximum": 65535, "minimum": 0}], INT_OR_STRING: true}
    takes ["Auto", 80]);

both!(a_variant_without_a_tag_beside_fields: { Git(Git), #[serde(untagged)] Local { path: String } }
    is {"type": "object", "properties": {"Git": {"type": "object", "properties": {"depth": {"type": "integer",
        "maximum": 255, "minimum": 0, "nullable": true}, "url": {"type": "string"}}, "required": ["url"]},
        "path": {"type": "string"}}, "anyOf": [{"required": ["Git"]}, {"required": ["path"]}]}
    takes [{"Git": {"url": "u", "depth": null}}, {"path": "p"}]);

both!(a_variant_without_a_tag_beside_internal: #[serde(tag = "type")] { Git(Git), #[serde(untagged)] Local { path: String } }
    is {"type": "object", "properties": {"type": {"type": "string", "enum": ["Git"]}, "depth": {"type": "integer",
        "maximum": 255, "minimum": 0, "nullable": true}, "path": {"type": "string"}, "url": {"type":
        "string"}}, "anyOf": [{"required": ["type", "url"]}, {"required": ["path"]}]}
    takes [{"type": "Git", "url": "u", "depth": null}, {"path": "p"}]);

both!(a_variant_without_a_tag_beside_adjacent: #[serde(tag = "t", content = "c")] { Git(Git), Unit, #[serde(untagged)] Local { path: String } }
    is {"type": "object", "properties": {"c": {"type": "object", "properties": {"depth": {"type": "integer",
        "maximum": 255, "minimum": 0, "nullable": true}, "url": {"type": "string"}}, "required": ["url"]},
        "path": {"type": "string"}, "t": {"type": "string", "enum": ["Git", "Unit"]}}, "anyOf":
        [{"properties": {"t": {"enum": ["Git"]}}, "required": ["t", "c"]}, {"properties": {"t": {"enum":
        ["Unit"]}}, "required": ["t"]}, {"required": ["path"]}]}
    takes [{"t": "Git", "c": {"url": "u", "depth": null}}, {"t": "Unit"}, {"path": "p"}]);

#[derive(JsonSchema, Serialize, Deserialize)]
enum Known {
    Small,
    Large,
}

neither!(a_unit_beside_others: { A, B(String) } tells "e.type" "its variants are of the types string and object");
neither!(a_newtype_beside_units: { A, #[serde(untagged)] B(Git) } tells "e.type" "its variants are of the types string and object");
neither!(untagged_of_two_types: #[serde(untagged)] { One(String), Many(Vec<String>) }
    tells "e.type" "its variants are of the types string and array");
neither!(untagged_of_own_types: #[serde(untagged)] { Known(Known), Git(Git) }
    tells "e.type" "its variants are of the types string and object");
neither!(untagged_text_or_any_number: #[serde(untagged)] { Name(String), Number(f64) }
    tells "e.type" "its variants are of the types string and number");
neither!(untagged_map_and_fields: #[serde(untagged)] { Map(BTreeMap<String, u8>), Fields { a: u8 } }
    tells "e.type" "its variants are both a map and an object whose fields have names");
neither!(a_field_of_two_types: #[serde(tag = "type")] { A { wait: bool }, B { wait: Known } }
    tells "e.properties[wait].type" "by variant, it is of the types boolean and string");
neither!(a_field_of_two_types_deep_within: #[serde(untagged)] { A { in_it: Git, a: u8 }, B { in_it: Deep, b: u8 } }
    tells "e.properties[in_it].properties[url].type" "by variant, it is of the types string and boolean");
neither!(contents_of_two_types: #[serde(tag = "t", content = "c")] { A(String), B(Git) }
    tells "e.properties[c].type" "by variant, it is of the types string and object");
neither!(a_tuple_of_two_types: { A(String, bool) }
    tells "e.properties[A].items.type" "the items of this list are of the types string and boolean");
neither!(lists_of_two_types: #[serde(untagged)] { A(Vec<String>), B(Vec<bool>) }
    tells "e.items.type" "by variant, its items are of the types string and boolean");
neither!(maps_of_two_types: #[serde(untagged)] { A(BTreeMap<String, String>), B(BTreeMap<String, bool>) }
    tells "e.additionalProperties.type" "by variant, its values are of the types string and boolean");
neither!(a_tag_in_a_map: #[serde(tag = "type")] { A(BTreeMap<String, u8>), B { b: u8 } }
    tells "e.type" "some of its fields have names");

#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum TextOrFields {
    Text(String),
    Fields { a: u8 },
}

neither!(a_variant_that_has_none_beside_one_that_is_described: #[serde(tag = "type")] {
        /// With fields.
        A { a: u8 },
        #[serde(untagged)]
        B(TextOrFields),
    }
    tells "e.type" "its variants are of the types string and object");

#[derive(JsonSchema)]
#[allow(dead_code)]
struct Deep {
    url: bool,
}

#[test]
fn who_says_that_it_is_anything_is_believed() {
    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    #[allow(dead_code)]
    enum Any {
        Text(String),
        Fields { a: u8 },
    }
    assert_eq!(structural::<Any>(), json!({PRESERVE: true}));
    #[derive(JsonSchema)]
    #[serde(tag = "type")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    #[allow(dead_code)]
    enum Fields {
        A { wait: bool },
        B { wait: String },
    }
    let schema = structural::<Fields>();
    assert_eq!((&schema["type"], &schema["properties"]["wait"]), (&json!("object"), &json!({PRESERVE: true})));
}
