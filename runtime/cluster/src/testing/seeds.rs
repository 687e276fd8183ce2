//! One test over many seeds.

use std::fmt::Debug;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{Builder, TestCluster};

/// The environment variable with the one seed that is to be used.
const SEED: &str = "TRIMTAB_SEED";

/// With which seeds a test is run: `0..count`, or the one that `TRIMTAB_SEED` names.
#[derive(Clone, Copy, Debug)]
pub struct Seeds(pub u64);

impl Seeds {
    fn all(self) -> std::ops::Range<u64> {
        match std::env::var(SEED) {
            Ok(text) => {
                let seed = text.parse().unwrap_or_else(|_| panic!("{SEED}={text} is not a number"));
                seed..seed + 1
            }
            Err(_) => 0..self.0,
        }
    }
}

/// What a test answers: nothing, or that something failed.
#[diagnostic::on_unimplemented(
    message = "a test answers nothing or a `Result`, not `{Self}`",
    label = "write nothing, or `Result<(), E>` with an `E` that can be printed with `{{:?}}`"
)]
pub trait Outcome {
    /// # Panics
    /// If the test failed.
    fn check(self);
}

impl Outcome for () {
    fn check(self) {}
}

impl<T: Outcome, E: Debug> Outcome for Result<T, E> {
    fn check(self) {
        self.unwrap_or_else(|error| panic!("the test answered an error: {error:?}")).check();
    }
}

/// Runs a test once for each seed, in this thread and in virtual time, on the cluster that `builder` makes.
///
/// # Panics
/// If the test does, or answers an error; then the seed is printed before.
#[expect(clippy::print_stderr, reason = "whoever reads the failed test's output wants to run it again")]
pub fn run<R: Outcome>(seeds: Seeds, builder: impl Fn(u64) -> Builder, test: impl AsyncFn(&TestCluster) -> R) {
    for seed in seeds.all() {
        let once = || {
            in_virtual_time(async {
                let cluster = builder(seed).start().await;
                test(&cluster).await.check();
                cluster.stop().await;
            });
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(once)) {
            eprintln!("with {SEED}={seed}");
            resume_unwind(panic);
        }
    }
}

/// Runs what a test does in this thread, in virtual time: whenever all that runs waits, it is the next point in
/// time that anything waits for.
///
/// # Panics
/// If the operating system gives no runtime.
pub fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build().expect("a runtime").block_on(test)
}
