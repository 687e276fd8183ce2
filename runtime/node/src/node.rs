//! One node of the agent: what its pods' workers share.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service};
use trimtab_client::Client;
use trimtab_env::{CancellationToken, Env, HashMap, HashSet, Tasks, lock};
use trimtab_reconcile::{Cache, EventType, Recorder};

use crate::agent::NodeConfig;
use crate::health::Health;
use crate::mailbox::Mailbox;
use crate::pod;
use crate::runtime::{Host, Image, Observed, Runtime, Version};
use crate::token::Tokens;
use crate::volume::Files;
use crate::worker::Worker;

/// How long to wait after the runtime failed.
const RETRY: Duration = Duration::from_secs(1);

/// What all nodes of a process share.
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) env: Env,
    pub(crate) files: Files,
    pub(crate) dns: Option<IpAddr>,
    pub(crate) domain: String,
    pub(crate) tokens: Tokens,
    /// Told to containers by their environment.
    pub(crate) services: Cache<Service>,
}

/// One node.
pub(crate) struct Node {
    pub(crate) config: NodeConfig,
    pub(crate) shared: Arc<Shared>,
    pub(crate) host: Host,
    pub(crate) health: Health,
    version: Mutex<Version>,
    recorder: Recorder,
    pub(crate) workers: Tasks,
    /// Images that are present, by the name pods give them.
    images: Mutex<HashMap<String, Image>>,
    pods: Mutex<HashMap<String, Entry>>,
    /// Pods that had containers when the process started: their workers look before they act.
    adopted: Mutex<HashSet<String>>,
}

struct Entry {
    mailbox: Arc<Mailbox>,
    pod: Arc<Pod>,
    /// Cancelled when nothing is left of the pod.
    ended: CancellationToken,
}

impl Node {
    pub(crate) fn new(config: NodeConfig, shared: Arc<Shared>, host: Host, version: Version, workers: Tasks) -> Self {
        let recorder = Recorder::new(&shared.client, &shared.env, "kubelet", Some(&config.name), &workers);
        Self {
            config,
            shared,
            host,
            health: Health::default(),
            version: Mutex::new(version),
            recorder,
            workers,
            images: Mutex::default(),
            pods: Mutex::default(),
            adopted: Mutex::default(),
        }
    }

