//! The printer cells of built-in kinds that no path can give, one file per kind: what upstream's
//! `pkg/printers/internalversion` computes. The kinds' strategies call these.

mod cluster;
mod endpoints;
mod event;
mod networking;
mod pod;
mod policy;
mod rbac;
mod service;
mod storage;
mod workload;

use serde_json::Value;

pub(crate) use cluster::{component_status, config_map, node, replication_controller, secret};
pub(crate) use endpoints::{endpoint_slice, endpoints};
pub(crate) use event::event;
pub(crate) use networking::{ingress, ingress_class, ip_address, network_policy, service_cidr};
pub(crate) use pod::pod;
pub(crate) use policy::{flow_schema, priority_class, priority_level, resource_claim, resource_slice, signing_request};
pub(crate) use rbac::role_binding;
pub(crate) use service::service;
pub(crate) use storage::{attachment, claim, csi_driver, csi_node, storage_class, volume};
pub(crate) use workload::{
    autoscaler, controller_revision, cron_job, disruption_budget, job, pod_template, resource_quota, workload,
};

use crate::object::Object;

const NONE: &str = "<none>";

/// The value at a path such as `spec.replicas`; null when there is none.
fn get<'a>(object: &'a Object, path: &str) -> &'a Value {
    let path: Vec<&str> = path.split('.').collect();
    object.at(&path).unwrap_or(&Value::Null)
}

fn count(object: &Object, path: &str) -> i64 {
    get(object, path).as_i64().unwrap_or(0)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { NONE } else { text }
}

/// `a=b,c=d`, ordered by key; `<none>` for no labels.
fn labels(map: &Value) -> String {
    let mut pairs: Vec<_> =
        map.as_object().into_iter().flatten().map(|(key, value)| format!("{key}={}", text(value))).collect();
    pairs.sort();
    or_none(&pairs.join(",")).to_owned()
}

/// The first three of `items`, and how many more there are.
fn first_three(items: &[String]) -> String {
    let shown = items[..items.len().min(3)].join(",");
    match items.len() {
        0..=3 => shown,
        count => format!("{shown} + {} more...", count - 3),
    }
}
