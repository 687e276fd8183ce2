//! Pod security standards: what a pod may not ask for in a namespace that says so
//! (<https://kubernetes.io/docs/concepts/security/pod-security-standards/>; `k8s.io/pod-security-admission`).
//!
//! Start at [`violations`]. The standards are those of this release, whichever version a namespace names.

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, EphemeralContainer, LifecycleHandler, PodSpec, Probe, SELinuxOptions, SecurityContext,
    Volume,
};

/// How much pods may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Privileged,
    /// Nothing that is known to let them out.
    Baseline,
    /// What is good practice.
    Restricted,
}

impl Level {
    /// The level of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Privileged, Self::Baseline, Self::Restricted].into_iter().find(|level| level.to_string() == name)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        })
    }
}

/// One thing that a pod may not ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What it is, such as `host namespaces`.
    pub reason: &'static str,
    /// Where it stands.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.detail)
    }
}

type Check = fn(&Pod<'_>) -> Option<Violation>;

/// In upstream's order.
const BASELINE: [Check; 12] = [
    app_armor,
    capabilities,
    host_namespaces,
    host_paths,
    host_ports,
    probe_hosts,
    privileged,
    proc_mounts,
    se_linux,
    seccomp,
    sysctls,
    host_processes,
];
const RESTRICTED: [Check; 15] = [
    app_armor,
    host_namespaces,
    host_ports,
    probe_hosts,
    privileged,
    proc_mounts,
    se_linux,
    sysctls,
    host_processes,
    escalation,
    restricted_capabilities,
    volumes,
    non_root,
    root_user,
    restricted_seccomp,
];

/// What of a pod is more than `level` allows.
pub fn violations(level: Level, spec: &PodSpec) -> Vec<Violation> {
    let pod = Pod::of(spec);
    match level {
        Level::Privileged => Vec::new(),
        Level::Baseline => BASELINE.iter().filter_map(|check| check(&pod)).collect(),
        Level::Restricted => RESTRICTED.iter().filter_map(|check| check(&pod)).collect(),
    }
}

const DEFAULT_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
const SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];
const SE_LINUX_TYPES: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

/// Of a container, of whatever kind, what the standards look at.
struct Part<'a> {
    name: &'a str,
    security: Option<&'a SecurityContext>,
    ports: Vec<i32>,
    hosts: Vec<&'a str>,
}

struct Pod<'a> {
    spec: &'a PodSpec,
    parts: Vec<Part<'a>>,
}

impl<'a> Pod<'a> {
    fn of(spec: &'a PodSpec) -> Self {
        let init = spec.init_containers.iter().flatten();
        let mut parts: Vec<_> = init.chain(&spec.containers).map(Part::of).collect();
        parts.extend(spec.ephemeral_containers.iter().flatten().map(Part::of_ephemeral));
        Self { spec, parts }
    }

    /// The names of the containers of which `is` holds.
    fn named(&self, is: impl Fn(&SecurityContext) -> bool) -> Vec<&'a str> {
        self.parts.iter().filter(|part| part.security.is_some_and(&is)).map(|part| part.name).collect()
    }

    fn lacking(&self, is: impl Fn(&SecurityContext) -> bool) -> Vec<&'a str> {
        self.parts.iter().filter(|part| !part.security.is_some_and(&is)).map(|part| part.name).collect()
    }
}

impl<'a> Part<'a> {
    fn of(container: &'a Container) -> Self {
        let probes = [&container.liveness_probe, &container.readiness_probe, &container.startup_probe];
        let hooks = container.lifecycle.iter().flat_map(|lifecycle| [&lifecycle.post_start, &lifecycle.pre_stop]);
        let of_probes = probes.into_iter().flatten().filter_map(probe_host);
        let of_hooks = hooks.flatten().filter_map(hook_host);
        Self {
            name: &container.name,
            security: container.security_context.as_ref(),
            ports: container
                .ports
                .iter()
                .flatten()
                .filter_map(|port| port.host_port)
                .filter(|port| *port != 0)
                .collect(),
            hosts: of_probes.chain(of_hooks).filter(|host| !host.is_empty()).collect(),
        }
    }

    fn of_ephemeral(container: &'a EphemeralContainer) -> Self {
        let security = container.security_context.as_ref();
        Self { name: &container.name, security, ports: Vec::new(), hosts: Vec::new() }
    }
}

