//! What to do with a pod, computed from what is wanted and what is there.
//!
//! [`compute`] is called after every change and answers the whole difference; it remembers nothing.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container as Wanted, Pod};
use trimtab_env::{HashMap, HashSet};

use super::backoff::BackOff;
use super::{KILLED, ephemeral_containers, hash, init_containers, restarts, spec};
use crate::probe::Condemned;
use crate::runtime::{Container, Observed, Sandbox, State};

/// What is to be done. Ids are the runtime's.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Actions {
    /// Containers to end, in parallel, before anything is started.
    pub(crate) stop: Vec<Stop>,
    /// Sandboxes to end, after their containers.
    pub(crate) stop_sandboxes: Vec<String>,
    /// Ended containers and sandboxes that nobody needs.
    pub(crate) remove: Vec<String>,
    /// Make a sandbox, the how-manieth of the pod.
    pub(crate) create_sandbox: Option<u32>,
    /// Containers to start, in parallel.
    pub(crate) start: Vec<Start>,
    /// Containers that wait for their next start, and how long.
    pub(crate) backing_off: Vec<(String, Duration)>,
}

/// A container to end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) id: String,
    pub(crate) name: String,
    /// What the event says.
    pub(crate) why: String,
    /// Seconds that it has to end, where they are not the pod's.
    pub(crate) grace: Option<u32>,
}

/// A container to start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) name: String,
    pub(crate) init: bool,
    /// The how-manieth instance it will be.
    pub(crate) attempt: u32,
    /// When the one before ended, if there was one.
    pub(crate) failed: Option<Timestamp>,
    /// Whether the one before was made from another definition: how that fared says nothing of this one.
    pub(crate) changed: bool,
}

/// What beside the pod and the runtime's state decides.
pub(crate) struct Context<'a> {
    /// Containers that their liveness or startup probe condemned: by id.
    pub(crate) condemned: &'a HashMap<String, Condemned>,
    pub(crate) backoff: &'a BackOff,
    pub(crate) now: Timestamp,
}

/// The newest instance of the container called `name`.
pub(crate) fn latest<'a>(observed: &'a Observed, name: &str) -> Option<&'a Container> {
    observed.containers.iter().filter(|c| c.name == name).max_by_key(|c| (c.attempt, c.created_at))
}

/// The sandbox that is in use: the newest, if it runs.
pub(crate) fn current_sandbox(observed: &Observed) -> Option<&Sandbox> {
    observed.sandboxes.iter().max_by_key(|s| (s.attempt, s.created_at)).filter(|s| s.state.is_running())
}

/// What to do.
pub(crate) fn compute(pod: &Pod, observed: &Observed, context: &Context<'_>) -> Actions {
    let mut actions = Actions::default();
    let sandbox = current_sandbox(observed);
    end_strays(pod, observed, sandbox, &mut actions);
    remove_old(observed, sandbox, &mut actions);
    let world = World { pod, observed, sandbox, context };
    world.plan_starts(&mut actions);
    if sandbox.is_none() && !actions.start.is_empty() {
        actions.create_sandbox = Some(observed.sandboxes.iter().map(|s| s.attempt + 1).max().unwrap_or(0));
    }
    world.end_when_done(&mut actions);
    actions
}

/// Ends everything of the pod, for good.
pub(crate) fn end_all(observed: &Observed, why: &str) -> Actions {
    let mut actions = Actions::default();
    for container in &observed.containers {
        if container.state.is_running() {
            actions.stop.push(stop(container, why));
        }
    }
    let running = observed.sandboxes.iter().filter(|s| s.state.is_running());
    actions.stop_sandboxes = running.map(|s| s.id.clone()).collect();
    actions
}

fn stop(container: &Container, why: &str) -> Stop {
    Stop { id: container.id.clone(), name: container.name.clone(), why: why.to_owned(), grace: None }
}

