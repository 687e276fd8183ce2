//! What a value must hold to: upstream's OpenAPI validation (`k8s.io/kube-openapi/pkg/validation`),
//! in its words.

use serde_json::{Map, Value, json};

use super::{Bound, Limits, ListType, Range, Schema, Type, format};
use crate::field::{Error, Path};

impl Schema {
    /// All that is wrong with `value`. What is as it was in `old` is let be: a rule that has become
    /// stricter does not lock what is stored (upstream's ratcheting).
    pub fn validate(&self, value: &Value, old: Option<&Value>, path: &Path) -> Vec<Error> {
        let mut errors = Vec::new();
        self.visit(value, old, path, &mut errors);
        self.lists(value, old, path, &mut errors);
        errors
    }

    fn visit(&self, value: &Value, old: Option<&Value>, path: &Path, errors: &mut Vec<Error>) {
        if (value.is_null() && self.nullable) || old == Some(value) {
            return;
        }
        self.typed(value, path, errors);
        if let Some(limits) = &self.limits {
            limits.alternatives(value, path, errors);
        }
        match value {
            Value::String(text) => self.text(text, path, errors),
            Value::Number(number) => self.number(number, path, errors),
            _ => {}
        }
        self.choice(value, path, errors);
        match value {
            Value::Object(map) => self.map(map, old.and_then(Value::as_object), path, errors),
            Value::Array(items) => self.list(items, old.and_then(Value::as_array), path, errors),
            _ => {}
        }
    }

    fn typed(&self, value: &Value, path: &Path, errors: &mut Vec<Error>) {
        let found = type_of(value);
        let fits = match self.type_ {
            Type::Any => true,
            Type::Number => matches!(found, "number" | "integer"),
            Type::IntOrString => matches!(found, "string" | "integer"),
            type_ => type_.named() == found,
        };
        if !fits {
            let detail = format!("{path} in body must be of type {}: {found:?}", self.type_.named());
            errors.push(Error::type_invalid(path, found, detail));
        }
    }

