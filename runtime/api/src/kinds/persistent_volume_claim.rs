//! PersistentVolumeClaims (`pkg/apis/core/validation`, `pkg/registry/core/persistentvolumeclaim`).

use serde_json::Value;

use crate::at::{self, At};
use crate::cells;
use crate::check::Checks;
use crate::difference;
use crate::kinds::pod::check_quantity;
use crate::kinds::ruled::{Ruled, default};
use crate::names;
use crate::object::Object;
use crate::quantity::Quantity;

/// PersistentVolumeClaims.
pub const PERSISTENT_VOLUME_CLAIM: Ruled = Ruled::printed(cells::claim)
    .filled(|claim| {
        default(claim, &["status", "phase"], "Pending");
        if let Some(spec) = claim.0.get_mut("spec") {
            fill_spec(spec);
        }
    })
    .checked(|claim, checks| check_spec(&At::of(claim, "spec"), checks))
    .updated(check_update)
    .status(check_status);

/// How volumes may be mounted.
pub(super) const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// What volumes may be.
pub(super) const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const RESIZES: [&str; 5] = [
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
];

/// Fills the specification of a claim. Where its content comes from is said in both fields, if it is of its namespace.
pub(super) fn fill_spec(spec: &mut Value) {
    at::default_in(spec, "volumeMode", "Filesystem");
    at::default_in(spec, "resources", serde_json::Map::new());
    for list in ["requests", "limits"] {
        spec["resources"].get_mut(list).into_iter().for_each(at::canonical_quantities);
    }
    let source = spec.get("dataSource").cloned();
    match (source, spec.get("dataSourceRef").cloned()) {
        (Some(source), None) => at::default_in(spec, "dataSourceRef", source),
        (None, Some(reference)) if reference.get("namespace").is_none() && is_known_source(&reference) => {
            at::default_in(spec, "dataSource", reference);
        }
        _ => {}
    }
}

