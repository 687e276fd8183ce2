//! The worker of one pod: the only one that acts on it.
//!
//! Level-triggered: each turn looks at the newest pod and what the runtime has of it, does what
//! [`actions::compute`] says, and writes the status if it changed. A turn may be dropped anywhere.

mod fault;
mod hooks;
mod images;
mod resize;
mod start;
mod stop;
mod words;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, PodStatus};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use trimtab_client::{Api, ApiResource, Patch};
use trimtab_env::{CancellationToken, HashMap, HashSet};

use crate::mailbox::{Mailbox, News};
use crate::node::Node;
use crate::pod::actions::{self, Actions};
use crate::pod::backoff::BackOff;
use crate::pod::references::has_object_volumes;
use crate::pod::{self, status, support};
use crate::probe::Probes;
use crate::runtime::{self, Observed, Runtime};
use resize::Resizes;

/// How long to wait after the API or the runtime failed.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) struct Worker {
    node: Arc<Node>,
    mailbox: Arc<Mailbox>,
    pod: Arc<Pod>,
    /// The pod's ephemeral containers.
    ephemeral: Vec<Container>,
    gone: bool,
    /// Whether `observed` may be behind the runtime.
    dirty: bool,
    sources_changed: bool,
    observed: Observed,
    backoff: BackOff,
    /// What the pod asks for and this node does not do.
    refusal: Option<String>,
    /// Why containers could not be started: reason and message.
    problems: HashMap<String, (String, String)>,
    /// What was looked for did not answer, which is no fault of the pod: it is tried again soon.
    postponed: bool,
    messages: HashMap<String, String>,
    /// Ended containers whose last words were looked for, by id.
    heard: HashSet<String>,
    /// The instances whose back-off was told.
    told: HashSet<String>,
    /// Why the pod as a whole has failed: reason and message.
    failure: Option<(&'static str, String)>,
    probes: Probes,
    resizes: Resizes,
}

impl Worker {
    /// A worker for `pod`; `adopted` when it may have containers already.
    pub(crate) fn new(node: Arc<Node>, mailbox: Arc<Mailbox>, pod: Arc<Pod>, adopted: bool) -> Self {
        // The API remembers a container: the pod is not new, even if nothing of it is left.
        let begun = pod.status.as_ref().is_some_and(|status| status.container_statuses.is_some());
        let probes = Self::probes(&node, &mailbox, &pod);
        Self {
            refusal: Self::refusal_on(&node, &pod),
            ephemeral: pod::ephemeral_containers(&pod),
            dirty: adopted || begun,
            sources_changed: adopted,
            probes,
            node,
            mailbox,
            pod,
            gone: false,
            observed: Observed::default(),
            backoff: BackOff::default(),
            problems: HashMap::default(),
            postponed: false,
            messages: HashMap::default(),
            heard: HashSet::default(),
            told: HashSet::default(),
            failure: None,
            resizes: Resizes::default(),
        }
    }

    /// A simulated node does everything.
    fn refusal_on(node: &Node, pod: &Pod) -> Option<String> {
        if node.runtime().is_simulated() { None } else { support::refusal(pod) }
    }

    fn probes(node: &Arc<Node>, mailbox: &Arc<Mailbox>, pod: &Arc<Pod>) -> Probes {
        let (reporter, about) = (Arc::clone(node), Arc::clone(pod));
        let on_failure = move |failure: crate::probe::Failure| {
            reporter.event(&about, Some(&failure.container), true, "Unhealthy", failure.message);
        };
        let (env, runtime) = (node.shared.env.clone(), Arc::clone(node.runtime()));
        Probes::new(env, runtime, Arc::clone(mailbox), Arc::new(on_failure))
    }

    /// Works until the pod is gone or `token` is cancelled. Containers are left as they are then.
    pub(crate) async fn run(mut self, token: CancellationToken) {
        token.run_until_cancelled(self.turns()).await;
        self.probes.end().await;
    }

