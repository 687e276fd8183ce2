//! Values. Those of an object stay in its JSON and are looked at as its schema says.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::error::EvalError;
use super::library::{Check, Semver, Url, time};
use super::types::{Declared, Identity, Shape, Type};
use crate::quantity::Quantity;

/// A value of an expression.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number that is not negative.
    Uint(u64),
    /// A number.
    Double(f64),
    /// A text.
    String(Text<'a>),
    /// Bytes.
    Bytes(Rc<[u8]>),
    /// A span of time, in nanoseconds.
    Duration(i64),
    /// A moment.
    Timestamp(jiff::Timestamp),
    /// A list.
    List(List<'a>),
    /// A map, or an object.
    Map(Map<'a>),
    /// A type.
    Type(Type),
    /// What may be there.
    Optional(Option<Rc<Value<'a>>>),
    /// Fields that are reckoned when they are asked for.
    Lazy(Rc<dyn Lazy<'a> + 'a>),
    /// A URL.
    Url(Rc<Url>),
    /// A quantity.
    Quantity(Quantity),
    /// A semantic version.
    Semver(Rc<Semver>),
    /// An address.
    Ip(IpAddr),
    /// A range of addresses.
    Cidr(IpAddr, u8),
    /// A named format of strings.
    Format(&'static str),
    /// A question to the authorizer, so far.
    Check(Rc<Check<'a>>),
    /// Its answer: why it is allowed, or why not.
    Decision(Rc<Result<String, String>>),
    /// What a loop over items that decide nothing came to: an error, unless a later one decides.
    #[doc(hidden)]
    Failed(Rc<EvalError>),
    /// An operation of a JSON patch.
    Patch(Rc<BTreeMap<String, Value<'a>>>),
}

/// Fields that are reckoned when they are asked for.
pub trait Lazy<'a>: std::fmt::Debug {
    /// The field `name`; `None` when there is none.
    fn field(&self, name: &str) -> Option<Result<Value<'a>, EvalError>>;
}

/// A text of the object, or one that was made.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    /// It stands in the object.
    Borrowed(&'a str),
    /// It was made.
    Made(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Made(text) => text,
        }
    }
}

/// A list.
#[derive(Clone, Debug)]
pub enum List<'a> {
    /// One of the object.
    Json(&'a [Json], Option<&'a Declared>),
    /// One that was made, and how its items are told apart.
    Made(Rc<Vec<Value<'a>>>, &'a Identity),
}

/// A map.
#[derive(Clone, Debug)]
pub enum Map<'a> {
    /// One of the object.
    Json(&'a serde_json::Map<String, Json>, Option<&'a Declared>),
    /// One that was made.
    Made(Rc<BTreeMap<Key<'a>, Value<'a>>>),
}

/// A key of a map.
#[derive(Clone, Debug)]
pub enum Key<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A text.
    String(Text<'a>),
}

type Evaluated<'a> = Result<Value<'a>, EvalError>;

impl<'a> Value<'a> {
    /// A text that is made.
    pub fn text(text: impl Into<Rc<str>>) -> Self {
        Self::String(Text::Made(text.into()))
    }

    /// A list that is made.
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(List::Made(Rc::new(items), &Identity::Place))
    }

    /// What `json` is, which is as declared.
    ///
    /// # Errors
    /// When it is not what it is declared to be.
    pub fn of(json: &'a Json, declared: Option<&'a Declared>) -> Evaluated<'a> {
        let shape = declared.map(|declared| &declared.shape);
        let scalar = match shape {
            Some(Shape::Scalar(type_)) => type_,
            _ => &Type::Dyn,
        };
        Ok(match (json, scalar) {
            (Json::Null, _) => Self::Null,
            (Json::Bool(bool), _) => Self::Bool(*bool),
            (Json::Number(number), Type::Double) => Self::Double(number.as_f64().unwrap_or_default()),
            (Json::Number(number), type_) => match number.as_i64() {
                Some(int) => Self::Int(int),
                None => {
                    let double = number.as_f64().unwrap_or_default();
                    #[expect(clippy::cast_possible_truncation, reason = "a declared integer was held to its schema")]
                    if matches!(type_, Type::Int) { Self::Int(double as i64) } else { Self::Double(double) }
                }
            },
            (Json::String(text), Type::Bytes) => {
                let bytes =
                    STANDARD.decode(text).map_err(|_| EvalError::new(format!("Invalid byte string format: {text}")))?;
                Self::Bytes(bytes.into())
            }
            (Json::String(text), Type::Duration) => {
                Self::Duration(time::duration(text).ok_or_else(|| EvalError::new(format!("Invalid duration {text}")))?)
            }
            (Json::String(text), Type::Timestamp) => {
                let moment = time::timestamp(text).or_else(|| time::timestamp(&format!("{text}T00:00:00Z")));
                Self::Timestamp(moment.ok_or_else(|| EvalError::new(format!("Invalid date or date-time {text}")))?)
            }
            (Json::String(text), _) => Self::String(Text::Borrowed(text)),
            (Json::Array(items), _) => Self::List(List::Json(items, declared)),
            (Json::Object(map), _) => Self::Map(Map::Json(map, declared)),
        })
    }

    /// The type of the value.
    pub fn type_(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Uint(_) => Type::Uint,
            Self::Double(_) => Type::Double,
            Self::String(_) => Type::String,
            Self::Bytes(_) => Type::Bytes,
            Self::Duration(_) => Type::Duration,
            Self::Timestamp(_) => Type::Timestamp,
            Self::List(_) => Type::list(Type::Dyn),
            Self::Map(Map::Json(_, Some(Declared { shape: Shape::Object(fields), .. }))) => {
                Type::Object(std::sync::Arc::clone(fields))
            }
            Self::Map(_) | Self::Lazy(_) => Type::map(Type::Dyn, Type::Dyn),
            Self::Type(_) => Type::Type(std::sync::Arc::new(Type::Dyn)),
            Self::Optional(_) => Type::optional(Type::Dyn),
            Self::Url(_) => Type::Opaque("kubernetes.URL", None),
            Self::Quantity(_) => Type::Opaque("kubernetes.Quantity", None),
            Self::Semver(_) => Type::Opaque("kubernetes.Semver", None),
            Self::Ip(_) => Type::Opaque("net.IP", None),
            Self::Cidr(..) => Type::Opaque("net.CIDR", None),
            Self::Format(_) => Type::Opaque("kubernetes.NamedFormat", None),
            Self::Check(_) => Type::Opaque("kubernetes.authorization.Authorizer", None),
            Self::Decision(_) => Type::Opaque("kubernetes.authorization.Decision", None),
            Self::Failed(_) => Type::Error,
            Self::Patch(_) => Type::Opaque("jsonpatch.JSONPatch", None),
        }
    }

    /// What `size()` says of it, by which costs go; `None` for what has no size.
    pub fn size(&self) -> Option<u64> {
        Some(match self {
            Self::String(text) => text.chars().count() as u64,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::List(list) => list.len() as u64,
            Self::Map(map) => map.len() as u64,
            Self::Ip(IpAddr::V4(_)) | Self::Cidr(IpAddr::V4(_), _) => 4,
            Self::Ip(_) | Self::Cidr(..) => 16,
            _ => return None,
        })
    }

    /// The value as JSON.
    ///
    /// # Errors
    /// When it is of a type that JSON does not have.
    pub fn to_json(&self) -> Result<Json, EvalError> {
        Ok(match self {
            Self::Null => Json::Null,
            Self::Bool(bool) => Json::Bool(*bool),
            Self::Int(int) => (*int).into(),
            Self::Uint(uint) => (*uint).into(),
            Self::Double(double) => (*double).into(),
            Self::String(text) => Json::String(text.to_string()),
            Self::Bytes(bytes) => Json::String(STANDARD.encode(bytes)),
            Self::Duration(nanos) => Json::String(time::duration_text(*nanos)),
            Self::Timestamp(moment) => Json::String(moment.to_string()),
            Self::List(List::Json(items, _)) => Json::Array(items.to_vec()),
            Self::List(list) => Json::Array(list.iter().map(|item| item?.to_json()).collect::<Result<_, _>>()?),
            Self::Map(Map::Json(map, _)) => Json::Object((*map).clone()),
            Self::Map(Map::Made(map)) => {
                let entry = |(key, value): (&Key<'_>, &Value<'_>)| Ok((key.to_string(), value.to_json()?));
                Json::Object(map.iter().map(entry).collect::<Result<_, EvalError>>()?)
            }
            Self::Optional(None) => Json::Null,
            Self::Optional(Some(value)) => value.to_json()?,
            Self::Quantity(quantity) => Json::String(quantity.to_string()),
            other => return Err(EvalError::new(format!("a value of type {} is no JSON", other.type_()))),
        })
    }

    /// Whether two values are equal; numbers are by amount, whatever their types.
    pub fn equals(&self, other: &Self) -> Result<bool, EvalError> {
        Ok(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::String(a), Self::String(b)) => **a == **b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::List(a), Self::List(b)) => a.equals(b)?,
            (Self::Map(a), Self::Map(b)) => a.equals(b)?,
            (Self::Type(a), Self::Type(b)) => same_kind(a, b),
            (Self::Optional(a), Self::Optional(b)) => match (a, b) {
                (None, None) => true,
                (Some(a), Some(b)) => a.equals(b)?,
                _ => false,
            },
            (Self::Url(a), Self::Url(b)) => a == b,
            (Self::Quantity(a), Self::Quantity(b)) => a == b,
            (Self::Semver(a), Self::Semver(b)) => a == b,
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Cidr(a, x), Self::Cidr(b, y)) => a == b && x == y,
            (Self::Format(a), Self::Format(b)) => a == b,
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => a.order(b) == Some(std::cmp::Ordering::Equal),
                _ => false,
            },
        })
    }

    /// The value as a number of any type.
    pub(super) fn number(&self) -> Option<Number> {
        match self {
            Self::Int(int) => Some(Number::Whole((*int).into())),
            Self::Uint(uint) => Some(Number::Whole((*uint).into())),
            Self::Double(double) => Some(Number::Double(*double)),
            _ => None,
        }
    }
}

