//! Where results and remarks go: standard output and standard error, or a test's buffers.

use std::fmt::Display;
use std::io::{self, Write};

/// The two streams of a command.
pub(crate) struct Console {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
}

impl Console {
    /// The process' own streams.
    pub(crate) fn standard() -> Self {
        Self { out: Box::new(io::stdout()), err: Box::new(io::stderr()) }
    }

    #[cfg(test)]
    pub(crate) fn to(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        Self { out: Box::new(out), err: Box::new(err) }
    }

    /// A line of the result.
    pub(crate) fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// A part of the result as it is.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }

    /// A part of what a container wrote to its standard error, as it is.
    pub(crate) fn raw_err(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.err.write_all(bytes)?;
        self.err.flush()
    }

    /// A line for people: progress, warnings, errors. Never part of the result.
    pub(crate) fn note(&mut self, text: impl Display) {
        // With nobody to read it there is nobody to tell.
        let _ = writeln!(self.err, "{text}");
    }
}
