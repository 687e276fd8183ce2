//! Schemas of the built-in types: from `manifests/definitions.json`, which says what `k8s_openapi` knows of them, and
//! `lists.yaml`.
//!
//! As data they take a tenth of the space that the types' own code to tell them takes.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::protobuf::Message;

use super::{ListType, PatchStrategy, Schema, Type};

const DEFINITIONS: &str = "#/$defs/";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// Types that are any JSON, or a schema, or another thing: their definitions cannot say so.
const JSON: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON";
const SCHEMA: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListRule {
    merge: Option<Value>,
    keys: Option<Value>,
    #[serde(default)]
    retain: bool,
    #[serde(default)]
    replace: bool,
    #[serde(default)]
    atomic: bool,
    #[serde(default)]
    granular: bool,
}

impl ListRule {
    /// As documents name it (`x-kubernetes-patch-strategy`).
    fn strategy(&self) -> Option<String> {
        let named = [("merge", self.merge.is_some()), ("replace", self.replace), ("retainKeys", self.retain)];
        let named: Vec<_> = named.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
        (!named.is_empty()).then(|| named.join(","))
    }

    fn merge_key(&self) -> Option<&str> {
        self.merge.as_ref().and_then(Value::as_str)
    }

    fn list_type(&self) -> ListType {
        match &self.keys {
            Some(Value::String(set)) if set == "set" => ListType::Set,
            Some(keys) => ListType::Map(strings(keys).map(|key| key.to_owned().into()).collect()),
            None => ListType::Atomic,
        }
    }
}

#[derive(Default, Deserialize)]
struct TypeRules {
    #[serde(rename = "$atomic", default)]
    atomic: bool,
    #[serde(rename = "$always", default)]
    always: Vec<String>,
    #[serde(flatten)]
    fields: HashMap<String, ListRule>,
}

static RULES: LazyLock<HashMap<String, TypeRules>> = LazyLock::new(|| {
    serde_yaml::from_str(include_str!("../../../../manifests/lists.yaml")).expect("lists.yaml is read by a test")
});

/// Definitions are shared by all kinds: ObjectMeta and PodSpec are there once.
static SHARED: LazyLock<Mutex<HashMap<String, Arc<Schema>>>> = LazyLock::new(Mutex::default);

/// The definitions by name, without descriptions: they are large, and only documents need them.
static SHAPES: LazyLock<HashMap<&str, &RawValue>> = LazyLock::new(|| {
    const JSON: &str = include_str!(concat!(env!("OUT_DIR"), "/shapes.json"));
    serde_json::from_str(JSON).expect("the build script wrote it")
});

/// The definitions by name, with everything.
static DOCUMENTED: LazyLock<HashMap<String, Box<RawValue>>> = LazyLock::new(|| {
    const JSON: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/definitions.json.gz"));
    serde_json::from_reader(GzDecoder::new(JSON)).expect("the build script wrote it")
});

/// The schema of a built-in type, by its definition's name.
pub fn of(name: &str) -> Schema {
    let reader = Reader { reading: RefCell::default() };
    Schema { definition: Some(name.to_owned().into()), ..reader.read(&shape(name), name) }
}

/// What `metadata` is, of every kind.
pub fn object_meta() -> Arc<Schema> {
    Reader { reading: RefCell::default() }.shared(OBJECT_META)
}

impl Schema {
    /// What a schema that stands for a definition stands for.
    pub(super) fn resolved(&self) -> Option<Arc<Self>> {
        shared().get(self.definition.as_deref()?).cloned()
    }
}

/// The values of fields that take no others, by definition and field: for those who read documents. What is
/// written is judged by each kind's own rules.
static ENUMS: LazyLock<HashMap<String, HashMap<String, Vec<String>>>> = LazyLock::new(|| {
    serde_yaml::from_str(include_str!("../../../../manifests/enums.yaml")).expect("enums.yaml is read by a test")
});

/// Tells readers of documents how lists and maps merge.
fn name_lists(definition: &str, json: &mut Value) {
    const MAP_TYPE: &str = "x-kubernetes-map-type";
    let rules = RULES.get(definition);
    if rules.is_some_and(|rules| rules.atomic) {
        json[MAP_TYPE] = "atomic".into();
    }
    // What has no fields is not to be given any: `null` is no schema.
    let properties = json.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        let rule = rules.and_then(|rules| rules.fields.get(name));
        if property["type"] == "array" {
            let list_type = rule.map(ListRule::list_type).unwrap_or_default();
            property["x-kubernetes-list-type"] = match &list_type {
                ListType::Atomic => "atomic".into(),
                ListType::Set => "set".into(),
                ListType::Map(keys) => {
                    property["x-kubernetes-list-map-keys"] = keys.iter().map(|key| Value::from(&**key)).collect();
                    "map".into()
                }
            };
        }
        let Some(rule) = rule else { continue };
        if rule.atomic || rule.granular {
            property[MAP_TYPE] = if rule.atomic { "atomic" } else { "granular" }.into();
        }
        for (keyword, value) in [
            ("x-kubernetes-patch-strategy", rule.strategy()),
            ("x-kubernetes-patch-merge-key", rule.merge_key().map(str::to_owned)),
        ] {
            if let Some(value) = value {
                property[keyword] = value.into();
            }
        }
    }
}

