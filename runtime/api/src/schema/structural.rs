//! From the schema of a Rust type to the structural schema that a CustomResourceDefinition carries
//! (<https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>):
//! nothing refers, `null` is a flag, and alternatives are told apart by what they require.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The structural schema of `T`, as the `openAPIV3Schema` of a CustomResourceDefinition holds it.
pub fn structural<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(map) = schema.as_object_mut() {
        map.remove("title");
    }
    structure(&mut schema);
    schema
}

fn structure(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else {
        // `true` allows anything.
        *schema = json!({"x-kubernetes-preserve-unknown-fields": true});
        return;
    };
    map.remove("definitions");
    map.remove("title");
    null_is_a_flag(map);
    constant_is_a_choice(map);
    number_formats(map);
    for keyword in ["oneOf", "anyOf", "allOf"] {
        alternatives(map, keyword);
    }
    if map.get("additionalProperties") == Some(&Value::Bool(false)) {
        // Structural schemas prune what is unknown; they do not forbid it.
        map.remove("additionalProperties");
    }
    for property in map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        structure(property);
    }
    for keyword in ["items", "additionalProperties"] {
        match map.get_mut(keyword) {
            Some(child @ Value::Object(_)) => structure(child),
            Some(Value::Bool(true)) => {
                map.insert(keyword.to_owned(), json!({"x-kubernetes-preserve-unknown-fields": true}));
            }
            _ => {}
        }
    }
    // A schema without a type and without alternatives says nothing of what it holds.
    if !map.contains_key("type") && map.get("x-kubernetes-int-or-string") != Some(&Value::Bool(true)) {
        map.insert("x-kubernetes-preserve-unknown-fields".to_owned(), true.into());
    }
}

// `type: [T, null]`, and `anyOf: [T, {type: null}]`, are how an Option is written.
fn null_is_a_flag(map: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = map.get("type") {
        let rest: Vec<_> = types.iter().filter(|type_| *type_ != "null").cloned().collect();
        let nullable = rest.len() < types.len();
        if let [only] = &rest[..] {
            map.insert("type".to_owned(), only.clone());
        } else {
            map.remove("type");
        }
        if nullable {
            map.insert("nullable".to_owned(), true.into());
        }
    }
    if let Some(Value::Array(choices)) = map.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
    }
    let Some(Value::Array(alternatives)) = map.get("anyOf") else { return };
    if let [some, null] = &alternatives[..]
        && null["type"] == "null"
    {
        let some = some.as_object().cloned().unwrap_or_default();
        map.remove("anyOf");
        for (keyword, value) in some {
            map.entry(keyword).or_insert(value);
        }
        map.insert("nullable".to_owned(), true.into());
    }
}

fn constant_is_a_choice(map: &mut Map<String, Value>) {
    if let Some(constant) = map.remove("const") {
        map.insert("enum".to_owned(), Value::Array(vec![constant]));
    }
}

// OpenAPI knows no unsigned formats; the bound says the same.
fn number_formats(map: &mut Map<String, Value>) {
    if map.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint") || format == "int8") {
        map.remove("format");
    }
}

// An enum. All constants: one choice. All objects: their properties together, and what each one
// requires as the alternatives, which is as much as a structural schema can say.
fn alternatives(map: &mut Map<String, Value>, keyword: &str) {
    let Some(Value::Array(mut alternatives)) = map.remove(keyword) else { return };
    for alternative in &mut alternatives {
        structure(alternative);
    }
    let choices: Option<Vec<Value>> = alternatives
        .iter()
        .map(|a| a["enum"].as_array().cloned())
        .collect::<Option<Vec<_>>>()
        .map(|choices| choices.into_iter().flatten().collect());
    if let Some(choices) = choices {
        map.insert("type".to_owned(), alternatives[0]["type"].clone());
        map.insert("enum".to_owned(), choices.into());
        return;
    }
    if !alternatives.iter().all(|alternative| alternative["type"] == "object") {
        map.insert("x-kubernetes-preserve-unknown-fields".to_owned(), true.into());
        return;
    }
    map.insert("type".to_owned(), "object".into());
    let properties = map.entry("properties").or_insert_with(|| json!({}));
    let mut required = Vec::new();
    for alternative in &alternatives {
        for (name, property) in alternative["properties"].as_object().into_iter().flatten() {
            merge_property(properties, name, property);
        }
        required.push(json!({"required": alternative.get("required").cloned().unwrap_or_else(|| json!([]))}));
    }
    map.insert(keyword.to_owned(), required.into());
}

// The tag of an enum is a property of every alternative, each with its own constant.
fn merge_property(properties: &mut Value, name: &str, property: &Value) {
    let Some(properties) = properties.as_object_mut() else { return };
    let Some(known) = properties.get_mut(name) else {
        properties.insert(name.to_owned(), property.clone());
        return;
    };
    if known == property {
        return;
    }
    match (known.get_mut("enum").and_then(Value::as_array_mut), property["enum"].as_array()) {
        (Some(known), Some(more)) => known.extend(more.iter().cloned()),
        _ => *known = json!({"x-kubernetes-preserve-unknown-fields": true}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
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
        assert_eq!(property("mode"), json!({"type": "string", "enum": ["Fast", "Slow"]}));
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
}
