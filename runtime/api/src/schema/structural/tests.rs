//! Rust types of every shape, and what is said of them.

use serde::{Deserialize, Serialize};

use super::*;
use crate::crd;
use crate::field::Path;
use crate::schema::Schema;

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is looked at")]
struct Sample {
    /// How many.
    replicas: Option<u32>,
    mode: Mode,
    source: Source,
    #[schemars(with = "std::collections::BTreeMap<String, i64>")]
    counts: (),
    nested: Option<Nested>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is looked at")]
enum Mode {
    Fast,
    /// Takes its time.
    Slow,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is looked at")]
enum Source {
    Git(String),
    Path(Nested),
}

#[derive(JsonSchema, Serialize, Deserialize)]
struct Nested {
    name: String,
}

#[test]
fn nothing_refers_and_null_is_a_flag() {
    let schema = structural::<Sample>();
    let nested = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
    let property = |name: &str| schema["properties"][name].clone();
    assert_eq!(
        property("replicas"),
        json!({"description": "How many.", "type": "integer", "minimum": 0, "nullable": true})
    );
    assert_eq!(
        property("mode"),
        json!({"type": "string", "enum": ["Fast", "Slow"], "description": "- `Slow`: Takes its time."})
    );
    assert_eq!(
        property("counts"),
        json!({"type": "object", "additionalProperties": {"type": "integer", "format": "int64"}})
    );
    let mut nullable = nested.clone();
    nullable["nullable"] = true.into();
    assert_eq!(property("nested"), nullable);
    assert_eq!(
        property("source"),
        json!({"type": "object", "properties": {"git": {"type": "string"}, "path": nested},
            "oneOf": [{"required": ["git"]}, {"required": ["path"]}]}),
    );
    assert_eq!(schema["required"], json!(["mode", "source", "counts"]));
}

// The schema of a field of type `T`; whole objects with it are what a definition may hold.
fn field<T: JsonSchema>() -> Value {
    let schema = structural::<T>();
    let errors = crd::check(&definition(&schema));
    assert!(errors.is_empty(), "{errors:#?}\n{schema:#}");
    schema
}

fn definition(field: &Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "as.demo.io"},
        "spec": {"group": "demo.io", "scope": "Namespaced", "names": {"kind": "A", "plural": "as"}, "versions": [
            {"name": "v1", "served": true, "storage": true,
             "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"f": field}}}}}},
        ]},
    })
}

// Checks the schema of `T`, that it takes all of `good`, as `T` does, and that it takes nothing of `bad`.
fn check<T: JsonSchema + Serialize + for<'de> Deserialize<'de>>(expected: Value, good: &[Value], bad: &[Value]) {
    let schema = field::<T>();
    assert_eq!(schema, expected, "{schema:#}");
    let read = Schema::from_openapi(&json!({"type": "object", "properties": {"f": schema}}));
    let errors = |value: &Value| read.validate(&json!({"f": value}), None, &Path::default());
    for value in good {
        let typed: T = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(typed).unwrap(), *value);
        assert!(errors(value).is_empty(), "{value}: {:?}", errors(value));
    }
    for value in bad {
        assert!(!errors(value).is_empty(), "{value}");
    }
}

#[derive(JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum External {
    /// From nowhere.
    Empty {},
    Text(String),
    Pair(i32, i32),
    Deep {
        a: u8,
        b: Option<bool>,
    },
}

#[test]
fn variants_are_fields_of_which_there_is_one() {
    check::<External>(
        json!({"type": "object", "properties": {
            "empty": {"type": "object", "description": "From nowhere."},
            "text": {"type": "string"},
            "pair": {"type": "array", "items": {"type": "integer", "format": "int32"}, "minItems": 2, "maxItems": 2},
            "deep": {"type": "object", "required": ["a"], "properties": {
                "a": {"type": "integer", "minimum": 0, "maximum": 255}, "b": {"type": "boolean", "nullable": true}}},
        }, "oneOf": [{"required": ["empty"]}, {"required": ["text"]}, {"required": ["pair"]}, {"required": ["deep"]}]}),
        &[json!({"empty": {}}), json!({"text": "a"}), json!({"pair": [1, 2]}), json!({"deep": {"a": 1, "b": true}})],
        &[json!({}), json!({"text": "a", "pair": [1, 2]}), json!({"pair": [1]}), json!({"deep": {}})],
    );
}

#[derive(JsonSchema, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internal {
    /// Nothing to say.
    None,
    File {
        path: String,
    },
    Same(Nested),
    Size {
        path: u16,
    },
}

#[test]
fn a_tag_tells_which_fields_there_are() {
    let tagged = |tag: &str, field: &str| json!({"properties": {"type": {"enum": [tag]}}, "required": ["type", field]});
    let number = json!({"properties": {"type": {"enum": ["Size"]}, "path": {"minimum": 0, "maximum": 65535}}, "required": ["type", "path"]});
    check::<Internal>(
        json!({"type": "object", "properties": {
            "type": {"type": "string", "enum": ["None", "File", "Same", "Size"], "description": "- `None`: Nothing to say."},
            "path": {"x-kubernetes-int-or-string": true},
            "name": {"type": "string"},
        }, "oneOf": [
            {"properties": {"type": {"enum": ["None"]}}, "required": ["type"]}, tagged("File", "path"), tagged("Same", "name"), number,
        ]}),
        &[
            json!({"type": "None"}),
            json!({"type": "File", "path": "a"}),
            json!({"type": "Same", "name": "b"}),
            json!({"type": "Size", "path": 1}),
        ],
        &[
            json!({"type": "Other"}),
            json!({"type": "File"}),
            json!({"path": "a"}),
            json!({"type": "Size", "path": 70000}),
        ],
    );
}

