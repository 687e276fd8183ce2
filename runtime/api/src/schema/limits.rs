//! What a value must hold to besides its type: the keywords of JSON Schema that a
//! CustomResourceDefinition may use.

use serde_json::{Map, Value};

use super::{Schema, Str};

/// The further keywords of one schema. Most schemas have none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// The least number.
    pub minimum: Option<Bound>,
    /// The greatest number.
    pub maximum: Option<Bound>,
    /// What a number is a multiple of.
    pub multiple_of: Option<f64>,
    /// How many characters a string has.
    pub length: Range,
    /// How many items a list has.
    pub items: Range,
    /// How many fields a map has.
    pub properties: Range,
    /// The regular expression that a string matches.
    pub pattern: Option<Str>,
    /// Whether no two items of a list are equal.
    pub unique: bool,
    /// Schemas that all hold.
    pub all_of: Vec<Schema>,
    /// Schemas of which at least one holds.
    pub any_of: Vec<Schema>,
    /// Schemas of which exactly one holds.
    pub one_of: Vec<Schema>,
    /// A schema that does not hold.
    pub not: Option<Schema>,
}

/// One end of what a number may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The number.
    pub value: f64,
    /// Whether the number itself is too small, or too large.
    pub exclusive: bool,
}

/// How many there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// At least.
    pub least: Option<u64>,
    /// At most.
    pub most: Option<u64>,
}

impl Limits {
    /// Reads the keywords of a schema; `None` when it has none.
    pub(super) fn of(map: &Map<String, Value>) -> Option<Box<Self>> {
        let mut limits = Self {
            minimum: Bound::of(map, "minimum", "exclusiveMinimum"),
            maximum: Bound::of(map, "maximum", "exclusiveMaximum"),
            multiple_of: map.get("multipleOf").and_then(Value::as_f64).filter(|unit| *unit > 0.0),
            length: Range::of(map, "minLength", "maxLength"),
            items: Range::of(map, "minItems", "maxItems"),
            properties: Range::of(map, "minProperties", "maxProperties"),
            pattern: map.get("pattern").and_then(Value::as_str).map(|pattern| pattern.to_owned().into()),
            unique: map.get("uniqueItems") == Some(&Value::Bool(true)),
            all_of: schemas(map, "allOf"),
            any_of: schemas(map, "anyOf"),
            one_of: schemas(map, "oneOf"),
            not: map.get("not").filter(|not| not.is_object()).map(Schema::from_openapi),
        };
        if map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
            // That it is one of the two is what the type says already.
            limits.any_of.retain(|schema| *schema != Schema::from_openapi(&serde_json::json!({"type": "string"})));
            limits.any_of.retain(|schema| *schema != Schema::from_openapi(&serde_json::json!({"type": "integer"})));
        }
        (limits != Self::default()).then(|| Box::new(limits))
    }
}

impl Bound {
    // OpenAPI 3.0 says with a boolean that the bound is excluded; JSON Schema names another bound.
    fn of(map: &Map<String, Value>, name: &str, exclusive: &str) -> Option<Self> {
        let exclusive = map.get(exclusive);
        if let Some(value) = exclusive.and_then(Value::as_f64) {
            return Some(Self { value, exclusive: true });
        }
        let value = map.get(name).and_then(Value::as_f64)?;
        Some(Self { value, exclusive: exclusive == Some(&Value::Bool(true)) })
    }
}

impl Range {
    fn of(map: &Map<String, Value>, least: &str, most: &str) -> Self {
        let count = |name: &str| map.get(name).and_then(Value::as_u64);
        Self { least: count(least), most: count(most) }
    }
}

fn schemas(map: &Map<String, Value>, keyword: &str) -> Vec<Schema> {
    map.get(keyword).and_then(Value::as_array).into_iter().flatten().map(Schema::from_openapi).collect()
}
