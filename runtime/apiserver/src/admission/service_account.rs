//! What a new pod gets from its service account: the files it shows itself to the API with, and the
//! credentials for its images (`plugin/pkg/admission/serviceaccount`).

use std::time::Duration;

use futures::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use trimtab_api::{ApiError, Object};
use trimtab_store::Entry;

use super::{Attributes, Verb};
use crate::encode;
use crate::read::read_error;
use crate::server::ApiServer;

const DEFAULT: &str = "default";
/// Where a pod names its account; the second is the older name of the first.
const NAMES: [&str; 2] = ["serviceAccountName", "serviceAccount"];
/// A pod that the kubelet runs from a file of its own.
const MIRROR: &str = "kubernetes.io/config.mirror";
const ENFORCED: &str = "kubernetes.io/enforce-mountable-secrets";
/// Where client libraries look.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const VOLUME_PREFIX: &str = "kube-api-access-";
/// The ConfigMap with the authority of the API's certificate, in every namespace.
const ROOT_CA: &str = "kube-root-ca.crt";
/// How long a token is asked for, in seconds.
const TOKEN_SECONDS: i64 = 3607;
const SUFFIX: usize = 5;
/// How long a pod waits for the account that every namespace is given.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Of a service account, what its pods depend on.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    #[serde(default)]
    metadata: Metadata,
    automount_service_account_token: Option<bool>,
    image_pull_secrets: Option<Vec<Named>>,
    secrets: Option<Vec<Named>>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    annotations: Option<serde_json::Map<String, Value>>,
}

#[derive(Debug, Default, Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

/// Gives `pod` what it gets, if `write` makes a pod.
///
/// # Errors
/// 403 when there is no such service account, or it may not use a secret.
pub(super) async fn admit(server: &ApiServer, write: &Attributes<'_>, pod: &mut Object) -> Result<(), ApiError> {
    let kind = &write.call.kind;
    let makes_a_pod = write.verb == Verb::Create && kind.group.is_empty() && kind.plural == "pods";
    if server.inner.tokens.is_none() || !makes_a_pod || !write.call.path.subresource.is_empty() {
        return Ok(());
    }
    if pod.at(&["metadata", "annotations", MIRROR]).is_some() {
        return Ok(());
    }
    let named = NAMES.map(|field| pod.str_at(&["spec", field]).to_owned());
    let named = named.into_iter().find(|name| !name.is_empty());
    let given = if named.is_none() { &NAMES[..] } else { &NAMES[..1] };
    let name = named.unwrap_or_else(|| DEFAULT.to_owned());
    let namespace = write.call.path.namespace;
    let Some(account) = find(server, namespace, &name).await? else {
        let detail = format!("error looking up service account {namespace}/{name}: serviceaccount {name:?} not found");
        return Err(ApiError::forbidden(kind, write.name, detail));
    };
    for field in given {
        pod.set(&["spec", field], name.as_str());
    }
    let own = pod.at(&["spec", "automountServiceAccountToken"]).and_then(Value::as_bool);
    if own.or(account.automount_service_account_token).unwrap_or(true) {
        mount(pod, || server.inner.env.name_suffix(SUFFIX));
    }
    if pod.at(&["spec", "imagePullSecrets"]).and_then(Value::as_array).is_none_or(Vec::is_empty)
        && let Some(secrets) = &account.image_pull_secrets
    {
        let secrets: Vec<Value> = secrets.iter().map(|secret| json!({"name": secret.name})).collect();
        if !secrets.is_empty() {
            pod.set(&["spec", "imagePullSecrets"], secrets);
        }
    }
    limit(&account, &name, pod).map_err(|detail| ApiError::forbidden(kind, write.name, detail))
}

/// The account; the one that every namespace is given is waited for, for a namespace that is new.
async fn find(server: &ApiServer, namespace: &str, name: &str) -> Result<Option<Account>, ApiError> {
    let store = &server.inner.store;
    let key = encode::registry(&format!("serviceaccounts/{namespace}/{name}"));
    let revision = store.revision();
    let mut found = store.get(&key).await.map_err(read_error)?;
    if found.is_none() && name == DEFAULT {
        let made = async {
            let mut watch = store.watch(&key, revision).await.ok()?;
            while let Some(Ok(events)) = watch.next().await {
                let made = events.into_iter().rev().find(|event| event.key() == key);
                if let Some(entry) = made.and_then(|event| event.entry) {
                    return Some(entry);
                }
            }
            None
        };
        tokio::select! {
            biased;
            made = made => found = made,
            () = server.inner.env.sleep(PATIENCE) => {}
        }
    }
    Ok(found.map(|entry| read(&entry)))
}

