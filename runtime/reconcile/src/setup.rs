//! What a controller depends on beside its own kind, and so what it may do.

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;

use futures::future::BoxFuture;
use trimtab_api::ObjectRef;
use trimtab_client::{ApiResource, ListParams};
use trimtab_env::{HashMap, Tasks};

use crate::cache::{Cache, Change};
use crate::children::{self, Children};
use crate::controller::Controller;
use crate::fold;
use crate::manager::Manager;
use crate::needs::{Needs, Tie};
use crate::predicates;
use crate::queue::Queue;
use crate::resource::{Resource, View, controller_of};

const READ: [&str; 2] = ["list", "watch"];

pub(crate) type Names = Arc<Queue<ObjectRef>>;
pub(crate) type Source = Box<dyn FnOnce(&Tasks, Names) -> BoxFuture<'static, ()> + Send>;

/// Wakes objects of a controller's kind.
pub struct Wake(Names);

impl Wake {
    /// Has the object of this name looked at.
    pub fn wake(&self, key: ObjectRef) {
        self.0.add(key);
    }
}

/// What a controller depends on beside its own kind. What is named here is what the controller's role allows.
pub struct Setup<'a, C: Controller> {
    manager: &'a Manager,
    pub(crate) sources: Vec<Source>,
    pub(crate) children: Vec<Box<dyn Children<C::Kind>>>,
    pub(crate) needs: Needs,
    pub(crate) declared: Declared,
    controller: PhantomData<C>,
}

/// Which objects of each type a controller has said that it looks at.
pub(crate) type Declared = HashMap<TypeId, Vec<ListParams>>;

impl<'a, C: Controller> Setup<'a, C> {
    pub(crate) fn new(manager: &'a Manager) -> Self {
        let mut setup = Self {
            manager,
            sources: Vec::new(),
            children: Vec::new(),
            needs: Needs::default(),
            declared: Declared::default(),
            controller: PhantomData,
        };
        setup.is_to::<C::Kind>(Tie::For);
        setup.follow::<C::Kind>(C::selection(), C::matters, |object| vec![ObjectRef::of(object)]);
        if C::FINALIZER.is_some() {
            setup.may::<C::Kind>("", &["patch"]);
        }
        if C::STATUS {
            setup.may::<C::Kind>("status", &["patch"]);
        }
        setup.may::<k8s_openapi::api::core::v1::Event>("", &["create", "patch"]);
        setup
    }
}

