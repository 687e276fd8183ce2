//! The Node object and its lease: what the node is, and that it lives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node as Object, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec,
    NodeStatus, NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time};
use serde_json::json;
use trimtab_client::{Api, Error, Patch};

use crate::node::Node;

/// Where leases of nodes are.
const LEASES: &str = "kube-node-lease";
/// How often the lease is renewed.
const RENEW: Duration = Duration::from_secs(10);
/// After how long without renewal the node counts as dead.
const LEASE_SECONDS: i32 = 40;
/// How often the status is written when nothing in it changed.
const REPORT: Duration = Duration::from_secs(300);
const RETRY: Duration = Duration::from_secs(1);
/// How long the runtime may take to list its images.
const PATIENCE: Duration = Duration::from_secs(5);
/// Upstream reports so many images, the largest.
const MAX_IMAGES: usize = 50;
/// The Kubernetes release that this node speaks, and that it is not upstream's kubelet.
const VERSION: &str = "v1.36.0+trimtab";

/// Registers the node, and keeps its status and lease fresh. Runs until it is dropped.
pub(crate) async fn run(node: Arc<Node>, port: Option<u16>) {
    let sleep = |duration| node.shared.env.sleep(duration);
    while let Err(error) = register(&node, port).await {
        tracing::debug!(node = %node.config.name, %error, "could not register the node");
        sleep(RETRY).await;
    }
    tokio::join!(report(&node, port), renew(&node));
}

async fn report(node: &Node, port: Option<u16>) {
    loop {
        drop(tokio::time::timeout(REPORT, node.health.changed()).await);
        while let Err(error) = write_status(node, port).await {
            tracing::warn!(node = %node.config.name, %error, "could not write the node's status");
            node.shared.env.sleep(RETRY).await;
        }
    }
}

async fn renew(node: &Node) {
    loop {
        let written = write_lease(node).await;
        if let Err(error) = &written {
            tracing::warn!(node = %node.config.name, %error, "could not renew the node's lease");
        }
        node.shared.env.sleep(if written.is_ok() { RENEW } else { RETRY }).await;
    }
}

/// Makes the Node, with its status, or takes over the one that is there: its labels and taints may be somebody's own
/// by now.
async fn register(node: &Node, port: Option<u16>) -> Result<(), Error> {
    let api = Api::<Object>::all(&node.shared.client);
    let object = Object {
        metadata: ObjectMeta {
            name: Some(node.config.name.clone()),
            labels: Some(labels(node)),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            taints: (!node.config.taints.is_empty()).then(|| node.config.taints.clone()),
            ..NodeSpec::default()
        }),
        status: Some(status(node, port, &[], images(node).await, node.shared.env.now())),
    };
    match api.create(&object).await {
        Err(error) if error.is_already_exists() => {}
        other => return other.map(drop),
    }
    let patch = Patch::Merge(json!({"metadata": {"labels": labels(node)}}));
    api.patch(&node.config.name, &patch).await?;
    write_status(node, port).await
}

fn labels(node: &Node) -> BTreeMap<String, String> {
    let (host, name) = (&node.host, &node.config.name);
    let own = [
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", &host.os),
        ("kubernetes.io/arch", &host.arch),
        ("beta.kubernetes.io/os", &host.os),
        ("beta.kubernetes.io/arch", &host.arch),
    ];
    let own = own.map(|(key, value)| (key.to_owned(), value.clone()));
    node.config.labels.clone().into_iter().chain(own).collect()
}

async fn write_status(node: &Node, port: Option<u16>) -> Result<(), Error> {
    let api = Api::<Object>::all(&node.shared.client);
    let old = match api.get_opt(&node.config.name).await? {
        Some(object) => object.status.and_then(|status| status.conditions).unwrap_or_default(),
        // Deleted behind our back: it registers again.
        None => return Box::pin(register(node, port)).await,
    };
    let status = status(node, port, &old, images(node).await, node.shared.env.now());
    api.patch_status(&node.config.name, &Patch::Merge(json!({"status": status}))).await.map(drop)
}

/// The largest images; nothing when the runtime does not tell, so that those told before stay.
async fn images(node: &Node) -> Option<Vec<ContainerImage>> {
    if node.health.trouble().is_some() {
        return None;
    }
    let images = tokio::time::timeout(PATIENCE, node.runtime().images()).await.ok();
    let mut images = images?.inspect_err(|error| tracing::warn!(%error, "could not list the images")).ok()?;
    images.sort_by_key(|image| std::cmp::Reverse(image.size));
    let images = images.into_iter().take(MAX_IMAGES).map(|image| ContainerImage {
        names: Some([image.digests, image.tags].concat()),
        size_bytes: i64::try_from(image.size).ok(),
    });
    Some(images.collect())
}

