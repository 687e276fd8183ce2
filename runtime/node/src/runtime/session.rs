//! Streams: logs, exec and attach.

use std::pin::Pin;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::io::AsyncWrite;

use super::Result;

/// A piece of what a process wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// On its standard output, or its terminal.
    Stdout(Bytes),
    /// On its standard error.
    Stderr(Bytes),
}

impl Output {
    /// The bytes, whichever stream they came on.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Stdout(bytes) | Self::Stderr(bytes) => bytes,
        }
    }
}

/// Which part of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on as long as the container runs.
    pub follow: bool,
    /// Only so many lines from the end.
    pub tail: Option<u64>,
    /// Only from this time on.
    pub since: Option<Timestamp>,
    /// Begin each line with its time, RFC 3339 with nanoseconds.
    pub timestamps: bool,
}

/// What to run, and which streams to connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Connect standard input.
    pub stdin: bool,
    /// Connect standard output.
    pub stdout: bool,
    /// Connect standard error; with a terminal it is part of standard output.
    pub stderr: bool,
    /// Give it a terminal.
    pub tty: bool,
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// The writing end of a process's standard input.
pub type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// A running command.
pub struct Session {
    /// Its standard input; closing it is the end of the input.
    pub input: Option<Input>,
    /// What it writes; ends when it does.
    pub output: BoxStream<'static, Result<Output>>,
    /// Tells it the size of its terminal.
    pub resize: Box<dyn Fn(TerminalSize) -> BoxFuture<'static, Result<()>> + Send + Sync>,
    /// Its exit code; ask once the output has ended.
    pub exit: BoxFuture<'static, Result<i32>>,
}
