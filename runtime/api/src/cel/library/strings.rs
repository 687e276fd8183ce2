//! Functions of texts. Places are counted in characters.

use super::{Answer, Call, format, texts};
use crate::cel::error::EvalError;
use crate::cel::value::Value;

pub(super) fn call<'a>(call: &Call<'_>, args: &[Value<'a>]) -> Option<Answer<'a>> {
    let text = |text: String| Some(Ok(Value::text(text)));
    let bool = |bool| Some(Ok(Value::Bool(bool)));
    match (call.function, args) {
        ("contains", [Value::String(of), Value::String(what)]) => bool(of.contains(&**what)),
        ("startsWith", [Value::String(of), Value::String(what)]) => bool(of.starts_with(&**what)),
        ("endsWith", [Value::String(of), Value::String(what)]) => bool(of.ends_with(&**what)),
        ("charAt", [Value::String(of), Value::Int(index)]) => Some(char_at(of, *index)),
        ("indexOf", [Value::String(of), Value::String(what)]) => Some(index_of(of, what, 0)),
        ("indexOf", [Value::String(of), Value::String(what), Value::Int(from)]) => Some(index_of(of, what, *from)),
        ("lastIndexOf", [Value::String(of), Value::String(what)]) => Some(last_index_of(of, what, None)),
        ("lastIndexOf", [Value::String(of), Value::String(what), Value::Int(from)]) => {
            Some(last_index_of(of, what, Some(*from)))
        }
        ("join", [Value::List(list)]) => Some(texts(list).map(|texts| Value::text(joined(&texts, "")))),
        ("join", [Value::List(list), Value::String(by)]) => {
            Some(texts(list).map(|texts| Value::text(joined(&texts, by))))
        }
        ("lowerAscii", [Value::String(of)]) => text(of.to_ascii_lowercase()),
        ("upperAscii", [Value::String(of)]) => text(of.to_ascii_uppercase()),
        ("trim", [Value::String(of)]) => text(of.trim().to_owned()),
        ("replace", [Value::String(of), Value::String(what), Value::String(with)]) => text(of.replace(&**what, with)),
        ("replace", [Value::String(of), Value::String(what), Value::String(with), Value::Int(count)]) => {
            match usize::try_from(*count) {
                Ok(count) => text(of.replacen(&**what, with, count)),
                Err(_) => text(of.replace(&**what, with)),
            }
        }
        ("split", [Value::String(of), Value::String(by)]) => Some(Ok(split(of, by, -1))),
        ("split", [Value::String(of), Value::String(by), Value::Int(count)]) => Some(Ok(split(of, by, *count))),
        ("substring", [Value::String(of), Value::Int(from)]) => {
            Some(substring(of, *from, i64::try_from(of.chars().count()).unwrap_or(i64::MAX)))
        }
        ("substring", [Value::String(of), Value::Int(from), Value::Int(to)]) => Some(substring(of, *from, *to)),
        ("strings.quote", [Value::String(of)]) => text(quoted(of)),
        ("format", [Value::String(of), Value::List(args)]) => Some(format::formatted(of, args)),
        ("jsonpatch.escapeKey", [Value::String(of)]) => text(of.replace('~', "~0").replace('/', "~1")),
        _ => None,
    }
}

fn joined(texts: &[crate::cel::value::Text<'_>], by: &str) -> String {
    texts.iter().map(|text| &**text).collect::<Vec<&str>>().join(by)
}

fn out_of_range<'a>(index: i64) -> Answer<'a> {
    Err(EvalError::new(format!("index out of range: {index}")))
}

fn char_at<'a>(of: &str, index: i64) -> Answer<'a> {
    let Ok(at) = usize::try_from(index) else { return out_of_range(index) };
    match of.chars().nth(at) {
        Some(c) => Ok(Value::text(c.to_string())),
        None if at == of.chars().count() => Ok(Value::text("")),
        None => out_of_range(index),
    }
}

fn counted(bytes_before: &str) -> i64 {
    i64::try_from(bytes_before.chars().count()).unwrap_or(i64::MAX)
}

/// The byte at which the character `index` begins.
fn byte_of(of: &str, index: i64) -> Option<usize> {
    let index = usize::try_from(index).ok()?;
    of.char_indices().map(|(at, _)| at).chain([of.len()]).nth(index)
}

fn index_of<'a>(of: &str, what: &str, from: i64) -> Answer<'a> {
    if what.is_empty() {
        return Ok(Value::Int(from));
    }
    let Some(start) = byte_of(of, from) else {
        return if from < 0 { out_of_range(from) } else { Ok(Value::Int(-1)) };
    };
    Ok(Value::Int(of[start..].find(what).map_or(-1, |at| counted(&of[..start + at]))))
}

fn last_index_of<'a>(of: &str, what: &str, from: Option<i64>) -> Answer<'a> {
    let length = counted(of);
    let from = from.unwrap_or(length);
    if from < 0 || (from > length) {
        return out_of_range(from);
    }
    if what.is_empty() {
        return Ok(Value::Int(from));
    }
    let start = byte_of(of, from).unwrap_or(of.len());
    let end = (start + what.len()).min(of.len());
    let end = (end..=of.len()).find(|end| of.is_char_boundary(*end)).unwrap_or(of.len());
    Ok(Value::Int(of[..end].rfind(what).map_or(-1, |at| counted(&of[..at]))))
}

fn split<'a>(of: &str, by: &str, count: i64) -> Value<'a> {
    let parts: Vec<&str> = match usize::try_from(count) {
        Ok(0) => Vec::new(),
        _ if by.is_empty() => {
            let most = usize::try_from(count).unwrap_or(usize::MAX);
            let mut parts: Vec<&str> = of.split("").filter(|part| !part.is_empty()).collect();
            if parts.len() > most {
                let kept: usize = parts[..most - 1].iter().map(|part| part.len()).sum();
                parts.truncate(most - 1);
                parts.push(&of[kept..]);
            }
            parts
        }
        Ok(most) => of.splitn(most, by).collect(),
        Err(_) => of.split(by).collect(),
    };
    Value::list(parts.into_iter().map(Value::text).collect())
}

fn substring<'a>(of: &str, from: i64, to: i64) -> Answer<'a> {
    if from > to {
        return Err(EvalError::new(format!("invalid substring range. start: {from}, end: {to}")));
    }
    match (byte_of(of, from), byte_of(of, to)) {
        (Some(start), Some(end)) => Ok(Value::text(&of[start..end])),
        (None, _) => out_of_range(from),
        (_, None) => out_of_range(to),
    }
}

fn quoted(of: &str) -> String {
    let mut quoted = String::with_capacity(of.len() + 2);
    quoted.push('"');
    for c in of.chars() {
        match c {
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
