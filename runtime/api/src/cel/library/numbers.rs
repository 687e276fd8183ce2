//! Quantities.

use super::{Answer, Call};
use crate::cel::error::EvalError;
use crate::cel::value::Value;
use crate::quantity::Quantity;

pub(super) fn call<'a>(call: &Call<'_>, args: &[Value<'a>]) -> Option<Answer<'a>> {
    let units = |int: &i64| Quantity::from_units(*int);
    Some(Ok(match (call.function, args) {
        ("quantity", [Value::String(text)]) => match Quantity::parse(text) {
            Ok(quantity) => Value::Quantity(quantity),
            Err(error) => return Some(Err(EvalError::new(error.to_string()))),
        },
        ("isQuantity", [Value::String(text)]) => Value::Bool(Quantity::parse(text).is_ok()),
        ("sign", [Value::Quantity(quantity)]) => {
            Value::Int(i64::from(!quantity.is_zero()) - 2 * i64::from(quantity.is_negative()))
        }
        ("isInteger", [Value::Quantity(quantity)]) => Value::Bool(quantity.is_whole()),
        ("asInteger", [Value::Quantity(quantity)]) if quantity.is_whole() => Value::Int(quantity.units()),
        ("asInteger", [Value::Quantity(_)]) => {
            return Some(Err(EvalError::new("cannot convert value to integer")));
        }
        ("asApproximateFloat", [Value::Quantity(quantity)]) => Value::Double(quantity.approximately()),
        ("add", [Value::Quantity(a), Value::Quantity(b)]) => Value::Quantity(*a + *b),
        ("add", [Value::Quantity(a), Value::Int(b)]) => Value::Quantity(*a + units(b)),
        ("sub", [Value::Quantity(a), Value::Quantity(b)]) => Value::Quantity(*a - *b),
        ("sub", [Value::Quantity(a), Value::Int(b)]) => Value::Quantity(*a - units(b)),
        ("isGreaterThan", [Value::Quantity(a), Value::Quantity(b)]) => Value::Bool(a > b),
        ("isLessThan", [Value::Quantity(a), Value::Quantity(b)]) => Value::Bool(a < b),
        ("compareTo", [Value::Quantity(a), Value::Quantity(b)]) => Value::Int(a.cmp(b) as i64),
        _ => return None,
    }))
}
