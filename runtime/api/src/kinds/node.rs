//! Nodes: taints, address ranges, amounts (`ValidateNode`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Node as Typed, NodeSpec, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use serde_json::Value;

use crate::cells;
use crate::check::{Checks, text};
use crate::field::{Error, Path};
use crate::kinds::pod::{check_quantity, check_taint_effect};
use crate::kinds::{stored, typed};
use crate::names;
use crate::object::Object;
use crate::quantity::Quantity;
use crate::strategy::{Admission, Operation, Strategy};

/// Nodes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Node;

impl Strategy for Node {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |node: &mut Typed, checks| {
            fill(node);
            check(node, checks);
            if let Operation::Update { old } | Operation::UpdateStatus { old } = operation
                && let Some(old) = stored::<Typed>(old, checks)
            {
                check_update(node, &old, checks);
            }
        })
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::node(name, object, now)
    }
}

/// The first of `podCIDRs` is `podCIDR`, amounts are in canonical form, and what is allocatable is
/// the capacity if nothing else is said.
fn fill(node: &mut Typed) {
    if let Some(spec) = &mut node.spec {
        match (text(&spec.pod_cidr).to_owned(), spec.pod_cidrs.as_ref().and_then(|ranges| ranges.first()).cloned()) {
            (range, None) if !range.is_empty() => spec.pod_cidrs = Some(vec![range]),
            (range, Some(first)) if range.is_empty() => spec.pod_cidr = Some(first),
            _ => {}
        }
    }
    let Some(status) = &mut node.status else { return };
    if status.allocatable.is_none() {
        status.allocatable.clone_from(&status.capacity);
    }
    let amounts = [&mut status.capacity, &mut status.allocatable].into_iter().flatten();
    for amount in amounts.flat_map(BTreeMap::values_mut) {
        if let Ok(quantity) = Quantity::try_from(&*amount) {
            *amount = quantity.into();
        }
    }
}

fn check(node: &Typed, checks: &mut Checks) {
    if let Some(spec) = &node.spec {
        // Upstream reports taints under `metadata`.
        let path = Path::new("metadata").child("taints");
        check_taints(&path, spec.taints.as_deref().unwrap_or_default(), checks);
        check_ranges(spec, checks);
    }
    let Some(status) = &node.status else { return };
    for (field, amounts) in [("capacity", &status.capacity), ("allocatable", &status.allocatable)] {
        check_amounts(&Path::new("status").child(field), amounts.as_ref(), checks);
    }
    // Upstream looks at them in updates alone: a node that is made with one twice can be changed no more.
    let mut seen = BTreeSet::new();
    for (index, address) in status.addresses.iter().flatten().enumerate() {
        if !seen.insert((&address.type_, &address.address)) {
            checks.push(Error::duplicate(&Path::new("status").child("addresses").index(index), address));
        }
    }
}

fn check_taints(path: &Path, taints: &[Taint], checks: &mut Checks) {
    let mut seen = BTreeSet::new();
    for (index, taint) in taints.iter().enumerate() {
        let path = path.index(index);
        checks.follows(&path.child("key"), &taint.key, names::qualified_name);
        let problems = names::label_value(text(&taint.value));
        if !problems.is_empty() {
            checks.invalid(&path.child("value"), text(&taint.value), &problems.join(";"));
        }
        check_taint_effect(&path.child("effect"), &taint.effect, checks);
        if !seen.insert((&taint.key, &taint.effect)) {
            let mut error = Error::duplicate(&path, taint);
            error.message.push_str(": taints must be unique by key and effect pair");
            checks.push(error);
        }
    }
}

fn check_ranges(spec: &NodeSpec, checks: &mut Checks) {
    let ranges = spec.pod_cidrs.as_deref().unwrap_or_default();
    let path = Path::new("spec").child("podCIDRs");
    for (index, range) in ranges.iter().enumerate() {
        if parse_range(range).is_none() {
            let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
            checks.invalid(&path.index(index), range, detail);
        }
    }
    let families: Vec<_> = ranges.iter().filter_map(|range| parse_range(range)).map(|ip| ip.is_ipv4()).collect();
    if ranges.len() > 2 || matches!(families[..], [a, b] if a == b) {
        checks.invalid(&path, ranges, "may specify no more than one CIDR for each IP family");
    }
}

fn parse_range(range: &str) -> Option<IpAddr> {
    let (address, bits) = range.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    bits.parse::<u8>().ok().filter(|bits| *bits <= most).map(|_| address)
}

fn check_amounts(path: &Path, amounts: Option<&BTreeMap<String, Text>>, checks: &mut Checks) {
    for (name, amount) in amounts.into_iter().flatten() {
        let path = path.child(name);
        match Quantity::try_from(amount) {
            Ok(quantity) => check_quantity(&path, name, quantity, checks),
            Err(error) => checks.invalid(&path, &amount.0, &error.to_string()),
        }
    }
}

fn check_update(new: &Typed, old: &Typed, checks: &mut Checks) {
    let (new, old) = (new.spec.clone().unwrap_or_default(), old.spec.clone().unwrap_or_default());
    let path = Path::new("spec");
    if old.pod_cidrs.as_ref().is_some_and(|ranges| !ranges.is_empty()) && new.pod_cidrs != old.pod_cidrs {
        let detail = "node updates may not change podCIDR except from \"\" to valid";
        checks.forbidden(&path.child("podCIDRs"), detail);
    }
    if !text(&old.provider_id).is_empty() && new.provider_id != old.provider_id {
        let detail = "node updates may not change providerID except from \"\" to valid";
        checks.forbidden(&path.child("providerID"), detail);
    }
    if new.external_id != old.external_id {
        checks.forbidden(&path.child("externalID"), "may not be updated");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created, update_errors};

    #[test]
    fn what_is_wrong_with_a_node() {
        for (fields, expected) in [
            ("spec: {taints: [{key: a, effect: NoSchedule}, {key: a, effect: NoExecute}]}", None),
            (
                "spec: {taints: [{key: a, effect: Never}]}",
                Some(
                    "metadata.taints[0].effect: Unsupported value: \"Never\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
                ),
            ),
            (
                "spec: {podCIDR: 10.0.0.0/99}",
                Some(
                    "spec.podCIDRs[0]: Invalid value: \"10.0.0.0/99\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
                ),
            ),
            (
                "status: {capacity: {cpu: -1}, allocatable: {}}",
                Some("status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0"),
            ),
        ] {
            let yaml = format!("{{metadata: {{name: n}}, {fields}}}");
            assert_eq!(create_errors(&Node, &yaml).first().map(String::as_str), expected, "{fields}");
        }
    }

    #[test]
    fn a_node_keeps_its_range() {
        let yaml = "{metadata: {name: n}, spec: {podCIDR: 10.0.0.0/24}, status: {capacity: {cpu: 2000m}}}";
        let node = created(&Node, yaml);
        assert_eq!(node.str_at(&["status", "allocatable", "cpu"]), "2");
        let errors = update_errors(&Node, yaml, |node| {
            node.set(&["spec"], serde_json::json!({"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"]}));
        });
        assert_eq!(errors, ["spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid"]);
    }
}
