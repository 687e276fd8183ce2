//! Functions of lists and sets.

use super::{Answer, Call, arithmetic};
use crate::cel::error::EvalError;
use crate::cel::value::{List, Value};

pub(super) fn call<'a>(call: &Call<'_>, args: &[Value<'a>]) -> Option<Answer<'a>> {
    Some(match (call.function, args) {
        ("isSorted", [Value::List(list)]) => is_sorted(list).map(Value::Bool),
        ("sum", [Value::List(list)]) => sum(list),
        ("min", [Value::List(list)]) => extreme(list, "min"),
        ("max", [Value::List(list)]) => extreme(list, "max"),
        ("indexOf", [Value::List(list), value]) => position(list, value, false),
        ("lastIndexOf", [Value::List(list), value]) => position(list, value, true),
        ("sets.contains", [Value::List(list), Value::List(part)]) => contains_all(list, part).map(Value::Bool),
        ("sets.equivalent", [Value::List(a), Value::List(b)]) => {
            contains_all(a, b).and_then(|all| Ok(Value::Bool(all && contains_all(b, a)?)))
        }
        ("sets.intersects", [Value::List(a), Value::List(b)]) => intersects(a, b).map(Value::Bool),
        _ => return None,
    })
}

fn is_sorted(list: &List<'_>) -> Result<bool, EvalError> {
    let mut before: Option<Value<'_>> = None;
    for item in list.iter() {
        let item = item?;
        if let Some(before) = &before {
            let order = arithmetic::order(before, &item).ok_or_else(EvalError::no_overload)?;
            if order.is_gt() {
                return Ok(false);
            }
        }
        before = Some(item);
    }
    Ok(true)
}

fn sum<'a>(list: &List<'a>) -> Answer<'a> {
    let mut total: Option<Value<'a>> = None;
    for item in list.iter() {
        let item = item?;
        total = Some(match total {
            None => item,
            Some(total) => arithmetic::add(&total, &item).unwrap_or_else(|| Err(EvalError::no_overload()))?,
        });
    }
    Ok(total.unwrap_or(Value::Int(0)))
}

fn extreme<'a>(list: &List<'a>, which: &str) -> Answer<'a> {
    let mut found: Option<Value<'a>> = None;
    for item in list.iter() {
        let item = item?;
        found = Some(match found {
            None => item,
            Some(found) => {
                let order = arithmetic::order(&item, &found).ok_or_else(EvalError::no_overload)?;
                if (which == "min" && order.is_lt()) || (which == "max" && order.is_gt()) { item } else { found }
            }
        });
    }
    found.ok_or_else(|| EvalError::new(format!("{which} called on empty list")))
}

fn position<'a>(list: &List<'a>, value: &Value<'a>, last: bool) -> Answer<'a> {
    let mut found = -1;
    for (index, item) in list.iter().enumerate() {
        if item?.equals(value)? {
            found = i64::try_from(index).unwrap_or(i64::MAX);
            if !last {
                break;
            }
        }
    }
    Ok(Value::Int(found))
}

fn contains_all<'a>(list: &List<'a>, part: &List<'a>) -> Result<bool, EvalError> {
    for item in part.iter() {
        if !list.contains(&item?)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn intersects<'a>(a: &List<'a>, b: &List<'a>) -> Result<bool, EvalError> {
    for item in a.iter() {
        if b.contains(&item?)? {
            return Ok(true);
        }
    }
    Ok(false)
}
