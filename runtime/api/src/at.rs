//! A value inside an object together with its path: what the validation of a kind without a typed form walks along.
//!
//! The machinery has checked the object against the kind's schema before: a value is absent or of its type.

use serde::Deserialize;
use serde_json::Value;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::check::{Checks, Rule};
use crate::field::{Error, Path};
use crate::object::Object;
use crate::quantity::{ParseError, Quantity};

static NONE: Value = Value::Null;

/// A value and where it stands. What is absent is null.
#[derive(Clone, Debug)]
pub(crate) struct At<'a> {
    pub(crate) path: Path,
    pub(crate) value: &'a Value,
}

impl<'a> At<'a> {
    /// The field `name` of the object itself.
    pub(crate) fn of(object: &'a Object, name: &str) -> Self {
        Self { path: Path::new(name), value: object.0.get(name).unwrap_or(&NONE) }
    }

    /// As [`At::of`], for whoever does not tell where it stands.
    pub(crate) fn unnamed(object: &'a Object, name: &str) -> Self {
        Self { path: Path::unnamed(), ..Self::of(object, name) }
    }

    /// The field `name` of what stands here.
    pub(crate) fn get(&self, name: &str) -> Self {
        Self { path: self.path.child(name), value: self.value.get(name).unwrap_or(&NONE) }
    }

    /// The items of the list that stands here.
    pub(crate) fn items(&self) -> impl Iterator<Item = Self> + use<'a> {
        let (path, items) = (self.path.clone(), self.value.as_array().into_iter().flatten().enumerate());
        items.map(move |(index, value)| Self { path: path.index(index), value })
    }

    /// The entries of the map that stands here, with their keys.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let (path, entries) = (self.path.clone(), self.value.as_object().into_iter().flatten());
        entries.map(move |(key, value)| (key.as_str(), Self { path: path.key(key), value }))
    }

    pub(crate) fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// Whether there is nothing here, or an empty text, list or map.
    pub(crate) fn is_empty(&self) -> bool {
        match self.value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.value.as_array().map_or_else(|| self.value.as_object().map_or(0, serde_json::Map::len), Vec::len)
    }

    /// The text here, `""` when there is none.
    pub(crate) fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    pub(crate) fn int(&self) -> Option<i64> {
        self.value.as_i64()
    }

    /// Whether `true` stands here.
    pub(crate) fn flag(&self) -> bool {
        self.value == &Value::Bool(true)
    }

    /// Whether a list of texts here has `text` in it.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.value.as_array().is_some_and(|items| items.iter().any(|item| item == text))
    }

    /// The quantity here, if there is any.
    pub(crate) fn quantity(&self) -> Option<Result<Quantity, ParseError>> {
        match self.value {
            Value::Null => None,
            Value::String(text) => Some(Quantity::parse(text)),
            other => Some(Quantity::parse(&other.to_string())),
        }
    }

    /// Whether the two say the same. What is empty is as good as absent, as upstream compares.
    pub(crate) fn same(&self, other: &At<'_>) -> bool {
        self.value == other.value || normal(self.value) == normal(other.value)
    }

    pub(crate) fn invalid(&self, detail: &str, checks: &mut Checks) {
        checks.invalid(&self.path, self.value, detail);
    }

    pub(crate) fn required(&self, detail: &str, checks: &mut Checks) {
        checks.push(Error::required(&self.path, detail));
    }

    pub(crate) fn forbidden(&self, detail: &str, checks: &mut Checks) {
        checks.forbidden(&self.path, detail);
    }

    pub(crate) fn unsupported(&self, supported: &[&str], checks: &mut Checks) {
        checks.push(Error::not_supported(&self.path, self.value, supported));
    }

    pub(crate) fn duplicate(&self, checks: &mut Checks) {
        checks.push(Error::duplicate(&self.path, self.value));
    }

    pub(crate) fn non_negative(&self, checks: &mut Checks) {
        checks.non_negative(&self.path, self.int());
    }

    /// Each of these fields is not negative.
    pub(crate) fn all_non_negative(&self, fields: &[&str], checks: &mut Checks) {
        fields.iter().for_each(|field| self.get(field).non_negative(checks));
    }

    /// There is a text here, one of `supported`.
    pub(crate) fn one_of(&self, supported: &[&str], checks: &mut Checks) {
        checks.one_of(&self.path, self.text(), supported);
    }

    /// A text here is one of `supported`.
    pub(crate) fn maybe_one_of(&self, supported: &[&str], checks: &mut Checks) {
        if self.is_set() && !supported.contains(&self.text()) {
            self.unsupported(supported, checks);
        }
    }

    /// There is a text here, and it follows `rule`.
    pub(crate) fn named(&self, rule: Rule, checks: &mut Checks) {
        checks.named(&self.path, self.text(), rule);
    }

    /// A text here follows `rule`.
    pub(crate) fn maybe_named(&self, rule: Rule, checks: &mut Checks) {
        checks.maybe_named(&self.path, self.text(), rule);
    }

    /// There is something here.
    pub(crate) fn present(&self, checks: &mut Checks) {
        if self.is_empty() {
            checks.required(&self.path);
        }
    }

    /// What stands here is what stood there. Whether this is so.
    pub(crate) fn immutable(&self, old: &At<'_>, checks: &mut Checks) -> bool {
        let same = self.same(old);
        if !same {
            self.invalid("field is immutable", checks);
        }
        same
    }

    /// Each of these fields is what it was.
    pub(crate) fn all_immutable(&self, old: &At<'_>, fields: &[&str], checks: &mut Checks) {
        fields.iter().for_each(|field| {
            self.get(field).immutable(&old.get(field), checks);
        });
    }

    /// The label selector here, if it is one, checked. Nothing when it cannot select.
    pub(crate) fn label_selector(&self, checks: &mut Checks) -> Option<LabelSelector> {
        let selector = LabelSelector::deserialize(self.value).ok()?;
        let before = checks.errors.len();
        checks.label_selector(&self.path, &selector);
        (checks.errors.len() == before).then_some(selector)
    }

    /// At most `max` items stand here.
    pub(crate) fn at_most(&self, max: usize, checks: &mut Checks) {
        if self.len() > max {
            checks.push(Error::too_many(&self.path, self.len(), max));
        }
    }
}

