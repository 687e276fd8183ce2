//! PersistentVolumes (`pkg/apis/core/validation`, `pkg/registry/core/persistentvolume`).

use k8s_openapi::api::core::v1::NodeSelector;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::at::{self, At};
use crate::cells;
use crate::check::Checks;
use crate::difference;
use crate::field::{Error, Path};
use crate::kinds::persistent_volume_claim::{VOLUME_MODES, check_modes};
use crate::kinds::pod::{HOST_PATH_TYPES, check_node_selector};
use crate::kinds::ruled::{Ruled, default};
use crate::names;
use crate::object::Object;

/// PersistentVolumes.
pub const PERSISTENT_VOLUME: Ruled = Ruled::printed(cells::volume)
    .filled(|volume| {
        default(volume, &["spec", "persistentVolumeReclaimPolicy"], "Retain");
        default(volume, &["spec", "volumeMode"], "Filesystem");
        default(volume, &["status", "phase"], "Pending");
        at::at_mut(volume, &["spec", "capacity"]).into_iter().for_each(at::canonical_quantities);
        if let Some(path) = at::at_mut(volume, &["spec", "hostPath"]) {
            at::default_in(path, "type", "");
        }
    })
    .checked(|volume, checks| check_spec(&At::of(volume, "spec"), checks))
    .updated(check_update);

