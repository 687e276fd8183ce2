//! What a reconcile works with.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::Serialize;
use serde_json::{Value, json};
use trimtab_api::{Object, ObjectRef};
use trimtab_client::{Api, ApiResource, Client, DeleteParams, ListParams, Patch};
use trimtab_env::{Env, HashSet, lock};

use crate::applied::Applied;
use crate::cache::Cache;
use crate::children;
use crate::error::{Error, Result};
use crate::manager::Manager;
use crate::predicates::digest;
use crate::recorder::{EventType, Recorder};
use crate::resource::{Resource, View};
use crate::setup::Declared;
use crate::status::{HasStatus, merge_patch};

/// What all reconciles of a controller share.
pub(crate) struct Shared {
    manager: Manager,
    name: &'static str,
    selection: ListParams,
    declared: Declared,
    recorder: OnceLock<Recorder>,
    applied: Applied,
}

impl Shared {
    pub(crate) fn new(manager: &Manager, name: &'static str, selection: ListParams, declared: Declared) -> Arc<Self> {
        let (recorder, applied) = (OnceLock::new(), Applied::default());
        Arc::new(Self { manager: manager.clone(), name, selection, declared, recorder, applied })
    }

    /// The caches of a type that the controller has said it looks at; else the one of all objects, if another has.
    fn known<K: View>(&self) -> Vec<Cache<K>> {
        match self.declared.get(&TypeId::of::<K>()) {
            Some(declared) => declared.iter().filter_map(|params| self.manager.known(params)).collect(),
            None => self.manager.known(&ListParams::default()).into_iter().collect(),
        }
    }

    fn known_object<K: View>(&self, key: &ObjectRef) -> Option<Arc<K>> {
        self.known::<K>().iter().find_map(|cache| cache.get(key))
    }

    /// # Errors
    /// When the controller would never see the child again.
    fn sees<K: Resource>(&self, child: &K) -> Result<()> {
        let Some(declared) = self.declared.get(&TypeId::of::<K>()) else { return Ok(()) };
        if declared.iter().any(|params| self.manager.selects(params, child)) {
            return Ok(());
        }
        let selectors = declared.iter().map(|ListParams { labels, fields, .. }| match (labels, fields) {
            (Some(labels), None) => format!("labels = {labels:?}"),
            (labels, fields) => {
                format!(
                    "labels = {:?}, fields = {:?}",
                    labels.as_deref().unwrap_or(""),
                    fields.as_deref().unwrap_or("")
                )
            }
        });
        let selectors: Vec<_> = selectors.collect();
        Err(Error::terminal(format!(
            "{} {}: it is not among those that the controller looks at ({}), and would never be seen again",
            K::KIND,
            ObjectRef::of(child),
            selectors.join("; ")
        )))
    }

    /// The cache of the controller's own kind.
    pub(crate) fn cache<K: Resource>(&self) -> Cache<K> {
        self.manager.cache_of(self.selection.clone())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.manager.env().now()
    }

    pub(crate) fn forget_owner(&self, owner: &ObjectRef) {
        self.applied.forget_owner(owner);
    }
}

/// The client, the caches and the events of one reconcile. Writes through it are in the caches
/// before they return.
pub struct Context<K> {
    shared: Arc<Shared>,
    object: Option<Arc<K>>,
    /// What this reconcile applied.
    kept: Mutex<HashSet<(TypeId, ObjectRef)>>,
}

impl<K: Resource> Context<K> {
    pub(crate) fn new(shared: &Arc<Shared>, object: Option<Arc<K>>) -> Self {
        Self { shared: Arc::clone(shared), object, kept: Mutex::default() }
    }

