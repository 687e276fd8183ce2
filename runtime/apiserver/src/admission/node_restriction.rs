//! What a node's agent may write: its own Node, what its pods have come to, and tokens for them
//! (`plugin/pkg/admission/noderestriction`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use trimtab_api::kinds::signing_request::{KUBELET_CLIENT, KUBELET_SERVING, Request};
use trimtab_api::{ApiError, Object};

use super::{Attributes, Verb};
use crate::server::ApiServer;
use crate::stored;

const MIRROR: &str = "kubernetes.io/config.mirror";
const LEASES: &str = "kube-node-lease";
/// Labels of Kubernetes' own that agents set.
const LABELS: [&str; 11] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
/// Below these, agents set what they like.
const LABEL_DOMAINS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/// Looks at a write of a node's agent. `object` is absent from a delete.
///
/// # Errors
/// 403 when it is not the node's to write.
pub(super) async fn check(server: &ApiServer, write: &Attributes<'_>, object: Option<&Object>) -> Result<(), ApiError> {
    let Some(node) = write.call.identity.node_name() else { return Ok(()) };
    let guard = Guard { server, write, node };
    let kind = &write.call.kind;
    let found = match (&*kind.group, &*kind.plural, write.call.path.subresource) {
        ("", "pods", "") => guard.pod(object),
        ("", "pods", "status") => guard.pod_status(object),
        ("", "pods", "eviction") => guard.eviction().await?,
        ("", "nodes", _) => guard.node(object),
        ("", "serviceaccounts", "token") => guard.token(object).await?,
        ("coordination.k8s.io", "leases", _) => guard.lease(),
        ("storage.k8s.io", "csinodes", _) => guard.named_alike("CSINode"),
        ("certificates.k8s.io", "certificatesigningrequests", "") => guard.request(object),
        _ => Ok(()),
    };
    found.map_err(|detail| ApiError::forbidden(kind, write.name, detail))
}

struct Guard<'a> {
    server: &'a ApiServer,
    write: &'a Attributes<'a>,
    node: &'a str,
}

type Found = Result<(), String>;

fn node_of(pod: &Object) -> &str {
    pod.str_at(&["spec", "nodeName"])
}

