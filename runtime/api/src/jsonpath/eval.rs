//! Applying a parsed template to an object.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Comparison, Filter, JsonPathError, Node, Operand, Step};

/// What a template gives, piece by piece.
pub(super) enum Piece<'t, 'v> {
    Text(&'t str),
    Values(Vec<&'v Value>),
}

pub(super) fn visit<'t, 'v>(
    nodes: &'t [Node],
    current: &'v Value,
    emit: &mut dyn FnMut(Piece<'t, 'v>),
) -> Result<(), JsonPathError> {
    for node in nodes {
        match node {
            Node::Text(text) => emit(Piece::Text(text)),
            Node::Path(steps) => emit(Piece::Values(select(steps, current)?)),
            Node::Range(steps, body) => {
                for value in select(steps, current)? {
                    visit(body, value, emit)?;
                }
            }
        }
    }
    Ok(())
}

fn select<'v>(steps: &[Step], current: &'v Value) -> Result<Vec<&'v Value>, JsonPathError> {
    let mut values = vec![current];
    let mut recursive = false;
    for step in steps {
        let mut next = Vec::new();
        for value in values {
            match apply(step, value, &mut next) {
                // Below `..` most values are of another shape than the step after it expects.
                Err(_) if recursive => {}
                result => result?,
            }
        }
        recursive = matches!(step, Step::Recursive);
        values = next;
    }
    Ok(values)
}

fn apply<'v>(step: &Step, value: &'v Value, found: &mut Vec<&'v Value>) -> Result<(), JsonPathError> {
    match step {
        Step::Field(name) => found.extend(value.get(name)),
        Step::Wildcard => found.extend(children(value)),
        Step::Recursive => descend(value, found),
        Step::Index(index) => found.extend(item(value, *index)?),
        Step::Slice { start, end, step } => found.extend(slice(value, *start, *end, *step)?),
        Step::Union(paths) => {
            for path in paths {
                found.extend(select(path, value)?);
            }
        }
        Step::Filter(filter) => {
            for child in list(value)? {
                if holds(filter, child)? {
                    found.push(child);
                }
            }
        }
    }
    Ok(())
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    }
}

fn descend<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    found.push(value);
    for child in children(value) {
        descend(child, found);
    }
}

fn list(value: &Value) -> Result<&[Value], JsonPathError> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Null => Ok(&[]),
        other => Err(JsonPathError::NotAList(other.to_string())),
    }
}

fn item(value: &Value, index: i64) -> Result<Option<&Value>, JsonPathError> {
    let items = list(value)?;
    if value.is_null() {
        return Ok(None);
    }
    let length = items.len();
    let at = from_end(index, length);
    let found = usize::try_from(at).ok().and_then(|at| items.get(at));
    found.map(Some).ok_or(JsonPathError::OutOfBounds { index, length })
}

fn slice(value: &Value, start: Option<i64>, end: Option<i64>, step: i64) -> Result<Vec<&Value>, JsonPathError> {
    let items = list(value)?;
    let clamp = |index: i64| usize::try_from(from_end(index, items.len())).unwrap_or(0).min(items.len());
    let (start, end) = (clamp(start.unwrap_or(0)), end.map_or(items.len(), clamp));
    let step = usize::try_from(step).unwrap_or(1).max(1);
    Ok(items.get(start..end).unwrap_or_default().iter().step_by(step).collect())
}

fn from_end(index: i64, length: usize) -> i64 {
    if index < 0 { index.saturating_add_unsigned(length as u64) } else { index }
}

fn holds(filter: &Filter, value: &Value) -> Result<bool, JsonPathError> {
    let left = operand(&filter.left, value)?;
    let Some((comparison, right)) = &filter.test else { return Ok(left.is_some()) };
    let (Some(left), Some(right)) = (left, operand(right, value)?) else { return Ok(false) };
    let ordering = compare(left, right);
    Ok(match comparison {
        Comparison::Equal => ordering == Some(Ordering::Equal),
        Comparison::NotEqual => ordering != Some(Ordering::Equal),
        Comparison::Less => ordering == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => ordering == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
    })
}

fn operand<'v>(operand: &'v Operand, value: &'v Value) -> Result<Option<&'v Value>, JsonPathError> {
    match operand {
        Operand::Literal(literal) => Ok(Some(literal)),
        Operand::Path(steps) => Ok(select(steps, value)?.first().copied()),
    }
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
        },
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (left, right) => (left == right).then_some(Ordering::Equal),
    }
}
