//! What a pod must be (`k8s.io/kubernetes/pkg/apis/core/validation`).

use std::collections::HashSet;

use k8s_openapi::api::core::v1 as core;

use crate::field::{Error, Path};
use crate::kinds::invalid_all;
use crate::names;
use crate::quantity::Quantity;

const IMMUTABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub(in crate::kinds) fn validate_spec(spec: &core::PodSpec, path: &Path, errors: &mut Vec<Error>) {
    one_of(spec.restart_policy.as_deref(), &["Always", "OnFailure", "Never"], &path.child("restartPolicy"), errors);
    one_of(
        spec.dns_policy.as_deref(),
        &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
        &path.child("dnsPolicy"),
        errors,
    );
    non_negative(spec.termination_grace_period_seconds, &path.child("terminationGracePeriodSeconds"), errors);
    if let Some(seconds) = spec.active_deadline_seconds.filter(|seconds| *seconds < 1) {
        errors.push(Error::invalid(
            &path.child("activeDeadlineSeconds"),
            seconds,
            "must be between 1 and 2147483647, inclusive",
        ));
    }
    let volumes = validate_volumes(spec, &path.child("volumes"), errors);
    if spec.containers.is_empty() {
        errors.push(Error::required(&path.child("containers"), ""));
    }
    let mut seen = HashSet::new();
    for (field, containers) in
        [("containers", &spec.containers[..]), ("initContainers", spec.init_containers.as_deref().unwrap_or_default())]
    {
        for (index, container) in containers.iter().enumerate() {
            let path = path.child(field).index(index);
            validate_container(container, &path, &volumes, errors);
            if !container.name.is_empty() && !seen.insert(&container.name) {
                errors.push(Error::duplicate(&path.child("name"), &container.name));
            }
        }
    }
    for (key, value) in spec.node_selector.iter().flatten() {
        let path = path.child("nodeSelector");
        invalid_all(errors, &path, key, names::qualified_name(key));
        invalid_all(errors, &path.key(key), value, names::label_value(value));
    }
}

fn validate_container(container: &core::Container, path: &Path, volumes: &HashSet<&str>, errors: &mut Vec<Error>) {
    name(&container.name, &path.child("name"), errors);
    let image = container.image.as_deref().unwrap_or_default();
    if image.is_empty() {
        errors.push(Error::required(&path.child("image"), ""));
    } else if image.trim() != image {
        errors.push(Error::invalid(&path.child("image"), image, "must not have leading or trailing whitespace"));
    }
    one_of(
        container.image_pull_policy.as_deref(),
        &["Always", "IfNotPresent", "Never"],
        &path.child("imagePullPolicy"),
        errors,
    );
    validate_ports(container, &path.child("ports"), errors);
    for (index, env) in container.env.iter().flatten().enumerate() {
        let path = path.child("env").index(index);
        if env.name.is_empty() {
            errors.push(Error::required(&path.child("name"), ""));
        } else {
            invalid_all(errors, &path.child("name"), &env.name, names::env_name(&env.name));
        }
        if env.value.as_ref().is_some_and(|value| !value.is_empty()) && env.value_from.is_some() {
            errors.push(Error::invalid(&path.child("valueFrom"), "", "may not be specified when `value` is not empty"));
        }
    }
    let mut mounts = HashSet::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let path = path.child("volumeMounts").index(index);
        if mount.name.is_empty() {
            errors.push(Error::required(&path.child("name"), ""));
        } else if !volumes.contains(mount.name.as_str()) {
            errors.push(Error::not_found(&path.child("name"), &mount.name));
        }
        if mount.mount_path.is_empty() {
            errors.push(Error::required(&path.child("mountPath"), ""));
        } else if !mounts.insert(&mount.mount_path) {
            errors.push(Error::invalid(&path.child("mountPath"), &mount.mount_path, "must be unique"));
        }
        if mount.sub_path.as_deref().is_some_and(|sub| sub.starts_with('/') || sub.split('/').any(|part| part == ".."))
        {
            errors.push(Error::invalid(
                &path.child("subPath"),
                &mount.sub_path,
                "must be a relative path without '..'",
            ));
        }
    }
    if let Some(resources) = &container.resources {
        validate_resources(resources, &path.child("resources"), errors);
    }
    let probes = [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ];
    for (field, probe) in probes {
        if let Some(probe) = probe {
            validate_probe(probe, field, &path.child(field), errors);
        }
    }
}

