//! What is filled in, and what a write may touch
//! (`k8s.io/apiextensions-apiserver/pkg/registry/customresourcedefinition`).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::conversion::bad_authority;
use super::{FINALIZER, is_true, schema, set_condition, storage_version, texts, validate, versions};
use crate::kinds::ruled::default;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// CustomResourceDefinitions.
#[derive(Clone, Copy, Debug, Default)]
pub struct CustomResourceDefinition;

impl Strategy for CustomResourceDefinition {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        let errors = match operation {
            Operation::Create => {
                fill(object);
                let names = json!({"kind": "", "plural": ""});
                object.set(&["status"], json!({"acceptedNames": names, "conditions": [], "storedVersions": []}));
                remember_version(object);
                validate::created(object)
            }
            Operation::Update { old } => {
                fill(object);
                remember_version(object);
                validate::updated(object, old)
            }
            Operation::UpdateStatus { .. } => validate::status(object),
        };
        Admission { errors, warnings: warnings(object), ..Admission::default() }
    }

    /// The definition goes when its objects have gone.
    fn mark_deleted(&self, object: &mut Object) {
        let mut finalizers: Vec<Value> =
            object.at(&["metadata", "finalizers"]).and_then(Value::as_array).cloned().unwrap_or_default();
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            finalizers.push(FINALIZER.into());
        }
        object.set(&["metadata", "finalizers"], finalizers);
        let now = object.deletion_timestamp().unwrap_or_default().to_owned();
        let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
        set_condition(object, ("Terminating", true), "InstanceDeletionPending", message, &now);
    }
}

fn fill(object: &mut Object) {
    let kind = object.str_at(&["spec", "names", "kind"]).to_owned();
    if !kind.is_empty() {
        default(object, &["spec", "names", "singular"], kind.to_lowercase());
        default(object, &["spec", "names", "listKind"], format!("{kind}List"));
    }
    default(object, &["spec", "conversion"], json!({"strategy": "None"}));
    if object.at(&["spec", "conversion", "webhook", "clientConfig", "service"]).is_some() {
        default(object, &["spec", "conversion", "webhook", "clientConfig", "service", "port"], 443);
    }
    if object.at(&["spec", "preserveUnknownFields"]) == Some(&Value::Bool(false)) {
        object.remove(&["spec", "preserveUnknownFields"]);
    }
    let versions = object.0.get_mut("spec").and_then(|spec| spec.get_mut("versions")).and_then(Value::as_array_mut);
    for version in versions.into_iter().flatten().filter_map(Value::as_object_mut) {
        fill_version(version);
    }
}

fn fill_version(version: &mut Map<String, Value>) {
    for field in ["served", "storage"] {
        version.entry(field).or_insert(Value::Bool(false));
    }
    if version.get("deprecated") == Some(&Value::Bool(false)) {
        version.remove("deprecated");
    }
}

/// A version that objects are stored in is remembered until somebody has rewritten them all.
fn remember_version(object: &mut Object) {
    let storage = storage_version(object).to_owned();
    let stored = object.at(&["status", "storedVersions"]).cloned().unwrap_or_else(|| json!([]));
    if !storage.is_empty() && texts(&stored).all(|version| version != storage) {
        let all: Vec<Value> = texts(&stored).map(Value::from).chain([storage.into()]).collect();
        object.set(&["status", "storedVersions"], all);
    }
}

fn warnings(definition: &Object) -> Vec<String> {
    let mut formats = BTreeSet::new();
    for version in versions(definition) {
        schema::formats(&version["schema"]["openAPIV3Schema"], &mut formats);
    }
    let unknown = formats.into_iter().filter(|format| !crate::schema::knows_format(format));
    let unserved = bad_authority(definition).filter(|_| !is_true(definition, "Established"));
    let unserved = unserved.map(|(_, why)| {
        format!("spec.conversion.webhook.clientConfig.caBundle: {why}; nothing is served until it is put right")
    });
    unknown.map(|format| format!("unrecognized format {format:?}")).chain(unserved).collect()
}

#[cfg(test)]
mod tests;