/// Where a volume may be, and what each place must be told.
const SOURCES: [(&str, &[&str]); 22] = [
    ("hostPath", &["path"]),
    ("gcePersistentDisk", &["pdName"]),
    ("awsElasticBlockStore", &["volumeID"]),
    ("glusterfs", &["endpoints", "path"]),
    ("flocker", &[]),
    ("nfs", &["server", "path"]),
    ("rbd", &["monitors", "image"]),
    ("quobyte", &["registry", "volume"]),
    ("cephfs", &["monitors"]),
    ("iscsi", &["targetPortal", "iqn"]),
    ("cinder", &["volumeID"]),
    ("fc", &[]),
    ("flexVolume", &["driver"]),
    ("azureFile", &["secretName", "shareName"]),
    ("vsphereVolume", &["volumePath"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
    ("local", &["path"]),
    ("storageos", &["volumeName"]),
    ("csi", &["driver", "volumeHandle"]),
];

fn check_spec(spec: &At<'_>, checks: &mut Checks) {
    spec.get("accessModes").present(checks);
    check_modes(&spec.get("accessModes"), checks);
    check_capacity(&spec.get("capacity"), checks);
    let policy = spec.get("persistentVolumeReclaimPolicy");
    policy.maybe_one_of(&["Delete", "Recycle", "Retain"], checks);
    check_affinity(&spec.get("nodeAffinity"), checks);
    check_sources(spec, checks);
    let root = spec.get("hostPath").get("path").text();
    let is_root = !root.is_empty() && root.split('/').all(|part| matches!(part, "" | "."));
    if is_root && policy.text() == "Recycle" {
        policy.forbidden("may not be 'recycle' for a hostPath mount of '/'", checks);
    }
    spec.get("storageClassName").maybe_named(names::dns1123_subdomain, checks);
    spec.get("volumeMode").maybe_one_of(&VOLUME_MODES, checks);
    let attributes = spec.get("volumeAttributesClassName");
    if attributes.is_set() {
        if attributes.is_empty() {
            attributes.required("an empty string is disallowed", checks);
        }
        attributes.maybe_named(names::dns1123_subdomain, checks);
        if !spec.get("csi").is_set() {
            spec.get("csi").required("has to be specified when using volumeAttributesClassName", checks);
        }
    }
}

/// A volume has a size, and no other capacity.
fn check_capacity(capacity: &At<'_>, checks: &mut Checks) {
    capacity.present(checks);
    if !capacity.get("storage").is_set() || capacity.len() > 1 {
        let found = if capacity.is_set() { capacity.value.clone() } else { Value::Object(Map::new()) };
        checks.push(Error::not_supported(&capacity.path, found, &["storage"]));
    }
    for (_, amount) in capacity.entries() {
        match amount.quantity() {
            Some(Ok(size)) if size.is_zero() || size.is_negative() => {
                amount.invalid("must be greater than zero", checks);
            }
            Some(Err(error)) => amount.invalid(&error.to_string(), checks),
            _ => {}
        }
    }
}

fn check_affinity(affinity: &At<'_>, checks: &mut Checks) {
    if !affinity.is_set() {
        return;
    }
    let required = affinity.get("required");
    match NodeSelector::deserialize(required.value) {
        Ok(selector) => check_node_selector(&required.path, &selector, checks),
        Err(_) => required.required("must specify required node constraints", checks),
    }
}

fn check_sources(spec: &At<'_>, checks: &mut Checks) {
    let mut found = SOURCES.iter().filter(|(source, _)| spec.get(source).is_set());
    let Some((source, fields)) = found.next() else { return spec.required("must specify a volume type", checks) };
    let at = spec.get(source);
    for field in *fields {
        at.get(field).present(checks);
    }
    check_source(source, &at, checks);
    if *source == "local" && !spec.get("nodeAffinity").is_set() {
        spec.get("nodeAffinity").required("Local volume requires node affinity", checks);
    }
    for (further, _) in found {
        spec.get(further).forbidden("may not specify more than 1 volume type", checks);
    }
}

fn check_source(source: &str, at: &At<'_>, checks: &mut Checks) {
    let path = at.get("path");
    match source {
        "hostPath" | "local" => {
            if path.text().split('/').any(|part| part == "..") {
                path.invalid("must not contain '..'", checks);
            }
            if source == "hostPath" {
                at.get("type").maybe_one_of(&HOST_PATH_TYPES, checks);
            }
        }
        "nfs" if !path.is_empty() && !path.text().starts_with('/') => {
            path.invalid("must be an absolute path", checks);
        }
        "csi" => check_csi(at, checks),
        "iscsi" => checks.within(&at.get("lun").path, at.get("lun").int().unwrap_or(0), 0, 255),
        "flocker" => {
            let (uuid, name) = (at.get("datasetUUID"), at.get("datasetName"));
            match (uuid.is_empty(), name.is_empty()) {
                (true, true) => at.required("one of datasetName and datasetUUID is required", checks),
                (false, false) => {
                    let detail = "resource: datasetName and datasetUUID can not be specified simultaneously";
                    checks.invalid(&at.path, "resource", detail);
                }
                _ => {}
            }
        }
        "fc" => {
            if at.get("targetWWNs").is_empty() && at.get("wwids").is_empty() {
                at.get("targetWWNs").required("must specify either targetWWNs or wwids, but not both", checks);
            } else if !at.get("targetWWNs").is_empty() && !at.get("wwids").is_empty() {
                let detail = "targetWWNs and wwids can not be specified simultaneously";
                at.get("targetWWNs").invalid(detail, checks);
            } else if !at.get("targetWWNs").is_empty() && !at.get("lun").is_set() {
                at.get("lun").required("lun is required if targetWWNs is specified", checks);
            }
        }
        _ => {}
    }
}

fn check_csi(at: &At<'_>, checks: &mut Checks) {
    const SECRETS: [&str; 5] = [
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
        "nodeStageSecretRef",
    ];
    check_driver(&at.get("driver"), checks);
    for secret in SECRETS.iter().map(|field| at.get(field)).filter(At::is_set) {
        secret.get("name").present(checks);
        secret.get("namespace").present(checks);
    }
}

/// A driver's name is a DNS name, in any case.
pub(super) fn check_driver(driver: &At<'_>, checks: &mut Checks) {
    if driver.text().len() > 63 {
        checks.push(Error::too_long(&driver.path, 63));
    }
    let lower = driver.text().to_lowercase();
    for problem in names::dns1123_subdomain(&lower).iter().filter(|_| !lower.is_empty()) {
        driver.invalid(problem, checks);
    }
}

/// What a volume is stays; who may use it, and what becomes of it, may change.
fn check_update(new: &Object, old: &Object, checks: &mut Checks) {
    let (spec, old_spec) = (At::of(new, "spec"), At::of(old, "spec"));
    let sources = |spec: &At<'_>| {
        let found = SOURCES.iter().map(|(source, _)| (*source, spec.get(source)));
        let found = found.filter(|(_, at)| at.is_set()).map(|(source, at)| (source.to_owned(), at.value.clone()));
        Value::Object(found.collect())
    };
    let mut munged = sources(&spec);
    // What grows a volume may be given later.
    if old_spec.get("csi").is_set() && !old_spec.get("csi").get("controllerExpandSecretRef").is_set() {
        munged.get_mut("csi").and_then(Value::as_object_mut).map(|csi| csi.remove("controllerExpandSecretRef"));
    }
    let (munged, before) = (at::normal(&munged), at::normal(&sources(&old_spec)));
    if munged != before {
        let diff = difference::of(&before, &munged);
        let detail = format!("spec.persistentvolumesource is immutable after creation\n{diff}");
        checks.forbidden(&spec.path.child("persistentvolumesource"), &detail);
    }
    // Upstream tells of these at the root.
    let at_root = |field: &str| At { path: Path::new(field), ..spec.get(field) };
    at_root("volumeMode").immutable(&old_spec.get("volumeMode"), checks);
    if old_spec.get("nodeAffinity").is_set() {
        at_root("nodeAffinity").immutable(&old_spec.get("nodeAffinity"), checks);
    }
    let attributes = spec.get("volumeAttributesClassName");
    if old_spec.get("volumeAttributesClassName").is_set() && !attributes.is_set() {
        attributes.forbidden("update from non-nil value to nil is forbidden", checks);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::fixture::{create_errors, created, update_errors};

    const FINE: &str = "{metadata: {name: v}, spec: {capacity: {storage: 1024Mi}, accessModes: [ReadWriteOnce], hostPath: {path: /data}}}";

    fn volume(rest: &str) -> String {
        format!("{{metadata: {{name: v}}, spec: {{capacity: {{storage: 1Gi}}, accessModes: [ReadWriteOnce], {rest}}}}}")
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let made = created(&PERSISTENT_VOLUME, FINE);
        assert_eq!(made.str_at(&["spec", "capacity", "storage"]), "1Gi");
        assert_eq!(made.str_at(&["spec", "persistentVolumeReclaimPolicy"]), "Retain");
        for (yaml, expected) in [
            (
                "{metadata: {name: v}, spec: {nfs: {server: s, path: /}}}".to_owned(),
                vec![
                    "spec.accessModes: Required value",
                    "spec.capacity: Required value",
                    "spec.capacity: Unsupported value: {}: supported values: \"storage\"",
                ],
            ),
            (
                FINE.replace("1024Mi", "0"),
                vec!["spec.capacity[storage]: Invalid value: \"0\": must be greater than zero"],
            ),
            (volume("volumeMode: Block"), vec!["spec: Required value: must specify a volume type"]),
            (
                volume("hostPath: {path: ''}, nfs: {server: s, path: /}"),
                vec![
                    "spec.hostPath.path: Required value",
                    "spec.nfs: Forbidden: may not specify more than 1 volume type",
                ],
            ),
            (
                volume("local: {path: /x}"),
                vec!["spec.nodeAffinity: Required value: Local volume requires node affinity"],
            ),
            (
                volume("local: {path: /x}, nodeAffinity: {}"),
                vec!["spec.nodeAffinity.required: Required value: must specify required node constraints"],
            ),
            (volume("csi: {driver: d}"), vec!["spec.csi.volumeHandle: Required value"]),
            (
                volume("hostPath: {path: //}, persistentVolumeReclaimPolicy: Recycle"),
                vec!["spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"],
            ),
            (
                volume("hostPath: {path: /x}, persistentVolumeReclaimPolicy: Keep"),
                vec![
                    "spec.persistentVolumeReclaimPolicy: Unsupported value: \"Keep\": supported values: \"Delete\", \"Recycle\", \"Retain\"",
                ],
            ),
            (
                volume("hostPath: {path: /x}, volumeAttributesClassName: gold"),
                vec!["spec.csi: Required value: has to be specified when using volumeAttributesClassName"],
            ),
        ] {
            assert_eq!(create_errors(&PERSISTENT_VOLUME, &yaml), expected, "{yaml}");
        }
    }

    #[test]
    fn a_source_stays() {
        let found = update_errors(&PERSISTENT_VOLUME, FINE, |new| new.set(&["spec", "hostPath", "path"], "/other"));
        let expected = "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n- hostPath.path: \"/data\"\n+ hostPath.path: \"/other\"\n";
        assert_eq!(found, [expected]);
        let found = update_errors(&PERSISTENT_VOLUME, FINE, |new| new.set(&["spec", "volumeMode"], "Block"));
        assert_eq!(found, ["volumeMode: Invalid value: \"Block\": field is immutable"]);
        let bind = |new: &mut Object| {
            new.set(&["spec", "claimRef"], json!({"name": "c", "namespace": "n"}));
            new.set(&["spec", "persistentVolumeReclaimPolicy"], "Delete");
        };
        assert_eq!(update_errors(&PERSISTENT_VOLUME, FINE, bind), [""; 0]);
    }
}