fn validate_ports(container: &core::Container, path: &Path, errors: &mut Vec<Error>) {
    let mut seen = HashSet::new();
    for (index, port) in container.ports.iter().flatten().enumerate() {
        let path = path.index(index);
        if let Some(name) = port.name.as_ref().filter(|name| !name.is_empty()) {
            invalid_all(errors, &path.child("name"), name, names::port_name(name));
            if !seen.insert(name) {
                errors.push(Error::duplicate(&path.child("name"), name));
            }
        }
        if port.container_port == 0 {
            errors.push(Error::required(&path.child("containerPort"), ""));
        } else {
            invalid_all(
                errors,
                &path.child("containerPort"),
                port.container_port,
                names::port_number(port.container_port),
            );
        }
        if let Some(host_port) = port.host_port.filter(|port| *port != 0) {
            invalid_all(errors, &path.child("hostPort"), host_port, names::port_number(host_port));
        }
        one_of(port.protocol.as_deref(), &["SCTP", "TCP", "UDP"], &path.child("protocol"), errors);
    }
}

fn validate_resources(resources: &core::ResourceRequirements, path: &Path, errors: &mut Vec<Error>) {
    let mut read = |field: &str, name: &str, text: &str| {
        let path = path.child(field).key(name);
        match Quantity::parse(text) {
            Ok(quantity) if quantity.is_negative() => {
                errors.push(Error::invalid(&path, text, "must be greater than or equal to 0"));
                None
            }
            Ok(quantity) => Some(quantity),
            Err(error) => {
                errors.push(Error::invalid(&path, text, error));
                None
            }
        }
    };
    let mut over = Vec::new();
    for (name, limit) in resources.limits.iter().flatten() {
        let limit = read("limits", name, &limit.0).map(|quantity| (quantity, &limit.0));
        let request = resources.requests.as_ref().and_then(|requests| requests.get(name));
        if let (Some((limit, text)), Some(request)) = (limit, request)
            && Quantity::parse(&request.0).is_ok_and(|request| request > limit)
        {
            over.push((name.clone(), request.0.clone(), text.clone()));
        }
    }
    for (name, request) in resources.requests.iter().flatten() {
        read("requests", name, &request.0);
    }
    for (name, request, limit) in over {
        errors.push(Error::invalid(
            &path.child("requests"),
            request,
            format!("must be less than or equal to {name} limit of {limit}"),
        ));
    }
}

fn validate_probe(probe: &core::Probe, field: &str, path: &Path, errors: &mut Vec<Error>) {
    let handlers = [probe.exec.is_some(), probe.http_get.is_some(), probe.tcp_socket.is_some(), probe.grpc.is_some()];
    match handlers.iter().filter(|set| **set).count() {
        0 => errors.push(Error::required(path, "must specify a handler type")),
        1 => {}
        _ => errors.push(Error::forbidden(path, "may not specify more than 1 handler type")),
    }
    for (name, value) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        non_negative(value.map(i64::from), &path.child(name), errors);
    }
    if field != "readinessProbe" && probe.success_threshold.is_some_and(|n| n != 1) {
        errors.push(Error::invalid(&path.child("successThreshold"), probe.success_threshold, "must be 1"));
    }
}

fn validate_volumes<'a>(spec: &'a core::PodSpec, path: &Path, errors: &mut Vec<Error>) -> HashSet<&'a str> {
    let mut seen = HashSet::new();
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        let path = path.index(index);
        name(&volume.name, &path.child("name"), errors);
        if !volume.name.is_empty() && !seen.insert(volume.name.as_str()) {
            errors.push(Error::duplicate(&path.child("name"), &volume.name));
        }
        if let Some(source) = volume.host_path.as_ref().filter(|source| source.path.is_empty()) {
            errors.push(Error::required(&path.child("hostPath").child("path"), &source.path));
        }
        if volume.secret.as_ref().is_some_and(|source| source.secret_name.as_deref().unwrap_or_default().is_empty()) {
            errors.push(Error::required(&path.child("secret").child("secretName"), ""));
        }
    }
    seen
}

