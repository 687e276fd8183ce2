//! What the engine is asked to make of a sandbox or a container.

use std::collections::{BTreeMap, HashMap};

use bollard::auth::DockerCredentials;
use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, HostConfig, HostConfigLogConfig, Mount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountType, PortBinding, PortMap,
};

use super::convert::{
    ATTEMPT, CLUSTER, CONTAINER, HASH, IMAGE, POD_NAME, POD_NAMESPACE, POD_UID, SANDBOX, SANDBOX_ROLE,
};
use super::network;
use crate::images;
use crate::runtime::{ContainerSpec, Credentials, Limits, PodId, SandboxSpec};

const CPU_PERIOD: i64 = 100_000;

/// The engine's name of a sandbox.
pub(super) fn sandbox_name(spec: &SandboxSpec) -> String {
    name(SANDBOX_ROLE, &spec.pod, spec.attempt)
}

/// The engine's name of a container.
pub(super) fn container_name(pod: &PodId, spec: &ContainerSpec) -> String {
    name(&spec.name, pod, spec.attempt)
}

fn name(container: &str, pod: &PodId, attempt: u32) -> String {
    format!("k8s_{container}_{}_{}_{}_{attempt}", pod.name, pod.namespace, pod.uid)
}

fn labels(pod: &PodId, cluster: &str, container: &str, attempt: u32) -> HashMap<String, String> {
    [
        (CLUSTER, cluster),
        (POD_NAME, &pod.name),
        (POD_NAMESPACE, &pod.namespace),
        (POD_UID, &pod.uid),
        (CONTAINER, container),
        (ATTEMPT, &attempt.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

pub(super) fn sandbox(spec: &SandboxSpec, cluster: &str) -> ContainerCreateBody {
    let network = if spec.host_network { "host".to_owned() } else { network::name(cluster) };
    let sysctls = (!spec.sysctls.is_empty()).then(|| spec.sysctls.clone().into_iter().collect());
    let host_config = HostConfig {
        network_mode: Some(network),
        ipc_mode: Some(if spec.host_ipc { "host" } else { "shareable" }.to_owned()),
        pid_mode: spec.host_pid.then(|| "host".to_owned()),
        port_bindings: (!spec.host_network).then(|| port_bindings(spec)),
        cpu_shares: Some(2),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        sysctls,
        log_config: Some(log_config("none")),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        // The engine refuses a host name beside the host's network.
        hostname: (!spec.host_network).then(|| spec.hostname.clone()),
        image: Some(images::PAUSE.to_owned()),
        labels: Some(labels(&spec.pod, cluster, SANDBOX_ROLE, spec.attempt)),
        exposed_ports: Some(spec.ports.iter().map(port_key).collect()),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    }
}

pub(super) fn credentials(credentials: &Credentials) -> DockerCredentials {
    DockerCredentials {
        username: Some(credentials.username.clone()),
        password: Some(credentials.password.clone()),
        serveraddress: Some(credentials.registry.clone()),
        ..DockerCredentials::default()
    }
}

fn port_key(port: &crate::runtime::PortMapping) -> String {
    format!("{}/{}", port.container_port, port.protocol.to_ascii_lowercase())
}

fn port_bindings(spec: &SandboxSpec) -> PortMap {
    let mut bindings = PortMap::new();
    for port in &spec.ports {
        let binding =
            PortBinding { host_ip: port.host_ip.map(|ip| ip.to_string()), host_port: Some(port.host_port.to_string()) };
        bindings.entry(port_key(port)).or_insert_with(|| Some(Vec::new())).get_or_insert_default().push(binding);
    }
    bindings
}

pub(super) fn container(sandbox: &str, pod: &PodId, spec: &ContainerSpec, cluster: &str) -> ContainerCreateBody {
    let mut labels = labels(pod, cluster, &spec.name, spec.attempt);
    let own = [(SANDBOX, sandbox), (HASH, &spec.hash), (IMAGE, &spec.image)];
    labels.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let given = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    ContainerCreateBody {
        user: spec.security.user.clone(),
        image: Some(spec.image.clone()),
        // A command without arguments drops the image's arguments, too, as it does upstream.
        entrypoint: given(&spec.command),
        cmd: given(&spec.args),
        env: Some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        working_dir: Some(spec.working_dir.clone()).filter(|dir| !dir.is_empty()),
        open_stdin: Some(spec.stdin),
        stdin_once: Some(spec.stdin_once),
        tty: Some(spec.tty),
        labels: Some(labels),
        host_config: Some(host_config(sandbox, spec)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(sandbox: &str, spec: &ContainerSpec) -> HostConfig {
    let shared = format!("container:{sandbox}");
    let pid_mode = match (spec.host_pid, &spec.target, spec.share_processes) {
        (true, _, _) => Some("host".to_owned()),
        (false, Some(target), false) => Some(format!("container:{target}")),
        (false, _, true) => Some(shared.clone()),
        (false, None, false) => None,
    };
    let limits = &spec.limits;
    let security = &spec.security;
    let capabilities = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    HostConfig {
        network_mode: Some(shared.clone()),
        ipc_mode: Some(shared),
        pid_mode,
        cpu_shares: Some(i64::try_from(limits.cpu_shares).unwrap_or(i64::MAX)),
        cpu_period: (limits.cpu_quota > 0).then_some(CPU_PERIOD),
        cpu_quota: (limits.cpu_quota > 0).then_some(limits.cpu_quota),
        memory: (limits.memory > 0).then_some(limits.memory),
        // The same as the memory: no swap.
        memory_swap: (limits.memory > 0).then_some(limits.memory),
        // Below zero needs CAP_SYS_RESOURCE, which an engine in a confined machine has not: there
        // such a container would not start at all.
        oom_score_adj: Some(i64::from(limits.oom_score_adj).max(0)),
        mounts: Some(spec.mounts.iter().map(mount).collect()),
        cap_add: capabilities(&security.add_capabilities),
        cap_drop: capabilities(&security.drop_capabilities),
        group_add: capabilities(&security.groups),
        privileged: Some(security.privileged),
        readonly_rootfs: Some(security.read_only_root),
        security_opt: Some(security_options(spec)),
        log_config: Some(log_config("json-file")),
        ..HostConfig::default()
    }
}

/// The same limits for a container that is there.
pub(super) fn update(limits: &Limits) -> ContainerUpdateBody {
    ContainerUpdateBody {
        cpu_shares: Some(i64::try_from(limits.cpu_shares).unwrap_or(i64::MAX)),
        cpu_period: (limits.cpu_quota > 0).then_some(CPU_PERIOD),
        cpu_quota: (limits.cpu_quota > 0).then_some(limits.cpu_quota),
        memory: (limits.memory > 0).then_some(limits.memory),
        memory_swap: (limits.memory > 0).then_some(limits.memory),
        ..ContainerUpdateBody::default()
    }
}

fn security_options(spec: &ContainerSpec) -> Vec<String> {
    let security = &spec.security;
    let options = [
        (security.no_new_privileges, "no-new-privileges"),
        (security.seccomp_unconfined && !security.privileged, "seccomp=unconfined"),
    ];
    let options = options.into_iter().filter(|(wanted, _)| *wanted).map(|(_, option)| option.to_owned());
    let profile = security.app_armor.iter().map(|profile| format!("apparmor={profile}"));
    options.chain(profile).chain(security.se_linux.iter().map(|label| format!("label={label}"))).collect()
}

fn mount(mount: &crate::runtime::Mount) -> Mount {
    let propagation = match mount.propagation {
        "rshared" => MountBindOptionsPropagationEnum::RSHARED,
        "rslave" => MountBindOptionsPropagationEnum::RSLAVE,
        _ => MountBindOptionsPropagationEnum::RPRIVATE,
    };
    Mount {
        typ: Some(MountType::BIND),
        source: Some(mount.host_path.display().to_string()),
        target: Some(mount.container_path.clone()),
        read_only: Some(mount.read_only),
        bind_options: Some(MountBindOptions { propagation: Some(propagation), ..MountBindOptions::default() }),
        ..Mount::default()
    }
}

/// Logs are read back through the engine, so the driver is one that can, with the kubelet's bounds.
fn log_config(driver: &str) -> HostConfigLogConfig {
    let bounds = BTreeMap::from([("max-size", "10m"), ("max-file", "5")]);
    let config = (driver != "none").then(|| bounds.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
    HostConfigLogConfig { typ: Some(driver.to_owned()), config }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> PodId {
        PodId { namespace: "shop".to_owned(), name: "web".to_owned(), uid: "u-1".to_owned() }
    }

    #[test]
    fn a_container_lives_in_the_namespaces_of_its_sandbox() {
        let spec =
            ContainerSpec { name: "app".to_owned(), attempt: 2, share_processes: true, ..ContainerSpec::default() };
        let body = container("abc", &pod(), &spec, "c1");
        let host = body.host_config.unwrap();
        let shared = Some("container:abc".to_owned());
        assert_eq!((host.network_mode, host.ipc_mode, host.pid_mode), (shared.clone(), shared.clone(), shared));
        assert_eq!(body.labels.unwrap()["io.kubernetes.container.restartCount"], "2");
        assert_eq!(container_name(&pod(), &spec), "k8s_app_web_shop_u-1_2");
        let spec = ContainerSpec { target: Some("def".to_owned()), ..ContainerSpec::default() };
        let host = container("abc", &pod(), &spec, "c1").host_config.unwrap();
        let pid = Some("container:def".to_owned());
        assert_eq!((host.network_mode, host.pid_mode), (Some("container:abc".to_owned()), pid));
    }

    #[test]
    fn memory_is_limited_without_swap() {
        let mut spec = ContainerSpec::default();
        spec.limits.memory = 64 << 20;
        spec.limits.cpu_quota = 50_000;
        let host = host_config("abc", &spec);
        assert_eq!((host.memory, host.memory_swap), (Some(64 << 20), Some(64 << 20)));
        assert_eq!((host.cpu_period, host.cpu_quota), (Some(100_000), Some(50_000)));
    }

    #[test]
    fn a_host_port_is_published_by_the_sandbox() {
        let port = crate::runtime::PortMapping {
            protocol: "UDP".to_owned(),
            container_port: 53,
            host_port: 5353,
            host_ip: None,
        };
        let spec = SandboxSpec { pod: pod(), ports: vec![port], ..SandboxSpec::default() };
        let host = sandbox(&spec, "c1").host_config.unwrap();
        let bindings = host.port_bindings.unwrap();
        assert_eq!(bindings["53/udp"].as_ref().unwrap()[0].host_port.as_deref(), Some("5353"));
        assert_eq!(host.network_mode.as_deref(), Some("trimtab-c1"));
    }
}