/// Containers of a sandbox that is gone have lost their network: they end, and are made anew.
fn end_strays(pod: &Pod, observed: &Observed, sandbox: Option<&Sandbox>, actions: &mut Actions) {
    let ephemeral = spec(pod).ephemeral_containers.iter().flatten().map(|c| c.name.as_str());
    let containers = spec(pod).containers.iter().chain(init_containers(pod)).map(|c| c.name.as_str());
    let known: HashSet<&str> = containers.chain(ephemeral).collect();
    for container in observed.containers.iter().filter(|c| c.state.is_running()) {
        if sandbox.is_none_or(|s| s.id != container.sandbox_id) {
            actions.stop.push(stop(container, "Pod sandbox changed, it will be killed and re-created."));
        } else if !known.contains(container.name.as_str()) {
            actions.stop.push(stop(container, "Container is not part of the pod."));
        }
    }
    let others = observed.sandboxes.iter().filter(|s| s.state.is_running() && sandbox.is_none_or(|c| c.id != s.id));
    actions.stop_sandboxes.extend(others.map(|s| s.id.clone()));
}

/// Of the ended instances of a container the last is kept, for its logs. One that was made but
/// never started is a leftover of a crash.
fn remove_old(observed: &Observed, sandbox: Option<&Sandbox>, actions: &mut Actions) {
    for container in &observed.containers {
        let newer = observed.containers.iter().filter(|c| c.name == container.name && c.attempt > container.attempt);
        let superseded = container.state.is_exited() && newer.filter(|c| c.state != State::Created).count() > 1;
        if superseded || container.state == State::Created {
            actions.remove.push(container.id.clone());
        }
    }
    let dead = observed.sandboxes.iter().filter(|s| sandbox.is_none_or(|c| c.id != s.id) && !s.state.is_running());
    actions.remove.extend(dead.map(|s| s.id.clone()));
}

struct World<'a> {
    pod: &'a Pod,
    observed: &'a Observed,
    sandbox: Option<&'a Sandbox>,
    context: &'a Context<'a>,
}

enum Init<'a> {
    Done,
    /// This one is next.
    Next(&'a Wanted),
    /// One runs.
    Busy,
    /// One failed, and is not tried again.
    Failed,
}

impl<'a> World<'a> {
    fn plan_starts(&self, actions: &mut Actions) {
        self.plan_ephemeral(actions);
        match self.init() {
            Init::Busy | Init::Failed => {}
            Init::Next(container) => self.start(container, true, actions),
            Init::Done => {
                for container in &spec(self.pod).containers {
                    self.plan_main(container, actions);
                }
            }
        }
    }

    /// Ephemeral containers run once, in the sandbox that is there, whatever the others do.
    fn plan_ephemeral(&self, actions: &mut Actions) {
        if self.sandbox.is_none() {
            return;
        }
        let statuses = self.pod.status.as_ref().and_then(|status| status.ephemeral_container_statuses.as_deref());
        let has_run = |name: &str| {
            let state = statuses.into_iter().flatten().find(|status| status.name == name)?.state.as_ref()?;
            (state.running.is_some() || state.terminated.is_some()).then_some(())
        };
        for container in ephemeral_containers(self.pod) {
            if self.instance(&container.name).is_none() && has_run(&container.name).is_none() {
                self.start(&container, false, actions);
            }
        }
    }