    async fn turns(&mut self) {
        loop {
            let news = self.mailbox.take();
            self.absorb(news);
            self.postponed = false;
            let wait = if self.node.health.trouble().is_some() {
                // Its return is told to all.
                self.dirty = true;
                None
            } else if self.gone {
                if self.end_gone().await {
                    return;
                }
                Some(RETRY)
            } else if self.pod.metadata.deletion_timestamp.is_some() {
                self.terminate().await
            } else {
                self.sync().await
            };
            self.wait(wait).await;
        }
    }

    async fn wait(&self, wait: Option<Duration>) {
        if !self.mailbox.is_empty() {
            return;
        }
        match wait {
            // A wake-up that was for news already taken is spurious, and harmless.
            Some(wait) => drop(tokio::time::timeout(wait, self.mailbox.news()).await),
            None => self.mailbox.news().await,
        }
    }

    fn absorb(&mut self, news: News) {
        if let Some(pod) = news.pod
            && version(&pod) >= version(&self.pod)
        {
            self.sources_changed |= has_object_volumes(&pod) && is_relabelled(&self.pod, &pod);
            if pod.metadata.generation != self.pod.metadata.generation {
                self.refusal = Self::refusal_on(&self.node, &pod);
                self.ephemeral = pod::ephemeral_containers(&pod);
            }
            self.pod = pod;
        }
        self.gone |= news.gone;
        self.dirty |= news.dirty;
        if news.sources_changed {
            self.sources_changed = true;
            self.retry_at_once();
        }
        if let Some(why) = news.evicted {
            self.fail("Evicted", why);
        }
        for verdict in &news.verdicts {
            self.probes.note(&self.pod, verdict);
        }
    }

    fn runtime(&self) -> &dyn Runtime {
        &**self.node.runtime()
    }

    fn uid(&self) -> &str {
        self.pod.metadata.uid.as_deref().unwrap_or_default()
    }

    /// Looks at the runtime, if something may have changed. Whether it could.
    async fn observe(&mut self) -> bool {
        if !self.dirty {
            return true;
        }
        match self.runtime().observe(Some(self.uid())).await {
            Ok(observed) => {
                self.observed = observed;
                self.dirty = false;
                self.forget_gone();
                true
            }
            Err(error) => {
                self.report("could not look at a pod's containers", Err(error));
                false
            }
        }
    }

    /// What is remembered of containers goes with them.
    fn forget_gone(&mut self) {
        let ids: HashSet<&str> = self.observed.containers.iter().map(|container| container.id.as_str()).collect();
        self.messages.retain(|id, _| ids.contains(id.as_str()));
        self.heard.retain(|id| ids.contains(id.as_str()));
        self.told.retain(|id| ids.contains(id.as_str()));
    }

    /// One turn; how long to wait for the next when nothing happens.
    async fn sync(&mut self) -> Option<Duration> {
        if !self.observe().await {
            return Some(RETRY);
        }
        self.read_last_words().await;
        if let Some(why) = self.refusal.clone() {
            return self.refuse(&why).await;
        }
        let deadline = self.check_deadline();
        let actions = self.actions();
        let acted = !actions.stop.is_empty() || !actions.stop_sandboxes.is_empty() || !actions.remove.is_empty();
        let crashing = actions.backing_off.clone();
        self.carry_out(actions).await;
        self.resize().await;
        let (tokens, env) = (&self.node.shared.tokens, &self.node.shared.env);
        self.sources_changed |= tokens.due_in(self.uid(), env).is_some_and(|left| left.is_zero());
        if self.sources_changed {
            self.refresh_volumes().await;
        }
        let ip = self.ip();
        self.probes.follow(&self.pod, &self.observed, ip);
        let written = self.write_status(&crashing).await;
        let retries = self.problems.keys().filter_map(|name| self.retry_in(name));
        let due = self.node.shared.tokens.due_in(self.uid(), &self.node.shared.env);
        let waits = retries.chain(crashing.iter().map(|(_, left)| *left)).chain(deadline).chain(due);
        let failed = !written || self.postponed;
        let again = (acted || failed).then_some(if failed { RETRY } else { Duration::ZERO });
        waits.chain(again).min()
    }