    pub(crate) fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.config.runtime
    }

    /// The runtime's name and versions, as it told last.
    pub(crate) fn version(&self) -> Version {
        lock(&self.version).clone()
    }

    /// The runtime is back: what was known of it may be true no longer.
    pub(crate) fn returned(&self, version: Version) {
        *lock(&self.version) = version;
        lock(&self.images).clear();
    }

    /// What was there when the process started.
    pub(crate) fn adopt(&self, observed: &Observed) {
        *lock(&self.adopted) = uids(observed);
    }

    /// A new version of a pod of this node: told to its worker, which is made for a new pod.
    pub(crate) fn pod_changed(self: &Arc<Self>, pod: Arc<Pod>) {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let mut pods = lock(&self.pods);
        if let Some(entry) = pods.get_mut(&uid) {
            entry.pod = Arc::clone(&pod);
            entry.mailbox.tell(|news| news.pod = Some(pod));
            return;
        }
        let mailbox = Arc::new(Mailbox::default());
        let ended = CancellationToken::new();
        let entry = Entry { mailbox: Arc::clone(&mailbox), pod: Arc::clone(&pod), ended: ended.clone() };
        pods.insert(uid.clone(), entry);
        drop(pods);
        let adopted = lock(&self.adopted).remove(&uid);
        let worker = Worker::new(Arc::clone(self), mailbox, pod, adopted);
        let node = Arc::clone(self);
        let token = self.workers.token().clone();
        self.workers.spawn("pod", async move {
            worker.run(token).await;
            lock(&node.pods).remove(&uid);
            ended.cancel();
        });
    }

    /// A pod is no longer in the API.
    pub(crate) fn pod_gone(&self, uid: &str) {
        self.tell(uid, |news| news.gone = true);
    }

    pub(crate) fn tell(&self, uid: &str, change: impl FnOnce(&mut crate::mailbox::News)) {
        let mailbox = lock(&self.pods).get(uid).map(|entry| Arc::clone(&entry.mailbox));
        if let Some(mailbox) = mailbox {
            mailbox.tell(change);
        }
    }

    /// Everything may have changed.
    pub(crate) fn tell_all_dirty(&self) {
        for uid in self.uids() {
            self.tell(&uid, |news| news.dirty = true);
        }
    }

    fn uids(&self) -> HashSet<String> {
        lock(&self.pods).keys().cloned().collect()
    }

    /// All pods of this node.
    pub(crate) fn pods(&self) -> Vec<Arc<Pod>> {
        lock(&self.pods).values().map(|entry| Arc::clone(&entry.pod)).collect()
    }

    /// The pod called so, if it is one of this node's.
    pub(crate) fn find(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        self.pods().into_iter().find(|pod| {
            pod.metadata.namespace.as_deref() == Some(namespace) && pod.metadata.name.as_deref() == Some(name)
        })
    }

    /// Cancelled when nothing is left of the pod: at once, if it is not one of this node's.
    pub(crate) fn ended(&self, uid: &str) -> CancellationToken {
        let known = lock(&self.pods).get(uid).map(|entry| entry.ended.clone());
        known.unwrap_or_else(|| {
            let ended = CancellationToken::new();
            ended.cancel();
            ended
        })
    }

    /// Ends and removes what belongs to no pod of the API, of which there are those `listed`, and those made since.
    pub(crate) async fn remove_orphans(&self, listed: HashSet<String>) {
        let observed = loop {
            match self.runtime().observe(None).await {
                Ok(observed) => break observed,
                Err(_) => self.shared.env.sleep(RETRY).await,
            }
        };
        let known: HashSet<String> = self.uids().into_iter().chain(listed).collect();
        for uid in uids(&observed).difference(&known) {
            tracing::info!(node = %self.config.name, pod = %uid, "removing containers of a pod that is gone");
            self.remove_all(&observed, uid).await;
        }
        for uid in self.shared.files.uids().iter().filter(|uid| !known.contains(*uid) && !self.runtime().is_simulated())
        {
            self.remove_files(uid);
        }
    }

    /// Removes all containers of a pod, then its sandboxes. What fails is tried again after the next start.
    async fn remove_all(&self, observed: &Observed, uid: &str) {
        let containers = observed.containers.iter().filter(|c| c.uid == uid).map(|c| &c.id);
        for id in containers.chain(observed.sandboxes.iter().filter(|s| s.uid == uid).map(|s| &s.id)) {
            if let Err(error) = self.runtime().remove(id).await {
                tracing::warn!(%id, %error, "could not remove an orphan");
            }
        }
    }

    pub(crate) fn remove_files(&self, uid: &str) {
        if let Err(error) = self.shared.files.remove(uid) {
            tracing::warn!(pod = %uid, %error, "could not remove a pod's files");
        }
    }

    /// The image, if it is known to be present, or is found to be.
    pub(crate) async fn image(&self, name: &str) -> crate::runtime::Result<Option<Image>> {
        if let Some(image) = lock(&self.images).get(name) {
            return Ok(Some(image.clone()));
        }
        let found = self.runtime().image(name).await?;
        if let Some(image) = &found {
            self.remember_image(name, image);
        }
        Ok(found)
    }

    /// The image is there.
    pub(crate) fn remember_image(&self, name: &str, image: &Image) {
        lock(&self.images).insert(name.to_owned(), image.clone());
    }

    /// The image turned out to be gone, or is to be looked at anew.
    pub(crate) fn forget_image(&self, name: &str) {
        lock(&self.images).remove(name);
    }

    /// An event about a pod; of a simulated node only warnings, for nobody reads thousands.
    pub(crate) fn event(
        &self,
        pod: &Pod,
        container: Option<&str>,
        warning: bool,
        reason: &'static str,
        message: String,
    ) {
        if self.runtime().is_simulated() && !warning {
            return;
        }
        let init = pod::init_containers(pod).iter().map(|c| c.name.as_str());
        let ephemeral = pod::spec(pod).ephemeral_containers.iter().flatten().map(|c| c.name.as_str());
        let mut others =
            init.map(|name| (name, "initContainers")).chain(ephemeral.map(|name| (name, "ephemeralContainers")));
        let list = others.find(|(name, _)| Some(*name) == container).map_or("containers", |(_, list)| list);
        let about = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            field_path: container.map(|name| format!("spec.{list}{{{name}}}")),
            ..ObjectReference::default()
        };
        let type_ = if warning { EventType::Warning } else { EventType::Normal };
        self.recorder.event_about(about, type_, reason, message);
    }
}

fn uids(observed: &Observed) -> HashSet<String> {
    let containers = observed.containers.iter().map(|c| c.uid.clone());
    containers.chain(observed.sandboxes.iter().map(|s| s.uid.clone())).collect()
}
