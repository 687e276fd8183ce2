//! CustomResourceDefinitions: their schemas, and objects of them.

use serde_json::{Map, Value, json};
use trimtab_api::crd::{self, CustomResourceDefinition};
use trimtab_api::field::Path;
use trimtab_api::table::{self, IncludeObject};
use trimtab_api::{Kind, Object, Operation, Strategy, from_yaml};

use crate::make;
use crate::source::Source;

const NOW: &str = "2026-01-01T00:00:00Z";

/// YAML with an `openAPIV3Schema` as `schema`, further fields of the version as `version`, an `object` and an `old` one.
pub fn definition(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(all) = from_yaml(text) else { return };
    check(&all["schema"], &all["version"], &[&all["object"], &all["old"]]);
}

/// As [`definition`], with a schema that is structural mostly, and objects that fit it mostly.
pub fn custom_object(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut schema = schema(&mut source, 4);
    schema["type"] = "object".into();
    let read = trimtab_api::schema::Schema::from_openapi(&schema);
    let old = make::value(&read, &mut source);
    let new = make::changed(&old, &read, &mut source);
    let columns = json!({"subresources": {"status": {}}, "additionalPrinterColumns": [
        {"name": "A", "type": "string", "jsonPath": ".a"}, {"name": "B", "type": "integer", "jsonPath": ".spec.b"}]});
    check(&schema, &columns, &[&old, &new]);
}

fn check(schema: &Value, version: &Value, objects: &[&Value]) {
    let Some(kind) = kind(schema, version) else { return };
    let schema = kind.schema.get();
    let mut last: Option<Object> = None;
    for object in objects {
        let Value::Object(map) = object else { continue };
        let mut object = Object(map.clone());
        object.set(&["apiVersion"], kind.api_version());
        object.set(&["kind"], kind.kind.to_string());
        object.set(&["metadata"], json!({"name": "name", "namespace": "default"}));
        schema.prune(&mut object.0);
        assert_eq!(schema.prune(&mut object.0.clone()).unknown, Vec::<String>::new(), "pruned twice");
        let mut value = Value::Object(object.0);
        schema.fill_defaults(&mut value);
        let mut again = value.clone();
        schema.fill_defaults(&mut again);
        assert_eq!(again, value, "defaults filled in twice");
        let old = last.as_ref().map(|old| Value::Object(old.0.clone()));
        let errors = schema.validate(&value, old.as_ref(), &Path::default());
        let Value::Object(map) = value else { return };
        let mut object = Object(map);
        let _ = table::row(&kind, &object, IncludeObject::Object, 0);
        let operation = last.as_ref().map_or(Operation::Create, |old| Operation::Update { old });
        let admission = kind.strategy.admit(operation, &mut object);
        assert!(errors.is_empty() || !admission.errors.is_empty(), "{errors:?}");
        if admission.errors.is_empty() {
            let mut same = object.clone();
            let admission = kind.strategy.admit(Operation::Update { old: &object }, &mut same);
            assert_eq!(same, object, "an update that changes nothing");
            // A rule may say that something changes; all else is as it was.
            let changes = |error: &trimtab_api::field::Error| !error.message.contains("failed rule");
            assert!(!admission.errors.iter().any(changes) || has_rules(&kind), "{:?}", admission.errors);
            last = Some(object);
        }
    }
}

fn has_rules(kind: &Kind) -> bool {
    kind.schema.get().rules.is_some()
}

/// The kind of a definition with this schema, if the definition is taken.
fn kind(schema: &Value, version: &Value) -> Option<Kind> {
    let mut first = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
    for (name, value) in version.as_object().into_iter().flatten() {
        if !["name", "served", "storage", "schema"].contains(&name.as_str()) {
            first[name] = value.clone();
        }
    }
    let names = json!({"plural": "things", "kind": "Thing"});
    let spec = json!({"group": "fuzz.example", "scope": "Namespaced", "names": names, "versions": [first]});
    let mut definition = Object::default();
    definition.set(&["metadata", "name"], "things.fuzz.example");
    definition.set(&["spec"], spec);
    let kinds = crate::kind(crd::GROUP, "v1", crd::PLURAL);
    kinds.schema.get().check(&mut definition.0).ok()?;
    let admission = CustomResourceDefinition.admit(Operation::Create, &mut definition);
    if !admission.errors.is_empty() {
        return None;
    }
    crd::accept(&mut definition, &crd::Taken::default(), NOW);
    crd::kinds(&definition, &definition.to_json(), 1).pop()
}