    fn actions(&self) -> Actions {
        let now = self.node.shared.env.now();
        if pod::is_terminal(&self.pod) || self.failure.is_some() {
            let mut actions = actions::end_all(&self.observed, "Stopping container");
            let ended = self.observed.sandboxes.iter().filter(|sandbox| !sandbox.state.is_running());
            actions.remove = ended.map(|sandbox| sandbox.id.clone()).collect();
            return actions;
        }
        let context = actions::Context { condemned: &self.probes.condemned, backoff: &self.backoff, now };
        actions::compute(&self.pod, &self.observed, &context)
    }

    async fn carry_out(&mut self, actions: Actions) {
        self.stop_all(&actions.stop, pod::grace_seconds(&self.pod)).await;
        for id in &actions.stop_sandboxes {
            let stopped = self.runtime().stop(id, 0).await;
            self.report("could not stop a sandbox", stopped);
            self.dirty = true;
        }
        for id in &actions.remove {
            let removed = self.runtime().remove(id).await;
            self.report("could not remove a container", removed);
            self.dirty = true;
        }
        // What was just ended is looked at before anything is started in its place.
        if self.dirty && !actions.start.is_empty() && !self.observe().await {
            return;
        }
        let now = self.node.shared.env.now();
        let due: Vec<_> = actions.start.into_iter().filter(|start| self.retry_in(&start.name).is_none()).collect();
        if !due.is_empty() {
            self.start_all(actions.create_sandbox, due, now).await;
        }
    }

    /// A failure of the runtime that the next turn will meet again, if it lasts.
    fn report(&self, what: &str, result: runtime::Result<()>) {
        match result {
            Ok(()) => {}
            // Told once for the whole node.
            Err(error) if error.is_unavailable() => self.node.health.suspect(),
            Err(error) => tracing::warn!(pod = %self.uid(), %error, "{what}"),
        }
    }

    /// `activeDeadlineSeconds`: how long yet; a pod whose time is over fails.
    fn check_deadline(&mut self) -> Option<Duration> {
        let seconds = pod::spec(&self.pod).active_deadline_seconds?;
        let start = self.pod.status.as_ref()?.start_time.as_ref()?.0;
        let end = start.saturating_add(jiff::SignedDuration::from_secs(seconds)).ok()?;
        let left = Duration::try_from(end.duration_since(self.node.shared.env.now())).ok().filter(|l| !l.is_zero());
        if left.is_none() && !pod::is_terminal(&self.pod) {
            self.fail("DeadlineExceeded", "Pod was active on the node longer than the specified deadline".to_owned());
        }
        left
    }

    /// The pod as a whole has failed: its containers end.
    fn fail(&mut self, reason: &'static str, message: String) {
        if self.failure.is_none() {
            self.node.event(&self.pod, None, true, reason, message.clone());
            self.failure = Some((reason, message));
        }
    }

    /// The pod asks for what is not supported: it waits, and says for what.
    async fn refuse(&mut self, why: &str) -> Option<Duration> {
        let names: Vec<String> = pod::spec(&self.pod).containers.iter().map(|c| c.name.clone()).collect();
        if !names.iter().all(|name| self.problems.contains_key(name)) {
            self.node.event(&self.pod, None, true, "Failed", format!("Error: {why}"));
        }
        let problem = ("CreateContainerConfigError".to_owned(), why.to_owned());
        self.problems.extend(names.into_iter().map(|name| (name, problem.clone())));
        if self.write_status(&[]).await { None } else { Some(RETRY) }
    }

    fn ip(&self) -> Option<IpAddr> {
        self.with_view(&HashMap::default(), |view| status::pod_ip(&self.pod, view))
    }

