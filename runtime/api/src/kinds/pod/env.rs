//! The environment of a container.

use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar, ObjectFieldSelector, ResourceFieldSelector};

use crate::check::{Checks, text};
use crate::field::{Error, Path};
use crate::names;

/// The fields of a pod that a variable may hold.
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// The fields of a pod that a file of a downward volume may hold.
pub(super) const FILE_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// The resources that a variable or a file may hold.
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// What is wrong with `env` and `envFrom` of `container`.
pub(super) fn check(path: &Path, container: &Container, checks: &mut Checks) {
    for (index, variable) in container.env.iter().flatten().enumerate() {
        let path = path.child("env").index(index);
        checks.named(&path.child("name"), &variable.name, names::env_name);
        check_value_from(&path.child("valueFrom"), variable, checks);
    }
    let env_from = path.child("envFrom");
    for (index, source) in container.env_from.iter().flatten().enumerate() {
        check_source(&env_from, &env_from.index(index), source, checks);
    }
}

fn check_value_from(path: &Path, variable: &EnvVar, checks: &mut Checks) {
    let Some(source) = &variable.value_from else { return };
    let mut sources = 0;
    if let Some(field) = &source.field_ref {
        sources += 1;
        check_field(&path.child("fieldRef"), field, &FIELDS, checks);
    }
    if let Some(resource) = &source.resource_field_ref {
        sources += 1;
        check_resource(&path.child("resourceFieldRef"), resource, false, checks);
    }
    let config_map = source.config_map_key_ref.as_ref().map(|key| ("configMapKeyRef", &key.name, &key.key));
    let secret = source.secret_key_ref.as_ref().map(|key| ("secretKeyRef", &key.name, &key.key));
    for (field, name, key) in config_map.into_iter().chain(secret) {
        sources += 1;
        let path = path.child(field);
        checks.follows(&path.child("name"), name, names::dns1123_subdomain);
        checks.named(&path.child("key"), key, names::config_map_key);
    }
    if source.file_key_ref.is_some() {
        sources += 1;
    }
    if sources == 0 {
        let detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
        checks.invalid(path, "", detail);
    } else if !text(&variable.value).is_empty() {
        checks.invalid(path, "", "may not be specified when `value` is not empty");
    } else if sources > 1 {
        checks.invalid(path, "", "may not have more than one field specified at a time");
    }
}

/// What is wrong with a reference to a field of the pod, one of `supported` or one label or
/// annotation.
pub(super) fn check_field(path: &Path, field: &ObjectFieldSelector, supported: &[&str], checks: &mut Checks) {
    if field.field_path.is_empty() {
        return checks.required(&path.child("fieldPath"));
    }
    let subscript = field.field_path.strip_suffix("']").and_then(|rest| rest.split_once("['"));
    match subscript {
        Some(("metadata.annotations", key)) => {
            checks.follows(path, &key.to_ascii_lowercase(), names::qualified_name);
        }
        Some(("metadata.labels", key)) => checks.follows(path, key, names::qualified_name),
        Some((field, _)) => checks.invalid(path, field, "does not support subscript"),
        None if supported.contains(&field.field_path.as_str()) => {}
        None => checks.push(Error::not_supported(&path.child("fieldPath"), &field.field_path, supported)),
    }
}

/// What is wrong with a reference to a resource of a container; a file must name the container.
pub(super) fn check_resource(path: &Path, field: &ResourceFieldSelector, in_file: bool, checks: &mut Checks) {
    let huge = ["limits.hugepages-", "requests.hugepages-"];
    if in_file && text(&field.container_name).is_empty() {
        checks.required(&path.child("containerName"));
    } else if field.resource.is_empty() {
        checks.required(&path.child("resource"));
    } else if !RESOURCES.contains(&field.resource.as_str()) && !huge.iter().any(|h| field.resource.starts_with(h)) {
        checks.push(Error::not_supported(&path.child("resource"), &field.resource, &RESOURCES));
    }
    check_divisor(path, field, checks);
}

fn check_divisor(path: &Path, field: &ResourceFieldSelector, checks: &mut Checks) {
    const BYTES: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
    let Some(divisor) = field.divisor.as_ref().filter(|divisor| !matches!(divisor.0.as_str(), "0" | "")) else {
        return;
    };
    let is_cpu = field.resource.ends_with(".cpu");
    let supported: &[&str] = if is_cpu { &["1m", "1"] } else { &BYTES };
    if supported.contains(&divisor.0.as_str()) {
        return;
    }
    let (values, resource) = match field.resource.split_once('.').map_or("", |(_, resource)| resource) {
        "cpu" => ("1m and 1".to_owned(), "cpu"),
        "ephemeral-storage" => (BYTES.join(", "), "local ephemeral storage"),
        "memory" => (BYTES.join(", "), "memory"),
        _ => (BYTES.join(", "), "hugepages"),
    };
    let detail = format!("only divisor's values {values} are supported with the {resource} resource");
    checks.invalid(&path.child("divisor"), &field.resource, &detail);
}

fn check_source(list: &Path, path: &Path, source: &EnvFromSource, checks: &mut Checks) {
    checks.maybe_named(&path.child("prefix"), text(&source.prefix), names::env_name);
    let config_map = source.config_map_ref.as_ref().map(|map| ("configMapRef", &map.name));
    let secret = source.secret_ref.as_ref().map(|secret| ("secretRef", &secret.name));
    for (field, name) in config_map.iter().chain(&secret) {
        checks.named(&path.child(field).child("name"), name, names::dns1123_subdomain);
    }
    match (config_map, secret) {
        (None, None) => checks.invalid(list, "", "must specify one of: `configMapRef` or `secretRef`"),
        (Some(_), Some(_)) => checks.invalid(list, "", "may not have more than one field specified at a time"),
        _ => {}
    }
}