impl<C: Controller> Setup<'_, C> {
    /// The manager, for its caches.
    pub fn manager(&self) -> &Manager {
        self.manager
    }

    /// Objects of kind `K` that an object of this controller controls: a change of one wakes its
    /// owner. The controller may make, change and delete them.
    pub fn owns<K: Resource>(&mut self) {
        self.owns_when::<K>(ListParams::default(), predicates::anything);
    }

    /// As [`Setup::owns`], of those objects alone that `params` selects: others are not seen, and to apply one is an
    /// error. Only what changes the digest that `matters` gives wakes the owner.
    ///
    /// # Panics
    /// If `params` says no selector.
    pub fn owns_when<K: Resource>(&mut self, params: ListParams, matters: impl Fn(&K) -> u64 + Send + Sync + 'static) {
        self.is_to::<K>(Tie::Owns);
        self.may::<K>("", &["create", "patch", "delete"]);
        // A child that is gone may have gone with its owner.
        self.may::<C::Kind>("", &["get"]);
        // With OwnerReferencesPermissionEnforcement, whoever blocks an owner's deletion must be allowed to hold it.
        self.may::<C::Kind>("finalizers", &["update"]);
        children::index(&self.manager.cache_of::<K>(params.clone()));
        self.children.push(children::of::<C::Kind, K>());
        self.follow::<K>(params, matters, |owned| {
            let ours = |kind: &str, api_version: &str| {
                kind == <C::Kind as k8s_openapi::Resource>::KIND
                    && api_version == <C::Kind as k8s_openapi::Resource>::API_VERSION
            };
            let owner = controller_of(owned).filter(|owner| ours(&owner.kind, &owner.api_version));
            let cluster_scoped = !ApiResource::of::<C::Kind>().namespaced;
            let namespace = owned.metadata().namespace.clone().filter(|_| !cluster_scoped).unwrap_or_default();
            owner.map(|owner| ObjectRef::new(namespace, owner.name.clone())).into_iter().collect()
        });
    }

    /// Objects of kind `K`: a change of one wakes the objects that `map` names, for its old state
    /// and for its new one.
    pub fn watches<K: View>(&mut self, map: impl Fn(&K) -> Vec<ObjectRef> + Send + Sync + 'static) {
        self.watches_when::<K>(ListParams::default(), predicates::anything, map);
    }

    /// As [`Setup::watches`], of those objects alone that `params` selects, and only what changes the digest that
    /// `matters` gives wakes anybody.
    ///
    /// # Panics
    /// If `params` says no selector.
    pub fn watches_when<K: View>(
        &mut self,
        params: ListParams,
        matters: impl Fn(&K) -> u64 + Send + Sync + 'static,
        map: impl Fn(&K) -> Vec<ObjectRef> + Send + Sync + 'static,
    ) {
        self.is_to::<K>(Tie::Watches);
        self.follow(params, matters, map);
    }

    fn is_to<K: View>(&mut self, tie: Tie) {
        self.needs.relate(C::NAME, tie, ApiResource::of::<K>());
    }

    /// The cache of what is looked at.
    fn declare<K: View>(&mut self, params: ListParams) -> Cache<K> {
        self.may::<K>("", &READ);
        if let Err(error) = fold::selectors(&params) {
            panic!("the controller {} selects objects of {}: {error}", C::NAME, ApiResource::of::<K>().resource());
        }
        let declared = self.declared.entry(TypeId::of::<K>()).or_default();
        if !declared.contains(&params) {
            declared.push(params.clone());
        }
        self.manager.cache_of(params)
    }

    fn follow<K: View>(
        &mut self,
        params: ListParams,
        matters: impl Fn(&K) -> u64 + Send + Sync + 'static,
        map: impl Fn(&K) -> Vec<ObjectRef> + Send + Sync + 'static,
    ) {
        let cache = self.declare::<K>(params);
        self.sources.push(Box::new(move |tasks, queue| {
            let mut changes = cache.subscribe();
            tasks.spawn_cancellable("source", async move {
                while let Some(change) = changes.recv().await {
                    if let Change::Applied { old, new } = &change {
                        if !predicates::passes(old.as_deref(), &**new, &matters) {
                            continue;
                        }
                        old.iter().flat_map(|old| map(old)).for_each(|key| queue.add(key));
                    }
                    map(change.object()).into_iter().for_each(|key| queue.add(key));
                }
            });
            Box::pin(async move { cache.synced().await })
        }));
    }

    /// Objects of kind `K` that an object of this controller refers to by the names that `names` gives: a change
    /// of one wakes whoever refers to it. [`Context::get`](crate::Context::get) reads them.
    pub fn references<K: View>(&mut self, names: impl Fn(&C::Kind) -> Vec<ObjectRef> + Send + Sync + 'static) {
        self.references_of::<K>(ListParams::default(), names);
    }

    /// As [`Setup::references`], of those objects alone that `params` selects.
    ///
    /// # Panics
    /// If `params` says no selector.
    pub fn references_of<K: View>(
        &mut self,
        params: ListParams,
        names: impl Fn(&C::Kind) -> Vec<ObjectRef> + Send + Sync + 'static,
    ) {
        let index = format!("{}/{}", C::NAME, ApiResource::of::<K>().resource());
        let objects = self.manager.cache_of::<C::Kind>(C::selection());
        objects.add_index(index.clone(), move |object| names(object).iter().map(ToString::to_string).collect());
        self.is_to::<K>(Tie::References);
        self.follow::<K>(params, predicates::anything, move |referred| {
            let referring = objects.by_index(&index, &ObjectRef::of(referred).to_string());
            referring.iter().map(|object| ObjectRef::of(&**object)).collect()
        });
    }

    /// Objects of kind `K`, to be read: a change of one wakes nobody.
    pub fn reads<K: View>(&mut self) {
        self.reads_of::<K>(ListParams::default());
    }

    /// As [`Setup::reads`], of those objects alone that `params` selects.
    ///
    /// # Panics
    /// If `params` says no selector.
    pub fn reads_of<K: View>(&mut self, params: ListParams) {
        self.is_to::<K>(Tie::Reads);
        let cache = self.declare::<K>(params);
        self.sources.push(Box::new(move |_, _| Box::pin(async move { cache.synced().await })));
    }

    /// What else is done with objects of kind `K`, by way of the client: `verbs` on them, or on a `subresource`
    /// if that is not empty.
    pub fn uses<K: View>(&mut self, subresource: &str, verbs: &[&'static str]) {
        let owned = verbs.iter().map(|verb| (*verb).to_owned()).collect();
        self.is_to::<K>(Tie::Uses { subresource: subresource.to_owned(), verbs: owned });
        self.may::<K>(subresource, verbs);
    }

    fn may<K: View>(&mut self, subresource: &str, verbs: &[&'static str]) {
        self.needs.add(&ApiResource::of::<K>(), subresource, verbs.iter().copied());
    }

    /// What finds by means of its own which objects have to be looked at. It runs as long as the controller.
    pub fn runs<F: Future<Output = ()> + Send + 'static>(&mut self, run: impl FnOnce(Wake) -> F + Send + 'static) {
        self.sources.push(Box::new(move |tasks, queue| {
            tasks.spawn_cancellable("source", run(Wake(queue)));
            Box::pin(async {})
        }));
    }
}