    fn with_view<T>(&self, waiting: &HashMap<String, (String, String)>, f: impl FnOnce(&status::View<'_>) -> T) -> T {
        f(&status::View {
            observed: &self.observed,
            runtime: &self.node.version().name,
            waiting,
            started: &self.probes.started,
            ready: &self.probes.ready,
            messages: &self.messages,
            given: &self.resizes.given,
            unresized: self.resizes.failed.as_ref(),
            failure: self.failure.as_ref().map(|(reason, message)| (*reason, message.as_str())),
            host_ip: Some(self.node.config.address),
            now: self.node.shared.env.now(),
        })
    }

    /// Writes the status, if it is not what the API has. Whether the API is up to date.
    async fn write_status(&mut self, crashing: &[(String, Duration)]) -> bool {
        let mut waiting = self.problems.clone();
        for (name, _) in crashing {
            let delay = self.backoff.delay(name).as_secs();
            let text = match delay {
                0..60 => format!("{delay}s"),
                _ => format!("{}m{}s", delay / 60, delay % 60),
            };
            let runtime::PodId { namespace, name: pod, uid } = pod::id(&self.pod);
            let message = format!("back-off {text} restarting failed container={name} pod={pod}_{namespace}({uid})");
            let ended = actions::latest(&self.observed, name).map(|container| container.id.clone());
            if self.told.insert(ended.unwrap_or_default()) {
                let text = format!("Back-off restarting failed container {name} in pod {pod}_{namespace}({uid})");
                self.node.event(&self.pod, Some(name), true, "BackOff", text);
            }
            waiting.insert(name.clone(), ("CrashLoopBackOff".to_owned(), message));
        }
        let new = self.with_view(&waiting, |view| status::status(&self.pod, view));
        let known = self.pod.status.as_ref();
        if known == Some(&new) {
            return true;
        }
        let Some(patch) = patch(known, &new) else { return true };
        let id = pod::id(&self.pod);
        let body = Patch::Merge(json!({"metadata": {"uid": id.uid}, "status": patch}));
        let client = &self.node.shared.client;
        let api = Api::<Written>::of(client, ApiResource::of::<Pod>(), Some(&id.namespace));
        match api.patch_status(&id.name, &body).await {
            Ok(Written { metadata }) => {
                let pod = Arc::make_mut(&mut self.pod);
                pod.status = Some(new);
                pod.metadata.resource_version = metadata.resource_version;
                true
            }
            Err(error) if error.is_not_found() => true,
            // Another of the same name, of which the watch will tell; or many write at once.
            Err(error) if error.is_conflict() => false,
            Err(error) => {
                tracing::warn!(pod = %id.name, %error, "could not write a pod's status");
                false
            }
        }
    }
}

/// Of the answer to a write of the status, what was not known before.
#[derive(Deserialize)]
struct Written {
    metadata: WrittenMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMeta {
    resource_version: Option<String>,
}

/// The store's revision of a pod. Only compared between versions of the same pod.
fn version(pod: &Pod) -> u64 {
    pod.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

fn is_relabelled(old: &Pod, new: &Pod) -> bool {
    old.metadata.labels != new.metadata.labels || old.metadata.annotations != new.metadata.annotations
}

/// A merge patch from one status to the other: only the fields that differ.
fn patch(old: Option<&PodStatus>, new: &PodStatus) -> Option<Value> {
    let fields = |status: &PodStatus| match serde_json::to_value(status) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let (old, new) = (old.map(fields).unwrap_or_default(), fields(new));
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = new.iter().filter(|(key, value)| old.get(*key) != Some(value)).map(|(k, v)| (k.clone(), v.clone()));
    let patch: Map<String, Value> = gone.chain(changed).collect();
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_holds_only_what_differs() {
        let old = PodStatus { phase: Some("Pending".to_owned()), reason: Some("x".to_owned()), ..PodStatus::default() };
        let new = PodStatus { phase: Some("Running".to_owned()), ..PodStatus::default() };
        assert_eq!(patch(Some(&old), &new), Some(json!({"phase": "Running", "reason": null})));
        assert_eq!(patch(Some(&new), &new), None);
    }
}
