//! Drivers of volumes, where they run, what they hold and attach: CSIDrivers, CSINodes, CSIStorageCapacities and
//! VolumeAttachments (`pkg/apis/storage/validation`).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::at::{self, At};
use crate::cells;
use crate::check::Checks;
use crate::field::{Error, Path};
use crate::kinds::persistent_volume::check_driver;
use crate::kinds::ruled::{Ruled, default};
use crate::names;
use crate::object::Object;

/// CSIDrivers.
pub const CSI_DRIVER: Ruled = Ruled::printed(cells::csi_driver)
    .filled(|driver| {
        default(driver, &["spec", "attachRequired"], true);
        default(driver, &["spec", "podInfoOnMount"], false);
        default(driver, &["spec", "storageCapacity"], false);
        default(driver, &["spec", "requiresRepublish"], false);
        default(driver, &["spec", "seLinuxMount"], false);
        default(driver, &["spec", "fsGroupPolicy"], "ReadWriteOnceWithFSType");
        default(driver, &["spec", "volumeLifecycleModes"], &["Persistent"][..]);
    })
    .checked(|driver, checks| check_driver_spec(&At::of(driver, "spec"), checks))
    .updated(|new, old, checks| {
        let (spec, old) = (At::of(new, "spec"), At::of(old, "spec"));
        // Upstream calls the field so here.
        let attach = At { path: spec.path.child("attachedRequired"), ..spec.get("attachRequired") };
        attach.immutable(&old.get("attachRequired"), checks);
        spec.all_immutable(&old, &["volumeLifecycleModes"], checks);
    });

/// CSINodes.
pub const CSI_NODE: Ruled = Ruled::printed(cells::csi_node).checked(check_node).updated(|new, old, checks| {
    let old = At::of(old, "spec").get("drivers");
    for driver in At::of(new, "spec").get("drivers").items() {
        let same_name = |old: &At<'_>| old.get("name").value == driver.get("name").value;
        // How many volumes a driver attaches is found out anew.
        let lasting = |driver: &At<'_>| {
            let mut lasting = driver.value.clone();
            lasting.as_object_mut().map(|fields| fields.remove("allocatable"));
            at::normal(&lasting)
        };
        if old.items().find(same_name).is_some_and(|old| lasting(&old) != lasting(&driver)) {
            checks.invalid(&Path::new("CSINodeDriver"), driver.value, "field is immutable");
        }
    }
});

/// CSIStorageCapacities.
pub const CSI_STORAGE_CAPACITY: Ruled = Ruled::new()
    .filled(|capacity| {
        for field in ["capacity", "maximumVolumeSize"] {
            capacity.0.get_mut(field).into_iter().for_each(at::canonical_quantities);
        }
    })
    .checked(|capacity, checks| {
        let topology = At::of(capacity, "nodeTopology");
        if topology.is_set() {
            topology.label_selector(checks);
        }
        let class = At::of(capacity, "storageClassName");
        checks.follows(&class.path, class.text(), names::dns1123_subdomain);
        for amount in ["capacity", "maximumVolumeSize"].map(|field| At::of(capacity, field)) {
            match amount.quantity() {
                Some(Ok(quantity)) if quantity.is_negative() => {
                    amount.invalid("must be greater than or equal to 0", checks);
                }
                Some(Err(error)) => amount.invalid(&error.to_string(), checks),
                _ => {}
            }
        }
    })
    .updated(|new, old, checks| {
        for field in ["nodeTopology", "storageClassName"] {
            At::of(new, field).immutable(&At::of(old, field), checks);
        }
    });

/// VolumeAttachments.
pub const VOLUME_ATTACHMENT: Ruled = Ruled::printed(cells::attachment)
    .checked(check_attachment)
    .updated(|new, old, checks| {
        At::of(new, "spec").immutable(&At::of(old, "spec"), checks);
    })
    .status(|new, _, checks| {
        let status = At::of(new, "status");
        let metadata = status.get("attachmentMetadata");
        if metadata.entries().map(|(key, value)| key.len() + value.text().len()).sum::<usize>() > MAX_METADATA {
            checks.push(Error::too_long(&metadata.path, MAX_METADATA));
        }
        for message in ["attachError", "detachError"].map(|field| status.get(field).get("message")) {
            if message.text().len() > MAX_MESSAGE {
                checks.push(Error::too_long(&message.path, MAX_MESSAGE));
            }
        }
    });

