//! The one watch of pods of this process, and the watch of what volumes are made from.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::Metadata;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use trimtab_client::{Api, Error, ListParams, WatchEvent};
use trimtab_env::Env;

use crate::node::Node;
use crate::worker::has_object_volumes;

/// The first wait after the API failed; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// A watch that has run so long has not failed.
const PEACE: Duration = Duration::from_secs(10);

/// The nodes of this process, by name.
pub(crate) type Nodes = HashMap<String, Arc<Node>>;

/// What a watch does with what it sees.
trait Sink<K> {
    /// Everything there is, after a list.
    fn listed(&mut self, objects: Vec<K>);
    fn changed(&mut self, object: K);
    fn deleted(&mut self, object: K);
}

/// Tells the workers about their pods. Runs until it is dropped.
pub(crate) async fn pods(nodes: Arc<Nodes>, env: Env, on_listed: impl Fn() + Send) {
    let Some(client) = nodes.values().next().map(|node| node.shared.client.clone()) else { return };
    // A single node asks for its own pods, many for all that are bound.
    let fields = match nodes.keys().next() {
        Some(name) if nodes.len() == 1 => format!("spec.nodeName={name}"),
        _ => "spec.nodeName!=".to_owned(),
    };
    let sink = Pods { nodes, bound: HashMap::new(), on_listed };
    follow(Api::<Pod>::all(&client), ListParams::default().fields(fields), env, sink).await;
}

/// Tells workers when an object that their volumes are made from changed. Runs until it is dropped.
pub(crate) async fn sources(nodes: Arc<Nodes>, env: Env) {
    let Some(client) = nodes.values().next().map(|node| node.shared.client.clone()) else { return };
    let (maps, secrets) = (Sources { nodes: Arc::clone(&nodes) }, Sources { nodes });
    let params = ListParams::default();
    tokio::join!(
        follow(Api::<ConfigMap>::all(&client), params.clone(), env.clone(), maps),
        follow(Api::<Secret>::all(&client), params.clone(), env, secrets),
    );
}

/// Lists and watches for ever; after an error again, later and later.
async fn follow<K>(api: Api<K>, params: ListParams, env: Env, mut sink: impl Sink<K>)
where
    K: Metadata<Ty = ObjectMeta> + Serialize + DeserializeOwned + Send + 'static,
{
    let mut wait = FIRST;
    loop {
        let begun = tokio::time::Instant::now();
        if let Err(error) = list_and_watch(&api, &params, &mut sink).await {
            tracing::debug!(%error, "a watch of the node agent failed");
        }
        wait = if begun.elapsed() > PEACE { FIRST } else { (wait * 2).min(LONGEST) };
        env.sleep(env.jitter(wait, 0.2)).await;
    }
}

/// Returns when the watch is over for other reasons than its age.
async fn list_and_watch<K>(api: &Api<K>, params: &ListParams, sink: &mut impl Sink<K>) -> Result<(), Error>
where
    K: Metadata<Ty = ObjectMeta> + Serialize + DeserializeOwned + Send + 'static,
{
    let list = api.list(params).await?;
    let mut version = list.metadata.resource_version.clone().unwrap_or_default();
    sink.listed(list.items);
    loop {
        let mut events = std::pin::pin!(api.watch(params, &version).await?);
        while let Some(event) = events.next().await {
            let seen = |object: &K| object.metadata().resource_version.clone();
            match event? {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    version = seen(&object).unwrap_or(version);
                    sink.changed(object);
                }
                WatchEvent::Deleted(object) => {
                    version = seen(&object).unwrap_or(version);
                    sink.deleted(object);
                }
                WatchEvent::Bookmark { resource_version, .. } => version = resource_version,
                WatchEvent::Unreadable { error, .. } => {
                    tracing::error!(%error, "an object cannot be read and is left alone");
                }
                WatchEvent::Error(error) => return Err(error.into()),
            }
        }
    }
}

struct Pods<F> {
    nodes: Arc<Nodes>,
    /// Which node each pod is bound to, by uid.
    bound: HashMap<String, String>,
    on_listed: F,
}

impl<F: Fn()> Sink<Pod> for Pods<F> {
    fn listed(&mut self, pods: Vec<Pod>) {
        self.bound.clear();
        let mut known: HashMap<String, HashSet<String>> = HashMap::new();
        for pod in pods {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
            known.entry(node).or_default().insert(pod.metadata.uid.clone().unwrap_or_default());
            self.changed(pod);
        }
        for (name, node) in self.nodes.iter() {
            node.only(known.get(name).unwrap_or(&HashSet::new()));
        }
        (self.on_listed)();
    }

    fn changed(&mut self, pod: Pod) {
        let Some(name) = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()) else { return };
        if let Some(node) = self.nodes.get(&name) {
            self.bound.insert(pod.metadata.uid.clone().unwrap_or_default(), name);
            node.pod_changed(pod);
        }
    }

    fn deleted(&mut self, pod: Pod) {
        let uid = pod.metadata.uid.unwrap_or_default();
        if let Some(node) = self.bound.remove(&uid).and_then(|name| self.nodes.get(&name)) {
            node.pod_gone(&uid);
        }
    }
}

struct Sources {
    nodes: Arc<Nodes>,
}

impl Sources {
    /// Which pods refer to the object is for their workers to find out: they compare contents.
    fn touch(&self, meta: &ObjectMeta) {
        for node in self.nodes.values() {
            let pods = node.pods().into_iter().filter(|pod| pod.metadata.namespace == meta.namespace);
            for pod in pods.filter(|pod| has_object_volumes(pod)) {
                node.tell(pod.metadata.uid.as_deref().unwrap_or_default(), |news| news.sources_changed = true);
            }
        }
    }
}

impl<K: Metadata<Ty = ObjectMeta>> Sink<K> for Sources {
    fn listed(&mut self, objects: Vec<K>) {
        let namespaces: HashSet<_> = objects.iter().map(|object| object.metadata().namespace.clone()).collect();
        for namespace in namespaces {
            self.touch(&ObjectMeta { namespace, ..ObjectMeta::default() });
        }
    }

    fn changed(&mut self, object: K) {
        self.touch(object.metadata());
    }

    fn deleted(&mut self, _: K) {}
}