    fn choice(&self, value: &Value, path: &Path, errors: &mut Vec<Error>) {
        if !self.allowed.is_empty() && !self.allowed.iter().any(|choice| same(choice, value)) {
            let text = |choice: &Value| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned);
            let supported: Vec<String> = self.allowed.iter().map(text).collect();
            errors.push(Error::not_supported(path, value, &supported.iter().map(String::as_str).collect::<Vec<_>>()));
        }
    }

    fn map(&self, map: &Map<String, Value>, old: Option<&Map<String, Value>>, path: &Path, errors: &mut Vec<Error>) {
        if let Some(Range { least, most }) = self.limits.as_ref().map(|limits| limits.properties) {
            if let Some(least) = least.filter(|least| (map.len() as u64) < *least) {
                let detail = format!("{path} in body should have at least {least} properties");
                errors.push(Error::invalid(path, map.len(), detail));
                return;
            }
            if let Some(most) = most.filter(|most| (map.len() as u64) > *most) {
                errors.push(Error::too_many(path, map.len(), usize::try_from(most).unwrap_or(usize::MAX)));
                return;
            }
        }
        for name in self.required.iter().filter(|name| !map.contains_key(&***name)) {
            errors.push(Error::required(&path.child(name), ""));
        }
        for (name, value) in map {
            if let Some(schema) = self.properties.get(name.as_str()).or(self.additional.as_ref()) {
                schema.visit(value, old.and_then(|old| old.get(name)), &path.child(name), errors);
            }
        }
    }

    fn list(&self, items: &[Value], old: Option<&Vec<Value>>, path: &Path, errors: &mut Vec<Error>) {
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = &self.items {
                let old = old.and_then(|old| self.counterpart(item, old));
                schema.visit(item, old, &path.index(index), errors);
            }
        }
        let Some(limits) = &self.limits else { return };
        if let Some(least) = limits.items.least.filter(|least| (items.len() as u64) < *least) {
            let detail = format!("{path} in body should have at least {least} items");
            errors.push(Error::invalid(path, items.len(), detail));
        }
        if let Some(most) = limits.items.most.filter(|most| (items.len() as u64) > *most) {
            errors.push(Error::too_many(path, items.len(), usize::try_from(most).unwrap_or(usize::MAX)));
        }
        let twice = |(index, item): (usize, &Value)| items[..index].contains(item);
        if limits.unique && items.iter().enumerate().any(twice) {
            errors.push(Error::invalid(path, "", format!("{path} in body shouldn't contain duplicates")));
        }
    }

    /// The item of `old` that `item` was, in a list whose items have an identity.
    pub(crate) fn counterpart<'a>(&self, item: &Value, old: &'a [Value]) -> Option<&'a Value> {
        match &self.list_type {
            ListType::Map(keys) => old.iter().find(|other| keys.iter().all(|key| other[&**key] == item[&**key])),
            ListType::Set | ListType::Atomic => None,
        }
    }

    fn text(&self, text: &str, path: &Path, errors: &mut Vec<Error>) {
        if let Some(limits) = &self.limits {
            let count = text.chars().count() as u64;
            if let Some(most) = limits.length.most.filter(|most| count > *most) {
                errors.push(Error::too_long(path, usize::try_from(most).unwrap_or(usize::MAX)));
            }
            if let Some(least) = limits.length.least.filter(|least| count < *least) {
                errors.push(Error::invalid(
                    path,
                    text,
                    format!("{path} in body should be at least {least} chars long"),
                ));
            }
            // A pattern that cannot be read cannot be held to; saying so beats passing everything.
            let fits = |pattern: &str| regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(text));
            if let Some(pattern) = limits.pattern.as_deref().filter(|pattern| !fits(pattern)) {
                errors.push(Error::invalid(path, text, format!("{path} in body should match '{pattern}'")));
            }
        }
        if let Some(format) = self.format.as_deref().filter(|format| !format::fits(format, text)) {
            let detail = format!("{path} in body must be of type {format}: {text:?}");
            errors.push(Error::invalid(path, text, detail));
        }
    }

    fn number(&self, value: &serde_json::Number, path: &Path, errors: &mut Vec<Error>) {
        let number = value.as_f64().unwrap_or_default();
        let in_format = match self.format.as_deref() {
            Some("int32") => {
                value.as_i64().is_none_or(|n| i32::try_from(n).is_ok())
                    && value.as_u64().is_none_or(|n| i32::try_from(n).is_ok())
            }
            Some("int64") => !value.is_u64() || value.as_i64().is_some(),
            _ => true,
        };
        if !in_format {
            let (type_, format) = (self.type_.named(), self.format.as_deref().unwrap_or_default());
            let detail = format!("Checked value must be of type {type_} with format {format} in {path}");
            errors.push(Error::invalid(&Path::default(), "", detail));
        }
        let Some(limits) = &self.limits else { return };
        let mut refuse = |words: &str, bound: f64| {
            errors.push(Error::invalid(path, value, format!("{path} in body should be {words} {bound}")));
        };
        if let Some(unit) = limits.multiple_of.filter(|unit| !is_multiple(number, *unit)) {
            refuse("a multiple of", unit);
        }
        match limits.maximum {
            Some(Bound { value, exclusive: false }) if number > value => refuse("less than or equal to", value),
            Some(Bound { value, exclusive: true }) if number >= value => refuse("less than", value),
            _ => {}
        }
        match limits.minimum {
            Some(Bound { value, exclusive: false }) if number < value => refuse("greater than or equal to", value),
            Some(Bound { value, exclusive: true }) if number <= value => refuse("greater than", value),
            _ => {}
        }
    }

    // Upstream looks at sets and keyed lists in a pass of its own
    // (`k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype`).
    fn lists(&self, value: &Value, old: Option<&Value>, path: &Path, errors: &mut Vec<Error>) {
        if old == Some(value) {
            return;
        }
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    if let Some(schema) = self.properties.get(name.as_str()).or(self.additional.as_ref()) {
                        schema.lists(value, old.and_then(|old| old.get(name)), &path.child(name), errors);
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if let Some(identity) = self.identity(item)
                        && items[..index].iter().any(|earlier| self.identity(earlier).as_ref() == Some(&identity))
                    {
                        errors.push(Error::duplicate(&path.index(index), identity));
                    }
                    if let Some(schema) = &self.items {
                        schema.lists(item, None, &path.index(index), errors);
                    }
                }
            }
            _ => {}
        }
    }

    fn identity(&self, item: &Value) -> Option<Value> {
        match &self.list_type {
            ListType::Map(keys) => {
                let key = |key: &super::Str| Some((key.to_string(), item.get(&**key)?.clone()));
                Some(Value::Object(keys.iter().filter_map(key).collect()))
            }
            ListType::Set => Some(item.clone()),
            ListType::Atomic => None,
        }
    }
}

