//! Reading outside data against a schema: what is unknown, what is of the wrong type.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::{Schema, Type};
use crate::quantity::{ParseError, Quantity};

/// A value of the wrong type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TypeError {
    /// It is something else.
    #[error("cannot unmarshal {found} into field {path} of type {expected}")]
    Type {
        /// Where, as `spec.containers[0].ports[0].containerPort`.
        path: String,
        /// What is there.
        found: &'static str,
        /// What should be there.
        expected: &'static str,
    },
    /// It is a text or a number that does not say what it should.
    #[error("{path}: {reason}")]
    Content {
        /// Where.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What [`Schema::check`] found besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The paths of fields that the schema does not know. They were removed.
    pub unknown: Vec<String>,
    keeps_zeros: bool,
}

impl Schema {
    /// Checks the types of `object`, removes what the schema does not know, and drops `null`s, and zeros that say
    /// nothing, as a typed decoder does.
    ///
    /// # Errors
    /// On the first value of the wrong type.
    pub fn check(&self, object: &mut Map<String, Value>) -> Result<Checked, TypeError> {
        let mut checked = Checked::default();
        self.object(object, &Place::Top, &mut checked)?;
        Ok(checked)
    }

    /// As [`Schema::check`], of what is applied: who says a zero owns the field.
    ///
    /// # Errors
    /// On the first value of the wrong type.
    pub fn check_applied(&self, object: &mut Map<String, Value>) -> Result<Checked, TypeError> {
        let mut checked = Checked { keeps_zeros: true, ..Checked::default() };
        self.object(object, &Place::Top, &mut checked)?;
        Ok(checked)
    }

    /// As [`Schema::check`], of a field of that which is being read.
    ///
    /// # Errors
    /// On the first value of the wrong type.
    pub fn check_field(&self, name: &str, value: &mut Value) -> Result<Checked, TypeError> {
        let mut checked = Checked::default();
        self.value(value, &Place::Field(&Place::Top, name), &mut checked)?;
        Ok(checked)
    }

    fn object(&self, map: &mut Map<String, Value>, at: &Place<'_>, checked: &mut Checked) -> Result<(), TypeError> {
        let mut doomed = Vec::new();
        for (name, value) in map.iter_mut() {
            let at = Place::Field(at, name);
            let schema = self.properties.get(name.as_str()).or(self.additional.as_ref());
            match schema {
                Some(schema) if value.is_null() && !schema.nullable && schema.type_ != Type::Any => {
                    doomed.push(name.clone())
                }
                Some(schema) => {
                    schema.value(value, &at, checked)?;
                    if !checked.keeps_zeros && is_zero(value) && self.omitted.iter().any(|omitted| omitted == name) {
                        doomed.push(name.clone());
                    }
                }
                None if self.preserve_unknown => {}
                None => {
                    checked.unknown.push(at.path());
                    doomed.push(name.clone());
                }
            }
        }
        for name in doomed {
            map.remove(&name);
        }
        Ok(())
    }

    fn value(&self, value: &mut Value, at: &Place<'_>, checked: &mut Checked) -> Result<(), TypeError> {
        let found = name_of(value);
        let wrong = || TypeError::Type { path: at.path(), found, expected: self.type_.name() };
        let content = |reason| TypeError::Content { path: at.path(), reason };
        match (self.type_, value) {
            (Type::Object, Value::Object(map)) => self.object(map, at, checked),
            (Type::Any, Value::Object(map)) if self.recursive => match self.resolved() {
                Some(schema) => schema.object(map, at, checked),
                None => Ok(()),
            },
            (Type::Array, Value::Array(items)) => {
                let Some(schema) = &self.items else { return Ok(()) };
                for (index, item) in items.iter_mut().enumerate() {
                    schema.value(item, &Place::Item(at, index), checked)?;
                }
                Ok(())
            }
            (Type::Integer, Value::Number(number)) => match self.format.as_deref() {
                format @ Some("int32") => fits(number, i32::try_from, format).map_err(content),
                format => fits(number, Ok::<_, ()>, format).map_err(content),
            },
            (Type::String, Value::String(text)) => {
                // As Go's decoder, which passes over the ends of lines.
                if self.format.as_deref() == Some("byte") && text.contains(['\n', '\r']) {
                    text.retain(|c| !matches!(c, '\n' | '\r'));
                }
                self.content(text).map_err(content)
            }
            (Type::IntOrString, value) if self.is_quantity() => match value {
                Value::String(text) => Quantity::parse(text).map(drop).map_err(|e: ParseError| content(e.to_string())),
                Value::Number(number) => {
                    Quantity::parse(&number.to_string()).map(drop).map_err(|e| content(e.to_string()))
                }
                _ => Err(wrong()),
            },
            (Type::IntOrString, Value::Number(number)) => fits(number, i32::try_from, Some("int32")).map_err(content),
            (Type::Any, _)
            | (Type::Number, Value::Number(_))
            | (Type::Boolean, Value::Bool(_))
            | (Type::IntOrString, Value::String(_)) => Ok(()),
            (_, Value::Null) if self.nullable => Ok(()),
            _ => Err(wrong()),
        }
    }
}

impl Schema {
    fn is_quantity(&self) -> bool {
        self.definition.as_deref().is_some_and(|name| name.ends_with(".resource.Quantity"))
    }

