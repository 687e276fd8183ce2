//! The loop: changes in, bindings out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Binding, Node, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use trimtab_api::ObjectRef;
use trimtab_client::{Api, Error, Patch};
use trimtab_env::{CancellationToken, Tasks};
use trimtab_reconcile::{Cache, Change, EventType, Manager, Recorder};

use crate::filter::refusal;
use crate::node_info::{NodeInfo, Request, spread_key};
use crate::queue::Waiting;
use crate::score::score;

const NAME: &str = "default-scheduler";
/// Bindings that are under way at one time.
const BINDINGS: usize = 32;
/// How soon a pod whose binding failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What came of a binding.
enum Bound {
    /// The API took it.
    Done,
    /// The pod is gone or bound: nothing more to do.
    Settled(ObjectRef),
    /// Try again.
    Failed(ObjectRef),
}

/// Gives every pod of `default-scheduler` a node, until `shutdown`.
pub async fn run(manager: Manager, shutdown: CancellationToken) {
    let tasks = Tasks::under(&shutdown);
    let (nodes, pods) = (manager.cache::<Node>(), manager.cache::<Pod>());
    let ready = async {
        nodes.synced().await;
        pods.synced().await;
    };
    if shutdown.run_until_cancelled(ready).await.is_some() {
        let (outcomes, results) = mpsc::unbounded_channel();
        let scheduler = Scheduler {
            recorder: manager.recorder(NAME),
            pods: pods.clone(),
            infos: BTreeMap::new(),
            placed: HashMap::new(),
            waiting: Waiting::default(),
            turn: 0,
            bindings: Arc::new(Semaphore::new(BINDINGS)),
            outcomes,
            tasks: tasks.clone(),
            manager,
        };
        // Dropped between two changes at the latest; what is under way is joined below.
        shutdown.run_until_cancelled(scheduler.run(nodes, pods, results)).await;
    }
    tasks.shutdown().await;
}

struct Scheduler {
    manager: Manager,
    recorder: Recorder,
    pods: Cache<Pod>,
    infos: BTreeMap<String, NodeInfo>,
    /// Where each pod counts, whether the API knows it already or the binding is under way.
    placed: HashMap<ObjectRef, String>,
    waiting: Waiting,
    /// Nodes that are equally good take turns.
    turn: usize,
    bindings: Arc<Semaphore>,
    outcomes: mpsc::UnboundedSender<Bound>,
    tasks: Tasks,
}

impl Scheduler {
    async fn run(mut self, nodes: Cache<Node>, pods: Cache<Pod>, mut results: mpsc::UnboundedReceiver<Bound>) {
        let (mut nodes, mut pods) = (nodes.subscribe(), pods.subscribe());
        loop {
            // Everything that is known is taken in before the next decision.
            while let Ok(change) = nodes.try_recv() {
                self.node_changed(&change);
            }
            while let Ok(change) = pods.try_recv() {
                self.pod_changed(&change);
            }
            while let Ok(outcome) = results.try_recv() {
                self.settle(outcome);
            }
            if let Some(key) = self.waiting.next() {
                self.schedule(&key);
                // Lets bindings start, and other components have their turn.
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                change = nodes.recv() => match change { Some(change) => self.node_changed(&change), None => return },
                change = pods.recv() => match change { Some(change) => self.pod_changed(&change), None => return },
                outcome = results.recv() => if let Some(outcome) = outcome { self.settle(outcome) },
            }
        }
    }

    fn node_changed(&mut self, change: &Change<Node>) {
        let name = change.object().metadata.name.clone().unwrap_or_default();
        match change {
            Change::Applied { old, new } => {
                let relevant = old.as_ref().is_none_or(|old| matters(old) != matters(new));
                self.infos.entry(name).or_default().set_node(Arc::clone(new));
                if relevant {
                    self.waiting.retry_all();
                }
            }
            Change::Deleted(_) => {
                // Its pods still count until they are gone, in case it comes back.
                if let Some(info) = self.infos.get_mut(&name) {
                    info.node = None;
                }
            }
        }
    }

