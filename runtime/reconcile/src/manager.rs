//! The caches and controllers of one process.

use std::any::{Any, TypeId};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use trimtab_client::{Api, Client, ListParams};
use trimtab_env::{CancellationToken, Env, HashMap, Tasks};

use crate::cache::Cache;
use crate::controller::{self, Controller};
use crate::informer;
use crate::recorder::Recorder;
use crate::resource::Resource;

type Runner = Box<dyn FnOnce(Tasks) -> BoxFuture<'static, ()> + Send>;

struct Inner {
    client: Client,
    /// What caches are filled with.
    lean: Client,
    env: Env,
    /// The watches; they end after the controllers.
    informers: Tasks,
    caches: Mutex<HashMap<(TypeId, ListParams), Box<dyn Any + Send>>>,
    controllers: Mutex<Vec<Runner>>,
}

/// Keeps one cache per kind and selection, shared by all who ask, and runs controllers. Cloning is
/// cheap.
#[derive(Clone)]
pub struct Manager {
    inner: Arc<Inner>,
}

impl Manager {
    /// A manager without controllers yet.
    pub fn new(client: Client, env: Env) -> Self {
        let inner = Inner {
            lean: client.clone().without_managed_fields(),
            client,
            env,
            informers: Tasks::new(),
            caches: Mutex::default(),
            controllers: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The client that reads objects as the caches keep them.
    pub(crate) fn lean(&self) -> &Client {
        &self.inner.lean
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// Time and randomness.
    pub fn env(&self) -> &Env {
        &self.inner.env
    }

    /// The cache of all objects of a kind. Its watch starts when it is first asked for.
    pub fn cache<K: Resource>(&self) -> Cache<K> {
        self.cache_of(ListParams::default())
    }

    /// The cache of the objects that `params` selects.
    pub fn cache_of<K: Resource>(&self, params: ListParams) -> Cache<K> {
        let mut caches = self.inner.caches.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (TypeId::of::<K>(), params.clone());
        if let Some(cache) = caches.get(&key).and_then(|cache| cache.downcast_ref::<Cache<K>>()) {
            return cache.clone();
        }
        let cache = Cache::default();
        caches.insert(key, Box::new(cache.clone()));
        let watch = informer::run(Api::<K>::all(&self.inner.lean), params, cache.clone(), self.inner.env.clone());
        self.inner.informers.spawn_cancellable("informer", watch);
        cache
    }

    /// A recorder of events for `component`.
    pub fn recorder(&self, component: &str) -> Recorder {
        Recorder::new(&self.inner.client, &self.inner.env, component, None, &self.inner.informers)
    }

    /// Adds a controller. It runs once [`Manager::run`] does.
    pub fn add<C: Controller>(&self, controller: C) {
        let runner = controller::prepare(self, controller);
        self.inner.controllers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(runner));
    }

    /// Runs the controllers until `shutdown`: each starts once its caches are in. Then ends the
    /// controllers first, each after its current reconcile, and the watches last.
    pub async fn run(&self, shutdown: CancellationToken) {
        let runners = std::mem::take(&mut *self.inner.controllers.lock().unwrap_or_else(PoisonError::into_inner));
        let controllers = Tasks::new();
        for runner in runners {
            controllers.spawn_cancellable("controller", runner(controllers.clone()));
        }
        shutdown.cancelled().await;
        controllers.shutdown().await;
        self.inner.informers.shutdown().await;
    }
}