const MAX_NODE_ID: usize = 256;
/// In bytes.
const MAX_METADATA: usize = 256 * 1024;
/// In bytes.
const MAX_MESSAGE: usize = 1024;

fn check_driver_spec(spec: &At<'_>, checks: &mut Checks) {
    spec.get("fsGroupPolicy").maybe_one_of(&["File", "None", "ReadWriteOnceWithFSType"], checks);
    let mut audiences = BTreeSet::new();
    for request in spec.get("tokenRequests").items() {
        let (audience, expiration) = (request.get("audience"), request.get("expirationSeconds"));
        if !audiences.insert(audience.text()) {
            checks.push(Error::duplicate(&audience.path, audience.text()));
            continue;
        }
        match expiration.int() {
            Some(seconds) if seconds < 10 * 60 => {
                expiration.invalid("may not specify a duration less than 10 minutes", checks);
            }
            Some(seconds) if seconds > 1 << 32 => {
                expiration.invalid("may not specify a duration larger than 2^32 seconds", checks);
            }
            _ => {}
        }
    }
    let modes = spec.get("volumeLifecycleModes");
    for mode in modes.items() {
        At { path: modes.path.clone(), ..mode }.maybe_one_of(&["Persistent", "Ephemeral"], checks);
    }
    let period = spec.get("nodeAllocatableUpdatePeriodSeconds");
    if period.int().is_some_and(|seconds| seconds < 10) {
        period.invalid("must be greater than or equal to 10 seconds", checks);
    }
}

fn check_node(node: &Object, checks: &mut Checks) {
    let mut drivers = BTreeSet::new();
    for driver in At::of(node, "spec").get("drivers").items() {
        let (name, id) = (driver.get("name"), driver.get("nodeID"));
        name.present(checks);
        check_driver(&name, checks);
        id.present(checks);
        if id.text().len() > MAX_NODE_ID {
            id.invalid(&format!("must be {MAX_NODE_ID} characters or less"), checks);
        }
        driver.get("allocatable").get("count").non_negative(checks);
        if !drivers.insert(name.text()) {
            name.duplicate(checks);
        }
        // Upstream tells of the keys at their driver.
        let mut keys = BTreeSet::new();
        for key in driver.get("topologyKeys").items().map(|key| key.text()) {
            if !keys.insert(key) {
                checks.push(Error::duplicate(&driver.path, key));
            }
            checks.named(&driver.path, key, names::qualified_name);
        }
    }
}