    /// The controller's name.
    pub fn name(&self) -> &'static str {
        self.shared.name
    }

    /// The client, for what the methods below do not do.
    pub fn client(&self) -> &Client {
        self.shared.manager.client()
    }

    /// Time and randomness.
    pub fn env(&self) -> &Env {
        self.shared.manager.env()
    }

    /// The shared cache of a kind. A kind that was not named in the setup is first listed now.
    pub fn cache<C: View>(&self) -> Cache<C> {
        self.shared.manager.cache()
    }

    /// The shared cache of the objects that `params` selects.
    pub fn cache_of<C: View>(&self, params: ListParams) -> Cache<C> {
        self.shared.manager.cache_of(params)
    }

    /// The API of a kind in all namespaces; writes go to their object's namespace.
    pub fn api<C: Resource>(&self) -> Api<C> {
        Api::all(self.client())
    }

    // What is written is answered as it is cached.
    fn cached<C: Resource>(&self) -> Api<C> {
        Api::all(self.shared.manager.lean())
    }

    pub(crate) fn object(&self) -> Result<&Arc<K>> {
        self.object.as_ref().ok_or_else(|| Error::terminal(format!("the {} is gone", K::KIND)))
    }

    /// The object as it is known now, with what this reconcile wrote of it.
    fn latest(&self) -> Result<Arc<K>> {
        let object = self.object()?;
        let now = self.shared.cache::<K>().get(&ObjectRef::of(&**object));
        Ok(now.filter(|now| now.metadata().uid == object.metadata().uid).unwrap_or_else(|| Arc::clone(object)))
    }

    /// Whether the object is still there and is not going, as the server knows it now. Whoever makes something again
    /// that somebody else has deleted asks before: its owner may be gone, and the news of that late.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn is_still_there(&self) -> Result<bool> {
        let object = self.object()?;
        let key = ObjectRef::of(&**object);
        let now = Api::<K>::namespaced(self.client(), &key.namespace).get_opt(&key.name).await?;
        let same = |now: &K| now.metadata().uid == object.metadata().uid && now.metadata().deletion_timestamp.is_none();
        Ok(now.as_ref().is_some_and(same))
    }

    /// The object's generation, for an `observedGeneration`.
    pub fn generation(&self) -> Option<i64> {
        self.object.as_ref().and_then(|object| object.metadata().generation)
    }

    /// An object from the cache; one without a namespace in `key` is looked for in that of the reconciled object.
    ///
    /// # Errors
    /// When the kind is not among those that the controller owns, watches, references or reads: nothing would be
    /// known of it.
    pub fn get<C: View>(&self, key: impl Into<Key>) -> Result<Option<Arc<C>>> {
        let Key(mut key) = key.into();
        let resource = ApiResource::of::<C>();
        let namespace = self.object.as_ref().and_then(|object| object.metadata().namespace.as_ref());
        if let Some(namespace) = namespace.filter(|_| resource.namespaced && key.namespace.is_empty()) {
            key.namespace.clone_from(namespace);
        }
        let known = self.shared.known::<C>();
        match known.is_empty() {
            false => Ok(known.iter().find_map(|cache| cache.get(&key))),
            true => Err(Error::terminal(format!(
                "{} is read but not declared: add `reads({})` to #[controller]",
                resource.resource(),
                C::KIND
            ))),
        }
    }

    fn uid(&self) -> &str {
        self.object.as_ref().and_then(|object| object.metadata().uid.as_deref()).unwrap_or_default()
    }

    /// The children of a kind that this controller applied for the object, ordered by name.
    pub fn children<C: View>(&self) -> Vec<Arc<C>> {
        self.of_all(|cache| children::list(cache, self.name(), self.uid()))
    }

    /// All objects of a kind that the object controls, applied or made, ordered by name. Of the kinds that the
    /// controller owns.
    pub fn owned<C: View>(&self) -> Vec<Arc<C>> {
        self.of_all(|cache| children::owned(cache, self.uid()))
    }

    /// What is found in the caches of a type, ordered by name.
    fn of_all<C: View>(&self, find: impl Fn(&Cache<C>) -> Vec<Arc<C>>) -> Vec<Arc<C>> {
        let known = self.shared.known::<C>();
        if let [cache] = &known[..] {
            return find(cache);
        }
        let found: BTreeMap<_, _> =
            known.iter().flat_map(find).map(|object| (ObjectRef::of(&*object), object)).collect();
        found.into_values().collect()
    }

    pub(crate) fn has_applied(&self, kind: TypeId, key: &ObjectRef) -> bool {
        lock(&self.kept).contains(&(kind, key.clone()))
    }

    /// Applies a child of the object: it gets its owner's namespace, a controller reference to it, and the label
    /// `app.kubernetes.io/managed-by` with the controller's name, and the controller takes the fields that are set.
    /// Nothing is asked of the server when it is so already, from the first time on: a program that starts asks once for
    /// each child. What a successful reconcile does not apply any more
    /// is deleted after it, of the kinds that the controller owns.
    ///
    /// Of all these methods, the answer is what the cache keeps: no `managedFields`.
    ///
    /// # Errors
    /// When the object cannot own the child, or the API refuses; a conflict, when the child changed since it was read;
    /// [`Error::Gone`], when the child is gone because its owner is.
    pub async fn apply<C: Resource>(&self, mut child: C) -> Result<Arc<C>> {
        let (name, object) = (self.name(), self.object()?);
        children::adopt(&mut child, &**object, name)?;
        self.shared.sees(&child)?;
        let (owner, key) = (ObjectRef::of(&**object), ObjectRef::of(&child));
        lock(&self.kept).insert((TypeId::of::<C>(), key.clone()));
        let mut wanted = to_value(&child)?;
        if let Some(fields) = wanted.as_object_mut() {
            fields.remove("status");
        }
        let asked = digest(&wanted);
        let known = self.shared.known_object::<C>(&key);
        if known.is_none() && self.shared.applied.has::<C>(&owner, &key) && !self.is_still_there().await? {
            return Err(Error::Gone { kind: K::KIND, object: owner });
        }
        if let Some(known) = known {
            if self.shared.applied.holds(&owner, &key, asked, &*known) {
                return Ok(known);
            }
            // Whoever changed it since may have had a reason: it is looked at first.
            wanted["metadata"]["resourceVersion"] = json!(known.metadata().resource_version);
        }
        let patch = Patch::Apply { object: wanted, manager: name.to_owned(), force: true };
        let api = Api::<C>::namespaced(self.shared.manager.lean(), &key.namespace);
        let written = api.patch(&key.name, &patch).await?;
        self.shared.manager.fold(&written);
        self.shared.applied.remember(&owner, &key, asked, &written);
        Ok(Arc::new(written))
    }

    /// Applies an object that is no child: it is left as it is, and never pruned.
    ///
    /// # Errors
    /// When the API refuses; a conflict, when the object changed since it was read, if the controller declares its
    /// kind.
    pub async fn apply_unowned<C: Resource>(&self, object: &C) -> Result<C> {
        let mut object = object.clone();
        let known = self.shared.known_object::<C>(&ObjectRef::of(&object));
        let read = known.and_then(|known| known.metadata().resource_version.clone());
        let version = &mut object.metadata_mut().resource_version;
        *version = version.take().or(read);
        let written = self.cached::<C>().apply(&object, self.name(), true).await?;
        self.shared.manager.fold(&written);
        Ok(written)
    }

    /// Changes the object's status: `change` is given what was told last, or the default. Nothing is asked of the
    /// server when it changes nothing.
    ///
    /// # Errors
    /// When the API refuses; a conflict, when the object changed since it was read.
    pub async fn status(&self, change: impl FnOnce(&mut K::Status)) -> Result<()>
    where
        K: HasStatus<Status: Clone + Default + Serialize>,
    {
        let object = self.latest()?;
        let Some(patch) = changed(object.status(), change)? else { return Ok(()) };
        let (key, version) = (ObjectRef::of(&*object), &object.metadata().resource_version);
        let patch = Patch::Merge(json!({"metadata": {"resourceVersion": version}, "status": patch}));
        let api = Api::<K>::namespaced(self.shared.manager.lean(), &key.namespace);
        let written = api.patch_status(&key.name, &patch).await?;
        self.shared.manager.fold(&written);
        Ok(())
    }

    /// A condition of the object's status, as of now and of the generation that is reconciled. A reason is one word
    /// (`CamelCase`).
    pub fn condition(&self, type_: &str, holds: bool, reason: &str, message: impl Into<String>) -> Condition {
        Condition {
            type_: type_.to_owned(),
            status: if holds { "True" } else { "False" }.to_owned(),
            reason: reason.to_owned(),
            message: message.into(),
            observed_generation: self.generation(),
            last_transition_time: Time(self.env().now()),
        }
    }

    /// Makes an object that the object controls, in its namespace: one run of many, which is never changed. Unlike
    /// what is applied, it is never pruned.
    ///
    /// # Errors
    /// When the object cannot own it, or the API refuses, as when there is one of its name.
    pub async fn create_owned<C: Resource>(&self, mut object: C) -> Result<C> {
        children::own(&mut object, &**self.object()?)?;
        self.create(&object).await
    }

    /// Makes an object.
    ///
    /// # Errors
    /// When the API refuses.
    pub async fn create<C: Resource>(&self, object: &C) -> Result<C> {
        let made = self.cached::<C>().create(object).await?;
        self.shared.manager.fold(&made);
        Ok(made)
    }

    /// Replaces an object but its status.
    ///
    /// # Errors
    /// When the API refuses, as on a conflict.
    pub async fn replace<C: Resource>(&self, object: &C) -> Result<C> {
        let written = self.cached::<C>().replace(object).await?;
        self.shared.manager.fold(&written);
        Ok(written)
    }

    /// Replaces an object's status alone.
    ///
    /// # Errors
    /// When the API refuses, as on a conflict.
    pub async fn replace_status<C: Resource>(&self, object: &C) -> Result<C> {
        let written = self.cached::<C>().replace_status(object).await?;
        self.shared.manager.fold(&written);
        Ok(written)
    }

    /// Takes in what was written by way of the client, so that it is not looked at as it was before.
    pub fn fold<C: Resource>(&self, written: &C) {
        self.shared.manager.fold(written);
    }

    pub(crate) fn fold_gone(&self, object: &K) {
        self.shared.manager.fold_delete(object);
    }

    /// Deletes exactly this object. That it is gone already is fine.
    ///
    /// # Errors
    /// When the API refuses; a conflict, when another object has its name now.
    pub async fn delete<C: Resource>(&self, object: &C, params: DeleteParams) -> Result<()> {
        let metadata = object.metadata();
        let (key, uid) = (ObjectRef::of(object), metadata.uid.clone().unwrap_or_default());
        let api: Api<C> = Api::namespaced(self.client(), &key.namespace);
        match api.delete(&key.name, &params.uid(uid)).await {
            Ok(left) => self.fold_left(object, &left),
            Err(error) if error.is_not_found() => self.shared.manager.fold_delete(object),
            Err(error) => return Err(error.into()),
        }
        if let Some(owner) = &self.object {
            self.shared.applied.forget::<C>(&ObjectRef::of(&**owner), &key);
        }
        Ok(())
    }

    // The answer to a delete is the object while it lingers, and once it is gone a Status or, of some kinds, what it
    // was.
    fn fold_left<C: Resource>(&self, object: &C, left: &Object) {
        match left.to_typed::<C>() {
            Ok(lingers) if left.kind() == C::KIND && lingers_on(left) => self.shared.manager.fold(&lingers),
            _ => self.shared.manager.fold_delete(object),
        }
    }

    /// Tells an event about `object`.
    pub fn event<C: Resource>(&self, object: &C, type_: EventType, reason: &str, message: impl Into<String>) {
        let recorder = self.shared.recorder.get_or_init(|| self.shared.manager.recorder(self.name()));
        recorder.event(object, type_, reason, message);
    }
}

