//! What is stored in is not deleted while it is used: its controllers take away what holds it once it is
//! free (`plugin/pkg/admission/storage/storageobjectinuseprotection`).

use serde_json::Value;
use trimtab_api::Object;

use super::{Attributes, Verb};

/// By plural, of the core group.
const FINALIZERS: [(&str, &str); 2] =
    [("persistentvolumeclaims", "kubernetes.io/pvc-protection"), ("persistentvolumes", "kubernetes.io/pv-protection")];

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