fn probe_host(probe: &Probe) -> Option<&str> {
    let http = probe.http_get.as_ref().and_then(|get| get.host.as_deref());
    http.or_else(|| probe.tcp_socket.as_ref().and_then(|socket| socket.host.as_deref()))
}

fn hook_host(hook: &LifecycleHandler) -> Option<&str> {
    let http = hook.http_get.as_ref().and_then(|get| get.host.as_deref());
    http.or_else(|| hook.tcp_socket.as_ref().and_then(|socket| socket.host.as_deref()))
}

fn quoted<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| format!("{:?}", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// `container "a"`, `containers "a", "b"`.
fn some(what: &str, names: &[&str]) -> String {
    format!("{what}{} {}", if names.len() == 1 { "" } else { "s" }, quoted(names))
}

fn when(found: bool, reason: &'static str, detail: impl FnOnce() -> String) -> Option<Violation> {
    found.then(|| Violation { reason, detail: detail() })
}

/// `pod and containers "a", "b"`, of those that there are.
fn setters(pod: bool, containers: &[&str]) -> String {
    let all = pod.then(|| "pod".to_owned()).into_iter();
    all.chain((!containers.is_empty()).then(|| some("container", containers))).collect::<Vec<_>>().join(" and ")
}

fn app_armor(pod: &Pod<'_>) -> Option<Violation> {
    let whole = pod.spec.security_context.as_ref().and_then(|security| security.app_armor_profile.as_ref());
    let whole = whole.is_some_and(|profile| profile.type_ == "Unconfined");
    let names = pod.named(|security| security.app_armor_profile.as_ref().is_some_and(|p| p.type_ == "Unconfined"));
    when(whole || !names.is_empty(), "forbidden AppArmor profile", || {
        format!("{} must not set AppArmor profile type to \"Unconfined\"", setters(whole, &names))
    })
}

fn host_processes(pod: &Pod<'_>) -> Option<Violation> {
    let whole = pod.spec.security_context.as_ref().and_then(|security| security.windows_options.as_ref());
    let whole = whole.is_some_and(|options| options.host_process == Some(true));
    let is = |security: &SecurityContext| {
        security.windows_options.as_ref().is_some_and(|options| options.host_process == Some(true))
    };
    let names = pod.named(is);
    when(whole || !names.is_empty(), "hostProcess", || {
        format!("{} must not set securityContext.windowsOptions.hostProcess=true", setters(whole, &names))
    })
}

fn host_namespaces(pod: &Pod<'_>) -> Option<Violation> {
    let spec = pod.spec;
    let all = [("hostNetwork", spec.host_network), ("hostPID", spec.host_pid), ("hostIPC", spec.host_ipc)];
    let found: Vec<_> =
        all.iter().filter(|(_, set)| *set == Some(true)).map(|(name, _)| format!("{name}=true")).collect();
    when(!found.is_empty(), "host namespaces", || found.join(", "))
}

fn host_paths(pod: &Pod<'_>) -> Option<Violation> {
    let volumes = pod.spec.volumes.iter().flatten().filter(|volume| volume.host_path.is_some());
    let names: Vec<_> = volumes.map(|volume| volume.name.as_str()).collect();
    when(!names.is_empty(), "hostPath volumes", || some("volume", &names))
}

fn host_ports(pod: &Pod<'_>) -> Option<Violation> {
    let using: Vec<_> = pod.parts.iter().filter(|part| !part.ports.is_empty()).collect();
    let ports: BTreeSet<i32> = using.iter().flat_map(|part| part.ports.iter().copied()).collect();
    let names: Vec<_> = using.iter().map(|part| part.name).collect();
    when(!names.is_empty(), "hostPort", || {
        let ports_text = ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let (uses, s) = (if names.len() == 1 { "uses" } else { "use" }, if ports.len() == 1 { "" } else { "s" });
        format!("{} {uses} hostPort{s} {ports_text}", some("container", &names))
    })
}

fn probe_hosts(pod: &Pod<'_>) -> Option<Violation> {
    let using: Vec<_> = pod.parts.iter().filter(|part| !part.hosts.is_empty()).collect();
    let hosts: BTreeSet<&str> = using.iter().flat_map(|part| part.hosts.iter().copied()).collect();
    let names: Vec<_> = using.iter().map(|part| part.name).collect();
    when(!names.is_empty(), "probe or lifecycle host", || {
        let (uses, s) = (if names.len() == 1 { "uses" } else { "use" }, if hosts.len() == 1 { "" } else { "s" });
        format!("{} {uses} probe or lifecycle host{s} {}", some("container", &names), quoted(hosts))
    })
}

fn privileged(pod: &Pod<'_>) -> Option<Violation> {
    let names = pod.named(|security| security.privileged == Some(true));
    when(!names.is_empty(), "privileged", || {
        format!("{} must not set securityContext.privileged=true", some("container", &names))
    })
}

fn proc_mounts(pod: &Pod<'_>) -> Option<Violation> {
    let forbidden = |security: &SecurityContext| {
        security.proc_mount.as_deref().is_some_and(|mount| !matches!(mount, "" | "Default"))
    };
    let names = pod.named(forbidden);
    let mounts: BTreeSet<_> = pod
        .parts
        .iter()
        .filter_map(|part| part.security.filter(|security| forbidden(security))?.proc_mount.as_deref())
        .collect();
    when(!names.is_empty(), "procMount", || {
        format!("{} must not set securityContext.procMount to {}", some("container", &names), quoted(mounts))
    })
}

fn se_linux(pod: &Pod<'_>) -> Option<Violation> {
    let mut bad: BTreeSet<String> = BTreeSet::new();
    let mut forbidden = |options: Option<&SELinuxOptions>| {
        let Some(options) = options else { return false };
        let mut all = Vec::new();
        let type_ = options.type_.as_deref().unwrap_or_default();
        all.extend((!SE_LINUX_TYPES.contains(&type_)).then(|| format!("type {type_:?}")));
        let is_set = |value: &Option<String>| value.as_ref().is_some_and(|value| !value.is_empty());
        all.extend(is_set(&options.user).then(|| "user may not be set".to_owned()));
        all.extend(is_set(&options.role).then(|| "role may not be set".to_owned()));
        let found = !all.is_empty();
        bad.extend(all);
        found
    };
    let whole = forbidden(pod.spec.security_context.as_ref().and_then(|security| security.se_linux_options.as_ref()));
    let parts = pod
        .parts
        .iter()
        .filter(|part| forbidden(part.security.and_then(|security| security.se_linux_options.as_ref())));
    let names: Vec<_> = parts.map(|part| part.name).collect();
    let texts = bad.into_iter().collect::<Vec<_>>().join("; ");
    when(whole || !names.is_empty(), "seLinuxOptions", || {
        format!("{} set forbidden securityContext.seLinuxOptions: {texts}", setters(whole, &names))
    })
}

fn sysctls(pod: &Pod<'_>) -> Option<Violation> {
    let all = pod.spec.security_context.iter().flat_map(|security| security.sysctls.iter().flatten());
    let names: Vec<_> = all.map(|sysctl| sysctl.name.as_str()).filter(|name| !SYSCTLS.contains(name)).collect();
    when(!names.is_empty(), "forbidden sysctls", || names.join(", "))
}

fn added(capabilities: Option<&Capabilities>) -> impl Iterator<Item = &str> {
    capabilities.into_iter().flat_map(|all| all.add.iter().flatten()).map(String::as_str)
}

/// The containers that add other capabilities than `allowed`, and which.
fn adding<'a>(pod: &Pod<'a>, allowed: &[&str]) -> (Vec<&'a str>, BTreeSet<&'a str>) {
    let (mut names, mut found) = (Vec::new(), BTreeSet::new());
    for part in &pod.parts {
        let all = added(part.security.and_then(|security| security.capabilities.as_ref()));
        let more: Vec<_> = all.filter(|name| !allowed.contains(name)).collect();
        if !more.is_empty() {
            names.push(part.name);
            found.extend(more);
        }
    }
    (names, found)
}