// By what they are, whatever they are of.
fn same_kind(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Object(_), Type::Map(..)) | (Type::Map(..), Type::Object(_)) => true,
        (Type::Opaque(a, _), Type::Opaque(b, _)) => a == b,
        _ => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

/// A number of any type.
#[derive(Clone, Copy)]
pub(super) enum Number {
    Whole(i128),
    Double(f64),
}

impl Number {
    pub(super) fn order(self, other: Self) -> Option<std::cmp::Ordering> {
        #[expect(clippy::cast_precision_loss, reason = "what is lost is too little to matter beside a double")]
        let double = |number| match number {
            Self::Whole(whole) => whole as f64,
            Self::Double(double) => double,
        };
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(&b)),
            (a, b) => double(a).partial_cmp(&double(b)),
        }
    }
}

impl<'a> List<'a> {
    /// How many items there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(items, _) => items.len(),
            Self::Made(items, _) => items.len(),
        }
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item at `index`.
    pub fn get(&self, index: usize) -> Option<Evaluated<'a>> {
        match self {
            Self::Json(items, declared) => items.get(index).map(|item| Value::of(item, of_items(*declared))),
            Self::Made(items, _) => items.get(index).cloned().map(Ok),
        }
    }

    /// The items.
    pub fn iter(&self) -> impl Iterator<Item = Evaluated<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    fn identity(&self) -> &'a Identity {
        match self {
            Self::Json(_, declared) => declared.map_or(&Identity::Place, |declared| &declared.identity),
            Self::Made(_, identity) => identity,
        }
    }

    fn equals(&self, other: &Self) -> Result<bool, EvalError> {
        if self.len() != other.len() {
            return Ok(false);
        }
        match self.identity() {
            Identity::Place => {
                for (a, b) in self.iter().zip(other.iter()) {
                    if !a?.equals(&b?)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            // In whatever order: each has its like.
            _ => {
                for a in self.iter() {
                    if !other.contains(&a?)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }

    /// Whether an item equals `value`.
    pub fn contains(&self, value: &Value<'a>) -> Result<bool, EvalError> {
        for item in self.iter() {
            if item?.equals(value)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The items of both: of a set each once, of a list with keys the later of those with one key.
    pub(super) fn plus(&self, other: &Self) -> Evaluated<'a> {
        let identity = self.identity();
        let mut items: Vec<Value<'a>> = self.iter().collect::<Result<_, _>>()?;
        for item in other.iter() {
            let item = item?;
            let mut same = None;
            for (index, known) in items.iter().enumerate() {
                let is_same = match identity {
                    Identity::Place => false,
                    Identity::Set => known.equals(&item)?,
                    Identity::Keys(keys) => {
                        let key = |value: &Value<'a>, key: &str| match value {
                            Value::Map(Map::Json(map, _)) => map.get(key).cloned(),
                            _ => None,
                        };
                        keys.iter().all(|name| key(known, name) == key(&item, name))
                    }
                };
                if is_same {
                    same = Some(index);
                    break;
                }
            }
            match same {
                Some(index) => items[index] = item,
                None => items.push(item),
            }
        }
        Ok(Value::List(List::Made(Rc::new(items), identity)))
    }
}

fn of_items(declared: Option<&Declared>) -> Option<&Declared> {
    match declared.map(|declared| &declared.shape) {
        Some(Shape::List(items)) => Some(items),
        _ => None,
    }
}

impl<'a> Map<'a> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(map, _) => map.len(),
            Self::Made(map) => map.len(),
        }
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value under `key`. A field of an object that is null is not there.
    pub fn get(&self, key: &Key<'a>) -> Option<Evaluated<'a>> {
        match (self, key) {
            (Self::Json(map, declared), Key::String(name)) => match declared.map(|declared| &declared.shape) {
                Some(Shape::Object(fields)) => {
                    let field = fields.fields.get(&**name)?;
                    let json = map.get(field.original.as_deref().unwrap_or(name))?;
                    (!json.is_null()).then(|| Value::of(json, Some(field)))
                }
                Some(Shape::Map(values)) => map.get(&**name).map(|json| Value::of(json, Some(values))),
                _ => map.get(&**name).map(|json| Value::of(json, None)),
            },
            (Self::Json(..), _) => None,
            (Self::Made(map), key) => map.get(key).cloned().map(Ok),
        }
    }

    /// The keys.
    pub fn keys(&self) -> Vec<Key<'a>> {
        match self {
            Self::Json(map, _) => map.keys().map(|name| Key::String(Text::Borrowed(name))).collect(),
            Self::Made(map) => map.keys().cloned().collect(),
        }
    }

    fn equals(&self, other: &Self) -> Result<bool, EvalError> {
        // Of an object only what its schema knows can be looked at, but all of it counts.
        if let (Self::Json(a, _), Self::Json(b, _)) = (self, other)
            && a == b
        {
            return Ok(true);
        }
        if self.len() != other.len() {
            return Ok(false);
        }
        for key in self.keys() {
            match (self.get(&key), other.get(&key)) {
                (Some(a), Some(b)) if a.clone()?.equals(&b.clone()?)? => {}
                (None, None) => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }
}

impl<'a> Key<'a> {
    /// The key that `value` is, if it may be one.
    pub fn of(value: &Value<'a>) -> Option<Self> {
        Some(match value {
            Value::Bool(bool) => Self::Bool(*bool),
            Value::Int(int) => Self::Int((*int).into()),
            Value::Uint(uint) => Self::Int((*uint).into()),
            #[expect(clippy::cast_possible_truncation, reason = "it has no fraction")]
            Value::Double(double) if double.fract() == 0.0 => Self::Int(*double as i128),
            Value::String(text) => Self::String(text.clone()),
            _ => return None,
        })
    }

    /// The value that the key is.
    pub fn value(&self) -> Value<'a> {
        match self {
            Self::Bool(bool) => Value::Bool(*bool),
            Self::Int(int) => match i64::try_from(*int) {
                Ok(int) => Value::Int(int),
                Err(_) => Value::Uint(u64::try_from(*int).unwrap_or(u64::MAX)),
            },
            Self::String(text) => Value::String(text.clone()),
        }
    }

    fn ordered(&self) -> (u8, i128, Cow<'_, str>) {
        match self {
            Self::Bool(bool) => (0, (*bool).into(), Cow::Borrowed("")),
            Self::Int(int) => (1, *int, Cow::Borrowed("")),
            Self::String(text) => (2, 0, Cow::Borrowed(text)),
        }
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.ordered() == other.ordered()
    }
}

impl Eq for Key<'_> {}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.ordered().cmp(&other.ordered())
    }
}

impl std::fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(bool) => bool.fmt(f),
            Self::Int(int) => int.fmt(f),
            Self::String(text) => f.write_str(text),
        }
    }
}