/// Upstream takes into `dataSource` what it always held: claims and snapshots.
fn is_known_source(reference: &Value) -> bool {
    let group = reference.get("apiGroup").and_then(Value::as_str).unwrap_or_default();
    let kind = reference.get("kind").and_then(Value::as_str).unwrap_or_default();
    matches!((group, kind), ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot"))
}

/// What is wrong with the specification of a claim.
pub(super) fn check_spec(spec: &At<'_>, checks: &mut Checks) {
    let modes = spec.get("accessModes");
    if modes.is_empty() {
        modes.required("at least 1 access mode is required", checks);
    }
    if spec.get("selector").is_set() {
        spec.get("selector").label_selector(checks);
    }
    check_modes(&modes, checks);
    check_storage(spec, checks);
    spec.get("storageClassName").maybe_named(names::dns1123_subdomain, checks);
    spec.get("volumeMode").maybe_one_of(&VOLUME_MODES, checks);
    check_sources(spec, checks);
    spec.get("volumeAttributesClassName").maybe_named(names::dns1123_subdomain, checks);
}

/// Each mode is one, and the one that excludes others is alone.
pub(super) fn check_modes(modes: &At<'_>, checks: &mut Checks) {
    for mode in modes.items().filter(|mode| !ACCESS_MODES.contains(&mode.text())) {
        let at = At { path: modes.path.clone(), value: mode.value };
        at.unsupported(&ACCESS_MODES, checks);
    }
    let others = modes.items().any(|mode| ACCESS_MODES[..3].contains(&mode.text()));
    if others && modes.has("ReadWriteOncePod") {
        modes.forbidden("may not use ReadWriteOncePod with other access modes", checks);
    }
}

fn check_storage(spec: &At<'_>, checks: &mut Checks) {
    let path = spec.path.child("resources").key("storage");
    match spec.get("resources").get("requests").get("storage").quantity() {
        None => checks.required(&path),
        Some(Ok(size)) if size.is_zero() || size.is_negative() => {
            checks.invalid(&path, size.to_string(), "must be greater than zero");
        }
        Some(Ok(size)) => check_quantity(&path, "storage", size, checks),
        Some(Err(error)) => checks.invalid(&path, "", &error.to_string()),
    }
}

fn check_sources(spec: &At<'_>, checks: &mut Checks) {
    let (source, reference) = (spec.get("dataSource"), spec.get("dataSourceRef"));
    for at in [&source, &reference].into_iter().filter(|at| at.is_set()) {
        at.get("name").present(checks);
        at.get("kind").present(checks);
        let (group, kind) = (at.get("apiGroup"), at.get("kind").text());
        if group.text().is_empty() && kind != "PersistentVolumeClaim" {
            let detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
            checks.invalid(&at.path, kind, detail);
        }
        group.maybe_named(names::dns1123_subdomain, checks);
        at.get("namespace").maybe_named(names::dns1123_label, checks);
    }
    if !source.is_set() || !reference.is_set() {
        return;
    }
    let differs = ["apiGroup", "kind", "name"].iter().any(|field| !source.get(field).same(&reference.get(field)));
    if !reference.get("namespace").is_empty() {
        let detail = "may not be specified when dataSourceRef.namespace is specified";
        checks.invalid(&spec.path, source.path.to_string(), detail);
    } else if differs {
        checks.invalid(&spec.path, source.path.to_string(), "must match dataSourceRef");
    }
}

/// A claim stays as it was made, so that quotas and limits hold; what is bound may grow.
fn check_update(new: &Object, old: &Object, checks: &mut Checks) {
    let annotation = |object: &Object| object.str_at(&["metadata", "annotations", OLD_CLASS]).to_owned();
    let (spec, old_spec) = (At::of(new, "spec"), At::of(old, "spec"));
    let (mut munged, mut before) = (spec.value.clone(), old_spec.value.clone());
    let (class, old_class) = (spec.get("storageClassName"), old_spec.get("storageClassName"));
    let may_set = annotation(old).is_empty() || annotation(old) == class.text();
    if class.is_set() && !old_class.is_set() && may_set {
        before["storageClassName"] = class.value.clone();
    } else if annotation(new) != annotation(old) {
        let path = At::of(new, "metadata").path.child("annotations").key(OLD_CLASS);
        checks.invalid(&path, annotation(new), "field is immutable");
    }
    if old_spec.get("volumeName").is_empty() {
        before["volumeName"] = spec.get("volumeName").value.clone();
    }
    if new.str_at(&["status", "phase"]) == "Bound" && requested(&spec).is_set() {
        munged["resources"]["requests"]["storage"] = requested(&old_spec).value.clone();
    }
    munged["volumeAttributesClassName"] = old_spec.get("volumeAttributesClassName").value.clone();
    let (munged, before) = (at::normal(&munged), at::normal(&before));
    if munged != before {
        let detail =
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        spec.forbidden(&format!("{detail}\n{}", difference::of(&before, &munged)), checks);
    }
    let size = |at: At<'_>| at.quantity().and_then(Result::ok).unwrap_or_default();
    let capacity = size(At::of(old, "status").get("capacity").get("storage"));
    let wanted: Quantity = size(requested(&spec));
    if wanted < size(requested(&old_spec)) && wanted <= capacity {
        requested(&spec).forbidden("field can not be less than status.capacity", checks);
    }
    let mode = At { path: crate::field::Path::new("volumeMode"), ..spec.get("volumeMode") };
    mode.immutable(&old_spec.get("volumeMode"), checks);
    check_attributes(&spec.get("volumeAttributesClassName"), &old_spec, old, checks);
}

fn requested<'a>(spec: &At<'a>) -> At<'a> {
    spec.get("resources").get("requests").get("storage")
}

/// A class of attributes that has been applied is not taken away.
fn check_attributes(new: &At<'_>, old_spec: &At<'_>, old: &Object, checks: &mut Checks) {
    let was = old_spec.get("volumeAttributesClassName");
    if !was.is_set() || new.same(&was) {
        return;
    }
    let current = At::of(old, "status").get("currentVolumeAttributesClassName");
    if !new.is_set() && current.is_set() {
        new.forbidden("update to nil is forbidden when status.currentVolumeAttributesClassName is not nil", checks);
    } else if new.is_set() && new.is_empty() {
        new.forbidden("update from non-nil value to an empty string is forbidden", checks);
    }
}

