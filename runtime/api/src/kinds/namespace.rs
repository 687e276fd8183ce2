//! Namespaces.

use serde_json::{Value, json};

use crate::field::{self, Path};
use crate::names;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// Behaviour of Namespaces.
pub struct Namespace;

impl Strategy for Namespace {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        let mut admission = Admission::default();
        let name = object.name().to_owned();
        match operation {
            Operation::Create => {
                for detail in names::dns1123_label(&name) {
                    admission.errors.push(field::Error::invalid(&Path::new("metadata").child("name"), &name, detail));
                }
                object.set(&["spec", "finalizers"], json!(["kubernetes"]));
                object.set(&["status"], json!({"phase": "Active"}));
            }
            // The finalizers go through `finalize` alone.
            Operation::Update { old } => match old.at(&["spec", "finalizers"]) {
                Some(finalizers) => object.set(&["spec", "finalizers"], finalizers.clone()),
                None => drop(object.remove(&["spec", "finalizers"])),
            },
            Operation::UpdateStatus { .. } => {}
        }
        object.set(&["metadata", "labels", "kubernetes.io/metadata.name"], name);
        if object.deletion_timestamp().is_some() {
            object.set(&["status", "phase"], "Terminating");
        }
        admission
    }

    fn holds_deletion(&self, object: &Object) -> bool {
        object.at(&["spec", "finalizers"]).and_then(Value::as_array).is_some_and(|finalizers| !finalizers.is_empty())
    }
}
