//! The printer cells of built-in kinds that no path can give, one file per kind: what upstream's
//! `pkg/printers/internalversion` computes. The kinds' strategies call these.

mod cluster;
mod endpoints;
mod event;
mod pod;
mod service;

use serde_json::Value;

pub(crate) use cluster::{config_map, node, replication_controller, secret};
pub(crate) use endpoints::{endpoint_slice, endpoints};
pub(crate) use event::event;
pub(crate) use pod::pod;
pub(crate) use service::service;

const NONE: &str = "<none>";

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
