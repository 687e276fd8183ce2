//! What a controller is, and how it runs.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use trimtab_api::ObjectRef;
use trimtab_client::ListParams;
use trimtab_env::{Env, Tasks};

use crate::cache::Change;
use crate::context::Context;
use crate::error::{Error, Next, Result};
use crate::finalizer;
use crate::manager::Manager;
use crate::queue::Queue;
use crate::resource::{Resource, controller_of};

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
    /// How many objects it may work on at once. Never two reconciles of one object.
    const CONCURRENCY: usize = 4;
    /// How long an object is left alone after a reconcile. What happens meanwhile is looked at in
    /// one go: for those whose look costs much and whose news come in bursts.
    const REST: Duration = Duration::ZERO;

    /// Which objects of its kind it looks after; the others it never sees.
    fn selection() -> ListParams {
        ListParams::default()
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

type Names = Arc<Queue<ObjectRef>>;

/// Wakes objects of a controller's kind.
pub struct Wake(Names);

impl Wake {
    /// Has the object of this name looked at.
    pub fn wake(&self, key: ObjectRef) {
        self.0.add(key);
    }
}

type Source = Box<dyn FnOnce(&Tasks, Names) -> BoxFuture<'static, ()> + Send>;

/// What a controller depends on beside its own kind.
pub struct Setup<'a, C: Controller> {
    manager: &'a Manager,
    sources: Vec<Source>,
    controller: std::marker::PhantomData<C>,
}

impl<C: Controller> Setup<'_, C> {
    /// The manager, for its caches.
    pub fn manager(&self) -> &Manager {
        self.manager
    }

    /// Objects of kind `K` that an object of this controller controls: a change of one wakes its
    /// owner.
    pub fn owns<K: Resource>(&mut self) {
        self.watches::<K>(|owned| {
            let ours = |kind: &str, api_version: &str| {
                kind == <C::Kind as k8s_openapi::Resource>::KIND
                    && api_version == <C::Kind as k8s_openapi::Resource>::API_VERSION
            };
            let owner = controller_of(owned).filter(|owner| ours(&owner.kind, &owner.api_version));
            let namespace = owned.metadata().namespace.clone().unwrap_or_default();
            owner.map(|owner| ObjectRef::new(namespace, owner.name.clone())).into_iter().collect()
        });
    }

    /// Objects of kind `K`: a change of one wakes the objects that `map` names, for its old state
    /// and for its new one.
    pub fn watches<K: Resource>(&mut self, map: impl Fn(&K) -> Vec<ObjectRef> + Send + Sync + 'static) {
        self.watches_of::<K>(ListParams::default(), map);
    }

    /// What finds by means of its own which objects have to be looked at. It runs as long as the controller.
    pub fn runs<F: Future<Output = ()> + Send + 'static>(&mut self, run: impl FnOnce(Wake) -> F + Send + 'static) {
        self.sources.push(Box::new(move |tasks, queue| {
            tasks.spawn_cancellable("source", run(Wake(queue)));
            Box::pin(async {})
        }));
    }

    /// As [`Setup::watches`], of those objects alone that `params` selects.
    pub fn watches_of<K: Resource>(
        &mut self,
        params: ListParams,
        map: impl Fn(&K) -> Vec<ObjectRef> + Send + Sync + 'static,
    ) {
        let cache = self.manager.cache_of::<K>(params);
        self.sources.push(Box::new(move |tasks, queue| {
            let mut changes = cache.subscribe();
            tasks.spawn_cancellable("source", async move {
                while let Some(change) = changes.recv().await {
                    if let Change::Applied { old: Some(old), .. } = &change {
                        map(old).into_iter().for_each(|key| queue.add(key));
                    }
                    map(change.object()).into_iter().for_each(|key| queue.add(key));
                }
            });
            Box::pin(async move { cache.synced().await })
        }));
    }
}

/// Prepares a controller; the future runs it until `tasks` is shut down.
pub(crate) fn prepare<C: Controller>(
    manager: &Manager,
    controller: C,
) -> impl FnOnce(Tasks) -> BoxFuture<'static, ()> + Send + 'static {
    let mut setup = Setup { manager, sources: Vec::new(), controller: std::marker::PhantomData };
    setup.watches_of::<C::Kind>(C::selection(), |object| vec![ObjectRef::of(object)]);
    controller.setup(&mut setup);
    let sources = setup.sources;
    let context = Context::new(manager, C::NAME);
    let env = manager.env().clone();
    move |tasks| Box::pin(run(controller, context, sources, env, tasks))
}

async fn run<C: Controller>(controller: C, context: Context<C::Kind>, sources: Vec<Source>, env: Env, tasks: Tasks) {
    let queue: Names = Arc::new(Queue::new(&env));
    let synced: Vec<_> = sources.into_iter().map(|source| source(&tasks, Arc::clone(&queue))).collect();
    futures::future::join_all(synced).await;
    let (controller, context) = (Arc::new(controller), Arc::new(context));
    for _ in 0..C::CONCURRENCY {
        let (controller, context, queue) = (Arc::clone(&controller), Arc::clone(&context), Arc::clone(&queue));
        let token = tasks.token().clone();
        tasks.spawn("reconciler", async move {
            // A reconcile is never cut off in the middle: only the wait for the next one is.
            while let Some(key) = token.run_until_cancelled(queue.next()).await {
                let result = AssertUnwindSafe(one(&*controller, &context, &key)).catch_unwind().await;
                settle::<C>(&queue, &key, result.unwrap_or_else(|_| Err(Error::other("the reconcile panicked"))));
            }
        });
    }
    tasks.token().cancelled().await;
}

async fn one<C: Controller>(controller: &C, context: &Context<C::Kind>, key: &ObjectRef) -> Result<Next> {
    match context.cache_of::<C::Kind>(C::selection()).get(key) {
        Some(object) => finalizer::present(controller, object, context).await,
        None => controller.absent(key, context).await,
    }
}

fn settle<C: Controller>(queue: &Queue<ObjectRef>, key: &ObjectRef, result: Result<Next>) {
    match result {
        Ok(Next(after)) => {
            queue.forget(key);
            if let Some(after) = after {
                queue.add_after(key.clone(), after);
            }
        }
        Err(Error::Terminal(why)) => {
            queue.forget(key);
            tracing::warn!(controller = C::NAME, %key, why, "given up until it changes");
        }
        Err(error) => {
            // A conflict is no news: somebody else wrote, and the next look is at the newer version.
            if !matches!(&error, Error::Client(error) if error.is_conflict()) {
                tracing::warn!(controller = C::NAME, %key, %error, "a reconcile failed; it is tried again");
            }
            queue.retry(key.clone());
        }
    }
    queue.done_after(key, C::REST);
}
