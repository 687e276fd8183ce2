//! Garbage collection by owner references: an object goes with the last of its owners, before it
//! (foreground), after it (background), or is let go (orphan).
//! <https://kubernetes.io/docs/concepts/architecture/garbage-collection/>
//!
//! It follows every resource that can be deleted, so it needs none of them by name. What is to be
//! done is decided in `graph`; here it is done. Start at [`run`].

mod act;
mod graph;
mod warn;

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use tokio::sync::mpsc;
use trimtab_client::{ApiResource, Client};
use trimtab_env::{CancellationToken, Env, HashMap, HashSet, Instant, Tasks};
use trimtab_reconcile::Recorder;

use act::{Actor, Done};
use graph::{Graph, Node, Task};
use warn::Warnings;

use crate::follow::{Change, follow};
use crate::metadata::Meta;

/// Who tells events.
const NAME: &str = "garbage-collector-controller";
/// So many requests are under way at once.
const CONCURRENCY: usize = 20;
const BACKLOG: usize = 1024;
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// After so many refusals, a second or so apart, a resource that cannot be listed holds nothing else up.
const PATIENCE: u32 = 5;

/// Collects garbage until `shutdown`.
pub async fn run(client: Client, env: Env, shutdown: CancellationToken) {
    let tasks = Tasks::under(&shutdown);
    let work = async {
        let (changes, receiver) = mpsc::channel(BACKLOG);
        let mut collector = Collector::new(Actor::new(client, env), tasks.clone(), changes);
        // What else is served is known once these have been listed.
        defining_kinds().into_iter().for_each(|resource| collector.follow(Arc::new(resource)));
        collector.run(receiver).await;
    };
    shutdown.run_until_cancelled(work).await;
    tasks.shutdown().await;
}

struct Collector {
    actor: Actor,
    tasks: Tasks,
    changes: mpsc::Sender<Change>,
    graph: Graph,
    warnings: Warnings,
    /// What is followed.
    followed: HashMap<Arc<ApiResource>, Told>,
    /// Whether more may be served by now than is followed.
    is_outdated: bool,
    queue: VecDeque<String>,
    queued: HashSet<String>,
    busy: HashSet<String>,
    /// Who was to be looked at while it was busy.
    again: HashSet<String>,
    failures: HashMap<String, u32>,
    retries: Vec<(Instant, String)>,
}

/// What the server has told of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// All that there is of it.
    List,
    /// So often that it does not tell.
    Refusals(u32),
}

impl Collector {
    fn new(actor: Actor, tasks: Tasks, changes: mpsc::Sender<Change>) -> Self {
        let recorder = Recorder::new(&actor.client, &actor.env, NAME, None, &tasks);
        Self {
            actor,
            tasks,
            changes,
            graph: Graph::default(),
            warnings: Warnings::new(recorder),
            followed: HashMap::default(),
            is_outdated: false,
            queue: VecDeque::new(),
            queued: HashSet::default(),
            busy: HashSet::default(),
            again: HashSet::default(),
            failures: HashMap::default(),
            retries: Vec::new(),
        }
    }

    /// Follows every resource that is served by now and not yet followed.
    async fn discover(&mut self) {
        self.is_outdated = false;
        for resource in self.actor.deletable().await {
            self.follow(resource);
        }
    }

    fn follow(&mut self, resource: Arc<ApiResource>) {
        if self.followed.contains_key(&resource) {
            return;
        }
        self.followed.insert(Arc::clone(&resource), Told::Refusals(0));
        let Actor { client, env, .. } = &self.actor;
        let follow = follow(client.clone(), env.clone(), resource, self.changes.clone());
        self.tasks.spawn_cancellable("garbage: follow", follow);
    }

    async fn run(&mut self, mut changes: mpsc::Receiver<Change>) {
        let mut running: FuturesUnordered<BoxFuture<'static, (String, Done)>> = FuturesUnordered::new();
        loop {
            if self.is_outdated && self.is_ready() {
                self.discover().await;
            }
            self.start(&mut running);
            let retry = self.next_retry();
            // Each branch may be dropped: a channel and a set of futures keep what was not taken.
            tokio::select! {
                biased;
                Some((uid, done)) = running.next() => self.finish(uid, done).await,
                change = changes.recv() => match change {
                    Some(change) => self.note(change),
                    None => return,
                },
                () = retry => self.requeue_due(),
            }
        }
    }

    /// Before everything has been listed, an owner that is not in the graph may just be late, and so may a dependent
    /// that is waited for. Of what cannot be listed, owners are asked for one by one, and dependents are not known, as
    /// upstream: a conversion webhook that is broken does not stop the collection of all else.
    fn is_ready(&self) -> bool {
        self.followed.values().all(|told| !matches!(told, Told::Refusals(..PATIENCE)))
    }

    fn start(&mut self, running: &mut FuturesUnordered<BoxFuture<'static, (String, Done)>>) {
        while self.is_ready() && running.len() < CONCURRENCY {
            let Some(uid) = self.queue.pop_front() else { return };
            self.queued.remove(&uid);
            if self.busy.contains(&uid) {
                self.again.insert(uid);
                continue;
            }
            let Some(node) = self.graph.get(&uid) else { continue };
            let node = node.clone();
            if let Some(owner) = self.graph.misplaced(&node) {
                self.warnings.tell(&node, owner);
            }
            match self.graph.decide(&uid) {
                Task::Rest => drop(self.failures.remove(&uid)),
                Task::Await(others) => others.into_iter().for_each(|other| self.look_at_waiting(other)),
                task => {
                    self.busy.insert(uid.clone());
                    running.push(self.perform(uid, node, task));
                }
            }
        }
    }