fn status(
    node: &Node,
    port: Option<u16>,
    old: &[NodeCondition],
    images: Option<Vec<ContainerImage>>,
    now: Timestamp,
) -> NodeStatus {
    let (host, version) = (&node.host, node.version());
    let amounts: BTreeMap<String, Quantity> = [
        ("cpu", host.cpus.to_string()),
        ("memory", format!("{}Ki", host.memory / 1024)),
        ("pods", node.config.max_pods.to_string()),
    ]
    .into_iter()
    .map(|(resource, amount)| (resource.to_owned(), Quantity(amount)))
    .collect();
    let address = |type_: &str, address: String| NodeAddress { type_: type_.to_owned(), address };
    NodeStatus {
        addresses: Some(vec![
            address("InternalIP", node.config.address.to_string()),
            address("Hostname", node.config.name.clone()),
        ]),
        allocatable: Some(amounts.clone()),
        capacity: Some(amounts),
        conditions: Some(conditions(node.health.trouble().as_deref(), old, now)),
        daemon_endpoints: port
            .map(|port| NodeDaemonEndpoints { kubelet_endpoint: Some(DaemonEndpoint { port: port.into() }) }),
        images,
        node_info: Some(NodeSystemInfo {
            architecture: host.arch.clone(),
            boot_id: read_line("/proc/sys/kernel/random/boot_id"),
            container_runtime_version: format!("{}://{}", version.name, version.version),
            kernel_version: host.kernel.clone(),
            kube_proxy_version: String::new(),
            kubelet_version: VERSION.to_owned(),
            machine_id: host.machine_id.clone(),
            operating_system: host.os.clone(),
            os_image: host.os_image.clone(),
            system_uuid: host.machine_id.clone(),
            ..NodeSystemInfo::default()
        }),
        ..NodeStatus::default()
    }
}

fn read_line(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The conditions; the time of the last transition is that of the last change of the status.
fn conditions(trouble: Option<&str>, old: &[NodeCondition], now: Timestamp) -> Vec<NodeCondition> {
    let ready = match trouble {
        None => ("Ready", "True", "KubeletReady", "kubelet is posting ready status".to_owned()),
        Some(why) => ("Ready", "False", "KubeletNotReady", why.to_owned()),
    };
    let fine = |type_, reason, message: &str| (type_, "False", reason, message.to_owned());
    let all = [
        fine("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        fine("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        fine("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ready,
    ];
    let condition = |(type_, status, reason, message): (&str, &str, &str, String)| {
        let same = old.iter().find(|condition| condition.type_ == type_ && condition.status == status);
        NodeCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_heartbeat_time: Some(Time(now)),
            last_transition_time: Some(same.and_then(|c| c.last_transition_time.clone()).unwrap_or(Time(now))),
        }
    };
    all.into_iter().map(condition).collect()
}

async fn write_lease(node: &Node) -> Result<(), Error> {
    let api = Api::<Lease>::namespaced(&node.shared.client, LEASES);
    let (name, now) = (&node.config.name, MicroTime(node.shared.env.now()));
    let renewal = Patch::Merge(json!({"spec": {"holderIdentity": name, "renewTime": now}}));
    match api.patch(name, &renewal).await {
        Err(error) if error.is_not_found() => {}
        other => return other.map(drop),
    }
    let lease = Lease {
        metadata: ObjectMeta { name: Some(name.clone()), namespace: Some(LEASES.to_owned()), ..ObjectMeta::default() },
        spec: Some(LeaseSpec {
            holder_identity: Some(name.clone()),
            lease_duration_seconds: Some(LEASE_SECONDS),
            renew_time: Some(now),
            ..LeaseSpec::default()
        }),
    };
    api.create(&lease).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_runtime_makes_the_node_unready_and_says_why() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let before = conditions(None, &[], at(1));
        let after = conditions(Some("the container runtime is down"), &before, at(9));
        let ready = after.iter().find(|condition| condition.type_ == "Ready").unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_deref()), ("False", Some("KubeletNotReady")));
        assert_eq!(ready.last_transition_time, Some(Time(at(9))));
        let memory = after.iter().find(|condition| condition.type_ == "MemoryPressure").unwrap();
        assert_eq!(
            (memory.last_transition_time.clone(), memory.last_heartbeat_time.clone()),
            (Some(Time(at(1))), Some(Time(at(9))))
        );
    }
}
