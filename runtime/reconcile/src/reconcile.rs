//! Objects that reconcile themselves: the short way to write a controller of a kind of one's own.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use trimtab_client::ListParams;

use crate::context::Context;
use crate::controller::Controller;
use crate::error::{Next, Result};
use crate::predicates;
use crate::resource::Resource;
use crate::setup::Setup;

/// What `#[controller]` says of a kind whose objects reconcile themselves.
#[diagnostic::on_unimplemented(
    message = "nothing is said of `{Self}`'s controller",
    note = "write `#[controller]` above `impl Reconcile for {Self}`, or above `impl Compose for {Self}`"
)]
pub trait Controlled: Resource {
    /// The controller's name, in events, logs and field managers.
    const NAME: &'static str;
    /// The finalizer that holds an object until its `cleanup` is done.
    const FINALIZER: Option<&'static str> = None;
    /// Whether their status is written.
    const STATUS: bool = false;
    /// How many objects may be worked on at once.
    const CONCURRENCY: usize = 32;

    /// Which objects are looked after; the others are never seen.
    fn selection() -> ListParams {
        ListParams::default()
    }

    /// What of an object has to change for it to be looked at again ([`predicates`]).
    fn matters(&self) -> u64 {
        predicates::anything(self)
    }

    /// Says what else the objects depend on.
    fn setup(_setup: &mut Setup<'_, Of<Self>>)
    where
        Self: Reconcile,
    {
    }
}

/// What `#[controller] impl Reconcile for Website` implements. Given to a manager as
/// [`Of::<Website>::new()`](Of).
pub trait Reconcile: Controlled {
    /// Makes the world right for this object, which is not going.
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
        write!(f, "Of({})", K::NAME)
    }
}

impl<K: Reconcile> Controller for Of<K> {
    type Kind = K;
    const NAME: &'static str = K::NAME;
    const FINALIZER: Option<&'static str> = K::FINALIZER;
    const STATUS: bool = K::STATUS;
    const CONCURRENCY: usize = K::CONCURRENCY;

    fn selection() -> ListParams {
        K::selection()
    }

    fn matters(object: &K) -> u64 {
        object.matters()
    }

    fn setup(&self, setup: &mut Setup<'_, Self>) {
        K::setup(setup);
    }

    async fn reconcile(&self, object: &K, cx: &Context<K>) -> Result<Next> {
        // What it owns goes with it.
        if object.metadata().deletion_timestamp.is_some() {
            return Ok(Next::on_change());
        }
        object.reconcile(cx).await
    }

    async fn cleanup(&self, object: &K, cx: &Context<K>) -> Result<()> {
        object.cleanup(cx).await
    }
}
