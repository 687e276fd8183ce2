//! The pods behind a Service, and where each listens. Endpoints and EndpointSlices are two ways to
//! write down what is found here.

use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use trimtab_api::kinds::pod_is_ready;
use trimtab_api::{ObjectRef, Selector};
use trimtab_reconcile::Cache;

/// One port of a Service, as one pod serves it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Port {
    /// The Service's name of the port; `""` for an only port without one.
    pub(crate) name: String,
    /// The number in the pod.
    pub(crate) number: i32,
    /// `TCP`, `UDP` or `SCTP`.
    pub(crate) protocol: String,
    /// The protocol above it, such as `kubernetes.io/h2c`.
    pub(crate) app_protocol: Option<String>,
}

/// A pod that a Service selects and that has an address.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Backend {
    /// The pod's address.
    pub(crate) ip: String,
    /// The ports of the Service that this pod serves, in order.
    pub(crate) ports: Vec<Port>,
    /// Whether the pod's `Ready` condition holds.
    pub(crate) serving: bool,
    /// Whether the pod is being deleted.
    pub(crate) terminating: bool,
    /// The node it runs on.
    pub(crate) node: Option<String>,
    /// Its name in the Service's domain, if it asked for one.
    pub(crate) hostname: Option<String>,
    /// The pod.
    pub(crate) target: ObjectReference,
}

/// The selector of a Service whose endpoints are ours to keep: a Service without one has endpoints
/// that its user writes, and an `ExternalName` has none.
pub(crate) fn selector(service: &Service) -> Option<Selector> {
    let spec = service.spec.as_ref()?;
    let external = spec.type_.as_deref() == Some("ExternalName");
    let pairs = spec.selector.as_ref().filter(|pairs| !pairs.is_empty() && !external)?;
    Some(Selector::from_map(pairs))
}

/// Whether `service` selects `pod`.
pub(crate) fn selects(service: &Service, pod: &Pod) -> bool {
    service.metadata.namespace == pod.metadata.namespace
        && selector(service).is_some_and(|selector| selector.matches_map(pod.metadata.labels.as_ref()))
}

/// The Services that select `pod`.
pub(crate) fn services_of(pod: &Pod, services: &Cache<Service>) -> Vec<ObjectRef> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let services = services.in_namespace(namespace);
    services.iter().filter(|service| selects(service, pod)).map(|service| ObjectRef::of(&**service)).collect()
}

/// What `service` finds behind itself in the cache of pods; `None` when its endpoints are not ours
/// to keep.
pub(crate) fn found(service: &Service, pods: &Cache<Pod>) -> Option<Vec<Backend>> {
    selector(service)?;
    let pods = pods.in_namespace(service.metadata.namespace.as_deref().unwrap_or_default());
    Some(backends(service, pods.iter().map(|pod| &**pod).filter(|pod| selects(service, pod))))
}

/// Whether `service` has no address of its own, so that its name stands for its pods.
pub(crate) fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()) == Some("None")
}

/// Whether `service` wants pods that are not ready to be treated as if they were.
pub(crate) fn publishes_not_ready(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses).unwrap_or(false)
}

/// What `service` finds behind itself among `pods`, in the order of their addresses.
pub(crate) fn backends<'a>(service: &Service, pods: impl IntoIterator<Item = &'a Pod>) -> Vec<Backend> {
    let mut found: Vec<_> = pods.into_iter().filter_map(|pod| backend(service, pod)).collect();
    found.sort_by(|a, b| (&a.ip, &a.target.uid).cmp(&(&b.ip, &b.target.uid)));
    found
}

fn backend(service: &Service, pod: &Pod) -> Option<Backend> {
    let status = pod.status.as_ref()?;
    let ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let ip = status.pod_ip.clone().filter(|ip| !ip.is_empty() && !ended)?;
    let ports = service.spec.as_ref()?.ports.iter().flatten();
    let mut ports: Vec<_> = ports.filter_map(|port| resolve(port, pod)).collect();
    ports.sort();
    Some(Backend {
        ip,
        ports,
        serving: pod_is_ready(pod),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        node: pod.spec.as_ref()?.node_name.clone(),
        hostname: hostname(service, pod),
        target: target(pod),
    })
}

