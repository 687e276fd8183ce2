//! Node lifecycle: a node that is silent becomes `Unknown`, taints keep pods away from nodes that
//! are not ready, and pods that do not tolerate that are evicted, to be replaced elsewhere.
//!
//! ```text
//! [ Lease, status ] -> heartbeat -> [ conditions ] -> taints -> [ evictions ]
//! ```

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use serde_json::json;
use trimtab_api::ObjectRef;
use trimtab_api::kinds::pod_is_ready;
use trimtab_client::{Api, DeleteParams, Patch};
use trimtab_env::{HashMap, Instant, lock};
use trimtab_reconcile::{Context, EventType, Next, Result, Setup, controller};

use crate::heartbeat::{self, Heartbeats};
use crate::taints::{self, Evictions, Seen, condition};

const LEASES: &str = "kube-node-lease";
const BY_NODE: &str = "nodeName";
/// How long an agent may take until it first writes (`--node-startup-grace-period`).
const STARTUP: Duration = Duration::from_secs(60);
/// How often a node that is away is looked at, for its evictions depend on the other nodes, too.
const AWAY_RECHECK: Duration = Duration::from_secs(5);
/// How long a node must be gone before its pods are: it may only be registering anew.
const QUARANTINE: Duration = Duration::from_secs(40);

/// Looks after nodes and the pods on those that are not well.
#[derive(Debug)]
pub struct NodeLifecycle {
    grace: Duration,
    heartbeats: Mutex<Heartbeats>,
    /// Since when nodes have the taints that drive pods away.
    tainted: Mutex<HashMap<String, Seen>>,
    /// Since when nodes that pods name have not been there.
    gone: Mutex<HashMap<String, Instant>>,
}

impl NodeLifecycle {
    /// Takes a node for dead that has been silent for `grace` (`--node-monitor-grace-period`).
    pub fn new(grace: Duration) -> Self {
        Self { grace, heartbeats: Mutex::default(), tainted: Mutex::default(), gone: Mutex::default() }
    }
}

#[controller(for = Node, watches(Lease => node_of), name = "node-controller", crate = "trimtab_reconcile")]
impl NodeLifecycle {
    fn setup(&self, setup: &mut Setup<'_, Self>) {
        setup
            .manager()
            .cache::<Pod>()
            .add_index(BY_NODE, |pod| node_name(pod).map(str::to_owned).into_iter().collect());
        let nodes = setup.manager().cache::<Node>();
        setup.watches::<Pod>(move |pod| {
            let key = node_name(pod).map(|name| ObjectRef::new("", name));
            // A pod on a node that is well is of no concern, and there are many.
            let well = |key: &ObjectRef| nodes.get(key).is_some_and(|node| is_well(&node));
            key.filter(|key| !well(key)).into_iter().collect()
        });
    }

    async fn reconcile(&self, node: &Node, cx: &Context<Node>) -> Result<Next> {
        let (now, at) = (cx.env().now(), Instant::now());
        let name = node.metadata.name.clone().unwrap_or_default();
        lock(&self.gone).remove(&name);
        let silent_from = self.silent_from(node, cx, at);
        let node = if silent_from <= at { silence(node, cx, now).await? } else { node.clone() };
        let node = taint(node, cx, now).await?;
        let tainted = lock(&self.tainted).entry(name.clone()).or_default().observe(&node, at);
        if is_well(&node) {
            return Ok(Next::after(silent_from.duration_since(at)));
        }
        let pods = cx.cache::<Pod>().by_index(BY_NODE, &name);
        if condition(&node, "Ready") == Some("Unknown") {
            mark_not_ready(&pods, cx, now).await?;
        }
        let ready = condition(&node, "Ready") == Some("True");
        let look = if ready { silent_from.duration_since(at) } else { AWAY_RECHECK };
        let eviction = evict(&tainted, &pods, cx, (now, at)).await?;
        Ok(Next::after(eviction.map_or(look, |due| due.duration_since(at).min(look))))
    }

    async fn absent(&self, key: &ObjectRef, cx: &Context<Node>) -> Result<Next> {
        lock(&self.heartbeats).forget(&key.name);
        lock(&self.tainted).remove(&key.name);
        let (pods, now) = (cx.cache::<Pod>().by_index(BY_NODE, &key.name), Instant::now());
        let since = {
            let mut gone = lock(&self.gone);
            if pods.is_empty() {
                gone.remove(&key.name);
                return Ok(Next::on_change());
            }
            *gone.entry(key.name.clone()).or_insert(now)
        };
        let due = since + QUARANTINE;
        if now < due {
            return Ok(Next::after(due.duration_since(now)));
        }
        // The cache may be behind; what is about to be done cannot be undone.
        if cx.api::<Node>().get_opt(&key.name).await?.is_none() {
            for pod in &pods {
                collect(pod, cx, cx.env().now()).await?;
            }
        }
        Ok(Next::on_change())
    }
}

// A node's lease is called as the node is.
fn node_of(lease: &Lease) -> Vec<ObjectRef> {
    let of_node = lease.metadata.namespace.as_deref() == Some(LEASES);
    let name = lease.metadata.name.clone().filter(|_| of_node);
    name.map(|name| ObjectRef::new("", name)).into_iter().collect()
}

