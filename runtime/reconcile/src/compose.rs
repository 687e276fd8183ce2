//! The pure form: an object says what its children and its status are to be, and the rest is done for it.

use std::any::Any;
use std::sync::Arc;

use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::Serialize;

use crate::context::{Context, Key, Shared};
use crate::controller::Controller;
use crate::error::{Next, Result};
use crate::manager::Manager;
use crate::reconcile::{Controlled, Of, Reconcile};
use crate::recorder::EventType;
use crate::resource::{Resource, View};
use crate::setup::{Declared, Setup};
use crate::status::HasStatus;

/// What `#[controller] impl Compose for Website` implements: a function of the object and of what it refers to,
/// which asks nobody and changes nothing.
pub trait Compose: Controlled {
    /// What is to be there for this object.
    ///
    /// # Errors
    /// When that cannot be told; nothing is changed then.
    fn compose(&self, world: &World<'_, Self>) -> Result<Composition<Self>>;
}

impl<K: Compose> Reconcile for K {
    async fn reconcile(&self, cx: &Context<Self>) -> Result<Next> {
        let Composition { parts, next } = self.compose(&World { cx, now: None })?;
        for part in parts {
            part.realise(cx).await?;
        }
        Ok(next)
    }
}

/// What an object's composition may look at.
pub struct World<'a, K> {
    cx: &'a Context<K>,
    /// The time that it is taken to be, if not the real one.
    now: Option<Timestamp>,
}

impl<K: Resource> World<'_, K> {
    /// As [`Context::get`].
    ///
    /// # Errors
    /// When the kind is not declared.
    pub fn get<C: View>(&self, key: impl Into<Key>) -> Result<Option<Arc<C>>> {
        self.cx.get(key)
    }

    /// The children of a kind, ordered by name, as they are now.
    pub fn children<C: View>(&self) -> Vec<Arc<C>> {
        self.cx.children()
    }

    /// A condition for the status, as [`Context::condition`].
    pub fn condition(&self, type_: &str, holds: bool, reason: &str, message: impl Into<String>) -> Condition {
        Condition { last_transition_time: Time(self.now()), ..self.cx.condition(type_, holds, reason, message) }
    }

    /// The object's generation, for an `observedGeneration`.
    pub fn generation(&self) -> Option<i64> {
        self.cx.generation()
    }

    /// The time. What depends on it says when it is to be looked at again: [`Composition::again`].
    pub fn now(&self) -> Timestamp {
        self.now.unwrap_or_else(|| self.cx.env().now())
    }
}

/// What is to be there for an object. What is not named any more is pruned, of the kinds that it owns.
#[must_use]
pub struct Composition<K> {
    parts: Vec<Box<dyn Part<K>>>,
    next: Next,
}

impl<K: Resource> Composition<K> {
    /// Of an object: nothing yet.
    pub fn of(_object: &K) -> Self {
        Self { parts: Vec::new(), next: Next::on_change() }
    }

    /// With this child.
    pub fn child<C: Resource>(mut self, child: C) -> Self {
        self.parts.push(Box::new(Child(child)));
        self
    }

    /// With these children.
    pub fn children<C: Resource>(self, children: impl IntoIterator<Item = C>) -> Self {
        children.into_iter().fold(self, Self::child)
    }

    /// With the status changed so. It is written once the children are there.
    pub fn status(mut self, change: impl FnOnce(&mut K::Status) + Send + Sync + 'static) -> Self
    where
        K: HasStatus<Status: Clone + Default + Serialize>,
    {
        self.parts.push(Box::new(Status::<K>(Box::new(change))));
        self
    }

    /// Tells an event about the object.
    pub fn event(mut self, type_: EventType, reason: &'static str, message: impl Into<String>) -> Self {
        self.parts.push(Box::new(Told { type_, reason, message: message.into() }));
        self
    }

    /// When it is to be looked at again.
    pub fn again(mut self, next: Next) -> Self {
        self.next = next;
        self
    }

    /// The child of a kind and name, for those who look at a composition without realising it.
    pub fn find<C: Resource>(&self, name: &str) -> Option<&C> {
        let children = self.parts.iter().filter_map(|part| part.child()?.downcast_ref::<C>());
        children.into_iter().find(|child| child.metadata().name.as_deref() == Some(name))
    }

    /// The status, where it was `before`, for those who look at a composition without realising it.
    pub fn status_after(self, before: Option<K::Status>) -> K::Status
    where
        K: HasStatus<Status: Clone + Default>,
    {
        let mut status = before.unwrap_or_default();
        self.parts.into_iter().for_each(|part| part.change(&mut status));
        status
    }

    /// What is told: how it is meant, the reason and the message.
    pub fn events(&self) -> impl Iterator<Item = (EventType, &str, &str)> {
        self.parts.iter().filter_map(|part| part.told())
    }

    /// When it is to be looked at again.
    pub fn next(&self) -> Next {
        self.next
    }

    /// How many children there are.
    pub fn len(&self) -> usize {
        self.parts.iter().filter(|part| part.child().is_some()).count()
    }

    /// Whether there are no children.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

trait Part<K>: Send {
    fn realise<'a>(self: Box<Self>, cx: &'a Context<K>) -> BoxFuture<'a, Result<()>>;

    fn child(&self) -> Option<&dyn Any> {
        None
    }

    fn told(&self) -> Option<(EventType, &str, &str)> {
        None
    }

    /// Changes the status, which is of the object's type.
    fn change(self: Box<Self>, _status: &mut dyn Any) {}
}

struct Child<C>(C);

impl<K: Resource, C: Resource> Part<K> for Child<C> {
    fn realise<'a>(self: Box<Self>, cx: &'a Context<K>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { cx.apply(self.0).await.map(drop) })
    }

    fn child(&self) -> Option<&dyn Any> {
        Some(&self.0)
    }
}

