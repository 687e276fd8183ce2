//! Sums, products and order.

use std::cmp::Ordering;

use super::{Answer, Call};
use crate::cel::error::EvalError;
use crate::cel::value::Value;

pub(super) fn call<'a>(call: &Call<'_>, args: &[Value<'a>]) -> Option<Answer<'a>> {
    let overflow = || EvalError::new("return error for overflow");
    let int = |result: Option<i64>| Some(result.map(Value::Int).ok_or_else(overflow));
    let uint = |result: Option<u64>| Some(result.map(Value::Uint).ok_or_else(overflow));
    let by_zero = |what: &str| Some(Err(EvalError::new(format!("{what} by zero"))));
    let function = call.function;
    match (function, args) {
        ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) => {
            let Some(order) = order(a, b) else {
                let numbers = a.number().is_some() && b.number().is_some();
                // Nothing is less than what is no number.
                return Some(if numbers { Ok(Value::Bool(false)) } else { Err(EvalError::no_overload()) });
            };
            Some(Ok(Value::Bool(match function {
                "_<_" => order.is_lt(),
                "_<=_" => order.is_le(),
                "_>_" => order.is_gt(),
                _ => order.is_ge(),
            })))
        }
        ("_+_", [a, b]) => add(a, b),
        ("_-_", [Value::Int(a), Value::Int(b)]) => int(a.checked_sub(*b)),
        ("_-_", [Value::Uint(a), Value::Uint(b)]) => uint(a.checked_sub(*b)),
        ("_-_", [Value::Double(a), Value::Double(b)]) => Some(Ok(Value::Double(a - b))),
        ("_*_", [Value::Int(a), Value::Int(b)]) => int(a.checked_mul(*b)),
        ("_*_", [Value::Uint(a), Value::Uint(b)]) => uint(a.checked_mul(*b)),
        ("_*_", [Value::Double(a), Value::Double(b)]) => Some(Ok(Value::Double(a * b))),
        ("_/_", [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)]) => by_zero("division"),
        ("_/_", [Value::Int(a), Value::Int(b)]) => int(a.checked_div(*b)),
        ("_/_", [Value::Uint(a), Value::Uint(b)]) => uint(a.checked_div(*b)),
        ("_/_", [Value::Double(a), Value::Double(b)]) => Some(Ok(Value::Double(a / b))),
        ("_%_", [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)]) => by_zero("modulus"),
        ("_%_", [Value::Int(a), Value::Int(b)]) => int(a.checked_rem(*b)),
        ("_%_", [Value::Uint(a), Value::Uint(b)]) => uint(a.checked_rem(*b)),
        ("-_", [Value::Int(a)]) => int(a.checked_neg()),
        ("-_", [Value::Double(a)]) => Some(Ok(Value::Double(-a))),
        _ => None,
    }
}

/// The sum of two values, of whatever has one.
pub(super) fn add<'a>(a: &Value<'a>, b: &Value<'a>) -> Option<Answer<'a>> {
    let overflow = || EvalError::new("return error for overflow");
    Some(match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.checked_add(*b).map(Value::Int).ok_or_else(overflow),
        (Value::Uint(a), Value::Uint(b)) => a.checked_add(*b).map(Value::Uint).ok_or_else(overflow),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Value::Duration(a), Value::Duration(b)) => a.checked_add(*b).map(Value::Duration).ok_or_else(overflow),
        (Value::String(a), Value::String(b)) => Ok(Value::text(format!("{}{}", &**a, &**b))),
        (Value::Bytes(a), Value::Bytes(b)) => Ok(Value::Bytes([&**a, &**b].concat().into())),
        (Value::List(a), Value::List(b)) => a.plus(b),
        _ => return None,
    })
}

/// Which of two values is first; `None` where that is not said.
pub(super) fn order(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::String(a), Value::String(b)) => Some((**a).cmp(&**b)),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        _ => a.number()?.order(b.number()?),
    }
}