fn capabilities(pod: &Pod<'_>) -> Option<Violation> {
    let (names, found) = adding(pod, &DEFAULT_CAPABILITIES);
    when(!names.is_empty(), "non-default capabilities", || {
        format!("{} must not include {} in securityContext.capabilities.add", some("container", &names), quoted(found))
    })
}

fn restricted_capabilities(pod: &Pod<'_>) -> Option<Violation> {
    let drops_all = |security: &SecurityContext| {
        let dropped = security.capabilities.iter().flat_map(|all| all.drop.iter().flatten());
        dropped.into_iter().any(|name| name == "ALL")
    };
    let keeping = pod.lacking(drops_all);
    let (names, found) = adding(pod, &["NET_BIND_SERVICE"]);
    let mut details = Vec::new();
    if !keeping.is_empty() {
        details.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", some("container", &keeping)));
    }
    if !names.is_empty() {
        let found = quoted(found);
        details.push(format!(
            "{} must not include {found} in securityContext.capabilities.add",
            some("container", &names)
        ));
    }
    when(!details.is_empty(), "unrestricted capabilities", || details.join("; "))
}

fn escalation(pod: &Pod<'_>) -> Option<Violation> {
    let names = pod.lacking(|security| security.allow_privilege_escalation == Some(false));
    when(!names.is_empty(), "allowPrivilegeEscalation != false", || {
        format!("{} must set securityContext.allowPrivilegeEscalation=false", some("container", &names))
    })
}

