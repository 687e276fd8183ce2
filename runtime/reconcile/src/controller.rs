//! What a controller is, and how it runs.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::Metadata;
use tokio::sync::Semaphore;
use trimtab_api::ObjectRef;
use trimtab_client::ListParams;
use trimtab_env::{Instant, Tasks, panic_text};

use crate::children::Children;
use crate::context::{Context, Shared};
use crate::error::{Error, Next, Result};
use crate::finalizer;
use crate::manager::Manager;
use crate::metrics::{ControllerState, Record};
use crate::needs::Needs;
use crate::predicates;
use crate::queue::Queue;
use crate::recorder::EventType;
use crate::resource::Resource;
use crate::setup::{Names, Setup, Source};

/// Makes the world right for one kind's objects, one object at a time. `#[controller]` implements
/// it for an impl block.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no controller",
    note = "write `#[controller(for = Website)] impl {Self} {{ async fn reconcile(…) }}`, or give the manager `Of::<Website>::new()`"
)]
pub trait Controller: Send + Sync + Sized + 'static {
    /// The kind it looks after.
    type Kind: Resource;
    /// Its name, in events, logs and field managers.
    const NAME: &'static str;
    /// The finalizer that holds an object until [`Controller::cleanup`] is done. With one,
    /// `reconcile` does not see objects that are going.
    const FINALIZER: Option<&'static str> = None;
    /// Whether it writes its objects' status.
    const STATUS: bool = false;
    /// How many objects it may work on at once. Never two reconciles of one object.
    const CONCURRENCY: usize = 32;
    /// How long an object is left alone after a reconcile. What happens meanwhile is looked at in
    /// one go: for those whose look costs much and whose news come in bursts.
    const REST: Duration = Duration::ZERO;

    /// Which objects of its kind it looks after; the others it never sees.
    fn selection() -> ListParams {
        ListParams::default()
    }

    /// What of an object has to change for it to be looked at again ([`predicates`]).
    fn matters(object: &Self::Kind) -> u64 {
        predicates::anything(object)
    }

    /// Says what else it depends on.
    fn setup(&self, _setup: &mut Setup<'_, Self>) {}

    /// Makes the world right for an object that is there.
    fn reconcile(&self, object: &Self::Kind, cx: &Context<Self::Kind>) -> impl Future<Output = Result<Next>> + Send;

    /// Undoes what outlives the object, which is held by [`Controller::FINALIZER`] until this
    /// succeeds. May run more than once.
    fn cleanup(&self, _object: &Self::Kind, _cx: &Context<Self::Kind>) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// The object of this name is gone.
    fn absent(&self, _key: &ObjectRef, _cx: &Context<Self::Kind>) -> impl Future<Output = Result<Next>> + Send {
        async { Ok(Next::on_change()) }
    }
}

/// A controller that is set up.
struct Running<C: Controller> {
    controller: C,
    shared: Arc<Shared>,
    children: Vec<Box<dyn Children<C::Kind>>>,
    queue: Names,
    record: Record,
}

/// A controller of any kind, to be asked how it stands.
pub(crate) trait Observed: Send + Sync {
    fn state(&self) -> ControllerState;

    /// Of which object the last reconcile was that panicked, and what it said.
    fn panicked(&self) -> Option<String>;
}

impl<C: Controller> Observed for Running<C> {
    fn state(&self) -> ControllerState {
        self.record.state(C::NAME, self.queue.stands())
    }

    fn panicked(&self) -> Option<String> {
        Some(format!("{}: {}", C::NAME, self.record.last_panic()?))
    }
}

/// What a manager needs of a controller to run it.
pub(crate) struct Prepared {
    pub(crate) needs: Needs,
    pub(crate) observed: Arc<dyn Observed>,
    pub(crate) runner: Runner,
}

/// Runs a controller until the tasks are shut down.
pub(crate) type Runner = Box<dyn FnOnce(Tasks) -> BoxFuture<'static, ()> + Send>;

