//! Reading outside data against a schema: what is unknown, what is of the wrong type.

use serde_json::{Map, Value};

use super::{Schema, Type};

/// A value of the wrong type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot unmarshal {found} into field {path} of type {expected}")]
pub struct TypeError {
    /// Where, as `spec.containers[0].ports[0].containerPort`.
    pub path: String,
    /// What is there.
    pub found: &'static str,
    /// What should be there.
    pub expected: &'static str,
}

/// What [`Schema::check`] found besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The paths of fields that the schema does not know. They were removed.
    pub unknown: Vec<String>,
}

impl Schema {
    /// Checks the types of `object`, removes what the schema does not know, and drops `null`s as a
    /// typed decoder does.
    ///
    /// # Errors
    /// On the first value of the wrong type.
    pub fn check(&self, object: &mut Map<String, Value>) -> Result<Checked, TypeError> {
        let mut checked = Checked::default();
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
                Some(schema) => schema.value(value, &at, checked)?,
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
        let wrong = || TypeError { path: at.path(), found, expected: self.type_.name() };
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
            (Type::Integer, Value::Number(number))
                if number.is_f64() && number.as_f64().is_none_or(|n| n.fract() != 0.0) =>
            {
                Err(wrong())
            }
            (Type::Any, _)
            | (Type::String, Value::String(_))
            | (Type::Integer | Type::Number, Value::Number(_))
            | (Type::Boolean, Value::Bool(_))
            | (Type::IntOrString, Value::Number(_) | Value::String(_)) => Ok(()),
            (_, Value::Null) if self.nullable => Ok(()),
            _ => Err(wrong()),
        }
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

        let mut pod = json!({"spec": {"containers": [{"ports": [{"containerPort": "http"}]}]}});
        let error = schema.check(pod.as_object_mut().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot unmarshal string into field spec.containers[0].ports[0].containerPort of type integer"
        );
    }
}