const TYPES: [&str; 6] = ["object", "array", "string", "integer", "number", "boolean"];
const FORMATS: [&str; 12] =
    ["date-time", "date", "duration", "byte", "int32", "int64", "ipv4", "cidr", "uuid", "uri", "email", "quantity"];
const RULES: [&str; 8] = [
    "self == self",
    "self == oldSelf",
    "size(self) < 3",
    "self > 0",
    "has(self.a)",
    "self.all(x, x == x)",
    "self.b.matches('a*')",
    "self.startsWith('a')",
];

/// A schema.
fn schema(source: &mut Source<'_>, depth: usize) -> Value {
    let mut schema = Map::new();
    let mut put = |name: &str, value: Value| drop(schema.insert(name.to_owned(), value));
    let type_ = *source.choose(if depth == 0 { &TYPES[2..] } else { &TYPES });
    put("type", type_.into());
    match type_ {
        "object" if source.once_in(4) => {
            put("additionalProperties", self::schema(source, depth - 1));
            if source.once_in(4) {
                put("maxProperties", source.below(4).into());
            }
        }
        "object" => {
            let properties = ["a", "b", "c", "spec", "status", "x-y"];
            let count = source.below(5);
            let made = (0..count).map(|_| (source.choose(&properties).to_string(), self::schema(source, depth - 1)));
            put("properties", Value::Object(made.collect()));
            if source.once_in(4) {
                put("required", json!([source.choose(&properties)]));
            }
            if source.once_in(8) {
                put("x-kubernetes-preserve-unknown-fields", true.into());
            }
            if source.once_in(8) {
                put("x-kubernetes-map-type", (*source.choose(&["atomic", "granular"])).into());
            }
            if source.once_in(16) {
                put("x-kubernetes-embedded-resource", true.into());
            }
        }
        "array" => {
            put("items", self::schema(source, depth - 1));
            match source.below(6) {
                0 => put("x-kubernetes-list-type", "set".into()),
                1 => {
                    put("x-kubernetes-list-type", "map".into());
                    put("x-kubernetes-list-map-keys", json!([source.choose(&["a", "b"])]));
                }
                2 => put("uniqueItems", source.once_in(2).into()),
                3 => put("maxItems", source.below(4).into()),
                _ => {}
            }
        }
        "string" => match source.below(6) {
            0 => put("format", (*source.choose(&FORMATS)).into()),
            1 => put("maxLength", source.below(8).into()),
            2 => put("pattern", (*source.choose(&["^a", "[0-9]+$", "(", "\\d", ""])).into()),
            3 => put("enum", json!([source.text(), "a"])),
            _ => {}
        },
        "integer" | "number" => match source.below(6) {
            0 => put("minimum", source.number().into()),
            1 => put("maximum", source.number().into()),
            2 => put("multipleOf", json!(*source.choose(&[1.0, 0.1, 3.0, 0.0, 1e-9]))),
            3 => put("format", (*source.choose(&["int32", "int64", "double", "float"])).into()),
            _ => {}
        },
        _ => {}
    }
    if source.once_in(6) {
        put("nullable", true.into());
    }
    if source.once_in(6) {
        put("default", make::any(source, 2));
    }
    if source.once_in(8) {
        let most = json!([{"rule": source.choose(&RULES), "message": "no"}]);
        put("x-kubernetes-validations", most);
    }
    if source.once_in(16) {
        schema.remove("type");
        schema.insert("x-kubernetes-int-or-string".to_owned(), true.into());
    }
    Value::Object(schema)
}
