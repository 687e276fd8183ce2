//! What is not to be deleted. What is stored in stays while it is used: its controllers take away what holds it once
//! it is free (`plugin/pkg/admission/storage/storageobjectinuseprotection`). Some of what every cluster has stays for
//! good (`plugin/pkg/admission/namespace/lifecycle`).

use serde_json::Value;
use trimtab_api::{ApiError, Object};

use super::{Attributes, Verb};

/// By plural, of the core group.
const FINALIZERS: [(&str, &str); 2] =
    [("persistentvolumeclaims", "kubernetes.io/pvc-protection"), ("persistentvolumes", "kubernetes.io/pv-protection")];

/// Group, plural and names of what stays for good, and what is said to whoever deletes it.
const LASTING: [(&str, &str, &[&str], &str); 2] = [
    ("", "namespaces", &["default", "kube-public", "kube-system"], "this namespace may not be deleted"),
    (
        "scheduling.k8s.io",
        "priorityclasses",
        &["system-cluster-critical", "system-node-critical"],
        "this is a system priority class and cannot be deleted",
    ),
];

/// # Errors
/// 403 when what is to be deleted stays for good.
pub(super) fn may_go(write: &Attributes<'_>) -> Result<(), ApiError> {
    let kind = &write.call.kind;
    let stays = |(group, plural, names, _): &&(&str, &str, &[&str], &str)| {
        kind.group == *group && kind.plural == *plural && names.contains(&write.name)
    };
    match LASTING.iter().find(stays) {
        Some((.., why)) if write.verb == Verb::Delete => Err(ApiError::forbidden(kind, write.name, why)),
        _ => Ok(()),
    }
}

/// Holds `object`, if `write` makes it.
pub(super) fn admit(write: &Attributes<'_>, object: &mut Object) {
    let kind = &write.call.kind;
    if write.verb != Verb::Create || !write.call.path.subresource.is_empty() || !kind.group.is_empty() {
        return;
    }
    let Some((_, finalizer)) = FINALIZERS.iter().find(|(plural, _)| *plural == kind.plural) else { return };
    let path = ["metadata", "finalizers"];
    let mut finalizers = object.at(&path).and_then(Value::as_array).cloned().unwrap_or_default();
    if finalizers.iter().all(|held| held != finalizer) {
        finalizers.push((*finalizer).into());
        object.set(&path, finalizers);
    }
}
