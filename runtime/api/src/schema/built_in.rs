//! Schemas of the built-in types: from what `k8s_openapi` knows of them, and `lists.yaml`.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ListType, PatchStrategy, Schema, Type};

const DEFINITIONS: &str = "#/$defs/";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListRule {
    merge: Option<Value>,
    keys: Option<Value>,
    #[serde(default)]
    atomic: bool,
}

#[derive(Default, Deserialize)]
struct TypeRules {
    #[serde(rename = "$atomic", default)]
    atomic: bool,
    #[serde(flatten)]
    fields: HashMap<String, ListRule>,
}

static RULES: LazyLock<HashMap<String, TypeRules>> = LazyLock::new(|| {
    serde_yaml::from_str(include_str!("../../../../manifests/lists.yaml")).expect("lists.yaml is read by a test")
});

/// Definitions are shared by all kinds: ObjectMeta and PodSpec are there once.
static SHARED: LazyLock<Mutex<HashMap<String, Arc<Schema>>>> = LazyLock::new(Mutex::default);

/// The schema of a built-in type. Descriptions are left out: they are large and only documents
/// need them.
pub fn of<T: JsonSchema>() -> Schema {
    let (root, definitions) = generate::<T>();
    let reader = Reader { definitions, reading: RefCell::default() };
    let mut schema = reader.read(&root, &T::schema_name());
    schema.definition = Some(T::schema_name().into_owned().into());
    schema
}

/// The schema of a built-in type and of all it refers to, by definition name, as JSON with
/// descriptions: what OpenAPI documents are made of.
pub fn definitions<T: JsonSchema>() -> Map<String, Value> {
    let (root, mut definitions) = generate::<T>();
    definitions.insert(T::schema_name().into_owned(), root);
    definitions
}

fn generate<T: JsonSchema>() -> (Value, Map<String, Value>) {
    let mut generator = SchemaGenerator::default();
    let root = T::json_schema(&mut generator).to_value();
    let definitions = generator.take_definitions(true);
    (root, definitions)
}

struct Reader {
    definitions: Map<String, Value>,
    /// The definitions that are being read.
    reading: RefCell<HashSet<String>>,
}

impl Reader {
    fn read(&self, json: &Value, definition: &str) -> Schema {
        let mut schema = Schema { type_: Type::of(json), ..Schema::default() };
        schema.format = json["format"].as_str().map(|format| format.to_owned().into());
        schema.required = strings(&json["required"]).map(|name| name.to_owned().into()).collect();
        schema.preserve_unknown = schema.type_ == Type::Any;
        let rules = RULES.get(definition);
        schema.atomic_map = rules.is_some_and(|rules| rules.atomic);
        for (name, property) in json["properties"].as_object().into_iter().flatten() {
            let child = self.resolve(property);
            let rule = rules.and_then(|rules| rules.fields.get(name));
            let child = rule.map_or_else(|| Arc::clone(&child), |rule| Arc::new(with_rule(&child, rule)));
            schema.properties.insert(name.clone().into(), child);
        }
        schema.additional =
            json.get("additionalProperties").filter(|v| v.is_object()).map(|values| self.resolve(values));
        schema.items = json.get("items").map(|items| self.resolve(items));
        // An object of nothing in particular, such as FieldsV1, keeps what it holds.
        if schema.type_ == Type::Object && schema.properties.is_empty() && schema.additional.is_none() {
            schema.preserve_unknown = true;
        }
        schema
    }

    fn resolve(&self, json: &Value) -> Arc<Schema> {
        // `{allOf: [{$ref}], description}` is how a described reference is written.
        let reference = json["$ref"].as_str().or_else(|| json["allOf"][0]["$ref"].as_str());
        let Some(name) = reference.and_then(|r| r.strip_prefix(DEFINITIONS)) else {
            return Arc::new(self.read(json, ""));
        };
        if let Some(shared) = shared().get(name) {
            return Arc::clone(shared);
        }
        // A type that contains itself ends here: within itself, anything goes.
        if !self.reading.borrow_mut().insert(name.to_owned()) {
            return Arc::new(Schema { preserve_unknown: true, ..Schema::default() });
        }
        let mut schema = self.definitions.get(name).map(|json| self.read(json, name)).unwrap_or_default();
        schema.definition = Some(name.to_owned().into());
        let schema = Arc::new(schema);
        shared().insert(name.to_owned(), Arc::clone(&schema));
        self.reading.borrow_mut().remove(name);
        schema
    }
}

fn shared() -> std::sync::MutexGuard<'static, HashMap<String, Arc<Schema>>> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_rule(schema: &Schema, rule: &ListRule) -> Schema {
    let merge_key = rule.merge.as_ref().and_then(Value::as_str).map(|key| key.to_owned().into());
    let list_type = match &rule.keys {
        Some(Value::String(set)) if set == "set" => ListType::Set,
        Some(keys) => ListType::Map(strings(keys).map(|key| key.to_owned().into()).collect()),
        None => ListType::Atomic,
    };
    let patch = PatchStrategy { merge: rule.merge.is_some(), merge_key, retain_keys: false };
    Schema { patch, list_type, atomic_map: schema.atomic_map || rule.atomic, ..schema.clone() }
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    #[test]
    fn a_pod_knows_its_lists() {
        let pod = of::<Pod>();
        let containers = &pod.properties["spec"].properties["containers"];
        assert_eq!(containers.list_type, ListType::Map(vec!["name".into()]));
        assert_eq!(containers.patch.merge_key.as_deref(), Some("name"));
        let container = containers.items.as_ref().unwrap();
        assert_eq!(container.definition.as_deref(), Some("io.k8s.api.core.v1.Container"));
        assert_eq!(container.properties["ports"].patch.merge_key.as_deref(), Some("containerPort"));
        let metadata = &pod.properties["metadata"];
        assert_eq!(metadata.properties["labels"].type_, Type::Object);
        let entry = metadata.properties["managedFields"].items.as_ref().unwrap();
        assert!(entry.properties["fieldsV1"].preserve_unknown);
    }

    #[test]
    fn every_rule_names_a_field_that_is_there() {
        for kind in crate::builtin().iter() {
            let _ = kind.schema.get();
        }
        for (definition, rules) in RULES.iter() {
            let Some(schema) = shared().get(definition).cloned() else { continue };
            for field in rules.fields.keys() {
                assert!(schema.properties.contains_key(field.as_str()), "{definition} has no {field}");
            }
        }
    }
}