impl Limits {
    fn alternatives(&self, value: &Value, path: &Path, errors: &mut Vec<Error>) {
        let judge = |schema: &Schema| {
            let mut errors = Vec::new();
            schema.visit(value, None, path, &mut errors);
            errors
        };
        let mut refuse = |own: Vec<Error>, text: String| {
            errors.extend(own);
            errors.push(Error::invalid(&Path::default(), "", format!("{:?} {text}", path.to_string())));
        };
        // Of alternatives that all fail, the one that comes nearest tells why.
        let nearest = |failed: Vec<Vec<Error>>| failed.into_iter().min_by_key(Vec::len).unwrap_or_default();
        if !self.any_of.is_empty() {
            let failed: Vec<_> = self.any_of.iter().map(judge).collect();
            if failed.iter().all(|errors| !errors.is_empty()) {
                refuse(nearest(failed), "must validate at least one schema (anyOf)".to_owned());
            }
        }
        if !self.one_of.is_empty() {
            let failed: Vec<_> = self.one_of.iter().map(judge).collect();
            match failed.iter().filter(|errors| errors.is_empty()).count() {
                1 => {}
                0 => refuse(
                    nearest(failed),
                    "must validate one and only one schema (oneOf). Found none valid".to_owned(),
                ),
                n => refuse(
                    Vec::new(),
                    format!("must validate one and only one schema (oneOf). Found {n} valid alternatives"),
                ),
            }
        }
        let failed: Vec<Error> = self.all_of.iter().flat_map(judge).collect();
        if !failed.is_empty() {
            refuse(failed, "must validate all the schemas (allOf)".to_owned());
        }
        if self.not.as_ref().is_some_and(|not| judge(not).is_empty()) {
            refuse(Vec::new(), "must not validate the schema (not)".to_owned());
        }
    }
}

impl Type {
    /// The type as OpenAPI names it.
    pub(crate) fn named(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::IntOrString => "integer,string",
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.as_f64().is_some_and(|n| n.fract() == 0.0) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// As `==`, but that `1` and `1.0` are one number.
fn same(left: &Value, right: &Value) -> bool {
    left == right || left.as_f64().is_some_and(|left| json!(left).as_f64() == right.as_f64())
}

fn is_multiple(number: f64, unit: f64) -> bool {
    let times = number / unit;
    (times - times.round()).abs() < 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        Schema::from_openapi(&json!({
            "type": "object",
            "required": ["image"],
            "properties": {
                "image": {"type": "string", "minLength": 2, "maxLength": 5, "pattern": "^[a-z]+$"},
                "replicas": {"type": "integer", "minimum": 1, "maximum": 9, "format": "int32"},
                "mode": {"type": "string", "enum": ["Fast", "Slow"]},
                "ratio": {"type": "number", "exclusiveMaximum": true, "maximum": 1, "multipleOf": 0.1},
                "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                "time": {"type": "string", "format": "date-time"},
                "ports": {"type": "array", "maxItems": 3, "minItems": 1, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "properties": {"name": {"type": "string"}, "port": {"type": "integer", "maximum": 9}}}},
                "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "source": {"type": "object", "oneOf": [{"required": ["git"]}, {"required": ["path"]}], "maxProperties": 2,
                    "properties": {"git": {"type": "string"}, "path": {"type": "string"}, "x": {"type": "string"}}},
                "no": {"type": "integer", "not": {"enum": [7]}, "allOf": [{"minimum": 3}], "anyOf": [{"maximum": 4}, {"minimum": 6}]},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        }))
    }