fn check_status(new: &Object, _: &Object, checks: &mut Checks) {
    let status = At::of(new, "status");
    for field in ["capacity", "allocatedResources"] {
        for (_, amount) in status.get(field).entries() {
            match amount.quantity() {
                Some(Ok(amount_of)) if amount_of.is_negative() => {
                    amount.invalid("must be a valid resource quantity", checks);
                }
                Some(Err(error)) => amount.invalid(&error.to_string(), checks),
                _ => {}
            }
        }
    }
    for (_, resize) in status.get("allocatedResourceStatuses").entries() {
        resize.maybe_one_of(&RESIZES, checks);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::fixture::{create_errors, created, status_errors, update_errors};

    const FINE: &str = "{kind: PersistentVolumeClaim, metadata: {name: c, namespace: n}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}}";

    fn claim(spec: &str) -> String {
        format!("{{metadata: {{name: c, namespace: n}}, spec: {{{spec}}}}}")
    }

    #[test]
    fn a_claim_is_filled() {
        let made = created(&PERSISTENT_VOLUME_CLAIM, FINE);
        assert_eq!(made.str_at(&["spec", "volumeMode"]), "Filesystem");
        assert_eq!(made.str_at(&["spec", "resources", "requests", "storage"]), "1Gi");
        assert_eq!(made.str_at(&["status", "phase"]), "Pending");
        let copy = FINE.replace("spec: {", "spec: {dataSource: {kind: PersistentVolumeClaim, name: x}, ");
        let made = created(&PERSISTENT_VOLUME_CLAIM, &copy);
        assert_eq!(made.str_at(&["spec", "dataSourceRef", "name"]), "x");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let with = |rest: &str| {
            claim(&format!("accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}, {rest}"))
        };
        for (yaml, expected) in [
            (
                claim("volumeMode: Disk"),
                vec![
                    "spec.accessModes: Required value: at least 1 access mode is required",
                    "spec.resources[storage]: Required value",
                    "spec.volumeMode: Unsupported value: \"Disk\": supported values: \"Block\", \"Filesystem\"",
                ],
            ),
            (
                claim("accessModes: [Any], resources: {requests: {storage: 0}}"),
                vec![
                    "spec.accessModes: Unsupported value: \"Any\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"",
                    "spec.resources[storage]: Invalid value: \"0\": must be greater than zero",
                ],
            ),
            (
                claim("accessModes: [ReadWriteOnce, ReadWriteOncePod], resources: {requests: {storage: 1Gi}}"),
                vec!["spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"],
            ),
            (
                with("dataSource: {kind: Pod, name: ''}"),
                vec![
                    "spec.dataSource.name: Required value",
                    "spec.dataSource: Invalid value: \"Pod\": must be 'PersistentVolumeClaim' when referencing the default apiGroup",
                    "spec.dataSourceRef.name: Required value",
                    "spec.dataSourceRef: Invalid value: \"Pod\": must be 'PersistentVolumeClaim' when referencing the default apiGroup",
                ],
            ),
            (
                with(
                    "dataSource: {kind: PersistentVolumeClaim, name: a}, dataSourceRef: {kind: PersistentVolumeClaim, name: b}",
                ),
                vec!["spec: Invalid value: \"spec.dataSource\": must match dataSourceRef"],
            ),
        ] {
            assert_eq!(create_errors(&PERSISTENT_VOLUME_CLAIM, &yaml), expected, "{yaml}");
        }
        assert!(
            create_errors(&PERSISTENT_VOLUME_CLAIM, &with("storageClassName: A"))[0].contains("RFC 1123 subdomain")
        );
    }

    #[test]
    fn a_claim_stays_and_a_bound_one_grows() {
        const IMMUTABLE: &str = "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n";
        let size = |size: &str| {
            let size = size.to_owned();
            move |new: &mut Object| new.set(&["spec", "resources", "requests", "storage"], size.clone())
        };
        let found = update_errors(&PERSISTENT_VOLUME_CLAIM, FINE, size("2Gi"));
        assert_eq!(
            found,
            [format!("{IMMUTABLE}- resources.requests.storage: \"1Gi\"\n+ resources.requests.storage: \"2Gi\"\n")]
        );
        let bind = |claim: &mut Object| {
            claim.set(&["status"], json!({"phase": "Bound", "capacity": {"storage": "1Gi"}}));
        };
        let mut old = created(&PERSISTENT_VOLUME_CLAIM, FINE);
        bind(&mut old);
        let update = |change: &dyn Fn(&mut Object)| {
            use crate::strategy::{Operation, Strategy};
            let mut new = old.clone();
            change(&mut new);
            let admission = PERSISTENT_VOLUME_CLAIM.admit(Operation::Update { old: &old }, &mut new);
            admission.errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(update(&size("2Gi")), [""; 0]);
        assert_eq!(update(&|new| new.set(&["spec", "volumeName"], "v")), [""; 0]);
        assert_eq!(update(&|new| new.set(&["spec", "storageClassName"], "fast")), [""; 0]);
        let shrunk = "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity";
        assert_eq!(update(&size("1Mi")), [shrunk]);
        let block = update(&|new| new.set(&["spec", "volumeMode"], "Block"));
        assert_eq!(block[1], "volumeMode: Invalid value: \"Block\": field is immutable");
    }

    #[test]
    fn a_status_is_of_quantities() {
        let status = json!({"capacity": {"storage": "-1"}, "allocatedResourceStatuses": {"storage": "Soon"}});
        let found = status_errors(&PERSISTENT_VOLUME_CLAIM, FINE, status);
        assert_eq!(found[0], "status.capacity[storage]: Invalid value: \"-1\": must be a valid resource quantity");
        assert!(found[1].starts_with("status.allocatedResourceStatuses[storage]: Unsupported value: \"Soon\""));
    }
}
