//! Containers: names, images, ports, and what init containers may have.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, ContainerPort, PodSpec};

use crate::check::{Checks, text};
use crate::field::{Error, Path};
use crate::names;

use super::spec::Of;
use super::volume::Volumes;
use super::{env, probe, resources, security, volume};

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// What is wrong with the containers of a pod whose specification is at `path`.
pub(super) fn check_all(path: &Path, spec: &PodSpec, volumes: &Volumes<'_>, of: Of, checks: &mut Checks) {
    let mut names = BTreeSet::new();
    let containers = path.child("containers");
    if spec.containers.is_empty() {
        checks.required(&containers);
    }
    for (index, container) in spec.containers.iter().enumerate() {
        let path = containers.index(index);
        check_common(&path, container, spec, volumes, of, checks);
        check_unique(&path, &container.name, &mut names, checks);
        probe::check_all(&path, container, spec, checks);
        if container.restart_policy.is_some() {
            let policies = ["Always", "OnFailure", "Never"];
            checks.one_of(&path.child("restartPolicy"), text(&container.restart_policy), &policies);
        }
    }
    check_host_ports(&containers, &spec.containers, checks);
    for (index, container) in spec.init_containers.iter().flatten().enumerate() {
        let path = path.child("initContainers").index(index);
        check_common(&path, container, spec, volumes, of, checks);
        check_unique(&path, &container.name, &mut names, checks);
        check_init(&path, container, spec, checks);
    }
}

pub(super) fn check_unique<'a>(path: &Path, name: &'a str, names: &mut BTreeSet<&'a str>, checks: &mut Checks) {
    if !name.is_empty() && !names.insert(name) {
        checks.push(Error::duplicate(&path.child("name"), name));
    }
}

pub(super) fn check_common(
    path: &Path,
    container: &Container,
    spec: &PodSpec,
    volumes: &Volumes<'_>,
    of: Of,
    checks: &mut Checks,
) {
    checks.named(&path.child("name"), &container.name, names::dns1123_label);
    check_image(&path.child("image"), text(&container.image), of, checks);
    let policies = ["File", "FallbackToLogsOnError"];
    let policy = text(&container.termination_message_policy);
    checks.one_of(&path.child("terminationMessagePolicy"), policy, &policies);
    check_ports(&path.child("ports"), container.ports.as_deref().unwrap_or_default(), checks);
    env::check(path, container, checks);
    volume::check_mounts(path, container, volumes, checks);
    let policies = ["Always", "IfNotPresent", "Never"];
    checks.one_of(&path.child("imagePullPolicy"), text(&container.image_pull_policy), &policies);
    if let Some(own) = &container.resources {
        resources::check(&path.child("resources"), own, checks);
    }
    check_resize(&path.child("resizePolicy"), container, spec, checks);
    if let Some(context) = &container.security_context {
        security::check_container(&path.child("securityContext"), context, spec, checks);
    }
}

fn check_image(path: &Path, image: &str, of: Of, checks: &mut Checks) {
    if image.is_empty() {
        checks.required(path);
    }
    if of == Of::Pod && image.trim() != image {
        checks.invalid(path, image, "must not have leading or trailing whitespace");
    }
}

fn check_ports(path: &Path, ports: &[ContainerPort], checks: &mut Checks) {
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(&port.name);
        checks.maybe_named(&path.child("name"), name, names::port_name);
        if !name.is_empty() && !names.insert(name) {
            checks.push(Error::duplicate(&path.child("name"), name));
        }
        match port.container_port {
            0 => checks.required(&path.child("containerPort")),
            number => checks.port(&path.child("containerPort"), number),
        }
        if let Some(number) = port.host_port.filter(|number| *number != 0) {
            checks.port(&path.child("hostPort"), number);
        }
        checks.one_of(&path.child("protocol"), text(&port.protocol), &PROTOCOLS);
        checks.maybe_named(&path.child("hostIP"), text(&port.host_ip), names::ip_address);
    }
}

/// No two containers that run together want the same port of the host.
fn check_host_ports(path: &Path, containers: &[Container], checks: &mut Checks) {
    let mut taken = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        for (at, port) in container.ports.iter().flatten().enumerate() {
            let Some(number) = port.host_port.filter(|number| *number != 0) else { continue };
            let wanted = format!("{}/{}/{number}", text(&port.protocol), text(&port.host_ip));
            if taken.contains(&wanted) {
                let path = path.index(index).child("ports").index(at).child("hostPort");
                checks.push(Error::duplicate(&path, &wanted));
            }
            taken.insert(wanted);
        }
    }
}

fn check_init(path: &Path, container: &Container, spec: &PodSpec, checks: &mut Checks) {
    let policy = text(&container.restart_policy);
    if container.restart_policy.is_some() {
        checks.one_of(&path.child("restartPolicy"), policy, &["Always", "OnFailure", "Never"]);
    }
    // One alone: init containers run one by one.
    check_host_ports(&path.clone(), std::slice::from_ref(container), checks);
    if policy == "Always" {
        return probe::check_all(path, container, spec, checks);
    }
    for (field, is_set) in [
        ("lifecycle", container.lifecycle.is_some()),
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
    ] {
        if is_set {
            let detail = "may not be set for init containers without restartPolicy=Always";
            checks.forbidden(&path.child(field), detail);
        }
    }
}

fn check_resize(path: &Path, container: &Container, spec: &PodSpec, checks: &mut Checks) {
    let mut seen = BTreeSet::new();
    for (index, policy) in container.resize_policy.iter().flatten().enumerate() {
        if !seen.insert(&policy.resource_name) {
            checks.push(Error::duplicate(&path.index(index), &policy.resource_name));
        }
        checks.one_of(path, &policy.resource_name, &["cpu", "memory"]);
        checks.one_of(path, &policy.restart_policy, &["NotRequired", "RestartContainer"]);
        if text(&spec.restart_policy) == "Never" && policy.restart_policy != "NotRequired" {
            let detail = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            checks.invalid(path, &policy.restart_policy, detail);
        }
    }
}
