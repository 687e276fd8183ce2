//! What a node's agent may do: what concerns its node and the pods on it, and nothing of the others'
//! (<https://kubernetes.io/docs/reference/access-authn-authz/node/>).
//!
//! Whether a pod of the node refers to an object is looked up in the store when it is asked, so that
//! an answer is never behind; only pods whose bytes name both are read.

use std::sync::LazyLock;

use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::Value;
use trimtab_api::rbac::{Attributes, User, allows};
use trimtab_api::{ApiError, FieldSelector, Object};
use trimtab_store::{Page, Store};

use super::bootstrap;
use crate::read::read_error;
use crate::{encode, stored};

const ROLE: &str = "system:node";
const LEASES: &str = "kube-node-lease";

/// What every node may do besides, whatever has become of the role in the store.
pub(super) static RULES: LazyLock<Vec<PolicyRule>> = LazyLock::new(|| bootstrap::rules_of(ROLE));

/// Decides for the node called `name`; the text says why it may not.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn decide(
    store: &dyn Store,
    name: &str,
    asked: &Attributes<'_>,
    selector: Option<&FieldSelector>,
) -> Result<Result<(), String>, ApiError> {
    let node = Node { store, name };
    let Attributes::Resource { group, resource, .. } = *asked else { return Ok(by_rules(asked)) };
    match (group, resource) {
        ("", "secrets" | "configmaps") => node.reads_related(asked).await,
        ("", "persistentvolumeclaims") | ("resource.k8s.io", "resourceclaims") => node.gets_related(asked).await,
        ("", "persistentvolumes") => node.gets_volume(asked).await,
        ("", "serviceaccounts") => node.makes_token(asked).await,
        ("", "pods") => node.pods(asked, selector).await,
        ("", "nodes") => Ok(node.nodes(asked)),
        ("storage.k8s.io", "volumeattachments") => node.gets_attachment(asked).await,
        ("coordination.k8s.io", "leases") => Ok(node.leases(asked)),
        ("storage.k8s.io", "csinodes") => Ok(node.named_alike(asked, "CSINode")),
        _ => Ok(by_rules(asked)),
    }
}

/// The node whose agent `user` is.
pub(super) fn name_of(user: User<'_>) -> Option<&str> {
    let name = user.name.strip_prefix("system:node:")?;
    user.groups.iter().any(|group| group == "system:nodes").then_some(name)
}

/// Whether every node's agent may do this, whatever it concerns.
pub(super) fn by_rules(asked: &Attributes<'_>) -> Result<(), String> {
    if RULES.iter().any(|rule| allows(rule, asked)) { Ok(()) } else { Err(String::new()) }
}

fn no(why: impl Into<String>) -> Result<(), String> {
    Err(why.into())
}

type Decision = Result<Result<(), String>, ApiError>;

struct Node<'a> {
    store: &'a dyn Store,
    name: &'a str,
}

