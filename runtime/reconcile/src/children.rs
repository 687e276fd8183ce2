//! What a controller applied on behalf of an object, and prunes once the object does not want it any more.
//!
//! A child carries a controller reference to its owner and the label [`MANAGED_BY`] with the controller's
//! name. What a controller makes in another way is no child: it is never pruned.

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;

use futures::future::BoxFuture;
use trimtab_api::ObjectRef;
use trimtab_client::{ApiResource, DeleteParams};

use crate::cache::Cache;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::resource::{Resource, View, controller_of, owner_reference};

/// Who manages an object (<https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/>).
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const INDEX: &str = "trimtab.dev/children";
const OWNED: &str = "trimtab.dev/owned";

/// Has the cache find the children of an owner.
pub(crate) fn index<C: View>(cache: &Cache<C>) {
    cache.add_index(INDEX, |child| {
        let manager = child.metadata().labels.as_ref().and_then(|labels| labels.get(MANAGED_BY));
        manager.zip(controller_of(child)).map(|(manager, owner)| family(manager, &owner.uid)).into_iter().collect()
    });
}

fn family(manager: &str, owner: &str) -> String {
    format!("{manager}/{owner}")
}

/// The children of kind `C` that `controller` applied for the object `owner`, ordered by name.
pub(crate) fn list<C: View>(cache: &Cache<C>, controller: &str, owner: &str) -> Vec<Arc<C>> {
    cache.by_index(INDEX, &family(controller, owner))
}

/// The objects of kind `C` that the object `owner` controls, ordered by name.
pub(crate) fn owned<C: View>(cache: &Cache<C>, owner: &str) -> Vec<Arc<C>> {
    // Made when it is first asked for: most controllers never do.
    cache.add_index(OWNED, |owned| controller_of(owned).map(|owner| owner.uid.clone()).into_iter().collect());
    cache.by_index(OWNED, owner)
}

/// Makes `child` one of `owner`'s, which is applied.
pub(crate) fn adopt<K: Resource, C: Resource>(child: &mut C, owner: &K, controller: &str) -> Result<()> {
    let wrong = |why: String| Err(Error::terminal(format!("{} {}: {why}", C::KIND, ObjectRef::of(child))));
    if child.metadata().name.as_deref().unwrap_or_default().is_empty() {
        return wrong("what is applied has a name, by which it is found again; set metadata.name".to_owned());
    }
    let labels = child.metadata().labels.as_ref();
    if let Some(other) = labels.and_then(|labels| labels.get(MANAGED_BY)).filter(|other| *other != controller) {
        return wrong(format!(
            "the label {MANAGED_BY} says {other:?}, but it is {controller:?} who applies it; remove the label"
        ));
    }
    own(child, owner)?;
    child.metadata_mut().labels.get_or_insert_default().insert(MANAGED_BY.to_owned(), controller.to_owned());
    Ok(())
}

/// Has `owner` control `child`.
pub(crate) fn own<K: Resource, C: Resource>(child: &mut C, owner: &K) -> Result<()> {
    let wrong = |why: String| Err(Error::terminal(format!("{} {}: {why}", C::KIND, ObjectRef::of(child))));
    let (here, there) = (ApiResource::of::<K>().namespaced, ApiResource::of::<C>().namespaced);
    let home = owner.metadata().namespace.clone().filter(|_| here);
    let namespace = child.metadata().namespace.clone().filter(|namespace| !namespace.is_empty());
    match (&home, &namespace) {
        (Some(_), _) if !there => {
            return wrong(format!("{} lives in a namespace and cannot own what does not; use apply_unowned", K::KIND));
        }
        (Some(home), Some(other)) if home != other => {
            return wrong(format!("its owner lives in {home:?}, and owns only what lives there; use apply_unowned"));
        }
        (None, None) if there => return wrong("its owner lives in no namespace; set metadata.namespace".to_owned()),
        _ => {}
    }
    let reference = owner_reference(owner);
    let metadata = child.metadata_mut();
    if there {
        metadata.namespace = namespace.or(home);
    }
    let owners = metadata.owner_references.get_or_insert_default();
    owners.retain(|owner| owner.uid != reference.uid);
    owners.push(reference);
    Ok(())
}

/// A kind of children.
pub(crate) trait Children<K>: Send + Sync {
    /// Deletes those that the reconcile, of which this is the context, did not apply.
    fn prune<'a>(&'a self, cx: &'a Context<K>) -> BoxFuture<'a, Result<()>>;
}

pub(crate) fn of<K: Resource, C: Resource>() -> Box<dyn Children<K>> {
    Box::new(Of::<C>(PhantomData))
}

struct Of<C>(PhantomData<fn() -> C>);

impl<K: Resource, C: Resource> Children<K> for Of<C> {
    fn prune<'a>(&'a self, cx: &'a Context<K>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for child in cx.children::<C>() {
                let unwanted = !cx.has_applied(TypeId::of::<C>(), &ObjectRef::of(&*child));
                if unwanted && child.metadata().deletion_timestamp.is_none() {
                    cx.delete(&*child, DeleteParams::default()).await?;
                }
            }
            Ok(())
        })
    }
}
