//! What a reconcile works with.

use std::marker::PhantomData;

use trimtab_api::{Object, ObjectRef};
use trimtab_client::{Api, Client, DeleteParams, ListParams};
use trimtab_env::Env;

use crate::cache::Cache;
use crate::error::Result;
use crate::manager::Manager;
use crate::recorder::{EventType, Recorder};
use crate::resource::Resource;

/// The client, the caches and the events of one controller. Writes through it are in the caches
/// before they return.
pub struct Context<K> {
    manager: Manager,
    name: &'static str,
    recorder: Recorder,
    kind: PhantomData<fn() -> K>,
}

impl<K: Resource> Context<K> {
    pub(crate) fn new(manager: &Manager, name: &'static str) -> Self {
        Self { manager: manager.clone(), name, recorder: manager.recorder(name), kind: PhantomData }
    }

    /// The controller's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The client, for what the methods below do not do.
    pub fn client(&self) -> &Client {
        self.manager.client()
    }

    /// Time and randomness.
    pub fn env(&self) -> &Env {
        self.manager.env()
    }

    /// The shared cache of a kind. A kind that was not named in the setup is first listed now.
    pub fn cache<C: Resource>(&self) -> Cache<C> {
        self.manager.cache()
    }

    /// The shared cache of the objects that `params` selects.
    pub fn cache_of<C: Resource>(&self, params: ListParams) -> Cache<C> {
        self.manager.cache_of(params)
    }

    /// The API of a kind in all namespaces; writes go to their object's namespace.
    pub fn api<C: Resource>(&self) -> Api<C> {
        Api::all(self.client())
    }

    // What is written is answered as it is cached.
    fn cached<C: Resource>(&self) -> Api<C> {
        Api::all(self.manager.lean())
    }

    /// Makes an object. As of all these methods, the answer is what the cache keeps: no `managedFields`.
    ///
    /// # Errors
    /// When the API refuses.
    pub async fn create<C: Resource>(&self, object: &C) -> Result<C> {
        let made = self.cached::<C>().create(object).await?;
        self.cache::<C>().fold(&made);
        Ok(made)
    }

    /// Replaces an object but its status.
    ///
    /// # Errors
    /// When the API refuses, as on a conflict.
    pub async fn replace<C: Resource>(&self, object: &C) -> Result<C> {
        let written = self.cached::<C>().replace(object).await?;
        self.cache::<C>().fold(&written);
        Ok(written)
    }

    /// Replaces an object's status alone.
    ///
    /// # Errors
    /// When the API refuses, as on a conflict.
    pub async fn replace_status<C: Resource>(&self, object: &C) -> Result<C> {
        let written = self.cached::<C>().replace_status(object).await?;
        self.cache::<C>().fold(&written);
        Ok(written)
    }

    /// Applies an object under this controller's name, taking the fields that it sets.
    ///
    /// # Errors
    /// When the API refuses.
    pub async fn apply<C: Resource>(&self, object: &C) -> Result<C> {
        let written = self.cached::<C>().apply(object, self.name, true).await?;
        self.cache::<C>().fold(&written);
        Ok(written)
    }

    /// Deletes exactly this object. That it is gone already is fine.
    ///
    /// # Errors
    /// When the API refuses.
    pub async fn delete<C: Resource>(&self, object: &C, params: DeleteParams) -> Result<()> {
        let metadata = object.metadata();
        let (key, uid) = (ObjectRef::of(object), metadata.uid.clone().unwrap_or_default());
        let api: Api<C> = Api::namespaced(self.client(), &key.namespace);
        match api.delete(&key.name, &params.uid(uid.clone())).await {
            Ok(left) => self.fold_left::<C>(&key, &uid, &left),
            Err(error) if error.is_not_found() || error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    // The answer to a delete is the object while it lingers, and a Status once it is gone.
    fn fold_left<C: Resource>(&self, key: &ObjectRef, uid: &str, left: &Object) {
        let cache = self.cache::<C>();
        match left.to_typed::<C>() {
            Ok(lingers) if left.kind() == C::KIND => cache.fold(&lingers),
            _ => cache.fold_delete(key, uid),
        }
    }

    /// Tells an event about `object`.
    pub fn event<C: Resource>(&self, object: &C, type_: EventType, reason: &str, message: impl Into<String>) {
        self.recorder.event(object, type_, reason, message);
    }
}