pub(super) fn validate_update(new: &core::Pod, old: &core::Pod, errors: &mut Vec<Error>) {
    let (Some(new), Some(old)) = (&new.spec, &old.spec) else { return };
    let mut allowed = old.clone();
    let images = |into: &mut [core::Container], from: &[core::Container]| {
        for (into, from) in into.iter_mut().zip(from) {
            into.image.clone_from(&from.image);
        }
    };
    images(&mut allowed.containers, &new.containers);
    images(
        allowed.init_containers.as_deref_mut().unwrap_or_default(),
        new.init_containers.as_deref().unwrap_or_default(),
    );
    allowed.active_deadline_seconds = new.active_deadline_seconds;
    let added = |tolerations: &Option<Vec<core::Toleration>>| tolerations.clone().unwrap_or_default();
    if added(&old.tolerations).iter().all(|toleration| added(&new.tolerations).contains(toleration)) {
        allowed.tolerations.clone_from(&new.tolerations);
    }
    if *new != allowed {
        errors.push(Error::forbidden(&Path::new("spec"), IMMUTABLE));
    }
}

fn name(name: &str, path: &Path, errors: &mut Vec<Error>) {
    if name.is_empty() {
        errors.push(Error::required(path, ""));
    } else {
        invalid_all(errors, path, name, names::dns1123_label(name));
    }
}

fn one_of(value: Option<&str>, supported: &[&str], path: &Path, errors: &mut Vec<Error>) {
    if let Some(value) = value.filter(|value| !supported.contains(value)) {
        errors.push(Error::not_supported(path, value, supported));
    }
}

fn non_negative(value: Option<i64>, path: &Path, errors: &mut Vec<Error>) {
    if let Some(value) = value.filter(|value| *value < 0) {
        errors.push(Error::invalid(path, value, "must be greater than or equal to 0"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::object::Object;
    use crate::strategy::{Operation, Strategy};

    fn errors(spec: serde_json::Value) -> Vec<String> {
        let mut object: Object = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
        let admission = super::super::Pod.admit(Operation::Create, &mut object);
        admission.errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn mistakes_are_named_in_upstreams_words() {
        let check = |spec, expected: &str| assert_eq!(errors(spec), [expected]);
        check(json!({"containers": []}), "spec.containers: Required value");
        check(json!({"containers": [{"name": "c"}]}), "spec.containers[0].image: Required value");
        check(
            json!({"containers": [{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]}),
            "spec.containers[1].name: Duplicate value: \"c\"",
        );
        check(
            json!({"restartPolicy": "Sometimes", "containers": [{"name": "c", "image": "i"}]}),
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
        );
        check(
            json!({"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 70000}]}]}),
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        );
        check(
            json!({"containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}),
            "spec.containers[0].volumeMounts[0].name: Not found: \"v\"",
        );
        check(
            json!({"containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}}]}),
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        );
        assert!(errors(json!({"containers": [{"name": "c", "image": "i"}]})).is_empty());
    }

    #[test]
    fn only_images_may_change() {
        let pod = |image: &str, name: &str| -> Object {
            serde_json::from_value(
                json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": name, "image": image}]}}),
            )
            .unwrap()
        };
        let mut old = pod("i", "c");
        super::super::Pod.admit(Operation::Create, &mut old);
        let update = |mut new: Object| {
            super::super::Pod.admit(Operation::Create, &mut new);
            super::super::Pod.admit(Operation::Update { old: &old }, &mut new).errors
        };
        assert!(update(pod("j", "c")).is_empty());
        assert!(
            update(pod("i", "d"))[0]
                .to_string()
                .starts_with("spec: Forbidden: pod updates may not change fields other than")
        );
    }
}