    fn pod_changed(&mut self, change: &Change<Pod>) {
        let pod = change.object();
        let key = ObjectRef::of(&**pod);
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        let over = matches!(change, Change::Deleted(_)) || matches!(phase, Some("Succeeded" | "Failed"));
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).filter(|name| !name.is_empty());
        match node {
            _ if over => {
                self.waiting.forget(&key);
                if self.unplace(&key) {
                    self.waiting.retry_all();
                }
            }
            Some(node) => {
                self.waiting.forget(&key);
                if self.placed.get(&key) != Some(&node) {
                    self.place(pod, node);
                }
            }
            None if self.placed.contains_key(&key) => {}
            None if is_ours(pod) => self.waiting.add(key),
            None => {}
        }
    }

    fn place(&mut self, pod: &Pod, node: String) {
        let key = ObjectRef::of(pod);
        self.unplace(&key);
        self.infos.entry(node.clone()).or_default().add(pod);
        self.placed.insert(key, node);
    }

    fn unplace(&mut self, key: &ObjectRef) -> bool {
        let Some(node) = self.placed.remove(key) else { return false };
        if let Some(info) = self.infos.get_mut(&node) {
            info.remove(key);
            if info.node.is_none() && info.pods() == 0 {
                self.infos.remove(&node);
            }
        }
        true
    }

    fn settle(&mut self, outcome: Bound) {
        match outcome {
            Bound::Done => {}
            Bound::Settled(key) => {
                let known = self.pods.get(&key).and_then(|pod| pod.spec.as_ref()?.node_name.clone());
                if known.is_none() {
                    self.unplace(&key);
                }
            }
            Bound::Failed(key) => {
                self.unplace(&key);
                self.waiting.add(key);
            }
        }
    }

    fn schedule(&mut self, key: &ObjectRef) {
        let Some(pod) = self.pods.get(key).filter(|pod| is_ours(pod)) else { return };
        let request = Request::of(&pod);
        match self.choose(&pod, &request) {
            Ok(node) => {
                self.waiting.forget(key);
                self.place(&pod, node.clone());
                self.bind(pod, node);
            }
            Err(message) => {
                if self.waiting.set_aside(key.clone(), message.clone()) {
                    self.recorder.event(&*pod, EventType::Warning, "FailedScheduling", message.clone());
                    self.explain(pod, message);
                }
            }
        }
    }

    /// The best node, or why there is none.
    fn choose(&mut self, pod: &Pod, request: &Request) -> Result<String, String> {
        let spread = spread_key(pod);
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        let mut fits = Vec::new();
        for (name, info) in self.infos.iter().filter(|(_, info)| info.node.is_some()) {
            match refusal(pod, request, info) {
                None => fits.push((name, info)),
                Some(reason) => *reasons.entry(reason).or_default() += 1,
            }
        }
        let most = fits.iter().filter_map(|(_, info)| info.spread.get(&spread).copied()).max().unwrap_or(0);
        let scored: Vec<(i64, &String)> =
            fits.iter().map(|(name, info)| (score(request, &spread, most, info), *name)).collect();
        let Some(best) = scored.iter().map(|(score, _)| *score).max() else { return Err(self.unschedulable(&reasons)) };
        let equals: Vec<&String> = scored.iter().filter(|(score, _)| *score == best).map(|(_, name)| *name).collect();
        self.turn = self.turn.wrapping_add(1);
        Ok(equals[self.turn % equals.len()].clone())
    }

    fn unschedulable(&self, reasons: &BTreeMap<String, usize>) -> String {
        let nodes = self.infos.values().filter(|info| info.node.is_some()).count();
        if nodes == 0 {
            return "no nodes available to schedule pods".to_owned();
        }
        let list: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        format!("0/{nodes} nodes are available: {}.", list.join(", "))
    }

    fn bind(&self, pod: Arc<Pod>, node: String) {
        let (manager, recorder) = (self.manager.clone(), self.recorder.clone());
        let (bindings, outcomes) = (Arc::clone(&self.bindings), self.outcomes.clone());
        self.tasks.spawn("bind", async move {
            // The semaphore lives as long as the scheduler's tasks.
            let Ok(_permit) = bindings.acquire().await else { return };
            let key = ObjectRef::of(&*pod);
            let api: Api<Pod> = Api::namespaced(manager.client(), &key.namespace);
            let outcome = match api.create_subresource(&key.name, "binding", &binding(&pod, &node)).await {
                Ok(_) => {
                    let text = format!("Successfully assigned {key} to {node}");
                    recorder.event(&*pod, EventType::Normal, "Scheduled", text);
                    Bound::Done
                }
                Err(error) if error.is_not_found() || error.is_conflict() => Bound::Settled(key),
                Err(error) => {
                    tracing::warn!(pod = %key, %error, "a binding failed; it is tried again");
                    manager.env().sleep(RETRY).await;
                    Bound::Failed(key)
                }
            };
            // Nobody listens once the scheduler ends.
            let _ = outcomes.send(outcome);
        });
    }

    /// Says in the pod's status why it has no node.
    fn explain(&self, pod: Arc<Pod>, message: String) {
        let manager = self.manager.clone();
        self.tasks.spawn("explain", async move {
            let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
                "lastTransitionTime": Time(manager.env().now())});
            let patch = Patch::Strategic(json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}));
            let key = ObjectRef::of(&*pod);
            let api: Api<Pod> = Api::namespaced(manager.client(), &key.namespace);
            match api.patch_status(&key.name, &patch).await {
                Err(error) if !Error::is_not_found(&error) => tracing::debug!(pod = %key, %error, "a condition could not be written"),
                _ => {}
            }
        });
    }
}

fn is_ours(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    let unbound = spec.is_some_and(|spec| spec.node_name.as_deref().unwrap_or_default().is_empty());
    let scheduler = spec.and_then(|spec| spec.scheduler_name.as_deref()).unwrap_or(NAME);
    let gated = spec.and_then(|spec| spec.scheduling_gates.as_ref()).is_some_and(|gates| !gates.is_empty());
    unbound && scheduler == NAME && !gated && pod.metadata.deletion_timestamp.is_none()
}

/// What of a node decides about pods: heartbeats change nothing.
fn matters(
    node: &Node,
) -> (Option<&k8s_openapi::api::core::v1::NodeSpec>, Option<&BTreeMap<String, String>>, Vec<(&String, &String)>) {
    let allocatable = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
    let amounts = allocatable.into_iter().flatten().map(|(name, quantity)| (name, &quantity.0)).collect();
    (node.spec.as_ref(), node.metadata.labels.as_ref(), amounts)
}

fn binding(pod: &Pod, node: &str) -> Binding {
    let metadata = ObjectMeta {
        name: pod.metadata.name.clone(),
        namespace: pod.metadata.namespace.clone(),
        uid: pod.metadata.uid.clone(),
        ..ObjectMeta::default()
    };
    let target =
        ObjectReference { kind: Some("Node".to_owned()), name: Some(node.to_owned()), ..ObjectReference::default() };
    Binding { metadata, target }
}
