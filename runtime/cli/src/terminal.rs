//! The user's terminal: raw mode while a remote program has it, and its size.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use rustix::termios::{self, OptionalActions, Termios};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Whether standard input is a terminal.
pub(crate) fn is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// Raw mode, until it is dropped.
pub(crate) struct Raw(Termios);

impl Raw {
    /// Enters raw mode: every key goes to the remote program.
    ///
    /// # Errors
    /// When standard input is no terminal.
    pub(crate) fn enter() -> Result<Self> {
        let before = termios::tcgetattr(std::io::stdin()).context("could not read the terminal's mode")?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(std::io::stdin(), OptionalActions::Flush, &raw).context("could not set raw mode")?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The terminal may be gone; then there is nothing to restore.
        let _ = termios::tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// The sizes of the terminal: its present one, then each new one.
pub(crate) struct Sizes {
    changes: Option<Signal>,
    told: bool,
}

impl Sizes {
    /// Sizes of the terminal; none ever when `tty` is false.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub(crate) fn new(tty: bool) -> Result<Self> {
        let changes = tty.then(|| signal(SignalKind::window_change())).transpose()?;
        Ok(Self { changes, told: false })
    }

    /// The next size in columns and rows. Safe to cancel.
    pub(crate) async fn next(&mut self) -> (u16, u16) {
        let Some(changes) = &mut self.changes else { return std::future::pending().await };
        loop {
            if self.told && changes.recv().await.is_none() {
                return std::future::pending().await;
            }
            self.told = true;
            if let Ok(size) = termios::tcgetwinsize(std::io::stdin()) {
                return (size.ws_col, size.ws_row);
            }
        }
    }
}
