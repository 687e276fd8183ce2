//! The caches and controllers of one process.

use std::any::{Any, TypeId};
use std::sync::{Arc, Mutex};

use trimtab_client::{Api, ApiResource, Client, ListParams};
use trimtab_env::{CancellationToken, Env, HashMap, Tasks, lock};

use crate::cache::Cache;
use crate::controller::{self, Controller, Observed, Runner};
use crate::fold::{Folding, Selected, Written};
use crate::informer;
use crate::leader::{Candidate, Fence, LeaderElection, LeadershipLost};
use crate::metrics::{self, ControllerState};
use crate::needs::Needs;
use crate::recorder::Recorder;
use crate::resource::{Resource, View};

/// A cache, by its type and as one of many.
struct Cached {
    resource: ApiResource,
    cache: Box<dyn Any + Send>,
    folding: Arc<dyn Folding>,
}

struct Inner {
    /// What the leader's lease is renewed with: it is not behind the fence.
    unfenced: Client,
    /// Lets writes pass while this process leads, if there is an election.
    fence: Arc<Fence>,
    client: Client,
    /// What caches are filled with.
    lean: Client,
    env: Env,
    /// Those whose objects it looks after; `None` for all.
    namespaces: Option<Arc<[String]>>,
    /// Whether it is only asked what its controllers need.
    idle: bool,
    /// The watches; they end after the controllers.
    informers: Tasks,
    caches: Mutex<HashMap<(TypeId, ListParams), Cached>>,
    controllers: Mutex<Vec<Runner>>,
    observed: Mutex<Vec<Arc<dyn Observed>>>,
    needs: Mutex<Needs>,
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
        Self::made(client, env, None, false)
    }

    /// A manager that looks after the objects of these namespaces alone, and asks for no others. What lives in no
    /// namespace it sees all the same.
    pub fn in_namespaces(client: Client, env: Env, namespaces: impl IntoIterator<Item = String>) -> Self {
        Self::made(client, env, Some(namespaces.into_iter().collect()), false)
    }

    /// What controllers need that `add` adds to a manager: nothing is asked of any server.
    pub fn needs_of(add: impl FnOnce(&Self)) -> Needs {
        let manager = Self::unconnected();
        add(&manager);
        manager.needs()
    }

    /// A manager of no server, which runs nothing.
    pub(crate) fn unconnected() -> Self {
        Self::made(Client::unconnected(), Env::system(), None, true)
    }

    /// Of a manager of no server: there is nothing but what is folded in.
    pub(crate) fn settle_empty(&self) {
        lock(&self.inner.caches).values().for_each(|cached| cached.folding.settle_empty());
    }

    fn made(client: Client, env: Env, namespaces: Option<Arc<[String]>>, idle: bool) -> Self {
        let fence = Arc::new(Fence::default());
        let (unfenced, client) = (client.clone(), fence.around(client));
        let inner = Inner {
            unfenced,
            fence,
            lean: client.clone().without_managed_fields(),
            client,
            env,
            namespaces,
            idle,
            informers: Tasks::new(),
            caches: Mutex::default(),
            controllers: Mutex::default(),
            observed: Mutex::default(),
            needs: Mutex::default(),
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

    /// What its controllers ask the API server for.
    pub fn needs(&self) -> Needs {
        lock(&self.inner.needs).clone()
    }

    /// The cache of all objects of a kind. Its watch starts when it is first asked for.
    pub fn cache<K: View>(&self) -> Cache<K> {
        self.cache_of(ListParams::default())
    }

    /// The cache of the objects that `params` selects.
    pub fn cache_of<K: View>(&self, params: ListParams) -> Cache<K> {
        let mut caches = lock(&self.inner.caches);
        let key = (TypeId::of::<K>(), params.clone());
        if let Some(cache) = caches.get(&key).and_then(|cached| cached.cache.downcast_ref::<Cache<K>>()) {
            return cache.clone();
        }
        let resource = ApiResource::of::<K>();
        let namespaces = self.inner.namespaces.clone().filter(|_| resource.namespaced);
        let cache = Cache::of(namespaces.as_ref().map(|namespaces| namespaces.len()));
        let folding = Arc::new(Selected::new(cache.clone(), namespaces.clone(), &params));
        caches.insert(key, Cached { resource, cache: Box::new(cache.clone()), folding });
        match namespaces {
            None => self.follow(None, params, &cache),
            Some(namespaces) => {
                namespaces.iter().for_each(|namespace| self.follow(Some(namespace), params.clone(), &cache));
            }
        }
        cache
    }

    /// A cache that was asked for before and has its first list.
    pub(crate) fn known<K: View>(&self, params: &ListParams) -> Option<Cache<K>> {
        let caches = lock(&self.inner.caches);
        let cached = caches.get(&(TypeId::of::<K>(), params.clone()))?;
        cached.cache.downcast_ref::<Cache<K>>().filter(|cache| cache.is_synced()).cloned()
    }

    /// Whether the object would be in that cache, if there is one.
    pub(crate) fn selects<K: Resource>(&self, params: &ListParams, object: &K) -> bool {
        let caches = lock(&self.inner.caches);
        let cached = caches.get(&(TypeId::of::<K>(), params.clone()));
        cached.is_none_or(|cached| cached.folding.selects(&Written::new(object)))
    }

    fn follow<K: View>(&self, namespace: Option<&str>, params: ListParams, cache: &Cache<K>) {
        if self.inner.idle {
            return;
        }
        let api = Api::<K>::of(&self.inner.lean, ApiResource::of::<K>(), namespace);
        let (cache, env) = (cache.clone(), self.inner.env.clone());
        let scope = namespace.unwrap_or_default().to_owned();
        let watch = async move { informer::run(api, &scope, params, cache, env).await };
        self.inner.informers.spawn_cancellable("informer", watch);
    }

    /// Takes what this process wrote into all caches that it belongs to.
    pub(crate) fn fold<K: Resource>(&self, object: &K) {
        let written = Written::new(object);
        self.foldings::<K>().iter().for_each(|folding| folding.fold(&written));
    }

    /// Forgets what this process deleted.
    pub(crate) fn fold_delete<K: Resource>(&self, object: &K) {
        let deleted = Written::new(object);
        self.foldings::<K>().iter().for_each(|folding| folding.fold_delete(&deleted));
    }

    fn foldings<K: View>(&self) -> Vec<Arc<dyn Folding>> {
        let resource = ApiResource::of::<K>();
        let caches = lock(&self.inner.caches);
        caches.values().filter(|cached| cached.resource == resource).map(|cached| Arc::clone(&cached.folding)).collect()
    }

    /// A recorder of events for `component`.
    pub fn recorder(&self, component: &str) -> Recorder {
        Recorder::new(&self.inner.client, &self.inner.env, component, None, &self.inner.informers)
    }

    /// Adds a controller. It runs once [`Manager::run`] does.
    pub fn add<C: Controller>(&self, controller: C) {
        let prepared = controller::prepare(self, controller);
        lock(&self.inner.needs).extend(&prepared.needs);
        lock(&self.inner.observed).push(prepared.observed);
        lock(&self.inner.controllers).push(prepared.runner);
    }

    /// How its controllers stand.
    pub fn controllers(&self) -> Vec<ControllerState> {
        lock(&self.inner.observed).iter().map(|controller| controller.state()).collect()
    }

    /// The same in the format that Prometheus reads (OpenMetrics,
    /// `application/openmetrics-text; version=1.0.0; charset=utf-8`).
    pub fn metrics(&self) -> String {
        metrics::text(self.controllers())
    }

    /// The controller and the object of the last reconcile that panicked, if one has, and what it said.
    pub fn panicked(&self) -> Option<String> {
        lock(&self.inner.observed).iter().find_map(|controller| controller.panicked())
    }

    /// Which objects fail, and why, a line for each.
    pub fn failing(&self) -> String {
        metrics::failing(&self.controllers())
    }

    /// Whether all its caches are in.
    pub fn is_synced(&self) -> bool {
        lock(&self.inner.caches).values().all(|cached| cached.folding.is_synced())
    }

    /// As [`Manager::run`], while this process is the leader. Its caches fill before.
    ///
    /// # Errors
    /// When another may have become the leader. Its controllers have ended then; to stand again, start anew.
    pub async fn run_as_leader(
        &self,
        election: LeaderElection,
        shutdown: CancellationToken,
    ) -> Result<(), LeadershipLost> {
        let fence = &self.inner.fence;
        fence.close();
        let mut candidate = Candidate::new(election, &self.inner.unfenced, &self.inner.env, fence);
        if shutdown.run_until_cancelled(candidate.acquire()).await.is_none() {
            self.inner.informers.shutdown().await;
            return Ok(());
        }
        let leading = shutdown.child_token();
        let mut running = std::pin::pin!(self.run(leading.clone()));
        let lost = tokio::select! {
            biased;
            () = candidate.renew() => true,
            () = &mut running => false,
        };
        if lost {
            leading.cancel();
            running.await;
            return Err(LeadershipLost);
        }
        candidate.release().await;
        Ok(())
    }

    /// Runs the controllers until `shutdown`: each starts once its caches are in. Then ends the
    /// controllers first, each after its current reconcile, and the watches last.
    pub async fn run(&self, shutdown: CancellationToken) {
        let runners = std::mem::take(&mut *lock(&self.inner.controllers));
        let controllers = Tasks::new();
        for runner in runners {
            controllers.spawn_cancellable("controller", runner(controllers.clone()));
        }
        shutdown.cancelled().await;
        controllers.shutdown().await;
        self.inner.informers.shutdown().await;
    }
}
