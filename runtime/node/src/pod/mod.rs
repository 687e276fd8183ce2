//! What can be computed of a pod, without touching anything: what to do, what to tell, what to make.

pub(crate) mod actions;
pub(crate) mod backoff;
pub(crate) mod conditions;
pub(crate) mod env;
pub(crate) mod keyring;
pub(crate) mod references;
pub(crate) mod resources;
pub(crate) mod spec;
pub(crate) mod status;
pub(crate) mod support;

use k8s_openapi::api::core::v1::{Container, ContainerRestartRule, EphemeralContainer, Pod, PodSpec};
use serde::Deserialize;

use crate::runtime::PodId;

/// The pod as the runtime names it.
pub(crate) fn id(pod: &Pod) -> PodId {
    let meta = &pod.metadata;
    PodId {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
    }
}

/// The pod's spec; an empty one when it has none, which the API refuses.
pub(crate) fn spec(pod: &Pod) -> &PodSpec {
    static EMPTY: std::sync::LazyLock<PodSpec> = std::sync::LazyLock::new(PodSpec::default);
    pod.spec.as_ref().unwrap_or(&EMPTY)
}

/// The init containers, in their order.
pub(crate) fn init_containers(pod: &Pod) -> &[Container] {
    spec(pod).init_containers.as_deref().unwrap_or_default()
}

/// The ephemeral containers as containers, which they are but for their targets: never started again.
pub(crate) fn ephemeral_containers(pod: &Pod) -> Vec<Container> {
    let ephemeral = spec(pod).ephemeral_containers.iter().flatten();
    let container = |ephemeral: &EphemeralContainer| {
        let container = serde_json::to_value(ephemeral).and_then(Container::deserialize).unwrap_or_default();
        Container { name: ephemeral.name.clone(), restart_policy: Some("Never".to_owned()), ..container }
    };
    ephemeral.map(container).collect()
}

/// The container whose processes the ephemeral container `name` sees, if it is one and wants to.
pub(crate) fn target<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    let mut ephemeral = spec(pod).ephemeral_containers.iter().flatten();
    let found = ephemeral.find(|container| container.name == name)?;
    found.target_container_name.as_deref().filter(|target| !target.is_empty())
}

/// The exit code of a container that was killed.
pub(crate) const KILLED: i32 = 137;

/// Whether a container that ended so is started again: by the first of its rules that fits, else by its own
/// restart policy, else by the pod's (KEP-5307). An init container that succeeded is done whatever this says.
pub(crate) fn restarts(pod: &Pod, container: &Container, exit_code: i32) -> bool {
    let fits = |rule: &ContainerRestartRule| {
        rule.exit_codes.as_ref().is_some_and(|codes| {
            let listed = codes.values.iter().flatten().any(|code| *code == exit_code);
            listed == (codes.operator == "In")
        })
    };
    if container.restart_policy_rules.iter().flatten().any(fits) {
        return true;
    }
    match container.restart_policy.as_deref().or(spec(pod).restart_policy.as_deref()) {
        Some("Never") => false,
        Some("OnFailure") => exit_code != 0,
        _ => true,
    }
}

/// Whether the API knows that all is over: nothing of the pod is ever started again.
pub(crate) fn is_terminal(pod: &Pod) -> bool {
    matches!(pod.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Failed" | "Succeeded"))
}

/// Seconds that the pod has to end.
pub(crate) fn grace_seconds(pod: &Pod) -> u32 {
    let seconds = pod.metadata.deletion_grace_period_seconds.or(spec(pod).termination_grace_period_seconds);
    seconds.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(30)
}

/// The hash of what a container is made from: of what may change in a pod, its image. FNV-1a.
pub(crate) fn hash(container: &Container) -> String {
    let text = [container.name.as_str(), "\0", container.image.as_deref().unwrap_or_default()];
    let hash = text
        .iter()
        .flat_map(|part| part.bytes())
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}
