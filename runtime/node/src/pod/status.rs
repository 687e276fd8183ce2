//! A pod's status, computed from its spec and what the runtime tells (as `kubelet_pods.go` does).

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container as Wanted, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, HostIP, Pod, PodIP, PodStatus, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use trimtab_env::{HashMap, HashSet};

use super::actions::{current_sandbox, latest};
use super::conditions::conditions;
use super::spec::is_host_network;
use super::{KILLED, ephemeral_containers, init_containers, restarts, spec};
use crate::runtime::{Container, Observed, State};

/// What beside the pod its status is computed from.
pub(crate) struct View<'a> {
    pub(crate) observed: &'a Observed,
    /// The runtime's name: the scheme of container ids.
    pub(crate) runtime: &'a str,
    /// Why containers wait: name to reason and message.
    pub(crate) waiting: &'a HashMap<String, (String, String)>,
    /// Running containers that have started up, by id.
    pub(crate) started: &'a HashSet<String>,
    /// Running containers that are ready, by id.
    pub(crate) ready: &'a HashSet<String>,
    /// What ended containers left as their last words, by id.
    pub(crate) messages: &'a HashMap<String, String>,
    /// What running containers were given, by id.
    pub(crate) given: &'a HashMap<String, ResourceRequirements>,
    /// Why they have not what the pod asks for.
    pub(crate) unresized: Option<&'a Unresized>,
    /// Why the whole pod has failed, whatever its containers do: reason and message.
    pub(crate) failure: Option<(&'a str, &'a str)>,
    pub(crate) host_ip: Option<IpAddr>,
    pub(crate) now: Timestamp,
}

/// A resize that is not carried out: the condition that says so (KEP-1287).
#[derive(Debug)]
pub(crate) struct Unresized {
    /// `PodResizePending` or `PodResizeInProgress`.
    pub(crate) condition: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// The pod's status now. What others wrote into the old one is kept.
pub(crate) fn status(pod: &Pod, view: &View<'_>) -> PodStatus {
    let old = pod.status.clone().unwrap_or_default();
    let initialised = is_initialised(pod, view.observed);
    let of = |containers: &[Wanted], old: &Option<Vec<ContainerStatus>>, init: bool| {
        let old = old.as_deref().unwrap_or_default();
        let status = |container| container_status(pod, container, old, view, init, initialised);
        containers.iter().map(status).collect::<Vec<_>>()
    };
    let init_statuses = of(init_containers(pod), &old.init_container_statuses, true);
    let statuses = of(&spec(pod).containers, &old.container_statuses, false);
    let ephemeral = of(&ephemeral_containers(pod), &old.ephemeral_container_statuses, false);
    let phase = match (view.failure, old.phase.as_deref()) {
        (Some(_), _) | (None, Some("Failed")) => "Failed",
        (None, Some("Succeeded")) => "Succeeded",
        _ => phase(pod, &init_statuses, &statuses),
    };
    let ip = pod_ip(pod, view).or_else(|| old.pod_ip.as_ref()?.parse().ok());
    PodStatus {
        conditions: Some(conditions(pod, phase, &init_statuses, &statuses, view, initialised)),
        phase: Some(phase.to_owned()),
        reason: view.failure.map(|(reason, _)| reason.to_owned()).or(old.reason.clone()),
        message: view.failure.map(|(_, message)| message.to_owned()).or(old.message.clone()),
        container_statuses: Some(statuses),
        ephemeral_container_statuses: (!ephemeral.is_empty()).then_some(ephemeral),
        init_container_statuses: (!init_statuses.is_empty()).then_some(init_statuses),
        host_ip: view.host_ip.map(|ip| ip.to_string()),
        host_ips: view.host_ip.map(|ip| vec![HostIP { ip: ip.to_string() }]),
        pod_ip: ip.map(|ip| ip.to_string()),
        pod_ips: ip.map(|ip| vec![PodIP { ip: ip.to_string() }]),
        start_time: Some(old.start_time.clone().unwrap_or(Time(view.now))),
        observed_generation: pod.metadata.generation,
        ..old
    }
}

/// The address of the pod: its sandbox's, or the node's.
pub(crate) fn pod_ip(pod: &Pod, view: &View<'_>) -> Option<IpAddr> {
    let sandbox = current_sandbox(view.observed)?;
    if is_host_network(pod) { view.host_ip } else { sandbox.ip }
}

/// Whether all init containers have succeeded, or a main container proves it.
fn is_initialised(pod: &Pod, observed: &Observed) -> bool {
    let succeeded = |container: &Wanted| {
        latest(observed, &container.name).is_some_and(|c| matches!(c.state, State::Exited { exit_code: 0, .. }))
    };
    let ran = |container: &Wanted| latest(observed, &container.name).is_some_and(|c| c.state != State::Created);
    init_containers(pod).iter().all(succeeded) || spec(pod).containers.iter().any(ran)
}

fn container_status(
    pod: &Pod,
    container: &Wanted,
    old: &[ContainerStatus],
    view: &View<'_>,
    init: bool,
    initialised: bool,
) -> ContainerStatus {
    let old = old.iter().find(|status| status.name == container.name);
    let instance = latest(view.observed, &container.name).filter(|c| c.state != State::Created);
    let running = instance.is_some_and(|instance| instance.state.is_running());
    let (state, last_state) = states(pod, container, instance, old, view, init || initialised);
    let has = |set: &HashSet<String>| running && instance.is_some_and(|instance| set.contains(&instance.id));
    let succeeded = instance.is_some_and(|c| matches!(c.state, State::Exited { exit_code: 0, .. }));
    let id = |instance: &Container| format!("{}://{}", view.runtime, instance.id);
    let restarts = instance.map(|instance| i32::try_from(instance.attempt).unwrap_or(i32::MAX));
    let given = instance.filter(|_| running).and_then(|instance| view.given.get(&instance.id));
    let kept = |get: fn(&ContainerStatus) -> String| old.map(get).unwrap_or_default();
    ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        image_id: instance
            .map_or_else(|| kept(|old| old.image_id.clone()), |i| format!("{}://{}", view.runtime, i.image_id)),
        container_id: instance.map(id).or_else(|| old.and_then(|old| old.container_id.clone())),
        ready: if init { succeeded } else { has(view.ready) },
        started: Some(has(view.started)),
        restart_count: restarts.or(old.map(|old| old.restart_count)).unwrap_or_default(),
        state: Some(state),
        last_state,
        allocated_resources: given.and_then(|given| given.requests.clone()),
        resources: given.cloned(),
        ..ContainerStatus::default()
    }
}