impl Node<'_> {
    fn unrelated(&self) -> Result<(), String> {
        no(format!("no relationship found between node '{}' and this object", self.name))
    }

    /// Objects that a pod may refer to: each by itself, by its name.
    async fn reads_related(&self, asked: &Attributes<'_>) -> Decision {
        let Attributes::Resource { verb, namespace, subresource, .. } = *asked else { return Ok(no("")) };
        if !matches!(verb, "get" | "list" | "watch") {
            return Ok(no("can only read resources of this type"));
        }
        if !subresource.is_empty() {
            return Ok(no("cannot read subresource"));
        }
        if namespace.is_empty() {
            return Ok(no("can only read namespaced object of this type"));
        }
        self.related(asked).await
    }

    async fn gets_related(&self, asked: &Attributes<'_>) -> Decision {
        let Attributes::Resource { verb, subresource, resource, .. } = *asked else { return Ok(no("")) };
        let writes_status = resource == "persistentvolumeclaims" && subresource == "status";
        match verb {
            "update" | "patch" if writes_status => {}
            "get" if subresource.is_empty() || writes_status => {}
            "get" => return Ok(no("cannot get subresource")),
            _ => return Ok(no("can only get individual resources of this type")),
        }
        self.related(asked).await
    }

    async fn makes_token(&self, asked: &Attributes<'_>) -> Decision {
        let Attributes::Resource { verb, subresource, .. } = *asked else { return Ok(no("")) };
        if verb != "create" || subresource != "token" {
            return Ok(no("can only create tokens for individual service accounts"));
        }
        self.related(asked).await
    }

    async fn related(&self, asked: &Attributes<'_>) -> Decision {
        let Attributes::Resource { namespace, resource, name, .. } = *asked else { return Ok(no("")) };
        if name.is_empty() {
            return Ok(no("No Object name found"));
        }
        let related = self.refers(namespace, resource, name).await?;
        Ok(if related { Ok(()) } else { self.unrelated() })
    }

    /// Whether a pod of this node, in `namespace`, refers to the object.
    async fn refers(&self, namespace: &str, resource: &str, name: &str) -> Result<bool, ApiError> {
        let prefix = encode::registry(&format!("pods/{namespace}/"));
        let page = self.store.list(&prefix, Page::default()).await.map_err(read_error)?;
        let (node, named) = (format!("\"nodeName\":\"{}\"", self.name), format!("\"{name}\""));
        let mut pods = page.entries.iter().filter(|entry| {
            let contains = |text: &str| memchr::memmem::find(&entry.value, text.as_bytes()).is_some();
            // A claim may be made for the pod and called after it.
            let names = resource == "persistentvolumeclaims" || contains(&named);
            names && contains(&node)
        });
        Ok(pods.any(|entry| {
            let pod = encode::stored_object(entry);
            pod.str_at(&["spec", "nodeName"]) == self.name && refers(&pod, resource, name)
        }))
    }

    async fn find(&self, path: &str) -> Result<Option<Object>, ApiError> {
        stored::at(self.store, path).await
    }

    async fn gets_volume(&self, asked: &Attributes<'_>) -> Decision {
        let Attributes::Resource { verb, subresource, name, .. } = *asked else { return Ok(no("")) };
        if verb != "get" || !subresource.is_empty() {
            return Ok(no("can only get individual resources of this type"));
        }
        let Some(volume) = self.find(&format!("persistentvolumes/{name}")).await? else { return Ok(self.unrelated()) };
        let claim = |field| volume.str_at(&["spec", "claimRef", field]);
        let related = self.refers(claim("namespace"), "persistentvolumeclaims", claim("name")).await?;
        Ok(if related { Ok(()) } else { self.unrelated() })
    }

    async fn gets_attachment(&self, asked: &Attributes<'_>) -> Decision {
        let Attributes::Resource { verb, subresource, name, .. } = *asked else { return Ok(no("")) };
        if verb != "get" || !subresource.is_empty() {
            return Ok(no("can only get individual resources of this type"));
        }
        let found = self.find(&format!("storage.k8s.io/volumeattachments/{name}")).await?;
        let is_own = found.is_some_and(|attachment| attachment.str_at(&["spec", "nodeName"]) == self.name);
        Ok(if is_own { Ok(()) } else { self.unrelated() })
    }

    /// Its own pods. What it makes, deletes and says of them is looked at by admission.
    async fn pods(&self, asked: &Attributes<'_>, selector: Option<&FieldSelector>) -> Decision {
        let Attributes::Resource { verb, namespace, subresource, name, .. } = *asked else { return Ok(no("")) };
        match (verb, subresource) {
            ("get", "") => {
                let found = self.find(&format!("pods/{namespace}/{name}")).await?;
                let is_own = found.is_some_and(|pod| pod.str_at(&["spec", "nodeName"]) == self.name);
                Ok(if is_own { Ok(()) } else { self.unrelated() })
            }
            ("list" | "watch", "") => {
                let own = selector.and_then(|selector| selector.exact("spec.nodeName")) == Some(self.name);
                Ok(if own { Ok(()) } else { no("can only list/watch pods with spec.nodeName field selector") })
            }
            _ => Ok(by_rules(asked)),
        }
    }

    fn nodes(&self, asked: &Attributes<'_>) -> Result<(), String> {
        let Attributes::Resource { verb, name, .. } = *asked else { return no("") };
        let own = self.name;
        match (verb, name) {
            ("get" | "list" | "watch", "") => {
                no(format!("node {own:?} cannot read all nodes, only its own Node object"))
            }
            ("get" | "list" | "watch", other) if other != own => {
                no(format!("node {own:?} cannot read {other:?}, only its own Node object"))
            }
            _ => by_rules(asked),
        }
    }

    fn leases(&self, asked: &Attributes<'_>) -> Result<(), String> {
        let Attributes::Resource { verb, namespace, name, .. } = *asked else { return no("") };
        if !matches!(verb, "get" | "create" | "update" | "patch" | "delete") {
            return no("can only get, create, update, patch, or delete a node lease");
        }
        if namespace != LEASES {
            return no(format!("can only access leases in the {LEASES:?} system namespace"));
        }
        // The name of a new one is looked at by admission.
        if verb != "create" && name != self.name {
            return no("can only access node lease with the same name as the requesting node");
        }
        Ok(())
    }

    fn named_alike(&self, asked: &Attributes<'_>, kind: &str) -> Result<(), String> {
        let Attributes::Resource { verb, name, .. } = *asked else { return no("") };
        if verb != "create" && name != self.name {
            return no(format!("can only access {kind} with the same name as the requesting node"));
        }
        by_rules(asked)
    }
}