/// What a volume is, if it is nothing that every pod may use.
fn restricted_type(volume: &Volume) -> Option<String> {
    const ALLOWED: [&str; 9] = [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ];
    let json = serde_json::to_value(volume).unwrap_or_default();
    let mut types = json.as_object().into_iter().flatten().map(|(name, _)| name).filter(|name| *name != "name");
    let type_ = types.next().cloned().unwrap_or_else(|| "unknown".to_owned());
    (!ALLOWED.contains(&type_.as_str())).then_some(type_)
}

fn volumes(pod: &Pod<'_>) -> Option<Violation> {
    let (mut names, mut types) = (Vec::new(), BTreeSet::new());
    for volume in pod.spec.volumes.iter().flatten() {
        if let Some(type_) = restricted_type(volume) {
            names.push(volume.name.as_str());
            types.insert(type_);
        }
    }
    when(!names.is_empty(), "restricted volume types", || {
        let (uses, s) = (if names.len() == 1 { "uses" } else { "use" }, if types.len() == 1 { "" } else { "s" });
        format!("{} {uses} restricted volume type{s} {}", some("volume", &names), quoted(types))
    })
}

fn non_root(pod: &Pod<'_>) -> Option<Violation> {
    let whole = pod.spec.security_context.as_ref().and_then(|security| security.run_as_non_root);
    let own = |part: &Part<'_>| part.security.and_then(|security| security.run_as_non_root);
    let of = |wanted: Option<bool>| -> Vec<&str> {
        pod.parts.iter().filter(|part| own(part) == wanted).map(|part| part.name).collect()
    };
    let (explicit, silent) = (of(Some(false)), of(None));
    if whole == Some(false) || !explicit.is_empty() {
        let who = setters(whole == Some(false), &explicit);
        let detail = format!("{who} must not set securityContext.runAsNonRoot=false");
        return Some(Violation { reason: "runAsNonRoot != true", detail });
    }
    when(whole != Some(true) && !silent.is_empty(), "runAsNonRoot != true", || {
        format!("pod or {} must set securityContext.runAsNonRoot=true", some("container", &silent))
    })
}

fn root_user(pod: &Pod<'_>) -> Option<Violation> {
    let whole = pod.spec.security_context.as_ref().and_then(|security| security.run_as_user) == Some(0);
    let names = pod.named(|security| security.run_as_user == Some(0));
    when(whole || !names.is_empty(), "runAsUser=0", || format!("{} must not set runAsUser=0", setters(whole, &names)))
}

fn seccomp_type(security: Option<&SecurityContext>) -> Option<&str> {
    security?.seccomp_profile.as_ref().map(|profile| profile.type_.as_str())
}

/// Whoever sets a profile that is not `allowed`, and which.
fn bad_seccomp(pod: &Pod<'_>, allowed: &[&str]) -> Option<String> {
    let whole = pod.spec.security_context.as_ref().and_then(|security| security.seccomp_profile.as_ref());
    let bad = |type_: &str| !allowed.contains(&type_);
    let whole = whole.filter(|profile| bad(&profile.type_));
    let parts = pod.parts.iter().filter(|part| seccomp_type(part.security).is_some_and(bad));
    let parts: Vec<_> = parts.collect();
    let of_parts = parts.iter().filter_map(|part| seccomp_type(part.security));
    let found: BTreeSet<&str> = whole.iter().map(|profile| profile.type_.as_str()).chain(of_parts).collect();
    let names: Vec<_> = parts.iter().map(|part| part.name).collect();
    (!found.is_empty()).then(|| {
        let who = setters(whole.is_some(), &names);
        format!("{who} must not set securityContext.seccompProfile.type to {}", quoted(found))
    })
}

const CONFINED: [&str; 2] = ["RuntimeDefault", "Localhost"];

