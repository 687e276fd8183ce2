//! Tells each pod's worker its news: of the pod, and of what its volumes and environment are made from.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Once};

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use trimtab_env::Tasks;
use trimtab_reconcile::{Cache, Change, Manager, Resource};

use crate::node::Node;
use crate::pod::{self, references::References};

/// The nodes of this process, by name.
pub(crate) type Nodes = HashMap<String, Arc<Node>>;

/// What the news come from, and whom they are for.
pub(crate) struct Feed {
    pub(crate) manager: Manager,
    pub(crate) pods: Cache<Pod>,
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) tasks: Tasks,
    /// Objects are watched once a pod refers to one.
    pub(crate) sources: Once,
}

impl Feed {
    /// Runs until it is dropped.
    pub(crate) async fn run(self) {
        let mut changes = self.pods.subscribe();
        let removal = async {
            self.pods.synced().await;
            let listed: HashSet<String> = self.pods.list().iter().filter_map(|pod| pod.metadata.uid.clone()).collect();
            for node in self.nodes.values() {
                let (node, listed) = (Arc::clone(node), listed.clone());
                self.tasks.spawn_cancellable("orphans", async move { node.remove_orphans(listed).await });
            }
        };
        let news = async {
            while let Some(change) = changes.recv().await {
                self.tell(change);
            }
        };
        tokio::join!(removal, news);
    }

    fn tell(&self, change: Change<Pod>) {
        match change {
            Change::Applied { old, new } => {
                // Another of the same name: the first is gone.
                if let Some(old) = old.filter(|old| old.metadata.uid != new.metadata.uid) {
                    self.gone(&old);
                }
                let Some(node) = self.node_of(&new) else { return };
                if !node.runtime().is_simulated() && !References::of(&new).is_empty() {
                    self.sources.call_once(|| self.watch_sources());
                }
                node.pod_changed(new);
            }
            Change::Deleted(old) => self.gone(&old),
        }
    }

    fn gone(&self, pod: &Pod) {
        if let Some(node) = self.node_of(pod) {
            node.pod_gone(pod.metadata.uid.as_deref().unwrap_or_default());
        }
    }

    fn node_of(&self, pod: &Pod) -> Option<&Arc<Node>> {
        self.nodes.get(pod::spec(pod).node_name.as_deref()?)
    }

    fn watch_sources(&self) {
        self.watch::<ConfigMap>();
        self.watch::<Secret>();
    }

    fn watch<K: Resource>(&self) {
        let (mut changes, nodes) = (self.manager.cache::<K>().subscribe(), Arc::clone(&self.nodes));
        self.tasks.spawn_cancellable("volume sources", async move {
            while let Some(change) = changes.recv().await {
                touch(&nodes, change.object().metadata());
            }
        });
    }
}

/// Wakes the pods that refer to the object.
fn touch(nodes: &Nodes, object: &ObjectMeta) {
    let name = object.name.as_deref().unwrap_or_default();
    for node in nodes.values() {
        let pods = node.pods().into_iter().filter(|pod| pod.metadata.namespace == object.namespace);
        for pod in pods.filter(|pod| References::of(pod).contain(name)) {
            node.tell(pod.metadata.uid.as_deref().unwrap_or_default(), |news| news.sources_changed = true);
        }
    }
}