    /// Checks a text that is a time or bytes.
    fn content(&self, text: &str) -> Result<(), String> {
        match self.format.as_deref() {
            Some("date-time") if !is_time(text) => {
                Err(format!("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\""))
            }
            Some("byte") if STANDARD.decode(text).is_err() => Err("illegal base64 data".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Whether a text is a time as RFC 3339 has it, which other readers of times are not so strict about.
fn is_time(text: &str) -> bool {
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let is_shaped = marks.iter().all(|(at, mark)| text.as_bytes().get(*at) == Some(mark));
    is_shaped && text.parse::<jiff::Timestamp>().is_ok()
}

/// Whether a number is whole, written as such, and small enough.
fn fits<T, E>(number: &Number, narrow: impl Fn(i64) -> Result<T, E>, format: Option<&str>) -> Result<(), String> {
    match number.as_i64().map(narrow) {
        Some(Ok(_)) => Ok(()),
        _ => Err(format!("cannot unmarshal number {number} into a field of type {}", format.unwrap_or("integer"))),
    }
}

/// Where a value is: written out only if something is wrong there.
enum Place<'a> {
    Top,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl Place<'_> {
    fn path(&self) -> String {
        match self {
            Self::Top => String::new(),
            Self::Field(Self::Top, name) => (*name).to_owned(),
            Self::Field(above, name) => format!("{}.{name}", above.path()),
            Self::Item(above, index) => format!("{}[{index}]", above.path()),
        }
    }
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::IntOrString => "integer or string",
            other => other.named(),
        }
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Bool(is) => !is,
        Value::Number(number) => number.as_f64() == Some(0.0),
        _ => false,
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn unknown_fields_and_wrong_types_are_named_by_path() {
        let schema = super::super::of("io.k8s.api.core.v1.Pod");
        let mut pod = json!({"spec": {"containers": [{"name": "c", "imag": "x", "image": null}], "x": 1}, "y": 2});
        let checked = schema.check(pod.as_object_mut().unwrap()).unwrap();
        assert_eq!(checked.unknown, ["spec.containers[0].imag", "spec.x", "y"]);
        assert_eq!(pod, json!({"spec": {"containers": [{"name": "c"}]}}));

        let check = |mut pod: serde_json::Value, expected: &str| {
            let error = schema.check(pod.as_object_mut().unwrap()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        let quantities = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
        let limits = |value| json!({"spec": {"containers": [{"resources": {"limits": {"cpu": value}}}]}});
        let probe = |port| json!({"spec": {"containers": [{"livenessProbe": {"httpGet": {"port": port}}}]}});
        check(
            json!({"metadata": {"creationTimestamp": "yesterday"}}),
            "metadata.creationTimestamp: parsing time \"yesterday\" as \"2006-01-02T15:04:05Z07:00\"",
        );
        check(limits(json!("x")), &format!("spec.containers[0].resources.limits.cpu: {quantities}"));
        check(
            limits(json!(true)),
            "cannot unmarshal boolean into field spec.containers[0].resources.limits.cpu of type integer or string",
        );
        let number = "cannot unmarshal number";
        check(
            json!({"spec": {"priority": 3_000_000_000_i64}}),
            &format!("spec.priority: {number} 3000000000 into a field of type int32"),
        );
        check(json!({"spec": {"priority": 3.0}}), &format!("spec.priority: {number} 3.0 into a field of type int32"));
        check(
            json!({"metadata": {"generation": u64::MAX}}),
            &format!("metadata.generation: {number} 18446744073709551615 into a field of type int64"),
        );
        let port = "spec.containers[0].livenessProbe.httpGet.port";
        check(probe(json!(80.5)), &format!("{port}: {number} 80.5 into a field of type int32"));
        for fine in [limits(json!(1)), limits(json!(0.5)), limits(json!("1Gi")), probe(json!("http")), probe(json!(80))]
        {
            assert!(schema.check(&mut fine.as_object().unwrap().clone()).is_ok(), "{fine}");
        }
        let secret = super::super::of("io.k8s.api.core.v1.Secret");
        let mut lines = json!({"data": {"a": "aG\nk=\n"}});
        secret.check(lines.as_object_mut().unwrap()).unwrap();
        assert_eq!(lines, json!({"data": {"a": "aGk="}}));
        assert!(secret.check(json!({"data": {"a": "a"}}).as_object_mut().unwrap()).is_err());

        // Whether a zero says something is a matter of upstream's types.
        let zeros = json!({"metadata": {"generateName": ""}, "spec": {"restartPolicy": "", "hostPID": false,
            "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "", "image": "", "env": [{"name": "A", "value": ""}],
                "livenessProbe": {"periodSeconds": 0, "tcpSocket": {"port": 0}}}]}});
        let mut pod = zeros.clone();
        schema.check(pod.as_object_mut().unwrap()).unwrap();
        let left = json!({"metadata": {}, "spec": {"automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "", "env": [{"name": "A"}], "livenessProbe": {"tcpSocket": {"port": 0}}}]}});
        assert_eq!(pod, left);
        let mut pod = zeros.clone();
        schema.check_applied(pod.as_object_mut().unwrap()).unwrap();
        assert_eq!(pod, zeros);

        let mut pod = json!({"spec": {"containers": [{"ports": [{"containerPort": "http"}]}]}});
        let error = schema.check(pod.as_object_mut().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot unmarshal string into field spec.containers[0].ports[0].containerPort of type integer"
        );
    }
}
