//! Pruning: what a custom object's schema does not know goes, whatever its type. Types are judged
//! with everything else by [`Schema::validate`], as upstream does.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use super::{Checked, Schema};

/// What `metadata` is, of every kind.
static METADATA: LazyLock<Arc<Schema>> = LazyLock::new(super::object_meta);

impl Schema {
    /// Removes what the schema does not know, and `null` where it is not allowed and nothing takes
    /// its place.
    pub fn prune(&self, object: &mut Map<String, Value>) -> Checked {
        let mut checked = Checked::default();
        self.prune_map(object, &mut String::new(), &mut checked.unknown);
        checked
    }

    fn prune_map(&self, map: &mut Map<String, Value>, path: &mut String, unknown: &mut Vec<String>) {
        map.retain(|name, value| {
            let length = path.len();
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(name);
            let stays = match self.known(name) {
                Some(schema) if value.is_null() && !schema.nullable && schema.default.is_none() => false,
                Some(schema) => {
                    schema.prune_value(value, path, unknown);
                    true
                }
                None if self.preserve_unknown || self.is_of_embedded(name) => true,
                None => {
                    unknown.push(path.clone());
                    false
                }
            };
            path.truncate(length);
            stays
        });
    }

    fn known(&self, name: &str) -> Option<&Arc<Self>> {
        if self.embedded && name == "metadata" {
            return Some(&METADATA);
        }
        self.properties.get(name).or(self.additional.as_ref())
    }

    fn is_of_embedded(&self, name: &str) -> bool {
        self.embedded && matches!(name, "apiVersion" | "kind")
    }

    fn prune_value(&self, value: &mut Value, path: &mut String, unknown: &mut Vec<String>) {
        match value {
            Value::Object(map) => self.prune_map(map, path, unknown),
            Value::Array(items) => {
                let Some(schema) = &self.items else { return };
                for (index, item) in items.iter_mut().enumerate() {
                    let length = path.len();
                    path.push_str(&format!("[{index}]"));
                    schema.prune_value(item, path, unknown);
                    path.truncate(length);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_unknown_goes_and_is_named() {
        let schema = Schema::from_openapi(&json!({"type": "object", "properties": {
            "known": {"type": "string"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"strict": {"type": "object", "properties": {"a": {"type": "string"}}}}},
            "labels": {"type": "object", "additionalProperties": {"type": "object", "properties": {"v": {"type": "integer"}}}},
            "any": {"type": "object", "additionalProperties": true},
            "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string", "nullable": true}}}},
            "port": {"x-kubernetes-int-or-string": true},
            "default": {"type": "integer", "default": 3},
            "resource": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"spec": {"type": "object"}}},
        }}));
        let mut object = json!({
            "known": 1, "unknown": 1,
            "free": {"x": {"y": null}, "strict": {"a": "b", "c": "d"}},
            "labels": {"k": {"v": 1, "w": 2}}, "any": {"a": {"b": null}},
            "list": [{"a": null, "b": 1}, 7], "port": null, "default": null,
            "resource": {"apiVersion": "v1", "kind": "K", "metadata": {"name": "n", "nome": "n"}, "other": 1},
        });
        let checked = schema.prune(object.as_object_mut().unwrap());
        let expected =
            ["free.strict.c", "labels.k.w", "list[0].b", "resource.metadata.nome", "resource.other", "unknown"];
        assert_eq!(checked.unknown, expected);
        let pruned = json!({
            "known": 1, "free": {"x": {"y": null}, "strict": {"a": "b"}}, "labels": {"k": {"v": 1}},
            "any": {"a": {"b": null}}, "list": [{"a": null}, 7], "default": null,
            "resource": {"apiVersion": "v1", "kind": "K", "metadata": {"name": "n"}},
        });
        assert_eq!(object, pruned);
    }
}
