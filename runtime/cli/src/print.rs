//! Output: results to stdout, everything else to stderr.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

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

/// One line about what goes on.
pub(crate) fn note(text: impl Display) {
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}