    /// Looks at a dependent that somebody waits for. It is not looked at twice for that: its own
    /// changes, and retries, do the rest.
    fn look_at_waiting(&mut self, uid: String) {
        if matches!(self.graph.decide(&uid), Task::Rest | Task::Await(_)) {
            return;
        }
        self.look([uid]);
    }

    fn perform(&self, uid: String, node: Node, task: Task) -> BoxFuture<'static, (String, Done)> {
        let targets = match &task {
            Task::LetGo(dependents) => dependents.iter().filter_map(|(uid, _)| self.graph.get(uid)).cloned().collect(),
            _ => Vec::new(),
        };
        let actor = self.actor.clone();
        Box::pin(async move { (uid, actor.perform(&node, task, &targets).await) })
    }

    fn look(&mut self, uids: impl IntoIterator<Item = String>) {
        for uid in uids {
            if self.queued.insert(uid.clone()) {
                self.queue.push_back(uid);
            }
        }
    }

    fn note(&mut self, change: Change) {
        if let Change::Set(resource, _) | Change::Listed(resource, _) = &change {
            self.is_outdated |= defines_kinds(resource);
        }
        let look = match change {
            Change::Set(resource, meta) => self.graph.set(&resource, meta),
            Change::Removed(meta) => self.remove(&meta.uid),
            Change::Listed(resource, metas) => self.note_list(&resource, metas),
            Change::Refused(resource) => {
                if let Some(Told::Refusals(times)) = self.followed.get_mut(&resource) {
                    *times = times.saturating_add(1);
                }
                Vec::new()
            }
        };
        self.look(look);
    }

    fn note_list(&mut self, resource: &Arc<ApiResource>, metas: Vec<Meta>) -> Vec<String> {
        let listed: HashSet<_> = metas.iter().map(|meta| meta.uid.clone()).collect();
        let mut look = Vec::new();
        for uid in self.graph.of_resource(resource) {
            if !listed.contains(&uid) {
                look.extend(self.remove(&uid));
            }
        }
        look.extend(metas.into_iter().flat_map(|meta| self.graph.set(resource, meta)));
        // Of an owner that went unheard meanwhile, no news will come.
        if let Some(Told::Refusals(PATIENCE..)) = self.followed.insert(Arc::clone(resource), Told::List) {
            look.extend(self.graph.waiting_for(resource));
        }
        look
    }

    fn remove(&mut self, uid: &str) -> Vec<String> {
        self.warnings.forget(uid);
        self.graph.remove(uid)
    }

    async fn finish(&mut self, uid: String, done: Done) {
        self.busy.remove(&uid);
        if self.again.remove(&uid) {
            self.look([uid.clone()]);
        }
        match done {
            // What was done shows up as a change; until it does, there is nothing to do again.
            Done::Written => drop(self.failures.remove(&uid)),
            Done::Vanished => {
                let look = self.remove(&uid);
                self.look(look);
            }
            Done::Verified { gone, misplaced } => {
                if let (Some(owner), Some(node)) = (misplaced, self.graph.get(&uid)) {
                    self.warnings.tell(node, &owner);
                }
                for owner in gone {
                    let look = self.graph.note_gone(&uid, &owner);
                    self.look(look);
                }
            }
            Done::UnknownKind => {
                self.discover().await;
                self.retry(uid);
            }
            Done::Failed => self.retry(uid),
        }
    }

    fn retry(&mut self, uid: String) {
        let failures = self.failures.entry(uid.clone()).or_insert(0);
        let delay = FIRST_RETRY.saturating_mul(1 << (*failures).min(16)).min(LAST_RETRY);
        *failures += 1;
        self.retries.push((Instant::now() + self.actor.env.jitter(delay, 0.2), uid));
    }

    fn next_retry(&self) -> BoxFuture<'static, ()> {
        match self.retries.iter().map(|(at, _)| *at).min() {
            Some(at) => Box::pin(tokio::time::sleep_until(at)),
            None => Box::pin(pending()),
        }
    }

    fn requeue_due(&mut self) {
        let now = Instant::now();
        let (due, later): (Vec<_>, Vec<_>) = self.retries.drain(..).partition(|(at, _)| *at <= now);
        self.retries = later;
        self.look(due.into_iter().map(|(_, uid)| uid));
    }
}

/// More kinds may be served when there is one more of these. Their objects own others, so they are followed
/// from the beginning: that such an owner goes is heard of in no other way.
fn defining_kinds() -> [ApiResource; 2] {
    [ApiResource::of::<CustomResourceDefinition>(), ApiResource::of::<APIService>()]
}

fn defines_kinds(resource: &ApiResource) -> bool {
    let same = |defining: &ApiResource| (&defining.group, &defining.plural) == (&resource.group, &resource.plural);
    defining_kinds().iter().any(same)
}
