//! Finalizers: an object is not gone before its controller has cleaned up after it.

use std::sync::Arc;

use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;
use trimtab_api::ObjectRef;
use trimtab_client::{Api, Patch};

use crate::context::Context;
use crate::controller::Controller;
use crate::error::{Next, Result};

/// Reconciles an object that is there, under the controller's finalizer if it has one: put there
/// before the first reconcile, taken away after `cleanup`.
pub(crate) async fn present<C: Controller>(
    controller: &C,
    object: Arc<C::Kind>,
    cx: &Context<C::Kind>,
) -> Result<Next> {
    let Some(finalizer) = C::FINALIZER else { return controller.reconcile(&object, cx).await };
    let going = object.metadata().deletion_timestamp.is_some();
    match (going, is_held(&*object, finalizer)) {
        (false, true) => controller.reconcile(&object, cx).await,
        (false, false) => {
            let mut finalizers = object.metadata().finalizers.clone().unwrap_or_default();
            finalizers.push(finalizer.to_owned());
            let held = write(&*object, &finalizers, cx).await?;
            cx.fold(&held);
            controller.reconcile(&held, cx).await
        }
        (true, true) => {
            controller.cleanup(&object, cx).await?;
            release(&*object, finalizer, cx).await
        }
        // Cleaned up already; what else holds it is not ours.
        (true, false) => Ok(Next::on_change()),
    }
}

fn is_held(object: &impl Metadata<Ty = ObjectMeta>, finalizer: &str) -> bool {
    object.metadata().finalizers.iter().flatten().any(|held| held == finalizer)
}

async fn release<K: crate::Resource>(object: &K, finalizer: &str, cx: &Context<K>) -> Result<Next> {
    let finalizers = object.metadata().finalizers.iter().flatten().filter(|held| *held != finalizer);
    match write(object, &finalizers.cloned().collect::<Vec<_>>(), cx).await {
        // Others hold it still: it is not cleaned up after once more.
        Ok(left) if left.metadata().finalizers.as_ref().is_some_and(|held| !held.is_empty()) => cx.fold(&left),
        // Whatever is done to what it owned must not have it looked at again as it was.
        Ok(_) => cx.fold_gone(object),
        Err(crate::Error::Client(error)) if error.is_not_found() => cx.fold_gone(object),
        Err(error) => return Err(error),
    }
    Ok(Next::on_change())
}

// The list is replaced as a whole, so that the write must be of the version that was read.
async fn write<K: crate::Resource>(object: &K, finalizers: &[String], cx: &Context<K>) -> Result<K> {
    let key = ObjectRef::of(object);
    let version = &object.metadata().resource_version;
    let patch = Patch::Merge(json!({"metadata": {"resourceVersion": version, "finalizers": finalizers}}));
    Ok(Api::<K>::namespaced(cx.client(), &key.namespace).patch(&key.name, &patch).await?)
}
