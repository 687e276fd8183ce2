//! Gives rules to the kernel by running `nft`, and routes by running `ip`.

use std::io;
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::rules::{self, Rules};

/// A system program did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// It could not be run.
    #[error("could not run {program}")]
    Run {
        /// Its name.
        program: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It refused.
    #[error("{program} refused: {message}")]
    Refused {
        /// Its name.
        program: &'static str,
        /// What it wrote to its standard error.
        message: String,
    },
}

/// The table of one cluster, and what it is known to hold.
pub(crate) struct Kernel {
    table: String,
    /// `None` until the first success, and after a failure: the next write replaces everything.
    known: Option<Rules>,
}

impl Kernel {
    pub(crate) fn new(cluster: &str) -> Self {
        Self { table: rules::table_name(cluster), known: None }
    }

    /// Makes the kernel hold `rules`. The first call replaces what an earlier process left, in one
    /// transaction, so connections go on through a restart.
    pub(crate) async fn set(&mut self, rules: Rules) -> Result<(), KernelError> {
        let script = match self.known.take() {
            Some(known) => rules::change(&self.table, &known, &rules),
            None => rules::replace(&self.table, &rules),
        };
        if !script.is_empty() {
            run("nft", &["-f", "-"], &script).await?;
        }
        self.known = Some(rules);
        Ok(())
    }
}

/// Removes the table of `cluster`, if there is one.
pub(crate) async fn remove_table(cluster: &str) -> Result<(), KernelError> {
    let table = rules::table_name(cluster);
    run("nft", &["-f", "-"], &format!("add table ip {table}\ndelete table ip {table}\n")).await
}

/// Makes every address of `cidr` one of this machine's own, so that listeners can be bound to it.
pub(crate) async fn add_local_route(cidr: &str) -> Result<(), KernelError> {
    run("ip", &["route", "replace", "local", cidr, "dev", "lo"], "").await
}

/// Takes back [`add_local_route`].
pub(crate) async fn remove_local_route(cidr: &str) -> Result<(), KernelError> {
    run("ip", &["route", "del", "local", cidr, "dev", "lo"], "").await
}

async fn run(program: &'static str, args: &[&str], input: &str) -> Result<(), KernelError> {
    let failed = |source| KernelError::Run { program, source };
    let output = feed(program, args, input).await.map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(KernelError::Refused { program, message })
}

async fn feed(program: &str, args: &[&str], input: &str) -> io::Result<Output> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    // Where ordinary users do not look for programs, but these two live.
    let path = std::env::var("PATH").unwrap_or_default();
    let mut child = command.env("PATH", format!("{path}:/usr/sbin:/sbin")).spawn()?;
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    child.wait_with_output().await
}