impl Guard<'_> {
    fn pod(&self, object: Option<&Object>) -> Found {
        let node = self.node;
        match (self.write.verb, object, self.write.old) {
            (Verb::Create, Some(pod), _) => self.mirror(pod),
            (Verb::Delete, _, Some(old)) if node_of(old) != node => {
                Err(format!("node {node:?} can only delete pods with spec.nodeName set to itself"))
            }
            (Verb::Delete, ..) => Ok(()),
            (verb, ..) => Err(format!(
                "unexpected operation {:?}, node {node:?} can only create and delete mirror pods",
                verb.name()
            )),
        }
    }

    fn mirror(&self, pod: &Object) -> Found {
        let node = self.node;
        if pod.at(&["metadata", "annotations", MIRROR]).is_none() {
            return Err(format!("pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"));
        }
        if node_of(pod) != node {
            return Err(format!("node {node:?} can only create pods with spec.nodeName set to itself"));
        }
        let owners = pod.at(&["metadata", "ownerReferences"]).and_then(Value::as_array);
        let is_ours = |owner: &Value| {
            owner["apiVersion"] == "v1"
                && owner["kind"] == "Node"
                && owner["name"] == node
                && owner["controller"] == true
        };
        match owners.map(Vec::as_slice) {
            Some([owner]) if is_ours(owner) => {}
            _ => return Err(format!("node {node:?} can only create pods with an owner reference set to itself")),
        }
        // What it refers to, the node could read.
        let text = serde_json::to_string(&pod.0.get("spec")).unwrap_or_default();
        let fields = [
            ("\"secretName\"", "secrets"),
            ("\"secretRef\"", "secrets"),
            ("\"secretKeyRef\"", "secrets"),
            ("\"configMap\"", "configmaps"),
            ("\"configMapRef\"", "configmaps"),
            ("\"configMapKeyRef\"", "configmaps"),
            ("\"serviceAccountToken\"", "service accounts"),
            ("\"persistentVolumeClaim\"", "persistentvolumeclaims"),
            ("\"resourceClaims\"", "resourceclaims"),
        ];
        match fields.iter().find(|(field, _)| text.contains(field)) {
            Some((_, what)) => Err(format!("node {node:?} can not create pods that reference {what}")),
            None => Ok(()),
        }
    }

    fn pod_status(&self, object: Option<&Object>) -> Found {
        let node = self.node;
        let (Some(new), Some(old)) = (object, self.write.old) else { return Ok(()) };
        if node_of(old) != node {
            return Err(format!("node {node:?} can only update pod status for pods with spec.nodeName set to itself"));
        }
        if labels(old) != labels(new) {
            return Err(format!("node {node:?} cannot update labels through pod status"));
        }
        Ok(())
    }

    async fn eviction(&self) -> Result<Found, ApiError> {
        let found = self.stored_pod(self.write.name).await?;
        let node = self.node;
        Ok(match found {
            Some(pod) if node_of(&pod) != node => {
                Err(format!("node {node:?} can only evict pods with spec.nodeName set to itself"))
            }
            _ => Ok(()),
        })
    }

    async fn stored_pod(&self, name: &str) -> Result<Option<Object>, ApiError> {
        stored::at(&*self.server.inner.store, &format!("pods/{}/{name}", self.write.call.path.namespace)).await
    }

    fn node(&self, object: Option<&Object>) -> Found {
        let (node, name) = (self.node, self.write.name);
        if name != node {
            return Err(format!("node {node:?} is not allowed to modify node {name:?}"));
        }
        let Some(new) = object else { return Ok(()) };
        match (self.write.verb, self.write.old) {
            (Verb::Create, _) => {
                let forbidden = forbidden(&BTreeMap::new(), &labels(new));
                if forbidden.is_empty() {
                    Ok(())
                } else {
                    Err(format!("node {node:?} is not allowed to set the following labels: {}", forbidden.join(", ")))
                }
            }
            (_, Some(old)) => {
                let same = |path: &[&str]| old.at(path).unwrap_or(&Value::Null) == new.at(path).unwrap_or(&Value::Null);
                if !same(&["spec", "taints"]) {
                    return Err(format!("node {node:?} is not allowed to modify taints"));
                }
                if !same(&["metadata", "ownerReferences"]) {
                    return Err(format!("node {node:?} is not allowed to modify ownerReferences"));
                }
                let forbidden = forbidden(&labels(old), &labels(new));
                if forbidden.is_empty() {
                    Ok(())
                } else {
                    Err(format!("is not allowed to modify labels: {}", forbidden.join(", ")))
                }
            }
            _ => Ok(()),
        }
    }

    async fn token(&self, object: Option<&Object>) -> Result<Found, ApiError> {
        let Some(request) = object else { return Ok(Ok(())) };
        let bound = |field| request.str_at(&["spec", "boundObjectRef", field]);
        if bound("apiVersion") != "v1" || bound("kind") != "Pod" || bound("name").is_empty() {
            return Ok(Err("node requested token not bound to a pod".to_owned()));
        }
        if bound("uid").is_empty() {
            return Ok(Err("node requested token with a pod binding without a uid".to_owned()));
        }
        // That it is not there, or another, is told by the token itself.
        let Some(pod) = self.stored_pod(bound("name")).await? else { return Ok(Ok(())) };
        if node_of(&pod) != self.node {
            return Ok(Err("node requested token bound to a pod scheduled on a different node".to_owned()));
        }
        let asked = request.at(&["spec", "audiences"]).and_then(Value::as_array).cloned().unwrap_or_default();
        let known = audiences(&pod);
        let default = self.server.inner.tokens.as_ref().map(crate::auth::token::Tokens::audiences).unwrap_or_default();
        for audience in asked.iter().filter_map(Value::as_str) {
            let is_default = default.iter().any(|own| own == audience) && known.iter().any(String::is_empty);
            if !is_default && !known.iter().any(|own| own == audience) {
                return Ok(Err(format!("audience {audience:?} not found in pod spec volume")));
            }
        }
        Ok(Ok(()))
    }

    fn lease(&self) -> Found {
        if self.write.call.path.namespace != LEASES {
            return Err(format!("can only access leases in the {LEASES:?} system namespace"));
        }
        self.named_alike("node lease")
    }

    fn named_alike(&self, what: &str) -> Found {
        if self.write.name == self.node {
            return Ok(());
        }
        Err(format!("can only access {what} with the same name as the requesting node"))
    }

    /// A node asks for certificates of its own name alone.
    fn request(&self, object: Option<&Object>) -> Found {
        let (Verb::Create, Some(object)) = (self.write.verb, object) else { return Ok(()) };
        let signer = object.str_at(&["spec", "signerName"]);
        if ![KUBELET_CLIENT, KUBELET_SERVING].contains(&signer) {
            return Ok(());
        }
        let pem = object.at(&["spec", "request"]).cloned().unwrap_or_default();
        let pem: k8s_openapi::ByteString = serde_json::from_value(pem).map_err(|error| error.to_string())?;
        let name = format!("system:node:{}", self.node);
        if Request::parse(&pem.0)?.common_name == name {
            return Ok(());
        }
        Err(format!("can only create a node CSR with CN={name}"))
    }
}

fn labels(object: &Object) -> BTreeMap<String, String> {
    object.labels().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Which labels of Kubernetes' own differ that are not for the agent to set.
fn forbidden(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
    changed.filter(|key| !is_agents(key)).cloned().collect()
}

fn is_agents(label: &str) -> bool {
    let Some((domain, _)) = label.split_once('/') else { return true };
    let is_in = |parent: &str| domain == parent || domain.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'));
    // Kept for administrators, who so keep pods off nodes that are not theirs.
    if is_in("node-restriction.kubernetes.io") {
        return false;
    }
    if !is_in("kubernetes.io") && !is_in("k8s.io") {
        return true;
    }
    LABELS.contains(&label) || LABEL_DOMAINS.into_iter().any(is_in)
}

/// For whom the pod's volumes hold tokens; `""` stands for the API server.
fn audiences(pod: &Object) -> Vec<String> {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let volumes = list(pod.at(&["spec", "volumes"]));
    let sources = volumes.iter().flat_map(|volume| list(volume["projected"].get("sources")));
    let tokens = sources.filter_map(|source| source.get("serviceAccountToken").and_then(Value::as_object).cloned());
    tokens
        .map(|token: Map<String, Value>| token.get("audience").and_then(Value::as_str).unwrap_or_default().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_labels_an_agent_sets() {
        for own in [
            "a",
            "demo.io/a",
            "kubernetes.io/hostname",
            "node.kubernetes.io/x",
            "x.kubelet.kubernetes.io/y",
            "notkubernetes.io/a",
        ] {
            assert!(is_agents(own), "{own}");
        }
        for other in [
            "kubernetes.io/x",
            "a.kubernetes.io/x",
            "k8s.io/x",
            "node-restriction.kubernetes.io/x",
            "x.node-restriction.kubernetes.io/y",
            "node-role.kubernetes.io/master",
        ] {
            assert!(!is_agents(other), "{other}");
        }
    }
}
