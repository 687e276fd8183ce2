//! Namespaces: the finalizer that empties one, and its phase (`pkg/registry/core/namespace`).

use k8s_openapi::api::core::v1::{Namespace as Typed, NamespaceSpec, NamespaceStatus};
use serde_json::Value;

use crate::check::{Checks, text};
use crate::field::Path;
use crate::kinds::{stored, typed};
use crate::names;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// The label that every namespace has, with its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The finalizer of the controller that empties a namespace.
const FINALIZER: &str = "kubernetes";

/// Namespaces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Namespace;

impl Strategy for Namespace {
    fn check_name(&self, name: &str) -> Vec<String> {
        names::dns1123_label(name)
    }

    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |namespace: &mut Typed, checks| match operation {
            Operation::Create => create(namespace, checks),
            Operation::Update { old } => {
                // Finalizers are removed through the `finalize` subresource alone.
                if let Some(old) = stored::<Typed>(old, checks) {
                    namespace.spec = old.spec;
                }
                label(namespace);
            }
            Operation::UpdateStatus { .. } => check_status(namespace, checks),
        })
    }

    /// Its finalizers stand in `spec`.
    fn holds_deletion(&self, object: &Object) -> bool {
        object.at(&["spec", "finalizers"]).and_then(Value::as_array).is_some_and(|finalizers| !finalizers.is_empty())
    }
}

fn create(namespace: &mut Typed, checks: &mut Checks) {
    label(namespace);
    namespace.status = Some(NamespaceStatus { phase: Some("Active".to_owned()), conditions: None });
    let NamespaceSpec { finalizers } = namespace.spec.get_or_insert_default();
    let finalizers = finalizers.get_or_insert_default();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        if finalizers.is_empty() {
            checks.given.field(&["spec", "finalizers"]);
        }
        finalizers.push(FINALIZER.to_owned());
    }
}

fn label(namespace: &mut Typed) {
    if let Some(name) = namespace.metadata.name.clone() {
        namespace.metadata.labels.get_or_insert_default().insert(NAME_LABEL.to_owned(), name);
    }
}

/// A namespace is terminating from the moment that it is deleted, and not before.
fn check_status(namespace: &mut Typed, checks: &mut Checks) {
    let status = namespace.status.get_or_insert_default();
    if namespace.metadata.deletion_timestamp.is_some() {
        status.phase = Some("Terminating".to_owned());
    } else if text(&status.phase) != "Active" {
        let path = Path::new("status").child("Phase");
        checks.invalid(&path, text(&status.phase), "may only be 'Active' if `deletionTimestamp` is empty");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{created, object};

    #[test]
    fn a_namespace_is_active_and_has_its_finalizer() {
        let expected = object(
            "{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {kubernetes.io/metadata.name: a}}, spec: {finalizers: [kubernetes]}, status: {phase: Active}}",
        );
        assert_eq!(created(&Namespace, "{metadata: {name: a}, status: {phase: Terminating}}"), expected);
    }

    #[test]
    fn the_phase_goes_with_deletion() {
        let old = created(&Namespace, "{metadata: {name: a}}");
        let mut new = old.clone();
        new.set(&["status", "phase"], "Terminating");
        let admission = Namespace.admit(Operation::UpdateStatus { old: &old }, &mut new);
        assert_eq!(
            admission.errors[0].to_string(),
            "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
        );
        new.set(&["metadata", "deletionTimestamp"], "2026-01-01T00:00:00Z");
        new.set(&["status", "phase"], "Active");
        assert_eq!(Namespace.admit(Operation::UpdateStatus { old: &old }, &mut new).errors, []);
        assert_eq!(new.str_at(&["status", "phase"]), "Terminating");
        assert!(Namespace.holds_deletion(&new));
        assert_eq!(Namespace.check_name("a.b"), ["must not contain dots"]);
    }
}
