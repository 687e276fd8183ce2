//! What the runtime is asked to make of a pod: the sandbox, and each container.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Pod, PodSecurityContext, SELinuxOptions, SecurityContext};

use super::env::{Sources, environment, expand};
use super::resources::limits;
use super::{hash, id, init_containers, spec};
use crate::runtime::{ContainerSpec, Image, Mount, PortMapping, SandboxSpec, Security};

/// The sandbox of a pod.
///
/// # Errors
/// What is not supported.
pub(crate) fn sandbox(pod: &Pod, attempt: u32, domain: &str) -> Result<SandboxSpec, String> {
    let spec = spec(pod);
    let sysctls = spec.security_context.as_ref().and_then(|context| context.sysctls.clone()).unwrap_or_default();
    Ok(SandboxSpec {
        pod: id(pod),
        attempt,
        hostname: kernel_hostname(pod, domain)?,
        ports: ports(pod),
        host_network: is_host_network(pod),
        host_pid: spec.host_pid == Some(true),
        host_ipc: spec.host_ipc == Some(true),
        sysctls: sysctls.into_iter().map(|sysctl| (sysctl.name, sysctl.value)).collect(),
    })
}

/// Whether the pod uses the host's network.
pub(crate) fn is_host_network(pod: &Pod) -> bool {
    spec(pod).host_network == Some(true)
}

/// What `hostname` prints: `spec.hostnameOverride` (KEP-4762), else with `setHostnameAsFQDN` the name in full.
///
/// # Errors
/// That the name in full is longer than the kernel takes.
pub(crate) fn kernel_hostname(pod: &Pod, domain: &str) -> Result<String, String> {
    let spec = spec(pod);
    if let Some(name) = &spec.hostname_override {
        return Ok(name.clone());
    }
    let short = hostname(pod);
    let subdomain = spec.subdomain.as_deref().filter(|subdomain| !subdomain.is_empty());
    match subdomain.filter(|_| spec.set_hostname_as_fqdn == Some(true)) {
        None => Ok(short),
        Some(subdomain) => {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            let full = format!("{short}.{subdomain}.{namespace}.svc.{domain}");
            if full.len() <= 64 {
                return Ok(full);
            }
            Err(format!(
                "failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long (64 characters is the max, {} characters requested)",
                full.len()
            ))
        }
    }
}

/// `spec.hostname`, else the pod's name; at most 63 letters, as upstream cuts it.
pub(crate) fn hostname(pod: &Pod) -> String {
    let name = spec(pod).hostname.as_deref().filter(|name| !name.is_empty());
    let name = name.or(pod.metadata.name.as_deref()).unwrap_or_default();
    let cut: String = name.chars().take(63).collect();
    cut.trim_end_matches(['-', '.']).to_owned()
}

fn ports(pod: &Pod) -> Vec<PortMapping> {
    let containers = spec(pod).containers.iter().chain(init_containers(pod));
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    let mapping = |port: &k8s_openapi::api::core::v1::ContainerPort| {
        Some(PortMapping {
            protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
            container_port: u16::try_from(port.container_port).ok()?,
            host_port: u16::try_from(port.host_port?).ok().filter(|port| *port > 0)?,
            host_ip: port.host_ip.as_ref().and_then(|ip| ip.parse().ok()),
        })
    };
    ports.filter_map(mapping).collect()
}

/// What a container's spec is made with, beside the pod.
pub(crate) struct Made<'a> {
    pub(crate) attempt: u32,
    pub(crate) image: &'a Image,
    pub(crate) pod_ip: Option<IpAddr>,
    pub(crate) sources: &'a Sources,
    pub(crate) mounts: Vec<Mount>,
    /// The running container whose processes it is to see, by the runtime's id.
    pub(crate) target: Option<String>,
}

/// A container of a pod.
///
/// # Errors
/// What is missing or not allowed, in upstream's words.
pub(crate) fn container(pod: &Pod, container: &Container, made: Made<'_>) -> Result<ContainerSpec, String> {
    let env = environment(pod, container, made.pod_ip, made.sources)?;
    let lookup = |name: &str| env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let expanded = |list: &Option<Vec<String>>| list.iter().flatten().map(|text| expand(text, lookup)).collect();
    Ok(ContainerSpec {
        name: container.name.clone(),
        attempt: made.attempt,
        hash: hash(container),
        image: container.image.clone().unwrap_or_default(),
        command: expanded(&container.command),
        args: expanded(&container.args),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        mounts: made.mounts,
        limits: limits(pod, container, made.sources.capacity.1),
        security: security(pod, container, made.image)?,
        stdin: container.stdin == Some(true),
        stdin_once: container.stdin_once == Some(true),
        tty: container.tty == Some(true),
        share_processes: spec(pod).share_process_namespace == Some(true),
        host_pid: spec(pod).host_pid == Some(true),
        target: made.target,
        env,
    })
}