impl NodeLifecycle {
    /// From when on the node counts as silent, unless it is heard of before.
    fn silent_from(&self, node: &Node, cx: &Context<Node>, now: Instant) -> Instant {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let lease = cx.cache::<Lease>().get(&ObjectRef::new(LEASES, name));
        let heard = lock(&self.heartbeats).observe(node, lease.as_deref(), now);
        heard + heartbeat::patience(node, self.grace, STARTUP.max(self.grace))
    }
}

fn node_name(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

fn is_well(node: &Node) -> bool {
    condition(node, "Ready") == Some("True") && taints::evicting(node).next().is_none()
}

/// Writes down that nobody knows how the node is.
async fn silence(node: &Node, cx: &Context<Node>, now: Timestamp) -> Result<Node> {
    let Some(conditions) = heartbeat::silent(node, now) else { return Ok(node.clone()) };
    let mut silenced = node.clone();
    silenced.status.get_or_insert_default().conditions = Some(conditions);
    let silenced = cx.replace_status(&silenced).await?;
    let name = node.metadata.name.as_deref().unwrap_or_default();
    tracing::warn!(node = name, "the node's agent is silent");
    cx.event(&silenced, EventType::Normal, "NodeNotReady", format!("Node {name} status is now: NodeNotReady"));
    Ok(silenced)
}

/// Gives the node the taints of its conditions.
async fn taint(node: Node, cx: &Context<Node>, now: Timestamp) -> Result<Node> {
    let ready = |node: &Arc<Node>| condition(node, "Ready") == Some("True");
    let any_ready = condition(&node, "Ready") == Some("True") || cx.cache::<Node>().list().iter().any(ready);
    let evictions = if any_ready { Evictions::Wanted } else { Evictions::Suspended };
    let wanted = taints::wanted(&node, evictions, now);
    if node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default() == wanted {
        return Ok(node);
    }
    let mut tainted = node;
    tainted.spec.get_or_insert_default().taints = (!wanted.is_empty()).then_some(wanted);
    cx.replace(&tainted).await
}

/// Takes the pods of a silent node out of their Services.
async fn mark_not_ready(pods: &[Arc<Pod>], cx: &Context<Node>, now: Timestamp) -> Result<()> {
    for pod in pods.iter().filter(|pod| pod_is_ready(pod)) {
        let condition =
            json!({"type": "Ready", "status": "False", "reason": "NodeNotReady", "lastTransitionTime": now});
        patch_status(pod, json!({"conditions": [condition]}), cx).await?;
        cx.event(&**pod, EventType::Warning, "NodeNotReady", "Node is not ready");
    }
    Ok(())
}

/// Deletes the pods whose time on this node is over. Answers when the next one's is.
async fn evict(
    taints: &[(&Taint, Instant)],
    pods: &[Arc<Pod>],
    cx: &Context<Node>,
    (now, at): (Timestamp, Instant),
) -> Result<Option<Instant>> {
    let mut next = None;
    for pod in pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
        match taints::eviction_time(pod, taints.iter().copied()) {
            Some(due) if due <= at => evict_one(pod, cx, now).await?,
            Some(due) => next = Some(next.map_or(due, |next: Instant| next.min(due))),
            None => {}
        }
    }
    Ok(next)
}

async fn evict_one(pod: &Pod, cx: &Context<Node>, now: Timestamp) -> Result<()> {
    let message = "Taint manager: deleting due to NoExecute taint";
    let key = ObjectRef::of(pod);
    patch_status(pod, json!({"conditions": [disrupted("DeletionByTaintManager", message, now)]}), cx).await?;
    cx.event(pod, EventType::Normal, "TaintManagerEviction", format!("Marking for deletion Pod {key}"));
    cx.delete(pod, DeleteParams::default()).await
}

/// Ends a pod whose node no longer exists: nobody is there to do it.
async fn collect(pod: &Pod, cx: &Context<Node>, now: Timestamp) -> Result<()> {
    let ended = matches!(pod.status.as_ref().and_then(|s| s.phase.as_deref()), Some("Succeeded" | "Failed"));
    if !ended {
        let condition = disrupted("DeletionByPodGC", "PodGC: node no longer exists", now);
        patch_status(pod, json!({"phase": "Failed", "conditions": [condition]}), cx).await?;
    }
    cx.delete(pod, DeleteParams::now()).await
}

fn disrupted(reason: &str, message: &str, now: Timestamp) -> serde_json::Value {
    json!({"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message, "lastTransitionTime": now})
}

async fn patch_status(pod: &Pod, status: serde_json::Value, cx: &Context<Node>) -> Result<()> {
    let key = ObjectRef::of(pod);
    let patch = Patch::Strategic(json!({"metadata": {"uid": pod.metadata.uid}, "status": status}));
    match Api::<Pod>::namespaced(cx.client(), &key.namespace).patch_status(&key.name, &patch).await {
        Ok(patched) => cx.cache::<Pod>().fold(&patched),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