pub(crate) fn prepare<C: Controller>(manager: &Manager, controller: C) -> Prepared {
    let mut setup = Setup::new(manager);
    controller.setup(&mut setup);
    let Setup { sources, children, needs, declared, .. } = setup;
    let shared = Shared::new(manager, C::NAME, C::selection(), declared);
    let queue: Names = Arc::new(Queue::new(manager.env()));
    let running = Arc::new(Running { controller, shared, children, queue, record: Record::default() });
    let observed = Arc::clone(&running);
    Prepared { needs, observed, runner: Box::new(move |tasks| Box::pin(running.run(sources, tasks))) }
}

impl<C: Controller> Running<C> {
    async fn run(self: Arc<Self>, sources: Vec<Source>, tasks: Tasks) {
        let synced: Vec<_> = sources.into_iter().map(|source| source(&tasks, Arc::clone(&self.queue))).collect();
        futures::future::join_all(synced).await;
        let seats = Arc::new(Semaphore::new(C::CONCURRENCY));
        // There is a task for each object that is worked on, and none at rest: what a reconcile keeps while it waits is
        // the most that a controller holds. None is cut off in the middle: only the wait for the next one is.
        let next = async || (Arc::clone(&seats).acquire_owned().await, self.queue.next().await);
        while let Some((seat, key)) = tasks.token().run_until_cancelled(next()).await {
            let (running, token) = (Arc::clone(&self), tasks.token().clone());
            tasks.spawn("reconciler", async move {
                let _seat = seat;
                let mut next = Some(key);
                while let Some(key) = next {
                    running.work(&key).await;
                    next = if token.is_cancelled() { None } else { running.queue.try_next() };
                }
            });
        }
    }

    async fn work(&self, key: &ObjectRef) {
        let started = Instant::now();
        let result = AssertUnwindSafe(self.one(key)).catch_unwind().await;
        let result = result.unwrap_or_else(|panic| {
            let text = panic_text(&*panic);
            self.record.panicked(key, text);
            Err(Error::other(format!("the reconcile panicked: {text}")))
        });
        self.settle(key, result, started.elapsed());
    }

    async fn one(&self, key: &ObjectRef) -> Result<Next> {
        let cache = self.shared.cache::<C::Kind>();
        let Some(object) = cache.get(key) else {
            self.shared.forget_owner(key);
            return self.controller.absent(key, &Context::new(&self.shared, None)).await;
        };
        let going = object.metadata().deletion_timestamp.is_some();
        let cx = Context::new(&self.shared, Some(Arc::clone(&object)));
        let next = finalizer::present(&self.controller, object, &cx).await;
        if let Err(Error::Waiting(what)) = &next {
            tracing::debug!(controller = C::NAME, %key, what, "it waits");
            return Ok(Next::on_change());
        }
        if let Err(Error::Terminal(why)) = &next {
            cx.event(&*cx.object()?.clone(), EventType::Warning, "ReconcileFailed", why);
        }
        let next = next?;
        if next.is_finished() && !going {
            for children in &self.children {
                children.prune(&cx).await?;
            }
        }
        Ok(next)
    }

    fn settle(&self, key: &ObjectRef, result: Result<Next>, took: Duration) {
        let (queue, record, now) = (&self.queue, &self.record, self.shared.now());
        match result {
            Ok(next) => {
                queue.forget(key);
                if let Some(after) = next.delay() {
                    queue.add_after(key.clone(), after);
                }
                record.succeeded(key);
                record.ended(if next.delay().is_some() { "requeue_after" } else { "success" }, took);
            }
            Err(Error::Terminal(why)) => {
                queue.forget(key);
                tracing::warn!(controller = C::NAME, %key, why, "given up until it changes");
                record.failed(key, why, true, now);
                record.ended("terminal_error", took);
            }
            Err(error) => {
                record.failed(key, error.to_string(), false, now);
                record.ended("error", took);
                // A conflict is no news: somebody else wrote, and the next look is at the newer version.
                let late = matches!(&error, Error::Gone { .. });
                if !late && !matches!(&error, Error::Client(error) if error.is_conflict()) {
                    tracing::warn!(controller = C::NAME, %key, %error, "a reconcile failed; it is tried again");
                }
                queue.retry(key.clone());
            }
        }
        queue.done_after(key, C::REST);
    }
}
