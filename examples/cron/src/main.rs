//! Pods at set times: a `Schedule` says when, and what becomes of those that still run.

mod cron;
mod schedule;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use schedule::Schedule;

fn main() -> ExitCode {
    trimtab::operator!(Schedule)
}
