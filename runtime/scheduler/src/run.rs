//! The loop: changes in, bindings, conditions and events out. At rest it does nothing; its one
//! timer is set only while a pod backs off.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Binding, Node, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use trimtab_api::ObjectRef;
use trimtab_client::{Api, Client, DeleteParams, Patch};
use trimtab_env::{CancellationToken, Env, HashMap, Instant, Tasks};
use trimtab_reconcile::{Change, EventType, Manager, Recorder};

use crate::core::{Core, Verdict};

/// How many changes are taken in at once.
const BATCH: usize = 512;

/// How many pods are placed before changes are looked at again.
const PLACED_AT_ONCE: usize = 64;

/// Pods with this `schedulerName` are placed.
const NAME: &str = "default-scheduler";

/// How many requests are under way at once at most: enough for the store to commit in groups.
const REQUESTS: usize = 64;

/// How a binding ended.
struct Bound {
    key: ObjectRef,
    ok: bool,
}

/// Places pods until `shutdown`, then waits for the bindings that are under way. Reads from the
/// caches of `manager`, which others may share, and writes as `client`.
pub async fn run(manager: Manager, client: Client, shutdown: CancellationToken) {
    let (nodes, pods) = (manager.cache::<Node>(), manager.cache::<Pod>());
    // A pod is judged only once all is known.
    let synced = async { tokio::join!(nodes.synced(), pods.synced()) };
    if shutdown.run_until_cancelled(synced).await.is_none() {
        return;
    }
    let (mut node_changes, mut pod_changes) = (nodes.subscribe(), pods.subscribe());
    // At most one message for each request under way.
    let (results, mut bound) = mpsc::channel(REQUESTS);
    let tasks = Tasks::new();
    let mut core = Core::new(NAME);
    let writer = Writer::new(client, manager.env(), &tasks, results);
    let (mut node_batch, mut pod_batch) = (Vec::new(), Vec::new());
    let mut told = Told::default();
    loop {
        // Each losing branch leaves its channel as it was.
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            _ = node_changes.recv_many(&mut node_batch, BATCH) => {}
            _ = pod_changes.recv_many(&mut pod_batch, BATCH) => {}
            Some(end) = bound.recv() => settle(&mut core, &end),
            () = until(core.next_due()) => {}
        }
        loop {
            // Nodes first: a pod is judged by the newest world.
            while let Ok(change) = node_changes.try_recv() {
                node_batch.push(change);
            }
            while pod_batch.len() < BATCH
                && let Ok(change) = pod_changes.try_recv()
            {
                pod_batch.push(change);
            }
            let (now, all_read) = (Instant::now(), pod_batch.len() < BATCH);
            node_batch.drain(..).for_each(|change| core.node_changed(&change, now));
            for change in pod_batch.drain(..) {
                told.forget_if_settled(&change);
                core.pod_changed(&change, now);
            }
            while let Ok(end) = bound.try_recv() {
                settle(&mut core, &end);
            }
            let pick = |count: usize| pick(manager.env(), count);
            if place(&mut core, now, &pick, &writer, &mut told) < PLACED_AT_ONCE && all_read {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    // The results of the last bindings are of no use, but must have room.
    bound.close();
    // The last recorder lets the events' writer end.
    drop(writer);
    tasks.join().await;
}

/// Waits until `due`; for ever when there is no such time.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn settle(core: &mut Core, end: &Bound) {
    if end.ok { core.bound(&end.key) } else { core.not_bound(&end.key, Instant::now()) }
}

fn pick(env: &Env, count: usize) -> usize {
    if count < 2 {
        return 0;
    }
    let drawn = env.below(u64::try_from(count).unwrap_or(u64::MAX));
    usize::try_from(drawn).unwrap_or_default()
}

/// Places up to [`PLACED_AT_ONCE`] pods; answers how many.
fn place(core: &mut Core, now: Instant, pick: &dyn Fn(usize) -> usize, writer: &Writer, told: &mut Told) -> usize {
    for placed in 0..PLACED_AT_ONCE {
        match core.next(now, pick) {
            None => return placed,
            Some(Verdict::Bind { pod, node }) => writer.bind(pod, node),
            Some(Verdict::Preempt { pod, node, victims, message }) => {
                writer.preempt(Arc::clone(&pod), node.clone(), victims);
                if told.is_news(&pod, &message) {
                    writer.refuse(pod, message, Some(node));
                }
            }
            Some(Verdict::Unschedulable { pod, message }) => {
                if told.is_news(&pod, &message) {
                    writer.refuse(pod, message, None);
                }
            }
        }
    }
    PLACED_AT_ONCE
}

/// What pods were told last, by uid: the same is not told twice.
#[derive(Default)]
struct Told(HashMap<String, String>);

impl Told {
    fn is_news(&mut self, pod: &Pod, message: &str) -> bool {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        self.0.insert(uid, message.to_owned()).as_deref() != Some(message)
    }

    fn forget_if_settled(&mut self, change: &Change<Pod>) {
        let pod = change.object();
        let placed = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        let gone = matches!(change, Change::Deleted(_)) || pod.metadata.deletion_timestamp.is_some();
        if let (true, Some(uid)) = (placed || gone, &pod.metadata.uid) {
            self.0.remove(uid);
        }
    }
}

/// Writes what was decided, a task for each pod.
struct Writer {
    client: Client,
    env: Env,
    recorder: Recorder,
    tasks: Tasks,
    permits: Arc<Semaphore>,
    results: mpsc::Sender<Bound>,
}

impl Writer {
    fn new(client: Client, env: &Env, tasks: &Tasks, results: mpsc::Sender<Bound>) -> Self {
        Self {
            recorder: Recorder::new(&client, env, NAME, None, tasks),
            client,
            env: env.clone(),
            tasks: tasks.clone(),
            permits: Arc::new(Semaphore::new(REQUESTS)),
            results,
        }
    }

    fn bind(&self, pod: Arc<Pod>, node: String) {
        let (client, recorder) = (self.client.clone(), self.recorder.clone());
        let (permits, results) = (Arc::clone(&self.permits), self.results.clone());
        self.tasks.spawn("bind", async move {
            let _permit = permits.acquire().await;
            let key = ObjectRef::of(&*pod);
            let bound = send_binding(&client, &pod, &key, &node).await;
            match &bound {
                Ok(()) => {
                    let message = format!("Successfully assigned {key} to {node}");
                    recorder.event(&*pod, EventType::Normal, "Scheduled", message);
                }
                Err(error) => tracing::warn!(pod = %key, node, %error, "a pod could not be bound"),
            }
            // Nobody listens any more once the scheduler ends.
            let _ = results.send(Bound { key, ok: bound.is_ok() }).await;
        });
    }

    /// Has `victims` leave `node` for `pod`.
    fn preempt(&self, pod: Arc<Pod>, node: String, victims: Vec<Arc<Pod>>) {
        if victims.is_empty() {
            return;
        }
        let (client, recorder, now) = (self.client.clone(), self.recorder.clone(), Time(self.env.now()));
        let (permits, results) = (Arc::clone(&self.permits), self.results.clone());
        self.tasks.spawn("preempt", async move {
            let _permit = permits.acquire().await;
            let mut ok = true;
            for victim in victims {
                match send_away(&client, &victim, now.clone()).await {
                    Ok(()) => {
                        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
                        let message = format!("Preempted by pod {uid} on node {node}");
                        recorder.event(&*victim, EventType::Normal, "Preempted", message);
                    }
                    Err(error) => {
                        ok = false;
                        tracing::warn!(pod = %ObjectRef::of(&*victim), node, %error, "a pod could not be preempted");
                    }
                }
            }
            if !ok {
                let _ = results.send(Bound { key: ObjectRef::of(&*pod), ok }).await;
            }
        });
    }

    /// Tells `pod` why it has no node, and which one is `promised` to it.
    fn refuse(&self, pod: Arc<Pod>, message: String, promised: Option<String>) {
        self.recorder.event(&*pod, EventType::Warning, "FailedScheduling", message.clone());
        let (client, now) = (self.client.clone(), Time(self.env.now()));
        let permits = Arc::clone(&self.permits);
        self.tasks.spawn("condition", async move {
            let _permit = permits.acquire().await;
            let key = ObjectRef::of(&*pod);
            let api: Api<Pod> = Api::namespaced(&client, &key.namespace);
            if let Err(error) = api.patch_status(&key.name, &unschedulable(&pod, &message, promised, now)).await
                && !error.is_not_found()
            {
                tracing::warn!(pod = %key, %error, "a pod could not be told why it waits");
            }
        });
    }
}

async fn send_binding(client: &Client, pod: &Pod, key: &ObjectRef, node: &str) -> Result<(), trimtab_client::Error> {
    let api: Api<Pod> = Api::namespaced(client, &key.namespace);
    let binding = Binding {
        metadata: ObjectMeta {
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            // Another pod of this name is not the one that was judged.
            uid: pod.metadata.uid.clone(),
            ..ObjectMeta::default()
        },
        target: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(node.to_owned()),
            ..ObjectReference::default()
        },
    };
    api.create_subresource(&key.name, "binding", &binding).await.map(drop)
}

