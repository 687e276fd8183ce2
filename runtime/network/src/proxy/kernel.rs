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
pub(crate) async fn add_local_route(cluster: &str, cidr: &str) -> Result<(), KernelError> {
    local_route("replace", cluster, cidr).await
}

/// Takes back [`add_local_route`] of the same cluster.
pub(crate) async fn remove_local_route(cluster: &str, cidr: &str) -> Result<(), KernelError> {
    local_route("del", cluster, cidr).await
}

/// Routes that differ in their metric are there side by side: each cluster of a machine has its own.
async fn local_route(change: &str, cluster: &str, cidr: &str) -> Result<(), KernelError> {
    run("ip", &["route", change, "local", cidr, "dev", "lo", "metric", &metric(cluster).to_string()], "").await
}

/// The same for a cluster each time, and none that is usual (FNV-1a).
fn metric(cluster: &str) -> u32 {
    let hash = cluster.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash | 1 << 31
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

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[tokio::test]
    #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
    async fn a_cluster_that_ends_takes_no_other_ones_addresses() {
        // Addresses for documentation (RFC 5737), which nobody else has.
        const CIDR: &str = "198.51.100.0/24";
        let serves = || UdpSocket::bind("198.51.100.7:0").is_ok();
        let [one, other] = ["one", "other"].map(|name| format!("{name}-{}", std::process::id()));
        if let Err(error) = add_local_route(&one, CIDR).await {
            return eprintln!("left out, for routes cannot be made here: {error}");
        }
        add_local_route(&other, CIDR).await.unwrap();
        remove_local_route(&one, CIDR).await.unwrap();
        assert!(serves());
        remove_local_route(&other, CIDR).await.unwrap();
        assert!(!serves());
    }
}
