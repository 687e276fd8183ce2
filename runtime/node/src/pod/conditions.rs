//! The conditions of a pod.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::actions::current_sandbox;
use super::spec;
use super::status::View;

/// The types of conditions that this agent writes; all others are kept as they are.
const OURS: &[&str] = &[
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    "PodResizePending",
    "PodResizeInProgress",
];

/// True, or the reason and message why not.
type Verdict = Result<Option<&'static str>, (&'static str, String)>;

pub(crate) fn conditions(
    pod: &Pod,
    phase: &str,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
    view: &View<'_>,
    initialised: bool,
) -> Vec<PodCondition> {
    let containers_ready = containers_ready(phase, main);
    let verdicts = [
        ("PodReadyToStartContainers", sandbox_ready(view)),
        ("Initialized", initialized(phase, init, initialised)),
        ("Ready", pod_ready(pod, containers_ready.clone())),
        ("ContainersReady", containers_ready),
        ("PodScheduled", Ok(None)),
    ];
    let old = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let ours = verdicts.into_iter().map(|(type_, verdict)| condition(pod, old, type_, verdict, view));
    let others = old.iter().filter(|condition| !OURS.contains(&condition.type_.as_str())).cloned();
    // A resize that succeeds does so at once: there is something to say of others alone.
    let resizing = view.unresized.map(|unresized| PodCondition {
        reason: Some(unresized.reason.to_owned()),
        message: Some(unresized.message.clone()),
        ..condition(pod, old, unresized.condition, Ok(None), view)
    });
    ours.chain(resizing).chain(others).collect()
}

/// The time of the last transition is that of the last change between true and false.
fn condition(pod: &Pod, old: &[PodCondition], type_: &str, verdict: Verdict, view: &View<'_>) -> PodCondition {
    let (status, reason, message) = match verdict {
        Ok(reason) => ("True", reason, None),
        Err((reason, message)) => ("False", (!reason.is_empty()).then_some(reason), Some(message)),
    };
    let same = old.iter().find(|condition| condition.type_ == type_ && condition.status == status);
    PodCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.map(str::to_owned),
        message: message.filter(|message| !message.is_empty()),
        last_probe_time: None,
        last_transition_time: Some(same.and_then(|c| c.last_transition_time.clone()).unwrap_or(Time(view.now))),
        observed_generation: pod.metadata.generation,
    }
}

fn sandbox_ready(view: &View<'_>) -> Verdict {
    current_sandbox(view.observed).map(|_| None).ok_or(("", String::new()))
}

fn initialized(phase: &str, init: &[ContainerStatus], initialised: bool) -> Verdict {
    if phase == "Succeeded" {
        return Ok(Some("PodCompleted"));
    }
    let names: Vec<&str> = init.iter().filter(|status| !status.ready).map(|status| status.name.as_str()).collect();
    if names.is_empty() || initialised {
        return Ok(None);
    }
    Err(("ContainersNotInitialized", format!("containers with incomplete status: [{}]", names.join(" "))))
}

fn containers_ready(phase: &str, main: &[ContainerStatus]) -> Verdict {
    match phase {
        "Succeeded" => return Err(("PodCompleted", String::new())),
        "Failed" => return Err(("PodFailed", String::new())),
        _ => {}
    }
    let names: Vec<&str> = main.iter().filter(|status| !status.ready).map(|status| status.name.as_str()).collect();
    if names.is_empty() {
        return Ok(None);
    }
    Err(("ContainersNotReady", format!("containers with unready status: [{}]", names.join(" "))))
}

/// Ready containers, and every readiness gate true.
fn pod_ready(pod: &Pod, containers: Verdict) -> Verdict {
    containers?;
    let old = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let is_true = |gate: &str| old.iter().any(|condition| condition.type_ == gate && condition.status == "True");
    let gates = spec(pod).readiness_gates.iter().flatten().map(|gate| gate.condition_type.as_str());
    let missing: Vec<String> = gates
        .filter(|gate| !is_true(gate))
        .map(|gate| format!("corresponding condition of pod readiness gate \"{gate}\" does not exist or is not true."))
        .collect();
    if missing.is_empty() { Ok(None) } else { Err(("ReadinessGatesNotReady", missing.join(", "))) }
}