    /// The newest instance, unless it was made but never started.
    fn instance(&self, name: &str) -> Option<&'a Container> {
        latest(self.observed, name).filter(|container| container.state != State::Created)
    }

    /// The newest instance, if it ran in the sandbox in use.
    fn instance_here(&self, name: &str) -> Option<&'a Container> {
        let sandbox = self.sandbox?;
        self.instance(name).filter(|container| container.sandbox_id == sandbox.id)
    }

    /// A new sandbox begins with its init containers again, unless nothing is left to start.
    fn init(&self) -> Init<'a> {
        let containers = init_containers(self.pod);
        let started = spec(self.pod).containers.iter().any(|c| self.instance_here(&c.name).is_some());
        if started || containers.is_empty() || (self.sandbox.is_none() && !self.needs_sandbox()) {
            return Init::Done;
        }
        for container in containers {
            match self.instance_here(&container.name).map(|instance| &instance.state) {
                Some(State::Running { .. }) => return Init::Busy,
                Some(State::Exited { exit_code: 0, .. }) => {}
                Some(State::Exited { exit_code, .. }) if !restarts(self.pod, container, *exit_code) => {
                    return Init::Failed;
                }
                _ => return Init::Next(container),
            }
        }
        Init::Done
    }

    /// Whether any container is still to be run.
    fn needs_sandbox(&self) -> bool {
        let gave_up = |container: &Wanted| match self.instance(&container.name).map(|instance| &instance.state) {
            Some(State::Exited { exit_code, .. }) => *exit_code != 0 && !restarts(self.pod, container, *exit_code),
            _ => false,
        };
        let init_failed = init_containers(self.pod).iter().any(gave_up);
        !init_failed && spec(self.pod).containers.iter().any(|container| self.is_wanted(container))
    }

    /// Whether the container is to run, by its restart policy and how it ended.
    fn is_wanted(&self, container: &Wanted) -> bool {
        match self.instance(&container.name).map(|instance| &instance.state) {
            Some(State::Exited { exit_code, .. }) => restarts(self.pod, container, *exit_code),
            _ => true,
        }
    }

    fn plan_main(&self, container: &Wanted, actions: &mut Actions) {
        match self.instance(&container.name) {
            Some(instance) if instance.state.is_running() && self.instance_here(&container.name).is_some() => {
                let Some((why, grace)) = self.fault(container, instance) else { return };
                actions.stop.push(Stop { grace, ..stop(instance, &why) });
            }
            // It ran in a sandbox that is gone, and is being ended.
            Some(instance) if instance.state.is_running() && !restarts(self.pod, container, KILLED) => {}
            Some(instance) if instance.state.is_running() => self.start(container, false, actions),
            _ if self.is_wanted(container) => self.start(container, false, actions),
            _ => {}
        }
    }

    /// Why a running container must end, and in how many seconds: once it has, it is started again by the restart policy.
    fn fault(&self, container: &Wanted, instance: &Container) -> Option<(String, Option<u32>)> {
        if let Some(condemned) = self.context.condemned.get(&instance.id) {
            let then = if restarts(self.pod, container, KILLED) { ", will be restarted" } else { "" };
            return Some((format!("Container {} failed {}{then}", container.name, condemned.by), condemned.grace));
        }
        is_changed(container, instance)
            .then(|| (format!("Container {} definition changed, will be restarted", container.name), None))
    }

    fn start(&self, container: &Wanted, init: bool, actions: &mut Actions) {
        let instance = self.instance(&container.name);
        let failed = instance.and_then(|instance| match &instance.state {
            State::Exited { finished_at, .. } => Some(*finished_at),
            State::Created | State::Running { .. } => None,
        });
        let changed = instance.is_some_and(|instance| is_changed(container, instance));
        if let Some(failed) = failed
            && !changed
            && let Some(left) = self.context.backoff.remaining(&container.name, failed, self.context.now)
        {
            actions.backing_off.push((container.name.clone(), left));
            return;
        }
        let attempt = instance.map_or_else(|| known_restarts(self.pod, &container.name), |i| i.attempt + 1);
        actions.start.push(Start { name: container.name.clone(), init, attempt, failed, changed });
    }

    /// When nothing runs and nothing will, the sandbox goes, too.
    fn end_when_done(&self, actions: &mut Actions) {
        let Some(sandbox) = self.sandbox else { return };
        let busy = self.observed.containers.iter().any(|c| c.state.is_running());
        if !busy && actions.start.is_empty() && actions.backing_off.is_empty() {
            actions.stop_sandboxes.push(sandbox.id.clone());
        }
    }
}

fn is_changed(container: &Wanted, instance: &Container) -> bool {
    !instance.hash.is_empty() && instance.hash != hash(container)
}

/// Of a container whose instances are all gone: one more than the API knows of, so that names stay unique.
fn known_restarts(pod: &Pod, name: &str) -> u32 {
    let Some(status) = &pod.status else { return 0 };
    let mut statuses =
        status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten());
    let known = statuses.find(|status| status.name == name && status.container_id.is_some());
    known.map_or(0, |status| u32::try_from(status.restart_count).unwrap_or_default() + 1)
}

#[cfg(test)]
#[path = "actions_tests.rs"]
mod tests;