/// The name of an object, in the reconciled object's namespace if it says none.
pub struct Key(ObjectRef);

impl From<ObjectRef> for Key {
    fn from(key: ObjectRef) -> Self {
        Self(key)
    }
}

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        Self(ObjectRef::new("", name))
    }
}

impl From<&String> for Key {
    fn from(name: &String) -> Self {
        Self::from(name.as_str())
    }
}

/// Whether what a delete was answered with is there still, and waits for something.
fn lingers_on(left: &Object) -> bool {
    let has = |path: &[&str]| left.at(path).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let grace = left.at(&["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64).unwrap_or(0);
    // A namespace's finalizers stand in its specification.
    let waits = grace > 0 || has(&["metadata", "finalizers"]) || has(&["spec", "finalizers"]);
    left.deletion_timestamp().is_some() && waits
}

fn changed<S: Clone + Default + Serialize>(told: Option<&S>, change: impl FnOnce(&mut S)) -> Result<Option<Value>> {
    let mut status = told.cloned().unwrap_or_default();
    change(&mut status);
    let told = told.map_or(Ok(Value::Null), to_value)?;
    Ok(merge_patch(&told, &to_value(&status)?))
}

fn to_value(object: &impl Serialize) -> Result<Value> {
    serde_json::to_value(object).map_err(Error::other)
}
