//! The worker of one pod: the only one that acts on it.
//!
//! Level-triggered: each turn looks at the newest pod and what the runtime has of it, does what
//! [`actions::compute`] says, and writes the status if it changed. A turn may be dropped anywhere.

mod hooks;
mod start;
mod stop;

pub(crate) use start::has_object_volumes;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::{Map, Value, json};
use trimtab_client::{Api, Patch};
use trimtab_env::CancellationToken;

use crate::mailbox::{Mailbox, News};
use crate::node::Node;
use crate::pod::actions::{self, Actions};
use crate::pod::backoff::BackOff;
use crate::pod::{self, status, support};
use crate::probe::Probes;
use crate::runtime::{LogOptions, Observed, Runtime, State};

/// How long to wait after the API or the runtime failed.
const RETRY: Duration = Duration::from_secs(1);
/// The most of a log that stands in for last words.
const LOG_TAIL_LINES: u64 = 80;
const LOG_TAIL_BYTES: usize = 2048;

pub(crate) struct Worker {
    node: Arc<Node>,
    mailbox: Arc<Mailbox>,
    pod: Arc<Pod>,
    gone: bool,
    /// Whether `observed` may be behind the runtime.
    dirty: bool,
    sources_changed: bool,
    observed: Observed,
    backoff: BackOff,
    /// Why containers could not be started: reason and message.
    problems: HashMap<String, (String, String)>,
    messages: HashMap<String, String>,
    /// Why the pod as a whole has failed.
    failure: Option<(&'static str, &'static str)>,
    probes: Probes,
}

