//! What a runtime tells of its sandboxes, containers and images.

use std::net::IpAddr;

use jiff::Timestamp;

/// The state of a sandbox or container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Made, not started.
    Created,
    /// Running.
    Running {
        /// Since when.
        started_at: Timestamp,
    },
    /// Ended.
    Exited {
        /// When it had been started; the same as `finished_at` when it never was.
        started_at: Timestamp,
        /// When it ended.
        finished_at: Timestamp,
        /// What it answered; 128 + signal when a signal ended it.
        exit_code: i32,
        /// Whether it ended because it used too much memory.
        oom_killed: bool,
        /// Why it could not be started, in the runtime's words; usually empty.
        error: String,
    },
}

impl State {
    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. })
    }

    /// Whether it has ended.
    pub fn is_exited(&self) -> bool {
        matches!(self, Self::Exited { .. })
    }

    /// When it was started; `None` when it has not been.
    pub fn started_at(&self) -> Option<Timestamp> {
        match self {
            Self::Created => None,
            Self::Running { started_at } | Self::Exited { started_at, .. } => Some(*started_at),
        }
    }
}

/// A sandbox: what the containers of a pod share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// The runtime's id of it.
    pub id: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's uid.
    pub uid: String,
    /// The how-manieth sandbox of the pod it is, from 0.
    pub attempt: u32,
    /// Its state.
    pub state: State,
    /// Its address on the pod network.
    pub ip: Option<IpAddr>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The runtime's id of it.
    pub id: String,
    /// The uid of its pod.
    pub uid: String,
    /// The sandbox it lives in.
    pub sandbox_id: String,
    /// Its name in the pod.
    pub name: String,
    /// The how-manieth instance it is, from 0: the pod's `restartCount`.
    pub attempt: u32,
    /// The hash of what it was made from.
    pub hash: String,
    /// The image, as the pod names it.
    pub image: String,
    /// The image, by its content.
    pub image_id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its state.
    pub state: State,
}

/// The sandboxes and containers of a cluster or pod, in no order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The sandboxes.
    pub sandboxes: Vec<Sandbox>,
    /// The containers.
    pub containers: Vec<Container>,
}

/// An image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Its content's digest: `sha256:…`.
    pub id: String,
    /// Names with tags.
    pub tags: Vec<String>,
    /// Names with digests.
    pub digests: Vec<String>,
    /// Bytes.
    pub size: u64,
    /// The user it runs as: a name, a number, or `""` for root.
    pub user: String,
}

/// The name and versions of a runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// `docker`, `podman`, `sim`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it was found.
    pub endpoint: String,
}

/// What the machine has and is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Processors.
    pub cpus: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`.
    pub arch: String,
    /// The distribution.
    pub os_image: String,
    /// The kernel's version.
    pub kernel: String,
    /// An id of the machine.
    pub machine_id: String,
}

/// What a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Processor time used since its start, in nanoseconds.
    pub cpu_nanoseconds: u64,
    /// Bytes of memory in use, without the page cache that can be given back.
    pub memory_working_set: u64,
}

/// Something happened to a container or sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The pod's uid.
    pub uid: String,
    /// The container or sandbox.
    pub id: String,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was started.
    Started,
    /// It ended.
    Died,
    /// It was removed.
    Removed,
}