fn target(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

// A pod has a name in the domain of the headless Service that it calls its subdomain.
fn hostname(service: &Service, pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let in_domain = spec.subdomain == service.metadata.name && spec.subdomain.is_some();
    spec.hostname.clone().filter(|name| in_domain && !name.is_empty())
}

/// The number behind `port` in `pod`; `None` when the pod has no port of that name, so that it
/// does not serve this one.
fn resolve(port: &ServicePort, pod: &Pod) -> Option<Port> {
    let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
    let number = match &port.target_port {
        None => port.port,
        Some(IntOrString::Int(0)) => port.port,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(name)) => named_port(name, &protocol, pod)?,
    };
    Some(Port {
        name: port.name.clone().unwrap_or_default(),
        number,
        protocol,
        app_protocol: port.app_protocol.clone(),
    })
}

fn named_port(name: &str, protocol: &str, pod: &Pod) -> Option<i32> {
    let spec = pod.spec.as_ref()?;
    // An init container that restarts always runs beside the others: a sidecar.
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    let mut of_name = ports.filter(|port| port.name.as_deref() == Some(name));
    of_name.find(|port| port.protocol.as_deref().unwrap_or("TCP") == protocol).map(|port| port.container_port)
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn pod(name: &str, ip: &str, ready: bool) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "labels": {"app": "web"}},
            "spec": {"nodeName": "n1", "hostname": name, "subdomain": "web", "containers": [
                {"name": "c", "ports": [{"name": "http", "containerPort": 8080}, {"name": "http", "containerPort": 8081, "protocol": "UDP"}]},
            ]},
            "status": {"phase": "Running", "podIP": ip,
                       "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
        }))
        .unwrap()
    }

    pub(crate) fn service() -> Service {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": "uid-web", "labels": {"team": "a"}},
            "spec": {"clusterIP": "10.96.0.9", "selector": {"app": "web"}, "ports": [
                {"name": "http", "port": 80, "targetPort": "http"}, {"name": "admin", "port": 9000},
            ]},
        }))
        .unwrap()
    }

    #[test]
    fn ports_are_found_by_name_and_protocol() {
        let found = backends(&service(), [&pod("a", "10.0.0.1", true)]);
        let numbers: Vec<_> = found[0].ports.iter().map(|port| (port.name.as_str(), port.number)).collect();
        assert_eq!(numbers, [("admin", 9000), ("http", 8080)]);
        assert_eq!(found[0].hostname.as_deref(), Some("a"));
    }

    #[test]
    fn a_pod_without_the_named_port_serves_the_others() {
        let mut bare = pod("a", "10.0.0.1", true);
        bare.spec.as_mut().unwrap().containers[0].ports = None;
        let found = backends(&service(), [&bare]);
        assert_eq!(found[0].ports.iter().map(|port| port.number).collect::<Vec<_>>(), [9000]);
    }

    #[test]
    fn ended_pods_and_pods_without_an_address_are_no_backends() {
        let mut ended = pod("a", "10.0.0.1", true);
        ended.status.as_mut().unwrap().phase = Some("Succeeded".to_owned());
        assert!(backends(&service(), [&ended, &pod("b", "", false)]).is_empty());
    }

    #[test]
    fn only_a_selector_of_the_same_namespace_selects() {
        let mut elsewhere = pod("a", "10.0.0.1", true);
        assert!(selects(&service(), &elsewhere));
        elsewhere.metadata.namespace = Some("other".to_owned());
        assert!(!selects(&service(), &elsewhere));
        let mut external = service();
        external.spec.as_mut().unwrap().type_ = Some("ExternalName".to_owned());
        assert!(selector(&external).is_none());
    }
}
