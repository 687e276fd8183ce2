//! What a runtime is asked to make. Everything is resolved: no references to the API are left.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// Which pod something belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PodId {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// Who asks a registry for an image.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The registry.
    pub registry: String,
    /// The user.
    pub username: String,
    /// The password, or a token.
    pub password: String,
}

/// Without the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.username, self.registry)
    }
}

/// A port of the pod that the host forwards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PortMapping {
    /// `TCP` or `UDP`.
    pub protocol: String,
    /// The port in the pod.
    pub container_port: u16,
    /// The port of the host.
    pub host_port: u16,
    /// The host's address; all when absent.
    pub host_ip: Option<IpAddr>,
}

/// A sandbox to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxSpec {
    /// The pod.
    pub pod: PodId,
    /// The how-manieth sandbox of the pod.
    pub attempt: u32,
    /// What `hostname` prints.
    pub hostname: String,
    /// Ports that the host forwards.
    pub ports: Vec<PortMapping>,
    /// Use the host's network.
    pub host_network: bool,
    /// See the host's processes.
    pub host_pid: bool,
    /// Share the host's IPC.
    pub host_ipc: bool,
    /// Kernel parameters of the namespaces.
    pub sysctls: BTreeMap<String, String>,
}

/// A file or folder of the host that a container sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is on the host.
    pub host_path: PathBuf,
    /// Where the container sees it.
    pub container_path: String,
    /// The container may only read it.
    pub read_only: bool,
    /// `rprivate`, `rslave` or `rshared`.
    pub propagation: &'static str,
}

/// What a container may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Its share of a processor under contention; 1024 is one.
    pub cpu_shares: u64,
    /// Microseconds of processor time in each 100 ms; 0 is no limit.
    pub cpu_quota: i64,
    /// Bytes of memory; 0 is no limit.
    pub memory: i64,
    /// How willing the kernel is to end it when memory is short, from -1000 to 1000.
    pub oom_score_adj: i32,
}

/// What a container's processes may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// `user` or `user:group`, as numbers; the image's when absent.
    pub user: Option<String>,
    /// More groups.
    pub groups: Vec<String>,
    /// Everything the host's root may.
    pub privileged: bool,
    /// Capabilities beside the default ones.
    pub add_capabilities: Vec<String>,
    /// Capabilities that are taken away.
    pub drop_capabilities: Vec<String>,
    /// The root file system may only be read.
    pub read_only_root: bool,
    /// No process may gain more rights than its parent has.
    pub no_new_privileges: bool,
    /// The AppArmor profile, or `unconfined`; the runtime's own when absent.
    pub app_armor: Option<String>,
    /// SELinux labels: `user:…`, `role:…`, `type:…`, `level:…`.
    pub se_linux: Vec<String>,
    /// No system call filter.
    pub seccomp_unconfined: bool,
}

/// A container to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Its name in the pod.
    pub name: String,
    /// The how-manieth instance.
    pub attempt: u32,
    /// The hash of what it is made from, to be kept with it.
    pub hash: String,
    /// The image, as the pod names it.
    pub image: String,
    /// Replaces the image's entry point, unless empty.
    pub command: Vec<String>,
    /// Replaces the image's arguments, unless empty.
    pub args: Vec<String>,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// Where it starts; the image's when empty.
    pub working_dir: String,
    /// Files and folders of the host.
    pub mounts: Vec<Mount>,
    /// What it may use.
    pub limits: Limits,
    /// What it may do.
    pub security: Security,
    /// Keep its standard input open.
    pub stdin: bool,
    /// Close it when the first who attached leaves.
    pub stdin_once: bool,
    /// Give it a terminal.
    pub tty: bool,
    /// See the processes of the pod's other containers.
    pub share_processes: bool,
    /// See the processes of the container with this id.
    pub target: Option<String>,
    /// See the host's processes.
    pub host_pid: bool,
}
