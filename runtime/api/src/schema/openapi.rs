//! Reading the `openAPIV3Schema` of a CustomResourceDefinition.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Limits, ListType, Schema, Type};

impl Schema {
    /// Reads a structural schema, as a CustomResourceDefinition holds it. Descriptions are left
    /// out: only documents need them.
    pub fn from_openapi(json: &Value) -> Self {
        let mut schema = Self { type_: Type::of(json), ..Self::default() };
        let Some(map) = json.as_object() else { return schema };
        for (keyword, value) in map {
            schema.keyword(keyword, value);
        }
        schema.list_type = list_type(map);
        schema.limits = Limits::of(map);
        schema
    }

    fn keyword(&mut self, keyword: &str, value: &Value) {
        match keyword {
            "format" => self.format = value.as_str().map(|text| text.to_owned().into()),
            "properties" => {
                let properties = value.as_object().into_iter().flatten();
                self.properties = properties
                    .map(|(name, property)| (name.clone().into(), Arc::new(Self::from_openapi(property))))
                    .collect();
            }
            "additionalProperties" => self.additional = additional(value),
            "items" => self.items = value.is_object().then(|| Arc::new(Self::from_openapi(value))),
            "required" => self.required = strings(value),
            "nullable" => self.nullable = value == true,
            "x-kubernetes-preserve-unknown-fields" => self.preserve_unknown = value == true,
            "x-kubernetes-embedded-resource" => self.embedded = value == true,
            "default" => self.default = Some(value.clone()).filter(|default| !default.is_null()),
            "enum" => self.allowed = value.as_array().cloned().unwrap_or_default(),
            "x-kubernetes-map-type" => self.atomic_map = value == "atomic",
            _ => {}
        }
    }
}

fn additional(value: &Value) -> Option<Arc<Schema>> {
    match value {
        Value::Object(_) => Some(Arc::new(Schema::from_openapi(value))),
        Value::Bool(true) => Some(Arc::new(Schema { preserve_unknown: true, nullable: true, ..Schema::default() })),
        _ => None,
    }
}

fn list_type(map: &Map<String, Value>) -> ListType {
    match map.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(map.get("x-kubernetes-list-map-keys").map(strings).unwrap_or_default()),
        _ => ListType::Atomic,
    }
}

fn strings(list: &Value) -> Vec<super::Str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(|text| text.to_owned().into()).collect()
}
