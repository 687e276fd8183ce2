//! A node, with the pods on it and what they ask for.

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;
use trimtab_api::Object;
use trimtab_api::quantity::Quantity;
use trimtab_client::{Api, ListParams};

use super::page::{Page, items, or_none, text};
use crate::session::Session;

pub(super) async fn describe(page: &mut Page, node: &Object, session: &Session) -> Result<()> {
    let (spec, status) = (part(node, "spec"), part(node, "status"));
    page.field(0, "Name", node.name());
    let role = |(key, _): (&str, &str)| key.strip_prefix("node-role.kubernetes.io/").map(str::to_owned);
    page.field(0, "Roles", or_none(node.labels().filter_map(role).collect::<Vec<_>>().join(",")));
    page.labels(node);
    page.field(0, "CreationTimestamp", node.str_at(&["metadata", "creationTimestamp"]));
    let taint = |taint: &Value| {
        let value = Some(text(&taint["value"])).filter(|value| !value.is_empty());
        let value = value.map(|value| format!("={value}")).unwrap_or_default();
        format!("{}{value}:{}", text(&taint["key"]), text(&taint["effect"]))
    };
    page.list(0, "Taints", items(&spec["taints"]).map(taint));
    page.field(0, "Unschedulable", (spec["unschedulable"] == true).to_string());
    page.conditions(
        node,
        &[
            ("Type", "type"),
            ("Status", "status"),
            ("LastHeartbeatTime", "lastHeartbeatTime"),
            ("LastTransitionTime", "lastTransitionTime"),
            ("Reason", "reason"),
            ("Message", "message"),
        ],
    );
    page.heading(0, "Addresses");
    items(&status["addresses"]).for_each(|a| page.field(1, &text(&a["type"]), text(&a["address"])));
    for (name, field) in [("Capacity", "capacity"), ("Allocatable", "allocatable")] {
        page.heading(0, name);
        for (resource, amount) in status[field].as_object().into_iter().flatten() {
            page.field(1, resource, text(amount));
        }
    }
    page.heading(0, "System Info");
    for (name, value) in status["nodeInfo"].as_object().into_iter().flatten() {
        page.field(1, name, text(value));
    }
    page.optional(0, "PodCIDR", &text(&spec["podCIDR"]));
    add_pods(page, node, &status, session).await
}

fn part(node: &Object, name: &str) -> Value {
    node.0.get(name).cloned().unwrap_or_default()
}

async fn add_pods(page: &mut Page, node: &Object, status: &Value, session: &Session) -> Result<()> {
    let fields = format!("spec.nodeName={},status.phase!=Succeeded,status.phase!=Failed", node.name());
    let pods = Api::<Pod>::all(&session.client).list(&ListParams::default().fields(fields)).await?.items;
    page.row(0, [format!("Non-terminated Pods:  ({} in total)", pods.len())]);
    page.row(1, ["Namespace", "Name", "CPU Requests", "CPU Limits", "Memory Requests", "Memory Limits"]);
    page.row(1, ["---------", "----", "------------", "----------", "---------------", "-------------"]);
    let mut totals = [0; 4];
    for pod in &pods {
        let amounts = amounts(pod);
        let cells = amounts.iter().enumerate().map(|(index, amount)| amount_text(index, *amount));
        let name = |part: &Option<String>| part.clone().unwrap_or_default();
        page.row(1, [name(&pod.metadata.namespace), name(&pod.metadata.name)].into_iter().chain(cells));
        for (total, amount) in totals.iter_mut().zip(amounts) {
            *total += amount;
        }
    }
    page.heading(0, "Allocated resources");
    page.row(1, ["Resource", "Requests", "Limits"]);
    page.row(1, ["--------", "--------", "------"]);
    for (at, resource) in [(0, "cpu"), (2, "memory")] {
        let whole = status["allocatable"][resource].as_str().and_then(|text| Quantity::parse(text).ok());
        let whole = whole.map_or(0, |whole| if at == 0 { whole.milli() } else { whole.units() });
        let share = |index: usize| {
            let percent = (totals[index] * 100).checked_div(whole).unwrap_or(0);
            format!("{} ({percent}%)", amount_text(index, totals[index]))
        };
        page.row(1, [resource.to_owned(), share(at), share(at + 1)]);
    }
    Ok(())
}

/// What a pod's containers ask for together: cpu requests and limits in thousandths, memory
/// requests and limits in bytes.
fn amounts(pod: &Pod) -> [i64; 4] {
    let containers = || pod.spec.iter().flat_map(|spec| &spec.containers).filter_map(|c| c.resources.as_ref());
    let sum = |of_requests: bool, name: &str| -> Quantities {
        let maps = containers().filter_map(|r| if of_requests { r.requests.as_ref() } else { r.limits.as_ref() });
        maps.filter_map(|map| Quantity::parse(&map.get(name)?.0).ok()).collect()
    };
    let milli = |amounts: Quantities| amounts.into_iter().map(Quantity::milli).sum();
    let units = |amounts: Quantities| amounts.into_iter().map(Quantity::units).sum();
    [milli(sum(true, "cpu")), milli(sum(false, "cpu")), units(sum(true, "memory")), units(sum(false, "memory"))]
}

type Quantities = Vec<Quantity>;

/// One of the [`amounts`] as people read it.
fn amount_text(index: usize, amount: i64) -> String {
    match amount {
        0 => "0".to_owned(),
        milli if index < 2 && milli % 1_000 == 0 => (milli / 1_000).to_string(),
        milli if index < 2 => format!("{milli}m"),
        bytes if bytes % (1 << 20) == 0 => format!("{}Mi", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{}Ki", bytes >> 10),
        bytes => bytes.to_string(),
    }
}