/// Whether `pod` refers to the object of its namespace.
pub(super) fn refers(pod: &Object, resource: &str, name: &str) -> bool {
    let list = |field: &str| pod.at(&["spec", field]).and_then(Value::as_array).into_iter().flatten();
    let is = |value: &Value| value == name;
    let is_mirror = pod.at(&["metadata", "annotations", "kubernetes.io/config.mirror"]).is_some();
    let containers = || ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(list);
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let projected = |source: &str, field: &str| {
        list("volumes").any(|volume| {
            items(&volume["projected"]["sources"]).iter().any(|projection| projection[source][field] == name)
        })
    };
    match resource {
        // Whoever writes a file on the node gets no more by it.
        _ if is_mirror => false,
        "serviceaccounts" => is(pod.at(&["spec", "serviceAccountName"]).unwrap_or(&Value::Null)),
        "configmaps" => {
            list("volumes").any(|volume| is(&volume["configMap"]["name"]))
                || projected("configMap", "name")
                || containers().any(|container| {
                    items(&container["envFrom"]).iter().any(|from| is(&from["configMapRef"]["name"]))
                        || items(&container["env"]).iter().any(|v| is(&v["valueFrom"]["configMapKeyRef"]["name"]))
                })
        }
        "secrets" => {
            list("imagePullSecrets").any(|secret| is(&secret["name"]))
                || list("volumes").any(|volume| secret_of(volume) == Some(name))
                || projected("secret", "name")
                || containers().any(|container| {
                    items(&container["envFrom"]).iter().any(|from| is(&from["secretRef"]["name"]))
                        || items(&container["env"]).iter().any(|v| is(&v["valueFrom"]["secretKeyRef"]["name"]))
                })
        }
        "persistentvolumeclaims" => list("volumes").any(|volume| {
            let generic = || format!("{}-{}", pod.name(), volume["name"].as_str().unwrap_or_default());
            is(&volume["persistentVolumeClaim"]["claimName"])
                || (volume.get("ephemeral").is_some() && generic() == name)
        }),
        "resourceclaims" => {
            let statuses = pod.at(&["status", "resourceClaimStatuses"]).and_then(Value::as_array);
            list("resourceClaims").any(|claim| is(&claim["resourceClaimName"]))
                || statuses.into_iter().flatten().any(|status| is(&status["resourceClaimName"]))
        }
        _ => false,
    }
}

/// The secret that a volume needs, by whichever kind of volume it is.
fn secret_of(volume: &Value) -> Option<&str> {
    let sources = volume.as_object()?.iter().filter(|(key, _)| *key != "name").map(|(_, source)| source);
    sources.filter(|source| source.is_object()).find_map(|source| {
        let named = source["secretName"].as_str();
        let referred =
            ["secretRef", "nodePublishSecretRef"].into_iter().find_map(|field| source[field]["name"].as_str());
        named.or(referred)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pod_refers_to() {
        let pod: Object = serde_yaml::from_str(
            "{metadata: {name: p}, spec: {serviceAccountName: robot, imagePullSecrets: [{name: pull}],
              resourceClaims: [{name: c, resourceClaimName: gpu}],
              volumes: [{name: a, secret: {secretName: vol}}, {name: b, configMap: {name: conf}}, {name: e, ephemeral: {}},
                {name: c, projected: {sources: [{secret: {name: psec}}, {configMap: {name: pconf}}]}},
                {name: d, persistentVolumeClaim: {claimName: disk}}, {name: f, csi: {nodePublishSecretRef: {name: csi}}}],
              initContainers: [{envFrom: [{secretRef: {name: esec}}, {configMapRef: {name: econf}}]}],
              containers: [{env: [{valueFrom: {secretKeyRef: {name: ksec}}}, {valueFrom: {configMapKeyRef: {name: kconf}}}]}]}}",
        )
        .unwrap();
        for (resource, names) in [
            ("secrets", &["pull", "vol", "psec", "csi", "esec", "ksec"][..]),
            ("configmaps", &["conf", "pconf", "econf", "kconf"]),
            ("serviceaccounts", &["robot"]),
            ("persistentvolumeclaims", &["disk", "p-e"]),
            ("resourceclaims", &["gpu"]),
        ] {
            for name in names {
                assert!(refers(&pod, resource, name), "{resource} {name}");
            }
            assert!(!refers(&pod, resource, "a") && !refers(&pod, resource, "other"), "{resource}");
        }
    }
}
