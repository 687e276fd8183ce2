//! What the functions of expressions do, one file for each library.

mod arithmetic;
mod authorization;
mod convert;
mod format;
mod lists;
mod net;
mod numbers;
mod regexes;
mod semver;
mod strings;
pub(super) mod time;
mod url;

use std::rc::Rc;

use ::regex::Regex;

use super::error::EvalError;
use super::types::Type;
use super::value::{Key, List, Value};

pub use authorization::{Authorizer, Check};
pub(super) use regexes::compiled;
pub use semver::Semver;
pub use url::Url;

pub(super) type Answer<'a> = Result<Value<'a>, EvalError>;

/// A call of a function.
#[derive(Clone, Copy)]
pub(super) struct Call<'p> {
    pub function: &'p str,
    /// Whether its first argument is what it is called on.
    pub member: bool,
    /// The regular expression that it is called with, where the source says it.
    pub regex: Option<&'p Regex>,
}

/// The result of a call.
pub(super) fn call<'a>(call: &Call<'_>, args: &[Value<'a>]) -> Answer<'a> {
    plain(call, args)
        .or_else(|| arithmetic::call(call, args))
        .or_else(|| convert::call(call, args))
        .or_else(|| time::call(call, args))
        .or_else(|| strings::call(call, args))
        .or_else(|| lists::call(call, args))
        .or_else(|| regexes::call(call, args))
        .or_else(|| net::call(call, args))
        .or_else(|| numbers::call(call, args))
        .or_else(|| semver::call(call, args))
        .or_else(|| format::call(call, args))
        .or_else(|| authorization::call(call, args))
        .or_else(|| url::call(call, args))
        .unwrap_or_else(|| Err(EvalError::no_overload()))
}

/// The type of a library that is called `name`.
pub(super) fn type_named(name: &str) -> Option<Type> {
    super::functions::OPAQUE.iter().find(|known| **known == name).map(|known| Type::Opaque(known, None))
}

// Equality, indices, sizes and optional values.
fn plain<'a>(call: &Call<'_>, args: &[Value<'a>]) -> Option<Answer<'a>> {
    Some(match (call.function, args) {
        ("_==_", [a, b]) => a.equals(b).map(Value::Bool),
        ("_!=_", [a, b]) => a.equals(b).map(|equal| Value::Bool(!equal)),
        ("!_", [Value::Bool(bool)]) => Ok(Value::Bool(!bool)),
        ("dyn", [value]) => Ok(value.clone()),
        ("type", [value]) => Ok(Value::Type(value.type_())),
        ("size", [value]) => match value.size() {
            Some(size) => Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX))),
            None => Err(EvalError::no_overload()),
        },
        ("_[_]", [Value::Optional(None), _]) => Ok(Value::Optional(None)),
        ("_[_]", [Value::Optional(Some(of)), index]) => optional(at(of, index)),
        ("_[_]", [of, index]) => at(of, index),
        ("_[?_]", [Value::Optional(None), _]) => Ok(Value::Optional(None)),
        ("_[?_]", [Value::Optional(Some(of)), index]) => optional(at(of, index)),
        ("_[?_]", [of, index]) => optional(at(of, index)),
        ("_?._", [of, Value::String(field)]) => {
            let of = match of {
                Value::Optional(None) => return Some(Ok(Value::Optional(None))),
                Value::Optional(Some(of)) => of,
                of => of,
            };
            match super::eval::present(of, field) {
                Ok(true) => super::eval::select(of, field).map(|value| Value::Optional(Some(Rc::new(value)))),
                Ok(false) => Ok(Value::Optional(None)),
                Err(error) => Err(error),
            }
        }
        ("@in", [value, Value::List(list)]) => list.contains(value).map(Value::Bool),
        ("@in", [value, Value::Map(map)]) => Ok(Value::Bool(Key::of(value).is_some_and(|key| map.get(&key).is_some()))),
        ("optional.of", [value]) => Ok(Value::Optional(Some(Rc::new(value.clone())))),
        ("optional.none", []) => Ok(Value::Optional(None)),
        ("optional.ofNonZeroValue", [value]) => {
            Ok(Value::Optional(if is_zero(value) { None } else { Some(Rc::new(value.clone())) }))
        }
        ("value", [Value::Optional(value)]) => match value {
            Some(value) => Ok(Value::clone(value)),
            None => Err(EvalError::new("optional.none() dereference")),
        },
        ("hasValue", [Value::Optional(value)]) => Ok(Value::Bool(value.is_some())),
        _ => return None,
    })
}

fn at<'a>(of: &Value<'a>, index: &Value<'a>) -> Answer<'a> {
    match of {
        Value::List(list) => {
            let whole = match Key::of(index) {
                Some(Key::Int(whole)) => whole,
                _ => return Err(EvalError::new(format!("unsupported index type '{}' in list", index.type_()))),
            };
            let found = usize::try_from(whole).ok().and_then(|index| list.get(index));
            found.unwrap_or_else(|| Err(EvalError::new(format!("index out of bounds: {whole}"))))
        }
        Value::Map(map) => {
            let key = Key::of(index).ok_or_else(EvalError::no_overload)?;
            map.get(&key).unwrap_or_else(|| Err(EvalError::no_key(&key.to_string())))
        }
        Value::Lazy(_) => match index {
            Value::String(name) => super::eval::select(of, name),
            _ => Err(EvalError::no_overload()),
        },
        _ => Err(EvalError::no_overload()),
    }
}

// What is not there is no error.
fn optional(answer: Answer<'_>) -> Answer<'_> {
    match answer {
        Ok(Value::Optional(value)) => Ok(Value::Optional(value)),
        Ok(value) => Ok(Value::Optional(Some(Rc::new(value)))),
        Err(EvalError::Failed(why)) if why.starts_with("no such key") || why.starts_with("index out of bounds") => {
            Ok(Value::Optional(None))
        }
        Err(error) => Err(error),
    }
}

fn is_zero(value: &Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(bool) => !bool,
        Value::Int(int) => *int == 0,
        Value::Uint(uint) => *uint == 0,
        Value::Double(double) => *double == 0.0,
        Value::Duration(nanos) => *nanos == 0,
        value => value.size() == Some(0),
    }
}

/// The items of a list that are all texts.
fn texts<'a>(list: &List<'a>) -> Result<Vec<super::value::Text<'a>>, EvalError> {
    list.iter()
        .map(|item| match item? {
            Value::String(text) => Ok(text),
            _ => Err(EvalError::no_overload()),
        })
        .collect()
}
