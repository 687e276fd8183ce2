//! Objects that reconcile themselves: the short way to write a controller of a kind of one's own.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use crate::context::Context;
use crate::controller::{Controller, Setup};
use crate::error::{Next, Result};
use crate::resource::Resource;

/// What `#[controller] impl Reconcile for Website` implements. Given to a manager as
/// [`Of::<Website>::new()`](Of).
pub trait Reconcile: Resource {
    /// The controller's name, in events, logs and field managers.
    const NAME: &'static str;
    /// The finalizer that holds an object until its `cleanup` is done.
    const FINALIZER: Option<&'static str> = None;
    /// How many objects may be worked on at once.
    const CONCURRENCY: usize = 4;

    /// Says what else the objects depend on.
    fn setup(_setup: &mut Setup<'_, Of<Self>>) {}

    /// Makes the world right for this object.
    fn reconcile(&self, cx: &Context<Self>) -> impl Future<Output = Result<Next>> + Send;

    /// Undoes what outlives this object.
    fn cleanup(&self, _cx: &Context<Self>) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}

/// The controller of a kind whose objects reconcile themselves.
pub struct Of<K>(PhantomData<fn() -> K>);

impl<K: Reconcile> Of<K> {
    /// The controller of `K`.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<K: Reconcile> Default for Of<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Reconcile> fmt::Debug for Of<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Of({})", <K as Reconcile>::NAME)
    }
}

impl<K: Reconcile> Controller for Of<K> {
    type Kind = K;
    const NAME: &'static str = K::NAME;
    const FINALIZER: Option<&'static str> = K::FINALIZER;
    const CONCURRENCY: usize = K::CONCURRENCY;

    fn setup(&self, setup: &mut Setup<'_, Self>) {
        K::setup(setup);
    }

    async fn reconcile(&self, object: &K, cx: &Context<K>) -> Result<Next> {
        object.reconcile(cx).await
    }

    async fn cleanup(&self, object: &K, cx: &Context<K>) -> Result<()> {
        object.cleanup(cx).await
    }
}
