//! Startup, liveness and readiness probes: one task for each probe of each running container.

mod check;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container as Wanted, Pod, Probe};
use trimtab_env::{CancellationToken, Env, HashMap, HashSet, Tasks};

use check::Fault;
pub(crate) use check::{Target, http_get, run};

use crate::mailbox::Mailbox;
use crate::pod::spec;
use crate::runtime::{Container, Observed, Runtime, State};

/// How often a container that is not ready yet is asked, at least.
const COMING_UP: Duration = Duration::from_secs(1);

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

/// A container that must end.
#[derive(Clone, Debug)]
pub(crate) struct Condemned {
    /// `liveness probe` or `startup probe`.
    pub(crate) by: String,
    /// The probe's own `terminationGracePeriodSeconds`.
    pub(crate) grace: Option<u32>,
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
    /// Containers that must end, by id.
    pub(crate) condemned: HashMap<String, Condemned>,
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
            running: HashMap::default(),
            started: HashSet::default(),
            ready: HashSet::default(),
            condemned: HashMap::default(),
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
            has_passed: ready,
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
                let container = spec(pod).containers.iter().find(|container| container.name == verdict.container);
                let probe = container.and_then(|container| match kind {
                    Kind::Startup => container.startup_probe.as_ref(),
                    _ => container.liveness_probe.as_ref(),
                });
                let grace = probe.and_then(|probe| u32::try_from(probe.termination_grace_period_seconds?).ok());
                self.condemned.insert(verdict.id.clone(), Condemned { by: format!("{} probe", kind.name()), grace });
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
    /// Whether it has ever succeeded.
    has_passed: bool,
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
            self.tell(&found);
            self.has_passed |= found.is_ok();
            // What errored says nothing of the container, and is not counted.
            if !matches!(found, Err(Fault::Errored(_)))
                && let Some(passed) = streak.add(found.is_ok(), &self.probe)
                && self.conclude(passed)
            {
                return;
            }
            // Nobody gains by waiting for a container that comes up: until it is ready for the first time, it is asked
            // often. Readiness alone, for no failure of it is ever counted against the container.
            let comes_up = self.kind == Kind::Readiness && !self.has_passed;
            env.sleep(if comes_up { period.min(COMING_UP) } else { period }).await;
        }
    }

    fn tell(&self, found: &Result<(), Fault>) {
        let text = match found {
            Ok(()) => return,
            Err(Fault::Errored(error)) if error.is_unavailable() => return,
            Err(Fault::Errored(error)) => format!("probe errored and resulted in unknown state: {error}"),
            Err(Fault::Failed(why)) => format!("probe failed: {why}"),
        };
        let message = format!("{} {text}", capital(self.kind.name()));
        (self.on_failure)(Failure { container: self.container.clone(), message });
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::sim::Sim;

    #[test]
    fn thresholds_count_what_comes_in_a_row() {
        let probe = Probe { success_threshold: Some(2), failure_threshold: Some(3), ..Probe::default() };
        let mut streak = Streak::default();
        let found: Vec<_> =
            [true, true, false, false, true, false, false, false].iter().map(|p| streak.add(*p, &probe)).collect();
        assert_eq!(found, [None, Some(true), None, None, None, None, None, Some(false)]);
    }

    async fn asked_in_five_seconds(kind: Kind, has_passed: bool) -> usize {
        let (env, count) = (Env::system(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&count);
        let prober = Prober {
            kind,
            container: String::new(),
            probe: Probe { period_seconds: Some(10), ..Probe::default() },
            // Nothing is called so: each try is told as a failure.
            target: Target { id: "none".to_owned(), ip: None, ports: Vec::new() },
            passes: false,
            has_passed,
            runtime: Arc::new(Sim::new(env.clone(), 0)),
            mailbox: Arc::default(),
            on_failure: Arc::new(move |_| {
                counted.fetch_add(1, Ordering::SeqCst);
            }),
        };
        let ran = tokio::time::timeout(Duration::from_millis(4_500), prober.run(&env, Duration::ZERO)).await;
        assert!(ran.is_err(), "it probes for ever");
        count.load(Ordering::SeqCst)
    }

    #[tokio::test(start_paused = true)]
    async fn a_container_that_comes_up_is_asked_often_whether_it_is_ready() {
        assert_eq!(asked_in_five_seconds(Kind::Readiness, false).await, 5);
        assert_eq!(asked_in_five_seconds(Kind::Readiness, true).await, 1);
        assert_eq!(asked_in_five_seconds(Kind::Startup, false).await, 1);
    }
}