/// The state and the last state. An ended container that waits for its next start waits: how it
/// ended is then its last state.
fn states(
    pod: &Pod,
    container: &Wanted,
    instance: Option<&Container>,
    old: Option<&ContainerStatus>,
    view: &View<'_>,
    initialised: bool,
) -> (ContainerState, Option<ContainerState>) {
    let last = last_state(container, instance, old, view);
    match instance.map(|instance| (instance, &instance.state)) {
        Some((_, State::Running { started_at })) => {
            let running = ContainerStateRunning { started_at: Some(Time(*started_at)) };
            (ContainerState { running: Some(running), ..ContainerState::default() }, last)
        }
        Some((instance, State::Exited { .. })) => {
            let ended = terminated(instance, view);
            match view.waiting.get(&container.name) {
                Some((reason, message)) => (waiting(reason, message), Some(ended)),
                None => (ended, last),
            }
        }
        // It ran, and the runtime no longer knows of it: gone for good, unless it will be started again.
        _ if !restarts(pod, container, KILLED) && has_run(old) && !view.waiting.contains_key(&container.name) => {
            (lost(old), last)
        }
        _ => {
            let (reason, message) = match view.waiting.get(&container.name) {
                Some((reason, message)) => (reason.as_str(), message.as_str()),
                None if initialised => ("ContainerCreating", ""),
                None => ("PodInitializing", ""),
            };
            (waiting(reason, message), last)
        }
    }
}

fn has_run(old: Option<&ContainerStatus>) -> bool {
    old.and_then(|old| old.state.as_ref()).is_some_and(|state| state.running.is_some() || state.terminated.is_some())
}

