//! The least that must go wrong for a test to fail.

use super::ending::{Ending, Failure, once};
use super::plan::Plan;
use super::seeds::Outcome;
use super::{Builder, TestCluster};

/// Runs a test without its faults, and then with them.
///
/// # Errors
/// With all that is to be told of it, when the two end otherwise or one fails.
pub(super) fn explore<R: Outcome>(
    builder: impl Fn() -> Builder,
    test: &impl AsyncFn(&TestCluster) -> R,
) -> Result<(), String> {
    let expected = once(builder().with_plan(Plan::new()), "", test)
        .map_err(|failure| format!("without any fault: {}\n{}", failure.text, failure.trace))?;
    let Err(mut failure) = verdict(builder(), test, &expected) else { return Ok(()) };
    let drawn = failure.met.len();
    // Left out one by one, until none can be.
    let mut at = 0;
    while at < failure.met.len() {
        let mut fewer = failure.met.clone();
        fewer.remove(at);
        match verdict(builder().with_plan(fewer), test, &expected) {
            Err(again) if again.met.len() < failure.met.len() => {
                failure = again;
                at = 0;
            }
            _ => at += 1,
        }
    }
    Err(told(&failure, drawn))
}

fn verdict<R: Outcome>(
    builder: Builder,
    test: &impl AsyncFn(&TestCluster) -> R,
    expected: &Ending,
) -> Result<(), Failure> {
    once(builder, "", test)?.check(expected)
}

/// A failure as it is printed.
fn told(failure: &Failure, drawn: usize) -> String {
    let least: String = failure.met.iter().map(|trouble| format!("  {trouble}\n")).collect();
    let Failure { text, met, trace } = failure;
    format!("{text}\nfor that, of {drawn} faults, these {} are needed:\n{least}how it came:\n{trace}", met.len())
}