impl Worker {
    /// A worker for `pod`; `adopted` when it may have containers already.
    pub(crate) fn new(node: Arc<Node>, mailbox: Arc<Mailbox>, pod: Arc<Pod>, adopted: bool) -> Self {
        // The API remembers a container: the pod is not new, even if nothing of it is left.
        let begun = pod.status.as_ref().is_some_and(|status| status.container_statuses.is_some());
        let probes = Self::probes(&node, &mailbox, &pod);
        Self {
            dirty: adopted || begun,
            sources_changed: adopted,
            probes,
            node,
            mailbox,
            pod,
            gone: false,
            observed: Observed::default(),
            backoff: BackOff::default(),
            problems: HashMap::new(),
            messages: HashMap::new(),
            failure: None,
        }
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
            let wait = if self.gone {
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
            self.pod = pod;
        }
        self.gone |= news.gone;
        self.dirty |= news.dirty;
        self.sources_changed |= news.sources_changed;
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
                true
            }
            Err(error) => {
                tracing::warn!(pod = %self.uid(), %error, "could not look at a pod's containers");
                false
            }
        }
    }

    /// One turn; how long to wait for the next when nothing happens.
    async fn sync(&mut self) -> Option<Duration> {
        if !self.observe().await {
            return Some(RETRY);
        }
        self.read_last_words().await;
        if let Some(why) = support::refusal(&self.pod) {
            return self.refuse(&why).await;
        }
        let deadline = self.check_deadline();
        let actions = self.actions();
        let acted = !actions.stop.is_empty() || !actions.stop_sandboxes.is_empty() || !actions.remove.is_empty();
        let crashing = self.crash_loops(&actions);
        self.carry_out(actions).await;
        if self.sources_changed {
            self.refresh_volumes().await;
        }
        let ip = self.ip();
        self.probes.follow(&self.pod, &self.observed, ip);
        let written = self.write_status(&crashing).await;
        let retries = self.problems.keys().filter_map(|name| self.retry_in(name));
        let waits = retries.chain(crashing.iter().map(|(_, left)| *left)).chain(deadline);
        let again = (acted || !written).then_some(if acted { Duration::ZERO } else { RETRY });
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

    fn report(&self, what: &str, result: crate::runtime::Result<()>) {
        if let Err(error) = result {
            tracing::warn!(pod = %self.uid(), %error, "{what}");
        }
    }

    /// Containers that crashed and wait, each with how long yet.
    fn crash_loops(&self, actions: &Actions) -> Vec<(String, Duration)> {
        actions.backing_off.clone()
    }

    /// How much longer to wait before a container that could not be started is tried again.
    fn retry_in(&self, name: &str) -> Option<Duration> {
        if !self.problems.contains_key(name) {
            return None;
        }
        let now = self.node.shared.env.now();
        self.backoff.remaining(&format!("{name}/start"), jiff::Timestamp::MIN, now)
    }

    /// `activeDeadlineSeconds`: how long yet; a pod whose time is over fails.
    fn check_deadline(&mut self) -> Option<Duration> {
        let seconds = pod::spec(&self.pod).active_deadline_seconds?;
        let start = self.pod.status.as_ref()?.start_time.as_ref()?.0;
        let end = start.saturating_add(jiff::SignedDuration::from_secs(seconds)).ok()?;
        let left = Duration::try_from(end.duration_since(self.node.shared.env.now())).ok().filter(|l| !l.is_zero());
        if left.is_none() && !pod::is_terminal(&self.pod) {
            const MESSAGE: &str = "Pod was active on the node longer than the specified deadline";
            self.failure = Some(("DeadlineExceeded", MESSAGE));
            self.node.event(&self.pod, None, false, "DeadlineExceeded", MESSAGE.to_owned());
        }
        left
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
        self.with_view(&HashMap::new(), |view| status::pod_ip(&self.pod, view))
    }

    fn with_view<T>(&self, waiting: &HashMap<String, (String, String)>, f: impl FnOnce(&status::View<'_>) -> T) -> T {
        f(&status::View {
            observed: &self.observed,
            runtime: &self.node.version.name,
            waiting,
            started: &self.probes.started,
            ready: &self.probes.ready,
            messages: &self.messages,
            failure: self.failure,
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
            let id = pod::id(&self.pod);
            let message = format!(
                "back-off {text} restarting failed container={name} pod={}_{}({})",
                id.name, id.namespace, id.uid
            );
            self.node.event(
                &self.pod,
                Some(name),
                true,
                "BackOff",
                format!("Back-off restarting failed container {name} in pod {}_{}({})", id.name, id.namespace, id.uid),
            );
            waiting.insert(name.clone(), ("CrashLoopBackOff".to_owned(), message));
        }
        let new = self.with_view(&waiting, |view| status::status(&self.pod, view));
        let Some(patch) = patch(self.pod.status.as_ref(), &new) else { return true };
        let id = pod::id(&self.pod);
        let body = Patch::Merge(json!({"metadata": {"uid": id.uid}, "status": patch}));
        match Api::<Pod>::namespaced(&self.node.shared.client, &id.namespace).patch_status(&id.name, &body).await {
            Ok(pod) => {
                self.pod = Arc::new(pod);
                true
            }
            // It is gone, or another of the same name: the watch will tell.
            Err(error) if error.is_not_found() || error.is_conflict() => true,
            Err(error) => {
                tracing::warn!(pod = %id.name, %error, "could not write a pod's status");
                false
            }
        }
    }

    /// Reads what ended containers left, once.
    async fn read_last_words(&mut self) {
        if self.runtime().is_simulated() {
            return;
        }
        let ended: Vec<_> = self.observed.containers.iter().filter(|c| c.state.is_exited()).cloned().collect();
        for container in ended.iter().filter(|c| !self.messages.contains_key(&c.id)).collect::<Vec<_>>() {
            let words = self.node.shared.files.read_last_words(self.uid(), &container.name, container.attempt);
            let words = match words {
                None if self.falls_back_to_log(container) => self.log_tail(&container.id).await,
                words => words,
            };
            self.messages.extend(words.map(|words| (container.id.clone(), words)));
        }
    }

    fn falls_back_to_log(&self, container: &crate::runtime::Container) -> bool {
        let failed = matches!(container.state, State::Exited { exit_code, .. } if exit_code != 0);
        let mut all = pod::spec(&self.pod).containers.iter().chain(pod::init_containers(&self.pod));
        let policy = all.find(|c| c.name == container.name).and_then(|c| c.termination_message_policy.as_deref());
        failed && policy == Some("FallbackToLogsOnError")
    }

    async fn log_tail(&self, id: &str) -> Option<String> {
        use futures::StreamExt;
        let options = LogOptions { tail: Some(LOG_TAIL_LINES), ..LogOptions::default() };
        let mut lines = self.runtime().logs(id, &options).await.ok()?;
        let mut text = Vec::new();
        while let Some(Ok(line)) = lines.next().await {
            text.extend_from_slice(&line.into_bytes());
        }
        let start = text.len().saturating_sub(LOG_TAIL_BYTES);
        Some(String::from_utf8_lossy(&text[start..]).into_owned()).filter(|text| !text.is_empty())
    }
}

/// The store's revision of a pod. Only compared between versions of the same pod.
fn version(pod: &Pod) -> u64 {
    pod.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
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
