//! Where a source is wrong, as upstream shows it (`cel-go`, `common/errors.go`).

use std::fmt::Write as _;

/// One thing that is wrong with a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// The byte of the source it begins at.
    pub at: usize,
    pub message: String,
}

impl Problem {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// More than these are not told.
const MOST: usize = 100;

/// The problems of `source`, each with its line and a mark below its place.
pub(super) fn shown(source: &str, mut problems: Vec<Problem>) -> String {
    problems.sort_by_key(|problem| problem.at);
    problems.truncate(MOST);
    let mut text = String::new();
    for problem in problems {
        let before = &source[..problem.at.min(source.len())];
        let (line, start) = (before.matches('\n').count() + 1, before.rfind('\n').map_or(0, |at| at + 1));
        let column = before[start..].chars().count();
        let shown = source[start..].split('\n').next().unwrap_or_default().replace('\t', " ");
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = write!(
            text,
            "ERROR: <input>:{line}:{}: {}\n | {shown}\n | {}^",
            column + 1,
            problem.message,
            ".".repeat(column)
        );
    }
    text
}