fn security(pod: &Pod, container: &Container, image: &Image) -> Result<Security, String> {
    let (whole, own) = (PodSecurityContext::default(), SecurityContext::default());
    let whole = spec(pod).security_context.as_ref().unwrap_or(&whole);
    let own = container.security_context.as_ref().unwrap_or(&own);
    let user = own.run_as_user.or(whole.run_as_user);
    let group = own.run_as_group.or(whole.run_as_group);
    if own.run_as_non_root.or(whole.run_as_non_root) == Some(true) {
        check_non_root(user, image)?;
    }
    let capabilities = |list: Option<&Vec<String>>| list.cloned().unwrap_or_default();
    let mut groups: Vec<String> = whole.supplemental_groups.iter().flatten().map(ToString::to_string).collect();
    groups.extend(whole.fs_group.map(|group| group.to_string()));
    let app_armor = own.app_armor_profile.as_ref().or(whole.app_armor_profile.as_ref());
    let seccomp = own.seccomp_profile.as_ref().or(whole.seccomp_profile.as_ref());
    Ok(Security {
        user: match (user, group) {
            (Some(user), Some(group)) => Some(format!("{user}:{group}")),
            (Some(user), None) => Some(user.to_string()),
            (None, Some(group)) => Some(format!("{}:{group}", image_user(image))),
            (None, None) => None,
        },
        groups,
        privileged: own.privileged == Some(true),
        add_capabilities: capabilities(own.capabilities.as_ref().and_then(|c| c.add.as_ref())),
        drop_capabilities: capabilities(own.capabilities.as_ref().and_then(|c| c.drop.as_ref())),
        read_only_root: own.read_only_root_filesystem == Some(true),
        no_new_privileges: own.allow_privilege_escalation == Some(false),
        app_armor: app_armor.and_then(|profile| match profile.type_.as_str() {
            "Unconfined" => Some("unconfined".to_owned()),
            "Localhost" => profile.localhost_profile.clone(),
            _ => None,
        }),
        se_linux: se_linux(own.se_linux_options.as_ref().or(whole.se_linux_options.as_ref())),
        seccomp_unconfined: seccomp.is_some_and(|profile| profile.type_ == "Unconfined"),
    })
}

/// Labels in the form `user:system_u`.
fn se_linux(options: Option<&SELinuxOptions>) -> Vec<String> {
    let Some(options) = options else { return Vec::new() };
    let parts = [("user", &options.user), ("role", &options.role), ("type", &options.type_), ("level", &options.level)];
    parts.into_iter().filter_map(|(name, value)| Some(format!("{name}:{}", value.as_ref()?))).collect()
}

fn image_user(image: &Image) -> &str {
    match image.user.split(':').next() {
        Some("") | None => "0",
        Some(user) => user,
    }
}

fn check_non_root(user: Option<i64>, image: &Image) -> Result<(), String> {
    match (user, image_user(image)) {
        (Some(0), _) => Err("container's runAsUser breaks non-root policy".to_owned()),
        (Some(_), _) => Ok(()),
        (None, "0" | "root") => Err("container has runAsNonRoot and image will run as root".to_owned()),
        (None, name) if name.parse::<u32>().is_err() => Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root"
        )),
        (None, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(spec: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap()
    }

    fn made(pod: &Pod, image: &Image) -> Result<ContainerSpec, String> {
        let sources = Sources::default();
        let made = Made { attempt: 0, image, pod_ip: None, sources: &sources, mounts: vec![], target: None };
        container(pod, &spec(pod).containers[0], made)
    }

    #[test]
    fn arguments_see_the_environment() {
        let pod = pod(json!({"containers": [{"name": "a", "command": ["/bin/$(X)"], "args": ["$(X)", "$(Y)"],
            "env": [{"name": "X", "value": "1"}]}]}));
        let spec = made(&pod, &Image::default()).unwrap();
        assert_eq!((spec.command, spec.args), (vec!["/bin/1".to_owned()], vec!["1".to_owned(), "$(Y)".to_owned()]));
    }

    #[test]
    fn only_ports_with_a_host_port_are_published() {
        let pod = pod(json!({"containers": [{"name": "a", "ports": [
            {"containerPort": 80}, {"containerPort": 53, "hostPort": 5353, "protocol": "UDP"}]}]}));
        let ports = sandbox(&pod, 0, "cluster.local").unwrap().ports;
        assert_eq!((ports.len(), ports[0].host_port, ports[0].protocol.as_str()), (1, 5353, "UDP"));
    }

    #[test]
    fn the_containers_user_wins_and_root_is_refused_where_asked() {
        let spec = json!({"securityContext": {"runAsUser": 5, "runAsGroup": 6, "fsGroup": 7},
            "containers": [{"name": "a", "securityContext": {"runAsUser": 8}}]});
        let security = made(&pod(spec), &Image::default()).unwrap().security;
        assert_eq!((security.user.as_deref(), security.groups), (Some("8:6"), vec!["7".to_owned()]));
        let refused = pod(json!({"securityContext": {"runAsNonRoot": true}, "containers": [{"name": "a"}]}));
        let error = made(&refused, &Image::default()).unwrap_err();
        assert_eq!(error, "container has runAsNonRoot and image will run as root");
        assert!(made(&refused, &Image { user: "1000".to_owned(), ..Image::default() }).is_ok());
    }

    #[test]
    fn the_hosts_name_may_be_full_or_another() {
        let named = |spec| {
            kernel_hostname(
                &Pod {
                    metadata: serde_json::from_value(json!({"name": "web", "namespace": "shop"})).unwrap(),
                    ..pod(spec)
                },
                "cluster.local",
            )
        };
        let full = json!({"containers": [], "subdomain": "front", "setHostnameAsFQDN": true});
        assert_eq!(named(full).unwrap(), "web.front.shop.svc.cluster.local");
        assert_eq!(named(json!({"containers": [], "setHostnameAsFQDN": true})).unwrap(), "web");
        assert_eq!(named(json!({"containers": [], "hostnameOverride": "me.example"})).unwrap(), "me.example");
        let long = json!({"containers": [], "subdomain": "s".repeat(60), "setHostnameAsFQDN": true});
        assert!(named(long).unwrap_err().contains("64 characters is the max, 87 characters requested"));
    }

    #[test]
    fn a_long_name_is_cut_to_a_host_name() {
        let mut pod = pod(json!({"containers": []}));
        pod.metadata.name = Some(format!("{}-{}", "a".repeat(62), "b".repeat(9)));
        assert_eq!(hostname(&pod), "a".repeat(62));
    }
}
