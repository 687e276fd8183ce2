//! The engine's words, turned into the runtime's.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::errors::Error as EngineError;
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerStatsResponse, ContainerSummary,
    ContainerSummaryStateEnum, EndpointSettings, EventMessage, ImageInspect, ImageSummary, SystemInfo, SystemVersion,
};
use jiff::Timestamp;

use crate::runtime::{Container, Error, Event, EventKind, Host, Image, Sandbox, State, Stats, Version};

/// Which cluster made it.
pub(super) const CLUSTER: &str = "dev.trimtab.cluster";
pub(super) const POD_NAME: &str = "io.kubernetes.pod.name";
pub(super) const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
pub(super) const POD_UID: &str = "io.kubernetes.pod.uid";
/// The container's name in the pod, or [`SANDBOX_ROLE`].
pub(super) const CONTAINER: &str = "io.kubernetes.container.name";
pub(super) const ATTEMPT: &str = "io.kubernetes.container.restartCount";
pub(super) const HASH: &str = "io.kubernetes.container.hash";
pub(super) const SANDBOX: &str = "io.kubernetes.sandbox.id";
pub(super) const IMAGE: &str = "dev.trimtab.image";
/// What a sandbox is called in the place of a container's name: no container can be.
pub(super) const SANDBOX_ROLE: &str = "POD";

pub(super) enum Record {
    Sandbox(Sandbox),
    Container(Container),
}

impl Record {
    pub(super) fn state(&self) -> &State {
        match self {
            Self::Sandbox(sandbox) => &sandbox.state,
            Self::Container(container) => &container.state,
        }
    }
}