fn lost(old: Option<&ContainerStatus>) -> ContainerState {
    let state = old.and_then(|old| old.state.clone()).unwrap_or_default();
    if state.terminated.is_some() {
        return state;
    }
    let terminated = ContainerStateTerminated {
        exit_code: 137,
        reason: Some("ContainerStatusUnknown".to_owned()),
        message: Some("The container could not be located when the pod was terminated".to_owned()),
        ..ContainerStateTerminated::default()
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

fn waiting(reason: &str, message: &str) -> ContainerState {
    let message = (!message.is_empty()).then(|| message.to_owned());
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

/// How the instance before ended: from the runtime, or from the old status when it was removed.
fn last_state(
    container: &Wanted,
    instance: Option<&Container>,
    old: Option<&ContainerStatus>,
    view: &View<'_>,
) -> Option<ContainerState> {
    let attempt = instance.map(|instance| instance.attempt);
    let before = view.observed.containers.iter().filter(|c| c.name == container.name && c.state.is_exited());
    let before = before.filter(|c| attempt.is_none_or(|attempt| c.attempt < attempt)).max_by_key(|c| c.attempt);
    if let Some(before) = before {
        return Some(terminated(before, view));
    }
    let old = old?;
    let same = instance.is_some_and(|i| old.container_id.as_deref().is_some_and(|id| id.ends_with(&i.id)));
    let ended = old.state.clone().filter(|state| state.terminated.is_some() && !same);
    ended.or_else(|| old.last_state.clone().filter(|state| state.terminated.is_some()))
}

fn terminated(instance: &Container, view: &View<'_>) -> ContainerState {
    let State::Exited { started_at, finished_at, exit_code, oom_killed, error } = &instance.state else {
        return ContainerState::default();
    };
    let reason = match (exit_code, oom_killed, error.is_empty()) {
        (_, true, _) => "OOMKilled",
        (_, _, false) => "StartError",
        (0, _, _) => "Completed",
        _ => "Error",
    };
    let message = Some(error.clone()).filter(|error| !error.is_empty());
    let terminated = ContainerStateTerminated {
        container_id: Some(format!("{}://{}", view.runtime, instance.id)),
        exit_code: *exit_code,
        finished_at: Some(Time(*finished_at)),
        message: message.or_else(|| view.messages.get(&instance.id).cloned()),
        reason: Some(reason.to_owned()),
        signal: None,
        started_at: Some(Time(*started_at)),
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

/// The phase, by upstream's rules (`getPhase`).
fn phase(pod: &Pod, init: &[ContainerStatus], main: &[ContainerStatus]) -> &'static str {
    let again = |containers: &[Wanted], status: &ContainerStatus, exit_code: i32| {
        let container = containers.iter().find(|container| container.name == status.name);
        container.is_some_and(|container| restarts(pod, container, exit_code))
    };
    let ended = |status: &ContainerStatus| {
        let state = status.state.clone().unwrap_or_default();
        state.terminated.or_else(|| {
            let last = status.last_state.clone().and_then(|last| last.terminated);
            last.filter(|_| state.waiting.is_some())
        })
    };
    let is_running = |status: &ContainerStatus| status.state.as_ref().is_some_and(|state| state.running.is_some());
    let running = main.iter().filter(|status| is_running(status)).count();
    let stopped: Vec<_> = main.iter().filter_map(|status| Some((status, ended(status)?.exit_code))).collect();
    let begun = running + stopped.len() > 0;
    if !begun && !init.iter().all(|status| status.ready) {
        let gave_up = |status: &ContainerStatus| {
            let code = ended(status).map_or(0, |ended| ended.exit_code);
            code != 0 && !again(init_containers(pod), status, code)
        };
        return if init.iter().any(gave_up) { "Failed" } else { "Pending" };
    }
    match (running, stopped.len()) {
        (running, stopped) if running + stopped < main.len() => "Pending",
        (1.., _) => "Running",
        _ if stopped.iter().any(|(status, code)| again(&spec(pod).containers, status, *code)) => "Running",
        _ if stopped.iter().all(|(_, code)| *code == 0) => "Succeeded",
        _ => "Failed",
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
