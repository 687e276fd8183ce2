//! `trimtab completion`.

use anyhow::Result;
use clap::{Args, Command};
use clap_complete::Shell;

use crate::console::Console;

/// Output shell completion code for the specified shell
#[derive(Args, Clone, Debug)]
pub(crate) struct Completion {
    /// The shell
    shell: Shell,
}

/// Runs the command for the program that `command` describes.
pub(crate) fn run(args: &Completion, mut command: Command, mut console: Console) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "trimtab", &mut script);
    console.raw(&script)?;
    Ok(0)
}
