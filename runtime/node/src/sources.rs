//! Follows what pods are made from, each ConfigMap and Secret by itself: a node may read those that
//! its pods refer to, and no others (`pkg/kubelet/util/manager/watch_based_manager.go`).

use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use trimtab_api::ObjectRef;
use trimtab_client::Client;
use trimtab_env::{CancellationToken, Env, HashMap, HashSet, Tasks, lock};
use trimtab_reconcile::{Resource, cache_one};

use crate::feed::Nodes;
use crate::pod::{self, references::References};

/// What is followed.
pub(crate) struct Sources {
    client: Client,
    env: Env,
    nodes: Arc<Nodes>,
    tasks: Tasks,
    watched: Mutex<Watches>,
}

/// By kind, namespace and name.
type Watches = HashMap<(&'static str, ObjectRef), Watched>;

struct Watched {
    /// The uids of the pods that refer to it.
    pods: HashSet<String>,
    /// Ends the watch.
    end: CancellationToken,
}

impl Sources {
    pub(crate) fn new(client: Client, env: Env, nodes: Arc<Nodes>, tasks: Tasks) -> Arc<Self> {
        Arc::new(Self { client, env, nodes, tasks, watched: Mutex::default() })
    }

    /// Follows what `pod` refers to. What a pod refers to never changes.
    pub(crate) fn follow(self: &Arc<Self>, pod: &Pod) {
        let References { config_maps, secrets, pull_secrets } = References::of(pod);
        let id = pod::id(pod);
        let key = |name: &String| ObjectRef::new(id.namespace.as_str(), name.as_str());
        for name in &config_maps {
            self.one::<ConfigMap>(key(name), &id.uid);
        }
        for name in secrets.union(&pull_secrets) {
            self.one::<Secret>(key(name), &id.uid);
        }
    }

    fn one<K: Resource>(self: &Arc<Self>, key: ObjectRef, uid: &str) {
        let mut watched = lock(&self.watched);
        if let Some(there) = watched.get_mut(&(K::KIND, key.clone())) {
            there.pods.insert(uid.to_owned());
            return;
        }
        let end = self.tasks.token().child_token();
        let entry = Watched { pods: HashSet::from_iter([uid.to_owned()]), end: end.clone() };
        watched.insert((K::KIND, key.clone()), entry);
        drop(watched);
        let (cache, keeps) = cache_one::<K>(&self.client, &self.env, &key);
        let (mut changes, sources) = (cache.subscribe(), Arc::downgrade(self));
        let tell = async move {
            while changes.recv().await.is_some() {
                let Some(sources) = sources.upgrade() else { return };
                sources.touch((K::KIND, key.clone()));
            }
        };
        self.tasks.spawn("volume source", async move {
            end.run_until_cancelled(futures::future::join(keeps, tell)).await;
        });
    }

    /// Wakes the pods that refer to the object.
    fn touch(&self, source: (&'static str, ObjectRef)) {
        let pods = lock(&self.watched).get(&source).map(|watched| watched.pods.clone()).unwrap_or_default();
        for (uid, node) in pods.iter().flat_map(|uid| self.nodes.values().map(move |node| (uid, node))) {
            node.tell(uid, |news| news.sources_changed = true);
        }
    }

    /// The pod is gone: what no other refers to is followed no longer.
    pub(crate) fn release(&self, uid: &str) {
        lock(&self.watched).retain(|_, watched| {
            watched.pods.remove(uid);
            let stays = !watched.pods.is_empty();
            if !stays {
                watched.end.cancel();
            }
            stays
        });
    }
}
