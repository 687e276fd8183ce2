//! Owned tasks: everything spawned is joined by whoever spawned it.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a caught panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// A set of tasks with one way to end them: [`Tasks::shutdown`] cancels the token, then joins all.
///
/// Clones share the set. Each task watches [`Tasks::token`] and returns soon after it is cancelled.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Tasks {
    /// An empty set with a token of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty set that is also cancelled when `token` is.
    pub fn under(token: &CancellationToken) -> Self {
        Self { tracker: TaskTracker::new(), token: token.child_token() }
    }

    /// What tells the tasks of this set to end.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Runs `future` as a task called `name`. A panic ends that task alone, and is logged.
    pub fn spawn<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let guarded = AssertUnwindSafe(future).catch_unwind();
        drop(self.tracker.spawn(async move {
            if let Err(panic) = guarded.await {
                tracing::error!(task = name, panic = panic_text(&*panic), "a task panicked");
            }
        }));
    }

    /// Runs `future` until it ends or the set is cancelled, whichever comes first. For tasks that
    /// may be dropped at any `.await`.
    pub fn spawn_cancellable<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let token = self.token.clone();
        self.spawn(name, async move {
            token.run_until_cancelled(future).await;
        });
    }

    /// Runs `work` on a thread where it may block.
    pub fn spawn_blocking<F>(&self, work: F)
    where
        F: FnOnce() + Send + 'static,
    {
        drop(self.tracker.spawn_blocking(work));
    }

    /// Cancels the token and waits until every task has ended.
    pub async fn shutdown(&self) {
        self.token.cancel();
        self.join().await;
    }

    /// Waits until every task has ended by itself.
    pub async fn join(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn shutdown_cancels_then_joins() {
        let (tasks, ended) = (Tasks::new(), Arc::new(AtomicBool::new(false)));
        let (token, flag) = (tasks.token().clone(), Arc::clone(&ended));
        tasks.spawn("waits", async move {
            token.cancelled().await;
            flag.store(true, Ordering::SeqCst);
        });
        tasks.spawn("panics", async { panic!("one bad task stops nothing else") });
        tasks.shutdown().await;
        assert!(ended.load(Ordering::SeqCst));
    }
}
