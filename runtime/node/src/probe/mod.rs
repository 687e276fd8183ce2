//! Startup, liveness and readiness probes: one task for each probe of each running container.

mod check;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container as Wanted, Pod, Probe};
use trimtab_env::{CancellationToken, Env, Tasks};

pub(crate) use check::{Target, http_get, run};

use crate::mailbox::Mailbox;
use crate::pod::spec;
use crate::runtime::{Container, Observed, Runtime, State};

/// Which probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Startup,
    Liveness,
    Readiness,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
        }
    }
}

/// What a probe found, often enough to count.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) id: String,
    pub(crate) container: String,
    pub(crate) kind: Kind,
    pub(crate) passed: bool,
}

/// A single failure, for the event.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) container: String,
    pub(crate) message: String,
}

/// The probes of one pod, and what they found.
pub(crate) struct Probes {
    env: Env,
    runtime: Arc<dyn Runtime>,
    mailbox: Arc<Mailbox>,
    tasks: Tasks,
    on_failure: Arc<dyn Fn(Failure) + Send + Sync>,
    running: HashMap<String, Watched>,
    /// Containers that have started up, by id.
    pub(crate) started: HashSet<String>,
    /// Containers that are ready, by id.
    pub(crate) ready: HashSet<String>,
    /// Containers that must end, by id: which probe said so.
    pub(crate) condemned: HashMap<String, String>,
}

struct Watched {
    stop: CancellationToken,
    /// Cancelled once the container has started up: then its other probes begin.
    started: CancellationToken,
}

impl Probes {
    pub(crate) fn new(
        env: Env,
        runtime: Arc<dyn Runtime>,
        mailbox: Arc<Mailbox>,
        on_failure: Arc<dyn Fn(Failure) + Send + Sync>,
    ) -> Self {
        Self {
            env,
            runtime,
            mailbox,
            tasks: Tasks::new(),
            on_failure,
            running: HashMap::new(),
            started: HashSet::new(),
            ready: HashSet::new(),
            condemned: HashMap::new(),
        }
    }

    /// Probes exactly the containers that run.
    pub(crate) fn follow(&mut self, pod: &Pod, observed: &Observed, ip: Option<IpAddr>) {
        let runs = |id: &str| observed.containers.iter().any(|c| c.id == id && c.state.is_running());
        for (id, watched) in self.running.extract_if(|id, _| !runs(id)) {
            watched.stop.cancel();
            self.started.remove(&id);
            self.ready.remove(&id);
            self.condemned.remove(&id);
        }
        for container in &spec(pod).containers {
            let instance = crate::pod::actions::latest(observed, &container.name).filter(|c| c.state.is_running());
            if let Some(instance) = instance.filter(|instance| !self.running.contains_key(&instance.id)) {
                self.begin(pod, container, instance, ip);
            }
        }
    }

    /// What the API knows of a container that ran before this process is believed until a probe
    /// has found something: so a restart of the agent takes no pod out of service.
    fn begin(&mut self, pod: &Pod, container: &Wanted, instance: &Container, ip: Option<IpAddr>) {
        let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        let mut known = statuses.filter(|s| s.container_id.as_deref().is_some_and(|id| id.ends_with(&instance.id)));
        let known = known.next();
        let watched = Watched { stop: self.tasks.token().child_token(), started: CancellationToken::new() };
        if container.startup_probe.is_none() || known.is_some_and(|status| status.started == Some(true)) {
            watched.started.cancel();
            self.started.insert(instance.id.clone());
        }
        let ready = known.is_some_and(|status| status.ready);
        let unprobed = container.readiness_probe.is_none() && watched.started.is_cancelled();
        if unprobed || (ready && container.readiness_probe.is_some()) {
            self.ready.insert(instance.id.clone());
        }
        let probes = [
            (Kind::Startup, &container.startup_probe),
            (Kind::Liveness, &container.liveness_probe),
            (Kind::Readiness, &container.readiness_probe),
        ];
        for (kind, probe) in probes {
            let Some(probe) = probe.clone() else { continue };
            if kind == Kind::Startup && watched.started.is_cancelled() {
                continue;
            }
            self.spawn(kind, probe, container, instance, ip, &watched, ready);
        }
        self.running.insert(instance.id.clone(), watched);
    }

