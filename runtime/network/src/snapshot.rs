//! What both halves of this crate are computed from: all Services and all EndpointSlices.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use tokio::sync::watch;
use trimtab_api::ObjectRef;
use trimtab_env::Tasks;
use trimtab_reconcile::{Cache, Manager};

/// The label by which a slice names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The Services and EndpointSlices at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// All Services.
    pub services: Vec<Arc<Service>>,
    /// All EndpointSlices.
    pub slices: Vec<Arc<EndpointSlice>>,
}

/// The two caches that snapshots are taken of.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) services: Cache<Service>,
    slices: Cache<EndpointSlice>,
}

impl Source {
    /// The caches of `manager`.
    pub(crate) fn of(manager: &Manager) -> Self {
        Self { services: manager.cache(), slices: manager.cache() }
    }

    /// The snapshots from now on, the first complete: before it, all Services would seem to be
    /// gone. Changes that come together make one snapshot.
    pub(crate) async fn follow(self, tasks: &Tasks) -> watch::Receiver<Arc<Snapshot>> {
        self.services.synced().await;
        self.slices.synced().await;
        let (mut services, mut slices) = (self.services.subscribe(), self.slices.subscribe());
        let (sender, receiver) = watch::channel(self.take());
        tasks.spawn_cancellable("service-snapshots", async move {
            loop {
                let open = tokio::select! {
                    biased;
                    change = services.recv() => change.is_some(),
                    change = slices.recv() => change.is_some(),
                };
                while services.try_recv().is_ok() || slices.try_recv().is_ok() {}
                sender.send_replace(self.take());
                if !open {
                    return;
                }
            }
        });
        receiver
    }

    fn take(&self) -> Arc<Snapshot> {
        Arc::new(Snapshot { services: self.services.list(), slices: self.slices.list() })
    }
}

/// The name of the Service that a slice belongs to.
pub(crate) fn service_of(slice: &EndpointSlice) -> Option<ObjectRef> {
    let name = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    Some(ObjectRef::new(slice.metadata.namespace.clone().unwrap_or_default(), name.clone()))
}

/// Whether new connections may go to an endpoint. An unknown condition counts as true
/// (`discovery/v1.EndpointConditions`).
pub(crate) fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

/// Whether an endpoint is on its way out but still answers: the last resort when none is ready
/// (KEP-1669).
pub(crate) fn is_serving_terminating(endpoint: &Endpoint) -> bool {
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    conditions.serving.unwrap_or(true) && conditions.terminating.unwrap_or(false)
}