fn read(entry: &Entry) -> Account {
    serde_json::from_slice(&entry.value).unwrap_or_else(|error| {
        tracing::error!(key = &*entry.key, %error, "a service account cannot be read");
        Account::default()
    })
}

/// Mounts the volume of the token into every container that has nothing there.
fn mount(pod: &mut Object, suffix: impl FnOnce() -> String) {
    let volumes = pod.at(&["spec", "volumes"]).and_then(Value::as_array);
    let known = volumes.into_iter().flatten().filter_map(|volume| volume["name"].as_str());
    let known = known.into_iter().find(|name| name.starts_with(VOLUME_PREFIX)).map(str::to_owned);
    let is_there = known.is_some();
    let name = known.unwrap_or_else(|| format!("{VOLUME_PREFIX}{}", suffix()));
    let mut needed = false;
    for list in ["initContainers", "containers"] {
        let Some(containers) = pod.0.get_mut("spec").and_then(|spec| spec.get_mut(list)).and_then(Value::as_array_mut)
        else {
            continue;
        };
        for container in containers.iter_mut().filter_map(Value::as_object_mut) {
            let mounts = container.entry("volumeMounts").or_insert(Value::Null);
            if mounts.is_null() {
                *mounts = json!([]);
            }
            let Some(mounts) = mounts.as_array_mut() else { continue };
            if mounts.iter().all(|mount| mount["mountPath"] != MOUNT_PATH) {
                mounts.push(json!({"name": name, "readOnly": true, "mountPath": MOUNT_PATH}));
                needed = true;
            }
        }
    }
    if is_there || !needed {
        return;
    }
    let mut volumes = pod.at(&["spec", "volumes"]).and_then(Value::as_array).cloned().unwrap_or_default();
    volumes.push(json!({"name": name, "projected": {"defaultMode": 0o644, "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace",
            "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]}}));
    pod.set(&["spec", "volumes"], volumes);
}

/// Whether the pod keeps to the secrets of its account, where the account says that it must.
fn limit(account: &Account, name: &str, pod: &Object) -> Result<(), String> {
    let annotations = account.metadata.annotations.as_ref();
    let enforced = annotations.and_then(|all| all.get(ENFORCED)).and_then(Value::as_str);
    if !matches!(enforced, Some("1" | "t" | "T" | "true" | "TRUE" | "True")) {
        return Ok(());
    }
    let names =
        |list: &Option<Vec<Named>>| -> Vec<String> { list.iter().flatten().map(|named| named.name.clone()).collect() };
    let (mountable, pullable) = (names(&account.secrets), names(&account.image_pull_secrets));
    let refused = |what: String, secret: &str, mountable: &[String]| {
        if mountable.iter().any(|known| known == secret) {
            return Ok(());
        }
        Err(format!("{what} is not allowed because service account {name} does not reference that secret"))
    };
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    for volume in list(pod.at(&["spec", "volumes"])) {
        if let Some(secret) = volume["secret"]["secretName"].as_str() {
            refused(format!("volume with secret.secretName={secret:?}"), secret, &mountable)?;
        }
    }
    for (field, what) in [("initContainers", "init container"), ("containers", "container")] {
        for container in list(pod.at(&["spec", field])) {
            let of = container["name"].as_str().unwrap_or_default();
            for variable in list(container.get("env")) {
                if let Some(secret) = variable["valueFrom"]["secretKeyRef"]["name"].as_str() {
                    let env = variable["name"].as_str().unwrap_or_default();
                    let told = format!("{what} {of} with envVar {env} referencing secret.secretName={secret:?}");
                    refused(told, secret, &mountable)?;
                }
            }
            for from in list(container.get("envFrom")) {
                if let Some(secret) = from["secretRef"]["name"].as_str() {
                    let told = format!("{what} {of} with envFrom referencing secret.secretName={secret:?}");
                    refused(told, secret, &mountable)?;
                }
            }
        }
    }
    for (index, secret) in list(pod.at(&["spec", "imagePullSecrets"])).iter().enumerate() {
        let secret = secret["name"].as_str().unwrap_or_default();
        if !pullable.iter().any(|known| known == secret) {
            return Err(format!(
                "imagePullSecrets[{index}].name={secret:?} is not allowed because service account {name} does not reference that imagePullSecret"
            ));
        }
    }
    Ok(())
}
