//! Semantic versions (<https://semver.org>).

use std::cmp::Ordering;
use std::rc::Rc;

use super::{Answer, Call};
use crate::cel::error::EvalError;
use crate::cel::value::Value;

/// A version. What stands behind `+` does not count.
#[derive(Clone, Debug)]
pub struct Semver {
    numbers: [u64; 3],
    before: Vec<String>,
}

impl Semver {
    /// Reads a version. A lenient one may begin with `v`, have leading zeros, and lack its last
    /// numbers.
    fn parse(text: &str, lenient: bool) -> Result<Self, &'static str> {
        let text = if lenient { text.trim().strip_prefix('v').unwrap_or(text.trim()) } else { text };
        let (version, build) = text.split_once('+').map_or((text, None), |(version, build)| (version, Some(build)));
        let (numbers, before) = version.split_once('-').map_or((version, None), |(n, before)| (n, Some(before)));
        let given: Vec<&str> = numbers.split('.').collect();
        if given.len() > 3 || (given.len() < 3 && (!lenient || before.is_some() || build.is_some())) {
            return Err("No Major.Minor.Patch elements found");
        }
        let mut parsed = [0; 3];
        for (number, text) in parsed.iter_mut().zip(given) {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            if !digits || (text.len() > 1 && text.starts_with('0') && !lenient) {
                return Err("Invalid character(s) found in a version number");
            }
            *number = text.parse().map_err(|_| "a version number is too large")?;
        }
        let word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let before: Vec<&str> = before.map_or_else(Vec::new, |before| before.split('.').collect());
        let zeros = |word: &&str| word.len() > 1 && word.starts_with('0') && word.bytes().all(|b| b.is_ascii_digit());
        if !before.iter().all(word) || before.iter().any(zeros) {
            return Err("Invalid character(s) found in prerelease");
        }
        if !build.is_none_or(|build| build.split('.').all(|part| word(&part))) {
            return Err("Invalid character(s) found in build meta data");
        }
        Ok(Self { numbers: parsed, before: before.into_iter().map(str::to_owned).collect() })
    }

    fn order(&self, other: &Self) -> Ordering {
        let numbers = self.numbers.cmp(&other.numbers);
        numbers.then_with(|| match (self.before.is_empty(), other.before.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => {
                let pairs = self.before.iter().zip(&other.before);
                let differ = pairs.map(|(a, b)| word_order(a, b)).find(|order| order.is_ne());
                differ.unwrap_or_else(|| self.before.len().cmp(&other.before.len()))
            }
        })
    }
}

// Numbers are by amount, and before words.
fn word_order(a: &str, b: &str) -> Ordering {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        _ => a.cmp(b),
    }
}

impl PartialEq for Semver {
    fn eq(&self, other: &Self) -> bool {
        self.order(other).is_eq()
    }
}

pub(super) fn call<'a>(call: &Call<'_>, args: &[Value<'a>]) -> Option<Answer<'a>> {
    let number = |version: &Semver, place: usize| {
        Some(Ok(Value::Int(i64::try_from(version.numbers[place]).unwrap_or(i64::MAX))))
    };
    let (text, lenient) = match args {
        [Value::String(text)] => (Some(text), false),
        [Value::String(text), Value::Bool(lenient)] => (Some(text), *lenient),
        _ => (None, false),
    };
    match (call.function, args) {
        ("semver", _) => Some(match Semver::parse(text?, lenient) {
            Ok(version) => Ok(Value::Semver(Rc::new(version))),
            Err(why) => Err(EvalError::new(why)),
        }),
        ("isSemver", _) => Some(Ok(Value::Bool(Semver::parse(text?, lenient).is_ok()))),
        ("major", [Value::Semver(version)]) => number(version, 0),
        ("minor", [Value::Semver(version)]) => number(version, 1),
        ("patch", [Value::Semver(version)]) => number(version, 2),
        ("isGreaterThan", [Value::Semver(a), Value::Semver(b)]) => Some(Ok(Value::Bool(a.order(b).is_gt()))),
        ("isLessThan", [Value::Semver(a), Value::Semver(b)]) => Some(Ok(Value::Bool(a.order(b).is_lt()))),
        ("compareTo", [Value::Semver(a), Value::Semver(b)]) => Some(Ok(Value::Int(a.order(b) as i64))),
        _ => None,
    }
}