/// Says of `victim` why it goes, and deletes it. That it is gone already is fine.
async fn send_away(client: &Client, victim: &Pod, now: Time) -> Result<(), trimtab_client::Error> {
    let (key, uid) = (ObjectRef::of(victim), victim.metadata.uid.clone().unwrap_or_default());
    let api: Api<Pod> = Api::namespaced(client, &key.namespace);
    let condition = Patch::Strategic(json!({"metadata": {"uid": uid}, "status": {"conditions": [{
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": format!("{NAME}: preempting to accommodate a higher priority pod"),
        "lastProbeTime": null,
        "lastTransitionTime": now,
    }]}}));
    let done = match api.patch_status(&key.name, &condition).await {
        Ok(_) => api.delete(&key.name, &DeleteParams::default().uid(uid)).await.map(drop),
        Err(error) => Err(error),
    };
    done.or_else(|error| if error.is_not_found() { Ok(()) } else { Err(error) })
}

/// The condition that says why a pod has no node. Since when it says so is kept while it does.
fn unschedulable(pod: &Pod, message: &str, promised: Option<String>, now: Time) -> Patch {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let before = conditions.iter().find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    let since = before.and_then(|condition| condition.last_transition_time.clone()).unwrap_or(now);
    let mut status = json!({"conditions": [{
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
        "lastProbeTime": null,
        "lastTransitionTime": since,
    }]});
    if let Some(node) = promised {
        status["nominatedNodeName"] = node.into();
    }
    Patch::Strategic(json!({"metadata": {"uid": pod.metadata.uid}, "status": status}))
}
