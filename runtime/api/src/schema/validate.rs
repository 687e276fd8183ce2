//! Defaults, and what a value of the right type must hold to besides: upstream's OpenAPI validation
//! (`k8s.io/kube-openapi/pkg/validation`), in its words.

use serde_json::{Map, Value};

use super::{ListType, Schema, Type};
use crate::field::{Error, Path};

impl Schema {
    /// Puts the schema's defaults where a field is absent, or `null` and not nullable.
    pub fn fill_defaults(&self, value: &mut Value) {
        match value {
            Value::Object(map) => self.fill_map(map),
            Value::Array(items) => {
                for (item, schema) in items.iter_mut().filter_map(|item| Some((item, self.items.as_ref()?))) {
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
            additional.fill_defaults(value);
        }
    }

    /// All that is wrong with `value`, whose types have been checked ([`Schema::check`]).
    pub fn validate(&self, value: &Value, path: &Path) -> Vec<Error> {
        let mut errors = Vec::new();
        self.visit(value, path, &mut errors);
        errors
    }

    fn visit(&self, value: &Value, path: &Path, errors: &mut Vec<Error>) {
        if value.is_null() && self.nullable {
            return;
        }
        self.choice(value, path, errors);
        match value {
            Value::Object(map) => self.map(map, path, errors),
            Value::Array(items) => self.list(items, path, errors),
            Value::String(text) => self.text(text, path, errors),
            Value::Number(number) => self.number(number.as_f64().unwrap_or_default(), value, path, errors),
            Value::Bool(_) | Value::Null => {}
        }
    }

    fn choice(&self, value: &Value, path: &Path, errors: &mut Vec<Error>) {
        if !self.allowed.is_empty() && !self.allowed.contains(value) {
            let supported: Vec<String> = self
                .allowed
                .iter()
                .map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned))
                .collect();
            errors.push(Error::not_supported(path, value, &supported.iter().map(String::as_str).collect::<Vec<_>>()));
        }
    }

    fn map(&self, map: &Map<String, Value>, path: &Path, errors: &mut Vec<Error>) {
        for name in self.required.iter().filter(|name| !map.contains_key(&***name)) {
            errors.push(Error::required(&path.child(name), ""));
        }
        self.one_of(map, path, errors);
        for (name, value) in map {
            match self.properties.get(name.as_str()) {
                Some(schema) => schema.visit(value, &path.child(name), errors),
                None => self.additional.iter().for_each(|schema| schema.visit(value, &path.key(name), errors)),
            }
        }
        let bounds = [("minProperties", "at least"), ("maxProperties", "at most")];
        self.count(map.len(), bounds, "properties", &Value::Object(map.clone()), path, errors);
    }

    // The alternatives of an enum, told apart by what they require.
    fn one_of(&self, map: &Map<String, Value>, path: &Path, errors: &mut Vec<Error>) {
        let Some(alternatives) = self.keywords.get("oneOf").and_then(Value::as_array) else { return };
        let names = |alternative: &Value| -> Vec<String> {
            alternative["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let fits = |alternative: &&Value| names(alternative).iter().all(|name| map.contains_key(name));
        if alternatives.iter().filter(fits).count() != 1 && !alternatives.is_empty() {
            let all: Vec<_> = alternatives.iter().map(|alternative| names(alternative).join(" and ")).collect();
            let detail = format!("must have exactly one of {}", all.join(", "));
            errors.push(Error::invalid(path, Value::Object(map.clone()), detail));
        }
    }

    fn list(&self, items: &[Value], path: &Path, errors: &mut Vec<Error>) {
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = &self.items {
                schema.visit(item, &path.index(index), errors);
            }
            if items[..index].iter().any(|earlier| self.same_identity(earlier, item)) {
                errors.push(Error::duplicate(&path.index(index), item));
            }
        }
        let bounds = [("minItems", "at least"), ("maxItems", "at most")];
        self.count(items.len(), bounds, "items", &Value::Array(items.to_vec()), path, errors);
    }

    fn same_identity(&self, left: &Value, right: &Value) -> bool {
        match &self.list_type {
            ListType::Map(keys) => keys.iter().all(|key| left[&**key] == right[&**key]),
            ListType::Set => left == right,
            ListType::Atomic => self.keywords.get("uniqueItems") == Some(&Value::Bool(true)) && left == right,
        }
    }

    fn text(&self, text: &str, path: &Path, errors: &mut Vec<Error>) {
        if self.type_ == Type::Any {
            return;
        }
        let bounds = [("minLength", "at least"), ("maxLength", "at most")];
        self.count(text.chars().count(), bounds, "chars long", &Value::from(text), path, errors);
        let Some(pattern) = self.keywords.get("pattern").and_then(Value::as_str) else { return };
        // A pattern that cannot be read cannot be held to; saying so beats passing everything.
        if !regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(text)) {
            errors.push(Error::invalid(path, text, format!("{path} in body should match '{pattern}'")));
        }
    }

