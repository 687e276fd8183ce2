//! Tells each pod's worker its news, and has what its volumes and environment are made from followed.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use trimtab_env::{HashMap, HashSet, Tasks};
use trimtab_reconcile::{Cache, Change};

use crate::node::Node;
use crate::pod;
use crate::sources::Sources;

/// The nodes of this process, by name.
pub(crate) type Nodes = HashMap<String, Arc<Node>>;

/// What the news come from, and whom they are for.
pub(crate) struct Feed {
    pub(crate) pods: Cache<Pod>,
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) tasks: Tasks,
    pub(crate) sources: Arc<Sources>,
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
                if !node.runtime().is_simulated() {
                    self.sources.follow(&new);
                }
                node.pod_changed(new);
            }
            Change::Deleted(old) => self.gone(&old),
        }
    }

    fn gone(&self, pod: &Pod) {
        if let Some(node) = self.node_of(pod) {
            self.sources.release(pod.metadata.uid.as_deref().unwrap_or_default());
            node.pod_gone(pod.metadata.uid.as_deref().unwrap_or_default());
        }
    }

    fn node_of(&self, pod: &Pod) -> Option<&Arc<Node>> {
        self.nodes.get(pod::spec(pod).node_name.as_deref()?)
    }
}
