//! Tells of objects that name an owner in vain: nothing owns from within another namespace
//! (<https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/>).

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use trimtab_env::HashSet;
use trimtab_reconcile::{EventType, Recorder};

use super::graph::Node;

const REASON: &str = "OwnerRefInvalidNamespace";

/// What is told, once of each object.
pub(super) struct Warnings {
    recorder: Recorder,
    told: HashSet<String>,
}

impl Warnings {
    pub(super) fn new(recorder: Recorder) -> Self {
        Self { recorder, told: HashSet::default() }
    }

    /// Tells that `node` names `owner`, which cannot own it.
    pub(super) fn tell(&mut self, node: &Node, owner: &OwnerReference) {
        if !self.told.insert(node.meta.uid.clone()) {
            return;
        }
        let OwnerReference { api_version, kind, name, uid, .. } = owner;
        let namespace = &node.meta.namespace;
        let message = format!(
            "ownerRef [{api_version}/{kind}, namespace: {namespace}, name: {name}, uid: {uid}] does not exist in namespace {namespace:?}"
        );
        self.recorder.event_about(about(node), EventType::Warning, REASON, message);
    }

    /// The object with this uid is gone.
    pub(super) fn forget(&mut self, uid: &str) {
        self.told.remove(uid);
    }
}

fn about(node: &Node) -> ObjectReference {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    ObjectReference {
        api_version: Some(node.resource.api_version()),
        kind: Some(node.resource.kind.to_string()),
        name: some(&node.meta.name),
        namespace: some(&node.meta.namespace),
        uid: some(&node.meta.uid),
        resource_version: some(&node.meta.resource_version),
        field_path: None,
    }
}
