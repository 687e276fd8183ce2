//! The program as a Deployment or the like, and the Service of its webhook.

use serde_json::{Value, json};

use super::{labels, namespace};
use crate::arguments::{Manifests, Rbac, Workload};
use crate::operator::Operator;

const METRICS: u16 = 8080;
const WEBHOOK: u16 = 9443;
/// Where the webhook's certificate is mounted.
const CERTIFICATE: &str = "/etc/webhook";

/// The workload, after the Service if there is one.
pub(super) fn all(operator: &Operator, args: &Manifests, rbac: &Rbac, converts: bool) -> Vec<Value> {
    let (name, namespace, labels) = (operator.name, namespace(operator, rbac), labels(operator));
    let mut arguments =
        vec!["run".to_owned(), "--leader-elect".to_owned(), format!("--metrics-bind-address=:{METRICS}")];
    arguments.extend(rbac.namespaces.iter().map(|namespace| format!("--namespace={namespace}")));
    let mut ports = vec![json!({"name": "http", "containerPort": METRICS})];
    if rbac.install_crds {
        arguments.push("--install-crds".to_owned());
    }
    if converts {
        arguments.push(format!("--webhook-service={namespace}/{name}"));
        ports.push(json!({"name": "webhook", "containerPort": WEBHOOK}));
    }
    let certificate = args.webhook_cert_secret.as_ref().filter(|_| converts);
    if certificate.is_some() {
        arguments.push(format!("--webhook-cert-dir={CERTIFICATE}"));
    }
    let metadata = json!({"name": name, "namespace": namespace, "labels": labels});
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "http"}, "periodSeconds": 10});
    let mut container = json!({
        "name": "operator",
        "image": args.image,
        "args": arguments,
        "ports": ports,
        "livenessProbe": probe("/livez"),
        "readinessProbe": probe("/readyz"),
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
    });
    if certificate.is_some() {
        container["volumeMounts"] = json!([{"name": "certificate", "mountPath": CERTIFICATE, "readOnly": true}]);
    }
    let (api_version, kind, selector) = match args.workload {
        Workload::Deployment => ("apps/v1", "Deployment", json!({"matchLabels": labels})),
        Workload::ReplicationController => ("v1", "ReplicationController", json!(labels)),
    };
    let mut workload = json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": metadata,
        "spec": {
            "replicas": args.replicas,
            "selector": selector,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": name,
                    "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [container],
                },
            },
        },
    });
    let spec = &mut workload["spec"];
    match certificate {
        Some(secret) => {
            let volume = json!({"name": "certificate", "secret": {"secretName": secret}});
            spec["template"]["spec"]["volumes"] = json!([volume]);
        }
        // Of two with certificates of their own the API server would trust one.
        None if converts && args.workload == Workload::Deployment => spec["strategy"] = json!({"type": "Recreate"}),
        None => {}
    }
    let service = converts.then(|| {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"name": "webhook", "port": 443, "targetPort": "webhook"}]},
        })
    });
    service.into_iter().chain([workload]).collect()
}
