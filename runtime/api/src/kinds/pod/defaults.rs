//! What upstream fills into a pod's specification (`pkg/apis/core/v1/defaults.go`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EmptyDirVolumeSource, HTTPGetAction, Lifecycle, ObjectFieldSelector, PodSpec, Probe,
    ProjectedVolumeSource, ResourceRequirements, Volume,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// The grace period of a pod that names none, in seconds.
pub(super) const GRACE_PERIOD: i64 = 30;

/// The mode of files in a volume made from objects: 0644.
const FILE_MODE: i32 = 0o644;

/// Fills a pod: what a template gets, and what only a pod gets.
pub(super) fn default_pod(spec: &mut PodSpec) {
    default_spec(spec);
    spec.enable_service_links.get_or_insert(true);
    for container in all_containers(spec) {
        container.resources.as_mut().map(requests_from_limits);
    }
    if spec.host_network == Some(true) {
        all_containers(spec).for_each(default_host_ports);
    }
    if let Some(name) = spec.service_account_name.clone().or_else(|| spec.service_account.clone()) {
        spec.service_account_name = Some(name.clone());
        spec.service_account = Some(name);
    }
}

/// Fills a specification that stands in a pod or in a template.
pub(super) fn default_spec(spec: &mut PodSpec) {
    set(&mut spec.dns_policy, "ClusterFirst");
    set(&mut spec.restart_policy, "Always");
    set(&mut spec.scheduler_name, "default-scheduler");
    spec.termination_grace_period_seconds.get_or_insert(GRACE_PERIOD);
    spec.security_context.get_or_insert_default();
    spec.volumes.iter_mut().flatten().for_each(default_volume);
    for container in all_containers(spec) {
        default_container(container);
    }
    for constraint in spec.topology_spread_constraints.iter_mut().flatten() {
        set(&mut constraint.node_affinity_policy, "Honor");
        set(&mut constraint.node_taints_policy, "Ignore");
    }
}

pub(super) fn all_containers(spec: &mut PodSpec) -> impl Iterator<Item = &mut Container> {
    spec.init_containers.iter_mut().flatten().chain(&mut spec.containers)
}

fn set(value: &mut Option<String>, default: &str) {
    if value.as_deref().unwrap_or_default().is_empty() {
        *value = Some(default.to_owned());
    }
}

pub(super) fn default_container(container: &mut Container) {
    let image = container.image.as_deref().unwrap_or_default();
    let pull = if tag_is_latest(image) { "Always" } else { "IfNotPresent" };
    set(&mut container.image_pull_policy, pull);
    set(&mut container.termination_message_path, "/dev/termination-log");
    set(&mut container.termination_message_policy, "File");
    container.resources.get_or_insert_default();
    for port in container.ports.iter_mut().flatten() {
        set(&mut port.protocol, "TCP");
    }
    let probes = [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe];
    probes.into_iter().flatten().for_each(default_probe);
    container.lifecycle.as_mut().map(default_lifecycle);
    for source in container.env.iter_mut().flatten().filter_map(|env| env.value_from.as_mut()) {
        source.field_ref.as_mut().map(default_field_ref);
        if let Some(resource) = &mut source.resource_field_ref {
            resource.divisor.get_or_insert_with(|| Quantity("0".to_owned()));
        }
    }
}

/// Whether an image names the tag `latest`, or no tag and no digest.
pub(super) fn tag_is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn default_probe(probe: &mut Probe) {
    let set = |value: &mut Option<i32>, default| {
        if value.unwrap_or_default() == 0 {
            *value = Some(default);
        }
    };
    set(&mut probe.timeout_seconds, 1);
    set(&mut probe.period_seconds, 10);
    set(&mut probe.success_threshold, 1);
    set(&mut probe.failure_threshold, 3);
    probe.http_get.as_mut().map(default_http_get);
    if let Some(grpc) = &mut probe.grpc {
        grpc.service.get_or_insert_default();
    }
}

fn default_lifecycle(lifecycle: &mut Lifecycle) {
    let handlers = [&mut lifecycle.post_start, &mut lifecycle.pre_stop];
    handlers.into_iter().flatten().filter_map(|handler| handler.http_get.as_mut()).for_each(default_http_get);
}

fn default_http_get(get: &mut HTTPGetAction) {
    set(&mut get.path, "/");
    set(&mut get.scheme, "HTTP");
}

fn default_field_ref(field: &mut ObjectFieldSelector) {
    set(&mut field.api_version, "v1");
}

/// A limit without a request asks for as much as it allows.
fn requests_from_limits(resources: &mut ResourceRequirements) {
    let Some(limits) = resources.limits.as_ref().filter(|limits| !limits.is_empty()) else { return };
    let requests = resources.requests.get_or_insert_with(BTreeMap::new);
    for (name, limit) in limits {
        requests.entry(name.clone()).or_insert_with(|| limit.clone());
    }
}

/// On the host's network a container's port is the host's.
fn default_host_ports(container: &mut Container) {
    for ContainerPort { container_port, host_port, .. } in container.ports.iter_mut().flatten() {
        if host_port.unwrap_or_default() == 0 {
            *host_port = Some(*container_port);
        }
    }
}

fn default_volume(volume: &mut Volume) {
    if super::volume::sources(volume).is_empty() {
        volume.empty_dir = Some(EmptyDirVolumeSource::default());
    }
    let modes = [
        volume.secret.as_mut().map(|source| &mut source.default_mode),
        volume.config_map.as_mut().map(|source| &mut source.default_mode),
        volume.downward_api.as_mut().map(|source| &mut source.default_mode),
        volume.projected.as_mut().map(|source| &mut source.default_mode),
    ];
    for mode in modes.into_iter().flatten() {
        mode.get_or_insert(FILE_MODE);
    }
    if let Some(path) = &mut volume.host_path {
        path.type_.get_or_insert_default();
    }
    if let Some(image) = &mut volume.image {
        let latest = tag_is_latest(image.reference.as_deref().unwrap_or_default());
        set(&mut image.pull_policy, if latest { "Always" } else { "IfNotPresent" });
    }
    let fields = volume.downward_api.iter_mut().flat_map(|source| source.items.iter_mut().flatten());
    fields.filter_map(|file| file.field_ref.as_mut()).for_each(default_field_ref);
    volume.projected.as_mut().map(default_projected);
}

fn default_projected(projected: &mut ProjectedVolumeSource) {
    for source in projected.sources.iter_mut().flatten() {
        if let Some(token) = &mut source.service_account_token {
            token.expiration_seconds.get_or_insert(60 * 60);
        }
        let files = source.downward_api.iter_mut().flat_map(|source| source.items.iter_mut().flatten());
        files.filter_map(|file| file.field_ref.as_mut()).for_each(default_field_ref);
    }
}
