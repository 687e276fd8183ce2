//! Volumes, classes and drivers.

use serde_json::Value;

use super::{get, list, or_none, text};
use crate::object::Object;

const UNSET: &str = "<unset>";
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

fn bool_or(value: &Value, default: bool) -> Value {
    value.as_bool().unwrap_or(default).into()
}

/// `RWO,ROX`, as `GetAccessModesAsString`.
fn access_modes(modes: &Value) -> String {
    let known =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let given = known.into_iter().filter(|(mode, _)| list(modes).iter().any(|found| found == mode));
    given.map(|(_, short)| short).collect::<Vec<_>>().join(",")
}

fn mode(value: &Value) -> Value {
    or(text(value), UNSET)
}

fn or(text: &str, otherwise: &str) -> Value {
    if text.is_empty() { otherwise } else { text }.into()
}

/// PersistentVolumes.
pub(crate) fn volume(name: &str, object: &Object, _now: i64) -> Value {
    match name {
        "Capacity" => text(get(object, "spec.capacity.storage")).into(),
        "Access Modes" => access_modes(get(object, "spec.accessModes")).into(),
        "Status" if object.deletion_timestamp().is_some() => "Terminating".into(),
        "Status" => text(get(object, "status.phase")).into(),
        "Claim" => match get(object, "spec.claimRef") {
            Value::Object(claim) => format!("{}/{}", text(&claim["namespace"]), text(&claim["name"])).into(),
            _ => "".into(),
        },
        "StorageClass" => text(get(object, "spec.storageClassName")).into(),
        "VolumeAttributesClass" => mode(get(object, "spec.volumeAttributesClassName")),
        "VolumeMode" => mode(get(object, "spec.volumeMode")),
        _ => Value::Null,
    }
}

/// PersistentVolumeClaims.
pub(crate) fn claim(name: &str, object: &Object, _now: i64) -> Value {
    let is_bound = !text(get(object, "spec.volumeName")).is_empty();
    let if_bound = |value: String| Value::from(if is_bound { value } else { String::new() });
    match name {
        "Status" if object.deletion_timestamp().is_some() => "Terminating".into(),
        "Status" => text(get(object, "status.phase")).into(),
        "Capacity" => if_bound(text(get(object, "status.capacity.storage")).to_owned()),
        "Access Modes" => if_bound(access_modes(get(object, "status.accessModes"))),
        "StorageClass" => text(get(object, "spec.storageClassName")).into(),
        "VolumeAttributesClass" => mode(get(object, "status.currentVolumeAttributesClassName")),
        "VolumeMode" => mode(get(object, "spec.volumeMode")),
        _ => Value::Null,
    }
}

/// StorageClasses.
pub(crate) fn storage_class(name: &str, object: &Object, _now: i64) -> Value {
    let is_default = || object.annotations().any(|(key, value)| key == DEFAULT_CLASS && value == "true");
    match name {
        "Name" if is_default() => format!("{} (default)", object.name()).into(),
        "Name" => object.name().into(),
        "ReclaimPolicy" => or(text(get(object, "reclaimPolicy")), "Delete"),
        "VolumeBindingMode" => or(text(get(object, "volumeBindingMode")), "Immediate"),
        "AllowVolumeExpansion" => bool_or(get(object, "allowVolumeExpansion"), false),
        _ => Value::Null,
    }
}

/// VolumeAttachments.
pub(crate) fn attachment(name: &str, object: &Object, _now: i64) -> Value {
    match name {
        "PV" => text(get(object, "spec.source.persistentVolumeName")).into(),
        _ => Value::Null,
    }
}

/// CSIDrivers.
pub(crate) fn csi_driver(name: &str, object: &Object, _now: i64) -> Value {
    match name {
        "AttachRequired" => bool_or(get(object, "spec.attachRequired"), true),
        "PodInfoOnMount" => bool_or(get(object, "spec.podInfoOnMount"), false),
        "StorageCapacity" => bool_or(get(object, "spec.storageCapacity"), false),
        "TokenRequests" => {
            let audiences = list(get(object, "spec.tokenRequests")).iter().map(|token| text(&token["audience"]));
            or(&audiences.collect::<Vec<_>>().join(","), UNSET)
        }
        "RequiresRepublish" => bool_or(get(object, "spec.requiresRepublish"), false),
        "Modes" => {
            let modes = list(get(object, "spec.volumeLifecycleModes")).iter().map(text).collect::<Vec<_>>();
            or_none(&modes.join(",")).into()
        }
        _ => Value::Null,
    }
}

/// CSINodes.
pub(crate) fn csi_node(name: &str, object: &Object, _now: i64) -> Value {
    match name {
        "Drivers" => list(get(object, "spec.drivers")).len().into(),
        _ => Value::Null,
    }
}
