//! Output: results to stdout, everything else to stderr.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use serde_json::Value;

/// Whether stderr may be coloured (<https://no-color.org>).
pub(crate) fn colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stderr().is_terminal()
}

/// One line of a result. A closed pipe ends the program quietly, as it does with `head`.
pub(crate) fn line(text: impl Display) {
    if writeln!(std::io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// A result as it is.
pub(crate) fn raw(bytes: &[u8]) {
    let mut out = std::io::stdout();
    if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// One line about what goes on.
pub(crate) fn note(text: impl Display) {
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// An error with its causes; a server's error as kubectl prints it.
pub(crate) fn error(error: &anyhow::Error) {
    let api = error.downcast_ref::<trimtab_client::Error>().and_then(|error| error.api());
    match api {
        Some(api) if api.reason().is_empty() => note(format_args!("Error from server: {api}")),
        Some(api) => note(format_args!("Error from server ({}): {api}", api.reason())),
        None => {
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            note(format_args!("error: {}", causes.join(": ")));
        }
    }
}

/// Plain columns, as kubectl prints them: three blanks between, headings in capitals.
pub(crate) fn table(headings: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let headings: Vec<String> = headings.iter().map(|heading| heading.to_uppercase()).collect();
    let render = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("   ").trim_end().to_owned()
    };
    std::iter::once(&headings).chain(rows).map(render).collect()
}

/// A cell's text.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<none>".to_owned(),
        other => other.to_string(),
    }
}