    fn judge(mut value: Value, old: Option<&Value>) -> Vec<String> {
        if value.get("image").is_none() {
            value["image"] = json!("web");
        }
        schema().validate(&value, old, &Path::default()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_field_that_does_not_fit_is_named() {
        let check = |value: Value, expected: &[&str]| assert_eq!(judge(value.clone(), None), expected, "{value}");
        check(json!({}), &[]);
        assert_eq!(schema().validate(&json!({}), None, &Path::default())[0].to_string(), "image: Required value");
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
            json!({"replicas": 10}),
            &["replicas: Invalid value: 10: replicas in body should be less than or equal to 9"],
        );
        check(json!({"image": "toolong"}), &["image: Too long: may not be more than 5 bytes"]);
        check(
            json!({"replicas": "3"}),
            &[r#"replicas: Invalid value: "string": replicas in body must be of type integer: "string""#],
        );
        check(
            json!({"replicas": 1.5}),
            &[r#"replicas: Invalid value: "number": replicas in body must be of type integer: "number""#],
        );
        check(
            json!({"replicas": null}),
            &[r#"replicas: Invalid value: "null": replicas in body must be of type integer: "null""#],
        );
        check(
            json!({"port": true}),
            &[r#"port: Invalid value: "boolean": port in body must be of type integer,string: "boolean""#],
        );
        check(json!({"port": "http"}), &[]);
        check(json!({"ratio": 1}), &["ratio: Invalid value: 1: ratio in body should be less than 1"]);
        check(json!({"ratio": 0.55}), &["ratio: Invalid value: 0.55: ratio in body should be a multiple of 0.1"]);
        check(
            json!({"time": "noon"}),
            &[r#"time: Invalid value: "noon": time in body must be of type date-time: "noon""#],
        );
        check(
            json!({"labels": {"a": 1}}),
            &[r#"labels.a: Invalid value: "integer": labels.a in body must be of type string: "integer""#],
        );
        check(
            json!({"source": {"git": "a", "path": "b", "x": "c"}}),
            &[
                r#"<nil>: Invalid value: "": "source" must validate one and only one schema (oneOf). Found 2 valid alternatives"#,
                "source: Too many: 3: must have at most 2 items",
            ],
        );
        check(
            json!({"source": {}}),
            &[
                "source.git: Required value",
                r#"<nil>: Invalid value: "": "source" must validate one and only one schema (oneOf). Found none valid"#,
            ],
        );
        check(json!({"no": 7}), &[r#"<nil>: Invalid value: "": "no" must not validate the schema (not)"#]);
        check(
            json!({"no": 5}),
            &[
                "no: Invalid value: 5: no in body should be less than or equal to 4",
                r#"<nil>: Invalid value: "": "no" must validate at least one schema (anyOf)"#,
            ],
        );
    }

    #[test]
    fn lists_are_bounded_and_their_items_differ() {
        let check = |value: Value, expected: &[&str]| assert_eq!(judge(value.clone(), None), expected, "{value}");
        check(json!({"ports": []}), &["ports: Invalid value: 0: ports in body should have at least 1 items"]);
        check(
            json!({"ports": [{"name": "a"}, {"name": "b"}, {"name": "a", "port": 1}]}),
            &[r#"ports[2]: Duplicate value: {"name":"a"}"#],
        );
        check(
            json!({"ports": [{}, {"name": "a"}, {"name": "b"}, {"name": "c"}]}),
            &["ports: Too many: 4: must have at most 3 items"],
        );
        check(json!({"set": ["a", "b", "a"]}), &[r#"set[2]: Duplicate value: "a""#]);
    }

    #[test]
    fn what_is_as_it_was_is_let_be() {
        let old = json!({"replicas": 99, "ports": [{"name": "a", "port": 99}], "set": ["a", "a"]});
        assert_eq!(judge(old.clone(), Some(&old)), [""; 0]);
        let mut new = old.clone();
        new["ports"] = json!([{"name": "b", "port": 98}, {"name": "a", "port": 99}]);
        assert_eq!(
            judge(new, Some(&old)),
            ["ports[0].port: Invalid value: 98: ports[0].port in body should be less than or equal to 9"]
        );
    }
}