fn check_attachment(attachment: &Object, checks: &mut Checks) {
    let spec = At::of(attachment, "spec");
    let (attacher, source, node) = (spec.get("attacher"), spec.get("source"), spec.get("nodeName"));
    attacher.present(checks);
    check_driver(&attacher, checks);
    let (inline, name) = (source.get("inlineVolumeSpec"), source.get("persistentVolumeName"));
    let detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    match (inline.is_set(), name.value) {
        (false, Value::Null) => source.required(detail, checks),
        (true, Value::Null) => {}
        (true, _) => source.forbidden(detail, checks),
        (false, _) if name.is_empty() => name.required("must specify non empty persistentVolumeName", checks),
        (false, _) => checks.follows(&name.path, name.text(), names::dns1123_subdomain),
    }
    checks.follows(&node.path, node.text(), names::dns1123_subdomain);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::fixture::{create_errors, created, update_errors};

    #[test]
    fn a_driver_is_as_it_said() {
        let driver = |spec: &str| format!("{{metadata: {{name: d}}, spec: {spec}}}");
        for (spec, expected) in [
            (
                "{fsGroupPolicy: All}",
                "spec.fsGroupPolicy: Unsupported value: \"All\": supported values: \"File\", \"None\", \"ReadWriteOnceWithFSType\"",
            ),
            (
                "{tokenRequests: [{audience: a}, {audience: a}]}",
                "spec.tokenRequests[1].audience: Duplicate value: \"a\"",
            ),
            (
                "{tokenRequests: [{audience: a, expirationSeconds: 5}]}",
                "spec.tokenRequests[0].expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes",
            ),
            (
                "{volumeLifecycleModes: [Once]}",
                "spec.volumeLifecycleModes: Unsupported value: \"Once\": supported values: \"Persistent\", \"Ephemeral\"",
            ),
        ] {
            assert_eq!(create_errors(&CSI_DRIVER, &driver(spec)), [expected], "{spec}");
        }
        let found = update_errors(&CSI_DRIVER, &driver("{}"), |new| {
            new.set(&["spec", "attachRequired"], false);
            new.set(&["spec", "podInfoOnMount"], true);
        });
        assert_eq!(found, ["spec.attachedRequired: Invalid value: false: field is immutable"]);
    }

    #[test]
    fn a_node_has_each_driver_once() {
        let node = |drivers: &str| format!("{{metadata: {{name: n}}, spec: {{drivers: [{drivers}]}}}}");
        for (drivers, expected) in [
            ("{name: d}", "spec.drivers[0].nodeID: Required value"),
            ("{name: d, nodeID: i}, {name: d, nodeID: i}", "spec.drivers[1].name: Duplicate value: \"d\""),
            ("{name: d, nodeID: i, topologyKeys: [k, k]}", "spec.drivers[0]: Duplicate value: \"k\""),
            (
                "{name: d, nodeID: i, allocatable: {count: -1}}",
                "spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
            ),
        ] {
            assert_eq!(create_errors(&CSI_NODE, &node(drivers)), [expected], "{drivers}");
        }
        let change = |new: &mut Object| new.0["spec"]["drivers"][0]["nodeID"] = json!("j");
        let found = update_errors(&CSI_NODE, &node("{name: d, nodeID: i}"), change);
        assert_eq!(found, ["CSINodeDriver: Invalid value: {\"name\":\"d\",\"nodeID\":\"j\"}: field is immutable"]);
    }

    #[test]
    fn an_attachment_is_of_one_volume() {
        let attachment =
            |source: &str| format!("{{metadata: {{name: a}}, spec: {{attacher: d, nodeName: n, source: {source}}}}}");
        let one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
        for (source, expected) in [
            ("{}", format!("spec.source: Required value: {one}")),
            ("{inlineVolumeSpec: {}, persistentVolumeName: v}", format!("spec.source: Forbidden: {one}")),
            (
                "{persistentVolumeName: ''}",
                "spec.source.persistentVolumeName: Required value: must specify non empty persistentVolumeName"
                    .to_owned(),
            ),
        ] {
            assert_eq!(create_errors(&VOLUME_ATTACHMENT, &attachment(source)), [expected], "{source}");
        }
        let fine = attachment("{persistentVolumeName: v}");
        let found = update_errors(&VOLUME_ATTACHMENT, &fine, |new| new.set(&["spec", "nodeName"], "m"));
        assert!(found[0].ends_with(": field is immutable"), "{found:?}");
    }

    #[test]
    fn a_capacity_is_of_a_class() {
        let yaml = "{metadata: {name: c}, storageClassName: s, capacity: 1024Mi}";
        assert_eq!(created(&CSI_STORAGE_CAPACITY, yaml).str_at(&["capacity"]), "1Gi");
        let number = yaml.replace("1024Mi", "1000000");
        assert_eq!(created(&CSI_STORAGE_CAPACITY, &number).str_at(&["capacity"]), "1M");
        let found = create_errors(&CSI_STORAGE_CAPACITY, &yaml.replace("1024Mi", "-1"));
        assert_eq!(found, ["capacity: Invalid value: \"-1\": must be greater than or equal to 0"]);
        let found = update_errors(&CSI_STORAGE_CAPACITY, yaml, |new| new.set(&["storageClassName"], "t"));
        assert_eq!(found, ["storageClassName: Invalid value: \"t\": field is immutable"]);
    }
}
