//! One test over many seeds.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook};
use std::sync::Once;

use trimtab_env::panic_text;

use super::explore::explore;
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
/// If the builder has [`Faults`](super::Faults) or a fault, the test runs twice with each seed, without and with them, and must come to the
/// same end: the same objects, none left whose owner is gone, none made again and again, and all at rest, even when
/// every program is started anew. If it does not, faults are left out until none can be, and what is left is told.
///
/// # Panics
/// If the test does, or answers an error; then the seed is printed before.
#[expect(clippy::print_stderr, reason = "whoever reads the failed test's output wants to run it again")]
pub fn run<R: Outcome>(seeds: Seeds, builder: impl Fn(u64) -> Builder, test: impl AsyncFn(&TestCluster) -> R) {
    for seed in seeds.all() {
        if builder(seed).has_faults() {
            if let Err(text) = explore(|| builder(seed), &test) {
                panic!("with {SEED}={seed}: {text}");
            }
            continue;
        }
        let seen = RefCell::new(None);
        let once = || {
            in_virtual_time(async {
                let cluster = builder(seed).start().await;
                seen.replace(Some(cluster.trace()));
                test(&cluster).await.check();
                cluster.stop().await;
            });
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(once)) {
            eprintln!("with {SEED}={seed}");
            // Who waited in vain has told it already.
            let trace = seen.take().map(|trace| trace.to_string()).filter(|trace| !told(&*panic).contains(trace));
            eprint!("{}", trace.unwrap_or_default());
            resume_unwind(panic);
        }
    }
}

thread_local! {
    /// Whether this thread's time is virtual, by [`in_virtual_time`].
    static PAUSED: Cell<bool> = const { Cell::new(false) };
    /// Whether what panics on this thread is told by whoever catches it.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// Where this thread panicked last.
    static WHERE: Cell<Option<String>> = const { Cell::new(None) };
}

/// What a caught panic said, and where it was, if it was during [`quietly`].
pub(super) fn told(panic: &(dyn Any + Send)) -> String {
    let text = panic_text(panic);
    WHERE.take().map_or_else(|| text.to_owned(), |place| format!("at {place}: {text}"))
}

/// Panics of this thread meanwhile are not printed: the same test fails many times until the least that makes it
/// fail is found, and is told once.
pub(super) fn quietly<T>(work: impl FnOnce() -> T) -> T {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            WHERE.set(panic.location().map(ToString::to_string));
            if !QUIET.get() {
                print(panic);
            }
        }));
    });
    struct Loud(bool);
    impl Drop for Loud {
        fn drop(&mut self) {
            QUIET.set(self.0);
        }
    }
    let _loud = Loud(QUIET.replace(true));
    work()
}

/// Runs what a test does in this thread, in virtual time: whenever all that runs waits, it is the next point in
/// time that anything waits for.
///
/// # Panics
/// If the operating system gives no runtime.
pub fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    PAUSED.set(true);
    let answer = runtime.enable_all().start_paused(true).build().expect("a runtime").block_on(test);
    PAUSED.set(false);
    answer
}

/// Lets time pass as it does outside.
pub(super) fn in_real_time() {
    if PAUSED.replace(false) {
        tokio::time::resume();
    }
}