    fn count(
        &self,
        count: usize,
        bounds: [(&str, &str); 2],
        unit: &str,
        value: &Value,
        path: &Path,
        errors: &mut Vec<Error>,
    ) {
        for ((keyword, words), minimum) in bounds.into_iter().zip([true, false]) {
            let Some(bound) = self.keywords.get(keyword).and_then(Value::as_u64) else { continue };
            let count = count as u64;
            if if minimum { count < bound } else { count > bound } {
                let verb = if unit == "chars long" { "be" } else { "have" };
                errors.push(Error::invalid(
                    path,
                    value,
                    format!("{path} in body should {verb} {words} {bound} {unit}"),
                ));
            }
        }
    }

    fn number(&self, number: f64, value: &Value, path: &Path, errors: &mut Vec<Error>) {
        let bound = |keyword: &str| self.keywords.get(keyword).and_then(Value::as_f64);
        let mut refuse = |words: &str, bound: f64| {
            errors.push(Error::invalid(path, value, format!("{path} in body should be {words} {bound}")));
        };
        if let Some(minimum) = bound("minimum").filter(|minimum| number < *minimum) {
            refuse("greater than or equal to", minimum);
        }
        if let Some(maximum) = bound("maximum").filter(|maximum| number > *maximum) {
            refuse("less than or equal to", maximum);
        }
        if let Some(minimum) = bound("exclusiveMinimum").filter(|minimum| number <= *minimum) {
            refuse("greater than", minimum);
        }
        if let Some(maximum) = bound("exclusiveMaximum").filter(|maximum| number >= *maximum) {
            refuse("less than", maximum);
        }
        if let Some(unit) = bound("multipleOf").filter(|unit| *unit != 0.0 && number % unit != 0.0) {
            refuse("a multiple of", unit);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        Schema::from_openapi(&json!({
            "type": "object",
            "required": ["image"],
            "properties": {
                "image": {"type": "string", "minLength": 2, "pattern": "^[a-z]+$"},
                "replicas": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
                "mode": {"type": "string", "enum": ["Fast", "Slow"]},
                "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "properties": {"name": {"type": "string"}, "port": {"type": "integer", "default": 80}}}},
                "source": {"type": "object", "oneOf": [{"required": ["git"]}, {"required": ["path"]}],
                    "properties": {"git": {"type": "string"}, "path": {"type": "string"}}},
            },
        }))
    }

    #[test]
    fn each_field_that_does_not_fit_is_named() {
        let check = |value: Value, expected: &[&str]| {
            let errors: Vec<_> = schema().validate(&value, &Path::default()).iter().map(ToString::to_string).collect();
            assert_eq!(errors, expected, "{value}");
        };
        check(json!({"image": "web"}), &[]);
        check(json!({}), &["image: Required value"]);
        check(
            json!({"image": "W", "replicas": 0, "mode": "Medium"}),
            &[
                r#"image: Invalid value: "W": image in body should be at least 2 chars long"#,
                r#"image: Invalid value: "W": image in body should match '^[a-z]+$'"#,
                r#"mode: Unsupported value: "Medium": supported values: "Fast", "Slow""#,
                "replicas: Invalid value: 0: replicas in body should be greater than or equal to 1",
            ],
        );
        check(
            json!({"image": "web", "ports": [{"name": "a"}, {"name": "b"}, {"name": "a", "port": 1}]}),
            &[r#"ports[2]: Duplicate value: {"name":"a","port":1}"#],
        );
        check(json!({"image": "web", "source": {"git": "x"}}), &[]);
        check(
            json!({"image": "web", "source": {}}),
            &["source: Invalid value: {}: must have exactly one of git, path"],
        );
    }

    #[test]
    fn defaults_reach_into_lists() {
        let mut value = json!({"replicas": null, "ports": [{"name": "a"}, {"name": "b", "port": 1}]});
        schema().fill_defaults(&mut value);
        assert_eq!(value, json!({"replicas": 3, "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 1}]}));
    }
}
