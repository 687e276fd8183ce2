//! Binding a pod to a node: what a `Binding` does to the pod it names
//! (`pkg/registry/core/pod/storage`).

use serde_json::{Value, json};

use crate::object::Object;

/// Why a pod cannot be bound, in upstream's words. All are conflicts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The pod is being deleted.
    #[error("pod {pod} is being deleted, cannot be assigned to a host")]
    Deleting {
        /// The pod's name.
        pod: String,
    },
    /// The pod has a node already.
    #[error("pod {pod} is already assigned to node {node:?}")]
    Assigned {
        /// The pod's name.
        pod: String,
        /// Where it is.
        node: String,
    },
    /// The pod waits for its scheduling gates.
    #[error("pod {pod} has non-empty .spec.schedulingGates")]
    Gated {
        /// The pod's name.
        pod: String,
    },
    /// The binding names another pod of this name.
    #[error("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}")]
    Uid {
        /// What the binding names.
        wanted: String,
        /// What the pod has.
        found: String,
    },
}

/// Puts `pod` on the node that `binding` names, at `now` (RFC 3339): the node's name, the binding's
/// annotations, those of its labels that the pod has not, and the condition `PodScheduled`.
///
/// # Errors
/// If the pod is being deleted, has a node or a scheduling gate, or is not the one that was meant.
pub fn bind(pod: &mut Object, binding: &Object, now: &str) -> Result<(), BindError> {
    check(pod, binding)?;
    let node = binding.str_at(&["target", "name"]).to_owned();
    pod.set(&["spec", "nodeName"], node);
    for (key, value) in binding.annotations() {
        pod.set(&["metadata", "annotations", key], value);
    }
    for (key, value) in binding.labels() {
        if pod.at(&["metadata", "labels", key]).is_none() {
            pod.set(&["metadata", "labels", key], value);
        }
    }
    let mut conditions = match pod.remove(&["status", "conditions"]) {
        Some(Value::Array(conditions)) => conditions,
        _ => Vec::new(),
    };
    conditions.retain(|condition| condition["type"] != "PodScheduled");
    conditions.push(json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now,
    }));
    pod.set(&["status", "conditions"], conditions);
    Ok(())
}

fn check(pod: &Object, binding: &Object) -> Result<(), BindError> {
    let name = || pod.name().to_owned();
    let node = pod.str_at(&["spec", "nodeName"]);
    if !binding.uid().is_empty() && binding.uid() != pod.uid() {
        return Err(BindError::Uid { wanted: binding.uid().to_owned(), found: pod.uid().to_owned() });
    }
    if pod.deletion_timestamp().is_some() {
        return Err(BindError::Deleting { pod: name() });
    }
    if !node.is_empty() {
        return Err(BindError::Assigned { pod: name(), node: node.to_owned() });
    }
    let gates = pod.at(&["spec", "schedulingGates"]).and_then(Value::as_array);
    if gates.is_some_and(|gates| !gates.is_empty()) {
        return Err(BindError::Gated { pod: name() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::object;

    #[test]
    fn a_pod_is_bound_once() {
        let mut pod = object("{metadata: {name: p, uid: u, labels: {app: web}}, spec: {}, status: {phase: Pending}}");
        let binding = object(
            "{metadata: {name: p, uid: u, annotations: {a: b}, labels: {zone: z, app: other}},
            target: {kind: Node, name: n1}}",
        );
        bind(&mut pod, &binding, "2026-01-01T00:00:00Z").unwrap();
        assert_eq!(pod.str_at(&["spec", "nodeName"]), "n1");
        assert_eq!(pod.at(&["status", "conditions"]).unwrap()[0]["status"], "True");
        assert_eq!(pod.str_at(&["metadata", "annotations", "a"]), "b");
        assert_eq!(pod.at(&["metadata", "labels"]).unwrap(), &json!({"app": "web", "zone": "z"}));
        let error = bind(&mut pod, &binding, "2026-01-01T00:00:00Z").unwrap_err();
        assert_eq!(error.to_string(), "pod p is already assigned to node \"n1\"");
    }

    #[test]
    fn a_pod_that_cannot_be_bound_says_why() {
        let binding = object("{metadata: {name: p, uid: u}, target: {name: n1}}");
        for (pod, expected) in [
            (
                "{metadata: {name: p, uid: u, deletionTimestamp: '2026-01-01T00:00:00Z'}}",
                "pod p is being deleted, cannot be assigned to a host",
            ),
            (
                "{metadata: {name: p, uid: u}, spec: {schedulingGates: [{name: g}]}}",
                "pod p has non-empty .spec.schedulingGates",
            ),
            ("{metadata: {name: p, uid: v}}", "Precondition failed: UID in precondition: u, UID in object meta: v"),
        ] {
            let error = bind(&mut object(pod), &binding, "2026-01-01T00:00:00Z").unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
