//! ResourceSlices: the devices that a driver offers (`pkg/apis/resource/validation`).

use k8s_openapi::api::core::v1::NodeSelector;
use serde::Deserialize;
use serde_json::Value;

use crate::at::At;
use crate::cells;
use crate::check::Checks;
use crate::field::Error;
use crate::kinds::device::{check_identifier, check_pool_name, check_set};
use crate::kinds::persistent_volume::check_driver;
use crate::kinds::pod::check_node_selector;
use crate::kinds::ruled::Ruled;
use crate::names;

/// ResourceSlices.
pub const RESOURCE_SLICE: Ruled = Ruled::printed(cells::resource_slice)
    .checked(|slice, checks| check(&At::of(slice, "spec"), checks))
    .updated(|new, old, checks| {
        let (spec, old) = (At::of(new, "spec"), At::of(old, "spec"));
        spec.get("pool").all_immutable(&old.get("pool"), &["name"], checks);
        spec.all_immutable(&old, &["driver", "nodeName"], checks);
    });

const MAX_DEVICES: usize = 128;
/// Of those that are tainted or share counters.
const MAX_INTRICATE_DEVICES: usize = 64;
const MAX_COUNTER_SETS: usize = 8;
const MAX_ATTRIBUTES: usize = 32;
/// In bytes.
const MAX_ATTRIBUTE: usize = 64;

fn check(spec: &At<'_>, checks: &mut Checks) {
    spec.get("driver").present(checks);
    check_driver(&spec.get("driver"), checks);
    let pool = spec.get("pool");
    check_pool_name(&pool.get("name"), checks);
    let (count, generation) = (pool.get("resourceSliceCount"), pool.get("generation"));
    if count.int().unwrap_or(0) <= 0 {
        checks.invalid(&count.path, count.int().unwrap_or(0), "must be greater than zero");
    }
    if generation.int().is_some_and(|generation| generation < 0) {
        generation.invalid("must be greater than or equal to zero", checks);
    }
    check_places(spec, checks);
    let (counters, devices) = (spec.get("sharedCounters"), spec.get("devices"));
    if counters.is_set() && devices.is_set() {
        checks.invalid(&spec.path, "", "only one of `sharedCounters` or `devices` is allowed");
    }
    let is_intricate =
        |device: At<'_>| ["taints", "consumesCounters"].iter().any(|field| !device.get(field).is_empty());
    let max = if devices.items().any(is_intricate) { MAX_INTRICATE_DEVICES } else { MAX_DEVICES };
    check_set(&devices, max, "name", checks);
    let per_device = spec.get("perDeviceNodeSelection").flag();
    devices.items().for_each(|device| check_device(&device, per_device, checks));
    check_set(&counters, MAX_COUNTER_SETS, "name", checks);
    for set in counters.items() {
        set.get("name").named(names::dns1123_label, checks);
        set.get("counters").present(checks);
    }
}

/// The fields that say where the devices are, of which one must.
fn places(at: &At<'_>, flags: &[&str], checks: &mut Checks) -> Vec<String> {
    let mut found = Vec::new();
    let (node, selector) = (at.get("nodeName"), at.get("nodeSelector"));
    if node.is_set() && node.is_empty() {
        node.invalid("must be either unset or set to a non-empty string", checks);
    } else if node.is_set() {
        node.maybe_named(names::dns1123_subdomain, checks);
        found.push("`nodeName`".to_owned());
    }
    if let Ok(typed) = NodeSelector::deserialize(selector.value) {
        found.push("`nodeSelector`".to_owned());
        check_node_selector(&selector.path, &typed, checks);
        if typed.node_selector_terms.len() != 1 {
            selector.get("nodeSelectorTerms").invalid("must have exactly one node selector term", checks);
        }
    }
    for flag in flags {
        match at.get(flag).value {
            Value::Bool(true) => found.push(format!("`{flag}`")),
            Value::Bool(false) => at.get(flag).invalid("must be either unset or set to true", checks),
            _ => {}
        }
    }
    found
}