/// No object need say its metadata: that its type always has them is a matter of the type.
fn free_metadata(json: &mut Value) {
    if ["apiVersion", "kind", "metadata"].iter().all(|field| json["properties"].get(field).is_some())
        && let Some(required) = json.get_mut("required").and_then(Value::as_array_mut)
    {
        required.retain(|field| field != "metadata");
        if required.is_empty() {
            json.as_object_mut().map(|json| json.remove("required"));
        }
    }
}

fn name_values(definition: &str, json: &mut Value) {
    for (field, values) in ENUMS.get(definition).into_iter().flatten() {
        let field = &mut json["properties"][field];
        let of_items = field["type"] == "array";
        let of = if of_items { &mut field["items"] } else { field };
        of["enum"] = values.as_slice().into();
    }
}

/// The schema of a built-in type and of all it refers to, by definition name, as JSON with
/// descriptions: what OpenAPI documents are made of.
pub fn definitions(name: &str) -> Map<String, Value> {
    let (mut found, mut left) = (Map::new(), vec![name.to_owned()]);
    while let Some(name) = left.pop() {
        let Some(json) = DOCUMENTED.get(&name).filter(|_| !found.contains_key(&name)) else { continue };
        let mut json: Value = serde_json::from_str(json.get()).expect("the build script wrote it");
        name_values(&name, &mut json);
        name_lists(&name, &mut json);
        free_metadata(&mut json);
        references(&json, &mut left);
        found.insert(name, json);
    }
    found
}

/// Whether there is a built-in type of this definition's name.
pub fn is_defined(name: &str) -> bool {
    DOCUMENTED.contains_key(name)
}