#[derive(JsonSchema, Serialize, Deserialize)]
#[serde(tag = "kind", content = "of")]
enum Adjacent {
    Nothing,
    One { a: String, both: i64 },
    Two { b: String, both: i64 },
}

#[test]
fn the_content_of_all_variants_is_declared_together() {
    check::<Adjacent>(
        json!({"type": "object", "properties": {
            "kind": {"type": "string", "enum": ["Nothing", "One", "Two"]},
            "of": {"type": "object", "properties": {
                "a": {"type": "string"}, "b": {"type": "string"}, "both": {"type": "integer", "format": "int64"}}},
        }, "oneOf": [
            {"properties": {"kind": {"enum": ["Nothing"]}}, "required": ["kind"]},
            {"properties": {"kind": {"enum": ["One"]}, "of": {"required": ["a", "both"]}}, "required": ["kind", "of"]},
            {"properties": {"kind": {"enum": ["Two"]}, "of": {"required": ["b", "both"]}}, "required": ["kind", "of"]},
        ]}),
        &[
            json!({"kind": "Nothing"}),
            json!({"kind": "One", "of": {"a": "x", "both": 1}}),
            json!({"kind": "Two", "of": {"b": "x", "both": 1}}),
        ],
        &[json!({"kind": "One"}), json!({"kind": "One", "of": {"b": "x", "both": 1}})],
    );
}

#[derive(JsonSchema, Serialize, Deserialize)]
#[serde(untagged)]
enum Port {
    Number(u16),
    Name(String),
}

#[derive(JsonSchema, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    A { a: String },
    B { b: String, c: Option<i32> },
}

#[test]
fn without_a_tag_what_is_required_tells() {
    check::<Port>(json!({"x-kubernetes-int-or-string": true}), &[json!(80), json!("http")], &[]);
    check::<Either>(
        json!({"type": "object", "properties": {
            "a": {"type": "string"}, "b": {"type": "string"}, "c": {"type": "integer", "format": "int32", "nullable": true}},
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
        &[json!({"a": "x"}), json!({"b": "x", "c": 1})],
        &[json!({}), json!({"c": 1})],
    );
}

#[derive(JsonSchema, Serialize, Deserialize)]
#[serde(untagged)]
enum Absent {
    None,
    Nothing(()),
}

#[test]
fn what_is_always_null_is_anything_that_may_be_null() {
    check::<Absent>(json!({PRESERVE: true, "nullable": true}), &[Value::Null], &[]);
    check::<Option<Port>>(
        json!({"x-kubernetes-int-or-string": true, "nullable": true}),
        &[Value::Null, json!(1), json!("a")],
        &[json!(true)],
    );
}

#[derive(JsonSchema, Serialize, Deserialize)]
struct Flat {
    name: String,
    #[serde(flatten)]
    either: Either,
    #[serde(flatten)]
    external: External,
}

#[test]
fn flattened_enums_all_hold() {
    let schema = field::<Flat>();
    let names: Vec<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["a", "b", "c", "deep", "empty", "name", "pair", "text"]);
    let read = Schema::from_openapi(&schema);
    let holds = |value: Value| read.validate(&value, None, &Path::default()).is_empty();
    assert!(holds(json!({"name": "n", "a": "x", "text": "t"})));
    assert!(!holds(json!({"name": "n", "a": "x"})) && !holds(json!({"name": "n", "text": "t"})));
    assert!(!holds(json!({"name": "n", "a": "x", "text": "t", "empty": {}})));
}

#[derive(JsonSchema, Serialize, Deserialize)]
struct Tree {
    name: String,
    children: Vec<Tree>,
    numbers: std::collections::BTreeSet<u32>,
    ports: std::collections::BTreeMap<u16, String>,
    #[schemars(extend("exclusiveMinimum" = 0))]
    above: i32,
    nothing: (),
    pair: (String, i32),
    any: Value,
}

#[test]
fn what_kubernetes_cannot_say_is_said_as_far_as_it_goes() {
    let properties = field::<Tree>()["properties"].clone();
    let anything = json!({PRESERVE: true});
    assert_eq!(properties["children"], json!({"type": "array", "items": {"type": "object", PRESERVE: true}}));
    let number = json!({"type": "integer", "minimum": 0});
    assert_eq!(properties["numbers"], json!({"type": "array", "items": number, "x-kubernetes-list-type": "set"}));
    assert_eq!(properties["ports"], json!({"type": "object", "additionalProperties": {"type": "string"}}));
    assert_eq!(
        properties["above"],
        json!({"type": "integer", "format": "int32", "minimum": 0, "exclusiveMinimum": true})
    );
    assert_eq!(properties["nothing"], json!({PRESERVE: true, "nullable": true}));
    assert_eq!(properties["pair"]["items"], json!({"x-kubernetes-int-or-string": true}));
    assert_eq!(properties["any"], anything);
}

#[derive(JsonSchema, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Ruled {
    #[schemars(extend("x-kubernetes-validations" = [{"rule": "self.min <= self.max"}]))]
    Range {
        min: i32,
        max: i32,
    },
    Any,
}

#[test]
fn a_rule_of_a_variant_is_about_that_variant() {
    let rule = r#"!(has(self.type) && self.type == "Range") || (self.min <= self.max)"#;
    assert_eq!(field::<Ruled>()[VALIDATIONS], json!([{"rule": rule}]));
}