fn check_places(spec: &At<'_>, checks: &mut Checks) {
    let detail = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    let found = places(spec, &["allNodes", "perDeviceNodeSelection"], checks);
    match found.len() {
        0 => spec.required(detail, checks),
        1 => {}
        _ => {
            let value = format!("{{{}}}", found.join(", "));
            checks.invalid(&spec.path, value, &format!("{detail}, but multiple fields are set"));
        }
    }
}

fn check_device(device: &At<'_>, per_device: bool, checks: &mut Checks) {
    device.get("name").named(names::dns1123_label, checks);
    let (attributes, capacity) = (device.get("attributes"), device.get("capacity"));
    if attributes.len() + capacity.len() > MAX_ATTRIBUTES {
        let detail = format!("the total number of attributes and capacities must not exceed {MAX_ATTRIBUTES}");
        checks.invalid(&device.path, attributes.len() + capacity.len(), &detail);
    }
    for (name, attribute) in attributes.entries() {
        check_name(&attribute, name, checks);
        check_attribute(&attribute, checks);
    }
    for (name, amount) in capacity.entries() {
        check_name(&amount, name, checks);
        if let Some(Err(error)) = amount.get("value").quantity() {
            amount.get("value").invalid(&error.to_string(), checks);
        }
    }
    let is_placed = ["nodeName", "nodeSelector", "allNodes"].iter().any(|field| device.get(field).is_set());
    if per_device {
        let found = places(device, &["allNodes"], checks);
        let detail = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
        match found.len() {
            0 => device.required(detail, checks),
            1 => {}
            _ => checks.invalid(&device.path, format!("{{{}}}", found.join(", ")), detail),
        }
    } else if is_placed {
        let detail = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
        checks.invalid(&device.path, (), detail);
    }
}

/// A name, with the domain of who defined it if that is not the driver.
fn check_name(at: &At<'_>, name: &str, checks: &mut Checks) {
    let (domain, name) = name.split_once('/').unwrap_or(("", name));
    checks.maybe_named(&at.path, domain, names::dns1123_subdomain);
    check_identifier(at, name, checks);
}

fn check_attribute(attribute: &At<'_>, checks: &mut Checks) {
    if attribute.len() != 1 {
        let value = if attribute.is_empty() { Value::from("") } else { attribute.value.clone() };
        checks.invalid(&attribute.path, value, "exactly one value must be specified");
    }
    for text in ["string", "version"].map(|field| attribute.get(field)) {
        if text.text().len() > MAX_ATTRIBUTE {
            checks.push(Error::too_long(&text.path, MAX_ATTRIBUTE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, update_errors};

    #[test]
    fn what_does_not_fit_is_named() {
        let slice = |rest: &str| {
            format!("{{metadata: {{name: s}}, spec: {{driver: d, pool: {{name: p, resourceSliceCount: 1}}, {rest}}}}}")
        };
        let one = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
        for (yaml, expected) in [
            (slice("devices: []"), format!("spec: Required value: {one}")),
            (
                slice("nodeName: a, allNodes: true"),
                format!("spec: Invalid value: \"{{`nodeName`, `allNodes`}}\": {one}, but multiple fields are set"),
            ),
            (
                slice("nodeName: a").replace("resourceSliceCount: 1", "generation: 1"),
                "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero".to_owned(),
            ),
            (
                slice("nodeName: a, devices: [{name: x}, {name: x}]"),
                "spec.devices[1]: Duplicate value: \"x\"".to_owned(),
            ),
            (
                slice("nodeName: a, devices: [{name: x, attributes: {a: {}}}]"),
                "spec.devices[0].attributes[a]: Invalid value: \"\": exactly one value must be specified".to_owned(),
            ),
            (
                slice("nodeName: a, devices: [{name: x, allNodes: true}]"),
                "spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec".to_owned(),
            ),
        ] {
            assert_eq!(create_errors(&RESOURCE_SLICE, &yaml), [expected], "{yaml}");
        }
        let found = update_errors(&RESOURCE_SLICE, &slice("nodeName: a"), |new| {
            new.set(&["spec", "driver"], "e");
            new.set(&["spec", "nodeName"], "b");
        });
        let expected = [
            "spec.driver: Invalid value: \"e\": field is immutable",
            "spec.nodeName: Invalid value: \"b\": field is immutable",
        ];
        assert_eq!(found, expected);
    }
}