/// The HTTP status with which the engine refused.
pub(super) fn status(error: &EngineError) -> Option<u16> {
    match error {
        EngineError::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// An error of the engine about `subject`.
pub(super) fn failed(error: EngineError, subject: &str) -> Error {
    match error {
        EngineError::DockerResponseServerError { status_code: 404, .. } if !subject.is_empty() => {
            Error::NotFound(subject.to_owned())
        }
        EngineError::DockerResponseServerError { message, .. } | EngineError::DockerStreamError { error: message } => {
            Error::refused(message)
        }
        EngineError::JsonDataError { .. } | EngineError::JsonSerdeError { .. } => Error::refused(error.to_string()),
        _ => Error::Unavailable { message: "the container runtime is down".to_owned(), source: Some(Box::new(error)) },
    }
}

pub(super) fn is_running(summary: &ContainerSummary) -> bool {
    use ContainerSummaryStateEnum as S;
    matches!(summary.state, Some(S::RUNNING | S::PAUSED | S::RESTARTING))
}

/// A listed container with the state that inspection told.
pub(super) fn record(summary: ContainerSummary, state: State) -> Option<Record> {
    let created_at = Timestamp::from_second(summary.created.unwrap_or_default()).unwrap_or_default();
    let networks = summary.network_settings.and_then(|settings| settings.networks);
    let parts = Parts {
        id: summary.id?,
        image_id: summary.image_id.unwrap_or_default(),
        labels: summary.labels.unwrap_or_default(),
        created_at,
        ip: networks.as_ref().and_then(first_address),
        state,
    };
    parts.record()
}

/// An inspected container.
pub(super) fn inspected(inspection: ContainerInspectResponse) -> Option<Record> {
    let (state, ip) = (state(&inspection), address(&inspection));
    let parts = Parts {
        id: inspection.id?,
        image_id: inspection.image.unwrap_or_default(),
        labels: inspection.config.and_then(|config| config.labels).unwrap_or_default(),
        created_at: time(inspection.created.as_deref()).unwrap_or_default(),
        ip,
        state,
    };
    parts.record()
}

struct Parts {
    id: String,
    image_id: String,
    labels: HashMap<String, String>,
    created_at: Timestamp,
    ip: Option<IpAddr>,
    state: State,
}

impl Parts {
    fn record(mut self) -> Option<Record> {
        let mut label = |key: &str| self.labels.remove(key).unwrap_or_default();
        let (uid, name) = (label(POD_UID), label(CONTAINER));
        let attempt = label(ATTEMPT).parse().unwrap_or_default();
        if name == SANDBOX_ROLE {
            let (namespace, pod) = (label(POD_NAMESPACE), label(POD_NAME));
            let Self { id, state, ip, created_at, .. } = self;
            return Some(Record::Sandbox(Sandbox { id, namespace, pod, uid, attempt, state, ip, created_at }));
        }
        let (sandbox_id, hash, image) = (label(SANDBOX), label(HASH), label(IMAGE));
        let Self { id, image_id, state, created_at, .. } = self;
        let container = Container { id, uid, sandbox_id, name, attempt, hash, image, image_id, created_at, state };
        (!container.name.is_empty()).then_some(Record::Container(container))
    }
}

/// A container that could not be started is `created` with an exit code.
pub(super) fn state(inspection: &ContainerInspectResponse) -> State {
    use ContainerStateStatusEnum as S;
    let Some(state) = &inspection.state else { return State::Created };
    let started = time(state.started_at.as_deref());
    let exit_code = i32::try_from(state.exit_code.unwrap_or_default()).unwrap_or(-1);
    match state.status {
        Some(S::RUNNING | S::PAUSED | S::RESTARTING) => State::Running { started_at: started.unwrap_or_default() },
        Some(S::CREATED) | None if exit_code == 0 => State::Created,
        _ => {
            let made = time(inspection.created.as_deref()).unwrap_or_default();
            let finished_at = time(state.finished_at.as_deref()).unwrap_or(made);
            State::Exited {
                started_at: started.unwrap_or(finished_at),
                finished_at,
                exit_code,
                oom_killed: state.oom_killed.unwrap_or_default(),
                error: state.error.clone().unwrap_or_default(),
            }
        }
    }
}

/// A time of the engine's; its zero (year 1) is none.
fn time(text: Option<&str>) -> Option<Timestamp> {
    text.filter(|text| !text.starts_with("0001-")).and_then(|text| text.parse().ok())
}

/// The address of an inspected sandbox.
pub(super) fn address(inspection: &ContainerInspectResponse) -> Option<IpAddr> {
    first_address(inspection.network_settings.as_ref()?.networks.as_ref()?)
}

fn first_address(networks: &HashMap<String, EndpointSettings>) -> Option<IpAddr> {
    networks.values().find_map(|endpoint| endpoint.ip_address.as_ref()?.parse().ok())
}

pub(super) fn version(version: SystemVersion, endpoint: &str) -> Version {
    let components = version.components.unwrap_or_default();
    let podman = components.iter().any(|component| component.name.contains("Podman"));
    Version {
        name: if podman { "podman" } else { "docker" }.to_owned(),
        version: version.version.unwrap_or_default(),
        endpoint: endpoint.to_owned(),
    }
}

pub(super) fn host(info: SystemInfo) -> Host {
    let arch = match info.architecture.unwrap_or_default().as_str() {
        "x86_64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        other => other.to_owned(),
    };
    Host {
        cpus: info.ncpu.and_then(|cpus| u32::try_from(cpus).ok()).unwrap_or(1),
        memory: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
        os: info.os_type.unwrap_or_else(|| "linux".to_owned()),
        arch,
        os_image: info.operating_system.unwrap_or_default(),
        kernel: info.kernel_version.unwrap_or_default(),
        machine_id: info.id.unwrap_or_default(),
    }
}

pub(super) fn image(image: ImageInspect) -> Image {
    Image {
        id: image.id.unwrap_or_default(),
        tags: image.repo_tags.unwrap_or_default(),
        digests: image.repo_digests.unwrap_or_default(),
        size: image.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        user: image.config.and_then(|config| config.user).unwrap_or_default(),
    }
}

pub(super) fn image_summary(image: ImageSummary) -> Image {
    let named = |names: Vec<String>| names.into_iter().filter(|name| !name.contains("<none>")).collect();
    Image {
        id: image.id,
        tags: named(image.repo_tags),
        digests: named(image.repo_digests),
        size: u64::try_from(image.size).unwrap_or_default(),
        user: String::new(),
    }
}

/// An image's name with a tag: without one the engine would fetch all of them.
pub(super) fn with_tag(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains(':') || last.contains('@') { name.to_owned() } else { format!("{name}:latest") }
}

pub(super) fn event(message: EventMessage) -> Option<Event> {
    let actor = message.actor?;
    let kind = match message.action?.as_str() {
        "start" => EventKind::Started,
        "die" => EventKind::Died,
        "destroy" => EventKind::Removed,
        _ => return None,
    };
    let uid = actor.attributes?.remove(POD_UID)?;
    Some(Event { uid, id: actor.id?, kind })
}

pub(super) fn stats(stats: ContainerStatsResponse) -> Stats {
    let memory = stats.memory_stats.unwrap_or_default();
    let cache = memory.stats.unwrap_or_default();
    let cache = cache.get("total_inactive_file").or_else(|| cache.get("inactive_file")).copied().unwrap_or_default();
    Stats {
        cpu_nanoseconds: stats.cpu_stats.and_then(|cpu| cpu.cpu_usage?.total_usage).unwrap_or_default(),
        memory_working_set: memory.usage.unwrap_or_default().saturating_sub(cache),
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ContainerState;

    use super::*;

    fn inspection(status: ContainerStateStatusEnum, exit_code: i64, started: &str) -> ContainerInspectResponse {
        let state = ContainerState {
            status: Some(status),
            exit_code: Some(exit_code),
            started_at: Some(started.to_owned()),
            finished_at: Some("0001-01-01T00:00:00Z".to_owned()),
            error: Some("exec: not found".to_owned()),
            ..ContainerState::default()
        };
        let created = Some("2026-05-01T10:00:00.5Z".to_owned());
        ContainerInspectResponse { state: Some(state), created, ..ContainerInspectResponse::default() }
    }

    #[test]
    fn a_container_that_could_not_start_has_exited() {
        let never = "0001-01-01T00:00:00Z";
        assert_eq!(state(&inspection(ContainerStateStatusEnum::CREATED, 0, never)), State::Created);
        let State::Exited { started_at, exit_code, error, .. } =
            state(&inspection(ContainerStateStatusEnum::CREATED, 127, never))
        else {
            panic!("it has exited");
        };
        let made: Timestamp = "2026-05-01T10:00:00.5Z".parse().unwrap();
        assert_eq!((started_at, exit_code, error.as_str()), (made, 127, "exec: not found"));
    }

    #[test]
    fn an_image_without_tag_means_latest() {
        assert_eq!(with_tag("localhost:5000/web"), "localhost:5000/web:latest");
        assert_eq!(with_tag("web:1"), "web:1");
        assert_eq!(with_tag("web@sha256:ab"), "web@sha256:ab");
    }

    #[test]
    fn only_a_dead_engine_is_unavailable() {
        let refused = EngineError::DockerResponseServerError { status_code: 500, message: "no".to_owned() };
        assert!(!failed(refused, "x").is_unavailable());
        assert!(failed(EngineError::RequestTimeoutError, "x").is_unavailable());
    }
}