fn seccomp(pod: &Pod<'_>) -> Option<Violation> {
    bad_seccomp(pod, &CONFINED).map(|detail| Violation { reason: "seccompProfile", detail })
}

fn restricted_seccomp(pod: &Pod<'_>) -> Option<Violation> {
    if let Some(detail) = bad_seccomp(pod, &CONFINED) {
        return Some(Violation { reason: "seccompProfile", detail });
    }
    let whole = pod.spec.security_context.as_ref().and_then(|security| security.seccomp_profile.as_ref());
    let silent = pod.lacking(|security| security.seccomp_profile.is_some());
    when(whole.is_none() && !silent.is_empty(), "seccompProfile", || {
        let who = some("container", &silent);
        format!("pod or {who} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(level: Level, spec: Value) -> String {
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        violations(level, &spec).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_plain_pod_is_baseline_and_not_restricted() {
        let spec = json!({"containers": [{"name": "c", "image": "i"}]});
        assert_eq!(told(Level::Privileged, spec.clone()), "");
        assert_eq!(told(Level::Baseline, spec.clone()), "");
        let expected = "allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")";
        assert_eq!(told(Level::Restricted, spec), expected);
        let security =
            json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}});
        let good = json!({"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "c", "image": "i", "securityContext": security}], "volumes": [{"name": "v", "emptyDir": {}}]});
        assert_eq!(told(Level::Restricted, good), "");
    }

    #[test]
    fn what_lets_a_pod_out_is_not_baseline() {
        let check = |spec: Value, expected: &str| {
            let mut whole = json!({"containers": []});
            whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
            assert_eq!(told(Level::Baseline, whole), expected, "{spec}");
        };
        let container = |name: &str, security: Value| json!({"name": name, "image": "i", "securityContext": security});
        check(json!({"hostNetwork": true, "hostIPC": true}), "host namespaces (hostNetwork=true, hostIPC=true)");
        check(
            json!({"containers": [container("a", json!({"privileged": true})), container("b", json!({"privileged": true}))]}),
            "privileged (containers \"a\", \"b\" must not set securityContext.privileged=true)",
        );
        check(
            json!({"initContainers": [container("a", json!({"capabilities": {"add": ["NET_ADMIN", "CHOWN"]}}))]}),
            "non-default capabilities (container \"a\" must not include \"NET_ADMIN\" in securityContext.capabilities.add)",
        );
        check(json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}), "hostPath volumes (volume \"v\")");
        check(
            json!({"containers": [{"name": "a", "image": "i", "ports": [{"containerPort": 1, "hostPort": 80}, {"containerPort": 2, "hostPort": 81}]}]}),
            "hostPort (container \"a\" uses hostPorts 80, 81)",
        );
        check(
            json!({"containers": [{"name": "a", "image": "i", "livenessProbe": {"tcpSocket": {"port": 1, "host": "x"}}}]}),
            "probe or lifecycle host (container \"a\" uses probe or lifecycle host \"x\")",
        );
        check(
            json!({"containers": [container("a", json!({"procMount": "Unmasked", "seccompProfile": {"type": "Unconfined"}}))]}),
            "procMount (container \"a\" must not set securityContext.procMount to \"Unmasked\"), seccompProfile (container \"a\" must not set securityContext.seccompProfile.type to \"Unconfined\")",
        );
        check(
            json!({"securityContext": {"seLinuxOptions": {"type": "spc_t", "user": "u"}, "sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}),
            "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type \"spc_t\"; user may not be set), forbidden sysctls (kernel.msgmax)",
        );
    }

    #[test]
    fn what_is_no_good_practice_is_not_restricted() {
        let security = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}, "runAsUser": 0, "runAsNonRoot": false});
        let spec = json!({"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "Localhost"}},
            "containers": [{"name": "c", "image": "i", "securityContext": security}],
            "volumes": [{"name": "v", "hostPath": {"path": "/"}}, {"name": "w", "nfs": {"path": "/", "server": "s"}}]});
        let expected = "unrestricted capabilities (container \"c\" must not include \"CHOWN\" in securityContext.capabilities.add), restricted volume types (volumes \"v\", \"w\" use restricted volume types \"hostPath\", \"nfs\"), runAsNonRoot != true (container \"c\" must not set securityContext.runAsNonRoot=false), runAsUser=0 (container \"c\" must not set runAsUser=0)";
        assert_eq!(told(Level::Restricted, spec), expected);
    }
}