type Changing<S> = Box<dyn FnOnce(&mut S) + Send + Sync>;

struct Status<K: HasStatus>(Changing<K::Status>);

impl<K: HasStatus<Status: Clone + Default + Serialize> + Resource> Part<K> for Status<K> {
    fn realise<'a>(self: Box<Self>, cx: &'a Context<K>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { cx.status(self.0).await })
    }

    fn change(self: Box<Self>, status: &mut dyn Any) {
        if let Some(status) = status.downcast_mut() {
            (self.0)(status);
        }
    }
}

struct Told {
    type_: EventType,
    reason: &'static str,
    message: String,
}

impl<K: Resource> Part<K> for Told {
    fn realise<'a>(self: Box<Self>, cx: &'a Context<K>) -> BoxFuture<'a, Result<()>> {
        if let Ok(object) = cx.object() {
            cx.event(&**object, self.type_, self.reason, self.message);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn told(&self) -> Option<(EventType, &str, &str)> {
        Some((self.type_, self.reason, &self.message))
    }
}

/// A world made up for a test of [`Compose::compose`]: no server, no runtime.
///
/// ```
/// # use k8s_openapi::api::core::v1::{ConfigMap, Secret};
/// # use trimtab_reconcile::{Compose, Composition, Rehearsal, Result, World, controller};
/// #[controller(references(Secret => |_| vec![]), crate = "trimtab_reconcile")]
/// # impl Compose for Site { fn compose(&self, world: &World<Self>) -> Result<Composition<Self>> {
/// #     let there = world.get::<Secret>("tls")?.is_some();
/// #     Ok(if there { Composition::of(self).child(ConfigMap { metadata: self.metadata.clone(), ..Default::default() }) } else { Composition::of(self) })
/// # } }
/// # use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
/// # #[derive(trimtab_api::Resource, trimtab_api::Schema, serde::Serialize, serde::Deserialize, Clone, Debug)]
/// # #[resource(group = "demo.io", version = "v1", kind = "Site", crate = "trimtab_api")]
/// # pub struct SiteSpec {}
/// # let (mut site, mut secret) = (Site::new("home", SiteSpec {}), Secret::default());
/// # site.metadata.namespace = Some("default".into());
/// # secret.metadata = ObjectMeta { name: Some("tls".into()), namespace: Some("default".into()), ..Default::default() };
/// assert!(Rehearsal::of(site.clone()).compose().unwrap().is_empty());
/// let composed = Rehearsal::of(site).with(secret).compose().unwrap();
/// assert!(composed.find::<ConfigMap>("home").is_some());
/// ```
pub struct Rehearsal<K: Compose> {
    object: Arc<K>,
    manager: Manager,
    declared: Declared,
    now: Timestamp,
}

impl<K: Compose> Rehearsal<K> {
    /// For this object, in a world where there is nothing else.
    pub fn of(object: K) -> Self {
        let manager = Manager::unconnected();
        let mut setup = Setup::new(&manager);
        Of::<K>::new().setup(&mut setup);
        let declared = setup.declared;
        manager.settle_empty();
        Self { object: Arc::new(object), manager, declared, now: Timestamp::UNIX_EPOCH }
    }

    /// At this time; the Unix epoch if it is not said.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        Self { now, ..self }
    }

    /// With another object in the world.
    #[must_use]
    pub fn with<C: Resource>(self, object: C) -> Self {
        self.manager.fold(&object);
        self
    }

    /// What is to be there.
    ///
    /// # Errors
    /// Those of [`Compose::compose`].
    pub fn compose(&self) -> Result<Composition<K>> {
        let (name, selection) = (<Of<K> as Controller>::NAME, <Of<K> as Controller>::selection());
        let shared = Shared::new(&self.manager, name, selection, self.declared.clone());
        let cx = Context::new(&shared, Some(Arc::clone(&self.object)));
        self.object.compose(&World { cx: &cx, now: Some(self.now) })
    }
}