/// The names of the definitions that a schema refers to.
fn references(json: &Value, found: &mut Vec<String>) {
    match json {
        Value::Object(fields) => {
            let reference = fields.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix(DEFINITIONS));
            found.extend(reference.map(str::to_owned));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn shape(name: &str) -> Value {
    SHAPES.get(name).and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
}

/// The definitions of a type and of all it refers to, from the type itself.
#[cfg(test)]
pub(crate) fn generate<T: schemars::JsonSchema>() -> Map<String, Value> {
    let mut generator = schemars::SchemaGenerator::default();
    let root = T::json_schema(&mut generator).to_value();
    let mut definitions = generator.take_definitions(true);
    definitions.insert(T::schema_name().into_owned(), root);
    definitions
}

struct Reader {
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
        schema.always = rules.into_iter().flat_map(|rules| &rules.always).map(|name| name.clone().into()).collect();
        let message = Message::of_definition(definition);
        schema.omitted = message.into_iter().flat_map(Message::omitted).map(Into::into).collect();
        for (name, property) in json["properties"].as_object().into_iter().flatten() {
            // What every kind has is no pointer in any.
            if ["metadata", "spec", "status"].contains(&name.as_str()) && reference(property).is_some() {
                schema.always.push(name.clone().into());
            }
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
        match reference(json) {
            Some(name) => self.shared(name),
            None => Arc::new(self.read(json, "")),
        }
    }

    fn shared(&self, name: &str) -> Arc<Schema> {
        if let Some(shared) = shared().get(name) {
            return Arc::clone(shared);
        }
        if name == JSON {
            return Arc::new(Schema { preserve_unknown: true, ..Schema::default() });
        }
        let or_another = name.strip_prefix(SCHEMA).is_some_and(|rest| rest.starts_with("Or"));
        // A type that contains itself is not read again within itself, but found by its name.
        if or_another || !self.reading.borrow_mut().insert(name.to_owned()) {
            let definition = if or_another { SCHEMA } else { name };
            let definition = Some(definition.to_owned().into());
            return Arc::new(Schema { preserve_unknown: true, recursive: true, definition, ..Schema::default() });
        }
        let mut schema = self.read(&shape(name), name);
        schema.definition = Some(name.to_owned().into());
        let schema = Arc::new(schema);
        shared().insert(name.to_owned(), Arc::clone(&schema));
        self.reading.borrow_mut().remove(name);
        schema
    }
}

/// The name of the definition that a property is of.
fn reference(json: &Value) -> Option<&str> {
    // `{allOf: [{$ref}], description}` is how a described reference is written.
    let reference = json["$ref"].as_str().or_else(|| json["allOf"][0]["$ref"].as_str());
    reference?.strip_prefix(DEFINITIONS)
}

fn shared() -> std::sync::MutexGuard<'static, HashMap<String, Arc<Schema>>> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_rule(schema: &Schema, rule: &ListRule) -> Schema {
    let merge_key = rule.merge_key().map(|key| key.to_owned().into());
    let patch =
        PatchStrategy { merge: rule.merge.is_some(), merge_key, retain_keys: rule.retain, replace: rule.replace };
    let atomic_map = (schema.atomic_map && !rule.granular) || rule.atomic;
    Schema { patch, list_type: rule.list_type(), atomic_map, ..schema.clone() }
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE=1 cargo test -p trimtab-api` writes the file anew.
    #[test]
    fn the_file_says_what_the_types_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../manifests/definitions.json");
        let generated = Value::Object(crate::generated_definitions());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, serde_json::to_string_pretty(&generated).unwrap() + "\n").unwrap();
        }
        let written: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(written == generated, "definitions.json is not what the types say; write it anew");
    }

    #[test]
    fn values_are_named_of_fields_that_there_are() {
        for (definition, fields) in &*ENUMS {
            let documented: Value = serde_json::from_str(DOCUMENTED[definition].get()).unwrap();
            for name in fields.keys() {
                let field = &documented["properties"][name];
                let of = if field["type"] == "array" { &field["items"] } else { field };
                assert_eq!(of["type"], "string", "{definition} {name}");
            }
        }
        let pod = definitions("io.k8s.api.core.v1.PodSpec");
        let policy = &pod["io.k8s.api.core.v1.PodSpec"]["properties"]["restartPolicy"];
        assert_eq!(policy["enum"], serde_json::json!(["Always", "Never", "OnFailure"]));
    }

    #[test]
    fn documents_have_no_null_for_a_schema() {
        let documents = definitions("io.k8s.api.core.v1.Pod");
        assert!(documents.contains_key("io.k8s.apimachinery.pkg.apis.meta.v1.Time"));
        for (name, json) in documents {
            assert!(json.get("properties").is_none_or(Value::is_object), "{name}");
        }
    }

    #[test]
    fn documents_tell_how_lists_and_maps_merge() {
        let check = |type_: &str, field: &str, expected: Value| {
            let documents = definitions(type_);
            let mut told = documents[type_]["properties"][field].clone();
            let told = told.as_object_mut().unwrap();
            told.retain(|keyword, _| keyword.starts_with("x-kubernetes"));
            assert_eq!(Value::Object(told.clone()), expected, "{type_} {field}");
        };
        let volumes = serde_json::json!({
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "x-kubernetes-patch-strategy": "merge,retainKeys", "x-kubernetes-patch-merge-key": "name",
        });
        check("io.k8s.api.core.v1.PodSpec", "volumes", volumes);
        let atomic = serde_json::json!({"x-kubernetes-list-type": "atomic"});
        check("io.k8s.api.core.v1.PodSpec", "tolerations", atomic);
        let retain = serde_json::json!({"x-kubernetes-patch-strategy": "retainKeys"});
        check("io.k8s.api.apps.v1.DeploymentSpec", "strategy", retain);
        let replace = serde_json::json!({"x-kubernetes-patch-strategy": "replace"});
        check("io.k8s.api.policy.v1.PodDisruptionBudgetSpec", "selector", replace);
        let granular = serde_json::json!({"x-kubernetes-map-type": "granular"});
        check("io.k8s.api.core.v1.PersistentVolumeSpec", "claimRef", granular);
        let set = serde_json::json!({"x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge"});
        check("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "finalizers", set);
        let reference = definitions("io.k8s.api.core.v1.ObjectReference");
        assert_eq!(reference["io.k8s.api.core.v1.ObjectReference"]["x-kubernetes-map-type"], "atomic");
    }

    #[test]
    fn a_type_brings_all_that_it_refers_to() {
        let definitions = definitions("io.k8s.api.core.v1.ConfigMap");
        assert!(definitions["io.k8s.api.core.v1.ConfigMap"]["description"].is_string());
        assert!(definitions.contains_key("io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference"));
        assert!(definitions["io.k8s.api.core.v1.ConfigMap"].get("required").is_none());
        assert!(!definitions.contains_key("io.k8s.api.core.v1.Pod"));
    }

    #[test]
    fn a_pod_knows_its_lists() {
        let pod = of("io.k8s.api.core.v1.Pod");
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
            for field in rules.fields.keys().chain(&rules.always) {
                assert!(schema.properties.contains_key(field.as_str()), "{definition} has no {field}");
            }
        }
    }
}
