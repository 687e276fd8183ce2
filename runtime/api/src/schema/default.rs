//! Defaults: what an absent field becomes.

use serde_json::{Map, Value};

use super::Schema;

impl Schema {
    /// Puts the schema's defaults where a field is absent, or `null` and not nullable.
    pub fn fill_defaults(&self, value: &mut Value) {
        match value {
            Value::Object(map) => self.fill_map(map),
            Value::Array(items) => {
                let Some(schema) = &self.items else { return };
                for item in items {
                    schema.replace_null(item);
                    schema.fill_defaults(item);
                }
            }
            _ => {}
        }
    }

    fn fill_map(&self, map: &mut Map<String, Value>) {
        for (name, schema) in &self.properties {
            let absent = map.get(&**name).is_none_or(|value| value.is_null() && !schema.nullable);
            if let Some(default) = schema.default.as_ref().filter(|_| absent) {
                map.insert(name.to_string(), default.clone());
            }
            if let Some(value) = map.get_mut(&**name) {
                schema.fill_defaults(value);
            }
        }
        let Some(additional) = &self.additional else { return };
        for (_, value) in map.iter_mut().filter(|(name, _)| !self.properties.contains_key(name.as_str())) {
            additional.replace_null(value);
            additional.fill_defaults(value);
        }
    }

    fn replace_null(&self, value: &mut Value) {
        if let Some(default) = self.default.as_ref().filter(|_| value.is_null() && !self.nullable) {
            *value = default.clone();
        }
    }

    /// Whether anything in the schema has a default.
    pub fn has_defaults(&self) -> bool {
        self.default.is_some()
            || self.properties.values().chain(&self.additional).chain(&self.items).any(|schema| schema.has_defaults())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_reach_into_lists_and_maps() {
        let port = json!({"type": "object", "properties": {"name": {"type": "string"}, "port": {"type": "integer", "default": 80}}});
        let schema = Schema::from_openapi(&json!({"type": "object", "properties": {
            "replicas": {"type": "integer", "default": 3},
            "limit": {"type": "integer", "default": 3, "nullable": true},
            "ports": {"type": "array", "items": port},
            "named": {"type": "object", "additionalProperties": port},
            "deep": {"type": "object", "default": {}, "properties": {"a": {"type": "string", "default": "b"}}},
        }}));
        assert!(schema.has_defaults());
        let mut value =
            json!({"replicas": null, "limit": null, "ports": [{"name": "a"}, {"port": 1}], "named": {"x": {}}});
        schema.fill_defaults(&mut value);
        let expected = json!({"replicas": 3, "limit": null, "ports": [{"name": "a", "port": 80}, {"port": 1}],
            "named": {"x": {"port": 80}}, "deep": {"a": "b"}});
        assert_eq!(value, expected);
    }
}
