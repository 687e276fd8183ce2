//! What a call costs, by the sizes of what it works on (`cel-go`, `interpreter/runtimecost.go`;
//! `k8s.io/apiserver/pkg/cel/library/cost.go`).

use super::value::{List, Map, Value};

/// Of going through a text, for each character.
pub(super) const TRAVERSAL: f64 = 0.1;
/// Of a regular expression, for each character.
pub(super) const REGEX: f64 = 0.25;
/// Of calling a function that makes a list.
pub(super) const NEW_LIST: u64 = 11;
/// Of comparing an item of a list with another, and the order of texts.
pub(super) const COMPARISON: f64 = 2.0;
/// Of a question to the authorizer.
pub(super) const AUTHORIZATION: u64 = 350_000;

/// The cost of calling `function` on `args`; `None` when the result says it.
pub(super) fn before(function: &str, args: &[Value<'_>]) -> Option<u64> {
    let size = |index: usize| args.get(index).and_then(Value::size).unwrap_or(1);
    let traversed = |index: usize, factor: f64| scaled(size(index), factor * TRAVERSAL);
    let is_text = |index: usize| matches!(args.get(index), Some(Value::String(_) | Value::Bytes(_)));
    Some(match function {
        "check" => AUTHORIZATION,
        "join" | "slice" => return None,
        // Before it is made: it is made of nothing.
        "lists.range" => match args {
            [Value::Int(count)] => u64::try_from(*count).unwrap_or(0).saturating_add(NEW_LIST),
            _ => 1,
        },
        "reverse" => size(0).saturating_add(NEW_LIST),
        "flatten" => {
            let depth = match args.get(1) {
                Some(Value::Int(depth)) => u64::try_from(*depth).unwrap_or(0),
                _ => 1,
            };
            size(0).saturating_mul(depth).saturating_add(NEW_LIST)
        }
        "distinct" | "sort" => compared(args.first()),
        "@sortByAssociatedKeys" => compared(args.get(1)),
        "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => {
            args.first().map_or(0, |arg| traversal(arg, 0))
        }
        "url"
        | "lowerAscii"
        | "upperAscii"
        | "substring"
        | "trim"
        | "cidr"
        | "isIP"
        | "isCIDR"
        | "quantity"
        | "isQuantity"
        | "semver"
        | "isSemver"
        | "jsonpatch.escapeKey" => traversed(0, 1.0),
        "replace" | "split" | "ip.isCanonical" | "strings.quote" => traversed(0, 2.0),
        "ip" if is_text(0) => traversed(0, 1.0),
        "validate" => traversed(1, 1.0).max(1),
        "find" | "findAll" | "matches" => {
            scaled(size(0).saturating_add(1), TRAVERSAL).saturating_mul(scaled(size(1), REGEX))
        }
        "contains" => traversed(0, 1.0).saturating_mul(traversed(1, 1.0)),
        "containsIP" => traversed(0, 2.0) + if is_text(1) { traversed(1, 1.0) } else { 0 },
        "containsCIDR" => traversed(0, 2.0) + traversed(0, 1.0) + 1 + if is_text(1) { traversed(1, 1.0) } else { 0 },
        "startsWith" | "endsWith" => traversed(0, 1.0),
        "bytes" | "string" if is_text(0) => traversed(0, 1.0),
        "@in" if matches!(args.get(1), Some(Value::List(_))) => size(1),
        "_<_" | "_<=_" | "_>_" | "_>=_" if is_text(0) => scaled(size(0).min(size(1)), TRAVERSAL),
        "_==_" | "_!=_" => scaled(size(0).min(size(1)), TRAVERSAL),
        "_+_" if is_text(0) => scaled(size(0).saturating_add(size(1)), TRAVERSAL),
        "sets.contains" | "sets.intersects" => 1 + size(0).saturating_mul(size(1)),
        "sets.equivalent" => 1 + 2 * size(0).saturating_mul(size(1)),
        "format" => traversed(0, 1.0).max(1),
        _ => 1,
    })
}

/// The cost of a call that gave `result`, where that says it.
pub(super) fn after(function: &str, result: &Value<'_>) -> Option<u64> {
    let size = result.size().unwrap_or(1);
    match function {
        "join" => Some(scaled(size, 2.0 * TRAVERSAL)),
        "slice" => Some(size.saturating_add(NEW_LIST)),
        _ => None,
    }
}

/// Of comparing each item of a list with each other.
fn compared(list: Option<&Value<'_>>) -> u64 {
    let Some(Value::List(list)) = list else { return NEW_LIST };
    let size = list.len() as u64;
    let texts = matches!(list.get(0), Some(Ok(Value::String(_) | Value::Bytes(_))));
    let factor = if texts { COMPARISON + TRAVERSAL } else { COMPARISON };
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "as upstream reckons; it saturates"
    )]
    let cost = (size.saturating_mul(size) as f64 * factor) as u64;
    cost.saturating_add(NEW_LIST)
}

/// A size times a factor, rounded up.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "costs are estimates; it saturates"
)]
pub(super) fn scaled(size: u64, factor: f64) -> u64 {
    (size as f64 * factor).ceil() as u64
}

// Of all that is in it.
fn traversal(value: &Value<'_>, depth: usize) -> u64 {
    if depth > 64 {
        return 1;
    }
    let item = |item: Result<Value<'_>, _>| item.map_or(1, |item| traversal(&item, depth + 1));
    match value {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate"
        )]
        Value::String(text) => (text.len() as f64 * TRAVERSAL) as u64,
        Value::Bytes(bytes) => (bytes.len() / 10) as u64,
        Value::List(List::Json(items, _)) if items.len() > 100_000 => items.len() as u64,
        Value::List(list) => list.iter().map(item).sum(),
        Value::Map(map @ (Map::Json(..) | Map::Made(_))) => {
            map.keys().iter().map(|key| traversal(&key.value(), depth + 1) + map.get(key).map_or(0, item)).sum()
        }
        _ => 1,
    }
}