/// A value without what is empty in it: upstream's typed form does not tell it from what is absent.
pub(crate) fn normal(value: &Value) -> Value {
    let mut value = value.clone();
    drop_empty(&mut value);
    if is_empty(&value) { Value::Null } else { value }
}

fn drop_empty(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(drop_empty);
            map.retain(|_, value| !is_empty(value));
        }
        Value::Array(items) => items.iter_mut().for_each(drop_empty),
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Writes the quantities in the map at `path` in their canonical form, as upstream stores them. One that does not
/// parse stays, for the checks to tell.
pub(crate) fn canonical_quantities(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(canonical_quantities),
        Value::String(_) | Value::Number(_) => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            *value = Quantity::parse(&text).map_or(text, |quantity| quantity.to_string()).into();
        }
        _ => {}
    }
}

/// The value at `path`, to be changed.
pub(crate) fn at_mut<'a>(object: &'a mut Object, path: &[&str]) -> Option<&'a mut Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(object.0.get_mut(*first)?, |value, name| value.get_mut(*name))
}

/// Sets a field of a map that has none.
pub(crate) fn default_in(value: &mut Value, field: &str, default: impl Into<Value>) {
    if let Value::Object(map) = value
        && map.get(field).is_none_or(Value::is_null)
    {
        map.insert(field.to_owned(), default.into());
    }
}

/// The items of a list, to be changed.
pub(crate) fn items_mut(value: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    value.and_then(Value::as_array_mut).into_iter().flatten()
}
