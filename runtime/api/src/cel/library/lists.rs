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
        ("slice", [Value::List(list), Value::Int(from), Value::Int(to)]) => slice(list, *from, *to),
        ("flatten", [Value::List(list)]) => flattened(list, 1).map(Value::list),
        ("flatten", [Value::List(list), Value::Int(depth)]) => match usize::try_from(*depth) {
            Ok(depth) => flattened(list, depth).map(Value::list),
            Err(_) => Err(EvalError::new("level must be non-negative")),
        },
        ("reverse", [Value::List(list)]) => items(list).map(|items| Value::list(items.into_iter().rev().collect())),
        ("distinct", [Value::List(list)]) => distinct(list),
        ("sort", [Value::List(list)]) => sorted(list, list),
        ("@sortByAssociatedKeys", [Value::List(list), Value::List(keys)]) => sorted(list, keys),
        ("lists.range", [Value::Int(count)]) => match *count {
            ..0 => Err(EvalError::new(format!("lists.range: size must be non-negative, got {count}"))),
            // What it costs is less than more of it would.
            count => Ok(Value::list((0..count).map(Value::Int).collect())),
        },
        ("sets.contains", [Value::List(list), Value::List(part)]) => contains_all(list, part).map(Value::Bool),
        ("sets.equivalent", [Value::List(a), Value::List(b)]) => {
            contains_all(a, b).and_then(|all| Ok(Value::Bool(all && contains_all(b, a)?)))
        }
        ("sets.intersects", [Value::List(a), Value::List(b)]) => intersects(a, b).map(Value::Bool),
        _ => return None,
    })
}

fn items<'a>(list: &List<'a>) -> Result<Vec<Value<'a>>, EvalError> {
    list.iter().collect()
}

fn slice<'a>(list: &List<'a>, from: i64, to: i64) -> Answer<'a> {
    let failed = |why: String| Err(EvalError::new(format!("cannot slice({from}, {to}), {why}")));
    let (Ok(first), Ok(end)) = (usize::try_from(from), usize::try_from(to)) else {
        return failed("negative indexes not supported".to_owned());
    };
    if first > end {
        return failed("start index must be less than or equal to end index".to_owned());
    }
    if list.len() < end {
        return failed(format!("list is length {}", list.len()));
    }
    let items: Result<_, _> = list.iter().skip(first).take(end - first).collect();
    items.map(Value::list)
}

fn flattened<'a>(list: &List<'a>, depth: usize) -> Result<Vec<Value<'a>>, EvalError> {
    let mut all = Vec::new();
    for item in list.iter() {
        match item? {
            Value::List(inner) if depth > 0 => all.extend(flattened(&inner, depth - 1)?),
            item => all.push(item),
        }
    }
    Ok(all)
}

fn distinct<'a>(list: &List<'a>) -> Answer<'a> {
    let mut found: Vec<Value<'a>> = Vec::new();
    for item in list.iter() {
        let item = item?;
        // What cannot be compared is another.
        if !found.iter().any(|other| item.equals(other) == Ok(true)) {
            found.push(item);
        }
    }
    Ok(Value::list(found))
}

/// The items of `list` in the order of `keys`, of which each has one.
fn sorted<'a>(list: &List<'a>, keys: &List<'a>) -> Answer<'a> {
    let (items, keys) = (items(list)?, items(keys)?);
    let Some(first) = keys.first() else { return Ok(Value::list(items)) };
    if arithmetic::order(first, first).is_none() {
        return Err(EvalError::new("list elements must be comparable"));
    }
    let type_ = first.type_();
    if keys.iter().any(|key| key.type_() != type_) {
        return Err(EvalError::new("list elements must have the same type"));
    }
    let mut pairs: Vec<_> = keys.into_iter().zip(items).collect();
    pairs.sort_by(|(a, _), (b, _)| arithmetic::order(a, b).unwrap_or(std::cmp::Ordering::Equal));
    Ok(Value::list(pairs.into_iter().map(|(_, item)| item).collect()))
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
