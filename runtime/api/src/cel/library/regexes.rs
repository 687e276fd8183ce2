//! Regular expressions.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

use super::{Answer, Call};
use crate::cel::error::EvalError;
use crate::cel::value::Value;

/// More than this a compiled expression may not take, in bytes.
const MOST: usize = 1 << 20;

/// Compiles `pattern`.
///
/// # Errors
/// When it is none, or too large.
pub(in crate::cel) fn compiled(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(MOST).build()
}

pub(super) fn call<'a>(call: &Call<'_>, args: &[Value<'a>]) -> Option<Answer<'a>> {
    let (text, pattern, rest) = match args {
        [Value::String(text), Value::String(pattern), rest @ ..] => (text, pattern, rest),
        _ => return None,
    };
    if !matches!(call.function, "matches" | "find" | "findAll") {
        return None;
    }
    let regex = match call.regex {
        Some(regex) => Cow::Borrowed(regex),
        None => match compiled(pattern) {
            Ok(regex) => Cow::Owned(regex),
            Err(error) => return Some(Err(EvalError::new(format!("Illegal regex: {error}")))),
        },
    };
    Some(Ok(match (call.function, rest) {
        ("matches", []) => Value::Bool(regex.is_match(text)),
        ("find", []) => Value::text(regex.find(text).map_or("", |found| found.as_str())),
        ("findAll", []) => all(&regex, text, -1),
        ("findAll", [Value::Int(count)]) => all(&regex, text, *count),
        _ => return None,
    }))
}

fn all<'a>(regex: &Regex, text: &str, count: i64) -> Value<'a> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    Value::list(regex.find_iter(text).take(most).map(|found| Value::text(found.as_str())).collect())
}