    #[expect(clippy::too_many_arguments, reason = "all of them differ between the probes of a container")]
    fn spawn(
        &self,
        kind: Kind,
        probe: Probe,
        container: &Wanted,
        instance: &Container,
        ip: Option<IpAddr>,
        watched: &Watched,
        ready: bool,
    ) {
        let State::Running { started_at } = instance.state else { return };
        let target = Target { id: instance.id.clone(), ip, ports: container.ports.clone().unwrap_or_default() };
        let prober = Prober {
            kind,
            container: container.name.clone(),
            passes: kind == Kind::Liveness || (kind == Kind::Readiness && ready),
            target,
            probe,
            runtime: Arc::clone(&self.runtime),
            mailbox: Arc::clone(&self.mailbox),
            on_failure: Arc::clone(&self.on_failure),
        };
        let age = Duration::try_from(self.env.now().duration_since(started_at)).unwrap_or_default();
        let (stop, started, env) = (watched.stop.clone(), watched.started.clone(), self.env.clone());
        self.tasks.spawn("probe", async move {
            stop.run_until_cancelled(async {
                if kind != Kind::Startup {
                    started.cancelled().await;
                }
                prober.run(&env, age).await;
            })
            .await;
        });
    }

    /// Takes note of what a probe found.
    pub(crate) fn note(&mut self, pod: &Pod, verdict: &Verdict) {
        let Some(watched) = self.running.get(&verdict.id) else { return };
        match (verdict.kind, verdict.passed) {
            (Kind::Startup, true) => {
                watched.started.cancel();
                self.started.insert(verdict.id.clone());
                let mut containers = spec(pod).containers.iter();
                if containers.any(|c| c.name == verdict.container && c.readiness_probe.is_none()) {
                    self.ready.insert(verdict.id.clone());
                }
            }
            (Kind::Readiness, true) => drop(self.ready.insert(verdict.id.clone())),
            (Kind::Readiness, false) => drop(self.ready.remove(&verdict.id)),
            (Kind::Liveness, true) => {}
            (kind, false) => {
                self.ready.remove(&verdict.id);
                self.condemned.insert(verdict.id.clone(), format!("{} probe", kind.name()));
            }
        }
    }

    /// Ends all probes.
    pub(crate) async fn end(&mut self) {
        self.running.clear();
        self.tasks.shutdown().await;
        self.tasks = Tasks::new();
    }
}

struct Prober {
    kind: Kind,
    container: String,
    probe: Probe,
    target: Target,
    /// What it found last; a change of it is told.
    passes: bool,
    runtime: Arc<dyn Runtime>,
    mailbox: Arc<Mailbox>,
    on_failure: Arc<dyn Fn(Failure) + Send + Sync>,
}

impl Prober {
    /// Probes until it is dropped, or has condemned the container or found it started.
    async fn run(mut self, env: &Env, age: Duration) {
        let seconds = |value: Option<i32>, default: u64| {
            Duration::from_secs(value.and_then(|value| u64::try_from(value).ok()).filter(|s| *s > 0).unwrap_or(default))
        };
        let delay = self.probe.initial_delay_seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or_default();
        env.sleep(Duration::from_secs(delay).saturating_sub(age)).await;
        let (period, timeout) = (seconds(self.probe.period_seconds, 10), seconds(self.probe.timeout_seconds, 1));
        let mut streak = Streak::default();
        loop {
            let found = check::check(&*self.runtime, &self.target, &self.probe, timeout).await;
            if let Err(why) = &found {
                let message = format!("{} probe failed: {why}", capital(self.kind.name()));
                (self.on_failure)(Failure { container: self.container.clone(), message });
            }
            if let Some(passed) = streak.add(found.is_ok(), &self.probe)
                && self.conclude(passed)
            {
                return;
            }
            env.sleep(period).await;
        }
    }

    /// Tells what is new; whether this probe has nothing more to find.
    fn conclude(&mut self, passed: bool) -> bool {
        let over = match self.kind {
            Kind::Startup => true,
            Kind::Liveness => !passed,
            Kind::Readiness => false,
        };
        if over || passed != self.passes {
            self.passes = passed;
            let verdict =
                Verdict { id: self.target.id.clone(), container: self.container.clone(), kind: self.kind, passed };
            self.mailbox.tell(|news| news.verdicts.push(verdict));
        }
        over
    }
}

/// How often the same was found in a row.
#[derive(Default)]
struct Streak {
    passed: bool,
    length: i32,
}

impl Streak {
    /// One more result; the conclusion, once there are enough of the same.
    fn add(&mut self, passed: bool, probe: &Probe) -> Option<bool> {
        self.length = if self.passed == passed { self.length.saturating_add(1) } else { 1 };
        self.passed = passed;
        let needed = if passed { probe.success_threshold.unwrap_or(1) } else { probe.failure_threshold.unwrap_or(3) };
        (self.length >= needed).then_some(passed)
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_count_what_comes_in_a_row() {
        let probe = Probe { success_threshold: Some(2), failure_threshold: Some(3), ..Probe::default() };
        let mut streak = Streak::default();
        let found: Vec<_> =
            [true, true, false, false, true, false, false, false].iter().map(|p| streak.add(*p, &probe)).collect();
        assert_eq!(found, [None, Some(true), None, None, None, None, None, Some(false)]);
    }
}
