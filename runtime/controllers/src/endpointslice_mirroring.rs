//! EndpointSlices of the Endpoints that people write: of Services without a selector, for all who read slices alone
//! (`pkg/controller/endpointslicemirroring`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Endpoints, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use trimtab_api::ObjectRef;
use trimtab_client::DeleteParams;
use trimtab_reconcile::{Context, Next, Result, controller, owner_reference};

/// Which Service a slice belongs to.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: (&str, &str) = ("endpointslice.kubernetes.io/managed-by", "endpointslicemirroring-controller.k8s.io");
/// Endpoints with this label say that somebody else makes their slices.
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// Endpoints with this annotation are no endpoints, but a lock.
const LOCK: &str = "control-plane.alpha.kubernetes.io/leader";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// A mirrored subset has no more endpoints than this (`--mirroring-max-endpoints-per-subset`).
const CAPACITY: usize = 1000;

/// Keeps the slices of Endpoints that nobody else makes slices of.
#[derive(Debug, Default)]
pub struct EndpointSliceMirroring;

#[controller(
    for = Endpoints,
    watches(EndpointSlice => mirrored, Service => |service| vec![ObjectRef::of(service)]),
    name = "endpoint-slice-mirroring-controller",
    crate = "trimtab_reconcile"
)]
impl EndpointSliceMirroring {
    async fn reconcile(&self, endpoints: &Endpoints, cx: &Context<Endpoints>) -> Result<Next> {
        let key = ObjectRef::of(endpoints);
        let is_without_selector =
            |service: &Service| service.spec.iter().all(|spec| spec.selector.iter().flatten().next().is_none());
        let service = cx.cache::<Service>().get(&key);
        let is_mirrored = is_to_be_mirrored(endpoints) && service.is_some_and(|service| is_without_selector(&service));
        let wanted = if is_mirrored { slices(endpoints) } else { Vec::new() };
        let mut left = current(&key, cx);
        for slice in wanted {
            match left.iter().position(|old| is_alike(old, &slice)) {
                Some(at) => {
                    let old = left.swap_remove(at);
                    let changed = over(&old, slice);
                    if changed != old {
                        cx.replace(&changed).await?;
                    }
                }
                // They may have been deleted because the Endpoints are.
                None if !cx.is_still_there().await? => return Ok(Next::on_change()),
                None => drop(cx.create(&slice).await?),
            }
        }
        for slice in &left {
            cx.delete(slice, DeleteParams::default()).await?;
        }
        Ok(Next::on_change())
    }

    async fn absent(&self, key: &ObjectRef, cx: &Context<Endpoints>) -> Result<Next> {
        for slice in current(key, cx) {
            cx.delete(&slice, DeleteParams::default()).await?;
        }
        Ok(Next::on_change())
    }
}

fn label<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(name).map(String::as_str)
}

/// The Endpoints that `slice` mirrors, if it does.
fn mirrored(slice: &EndpointSlice) -> Vec<ObjectRef> {
    let metadata = &slice.metadata;
    let service = label(metadata, SERVICE_NAME).filter(|_| label(metadata, MANAGED_BY.0) == Some(MANAGED_BY.1));
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    service.map(|service| ObjectRef::new(namespace, service)).into_iter().collect()
}

/// The slices that mirror the Endpoints called `key`.
fn current(key: &ObjectRef, cx: &Context<Endpoints>) -> Vec<EndpointSlice> {
    let slices = cx.cache::<EndpointSlice>().in_namespace(&key.namespace);
    let ours = slices.iter().filter(|slice| mirrored(slice).contains(key));
    ours.map(|slice| EndpointSlice::clone(slice)).collect()
}

fn is_to_be_mirrored(endpoints: &Endpoints) -> bool {
    let metadata = &endpoints.metadata;
    let is_lock = metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(LOCK));
    metadata.deletion_timestamp.is_none() && !is_lock && label(metadata, SKIP) != Some("true")
}

/// The slices that say what `endpoints` do: of each subset one for each kind of address.
fn slices(endpoints: &Endpoints) -> Vec<EndpointSlice> {
    let of_subset = |subset: &EndpointSubset| {
        let mut by_type: BTreeMap<&str, Vec<Endpoint>> = BTreeMap::new();
        let all = |ready: bool, addresses: &Option<Vec<EndpointAddress>>| {
            addresses.iter().flatten().map(|address| endpoint(address, ready)).collect::<Vec<_>>()
        };
        let ready = all(true, &subset.addresses).into_iter();
        for endpoint in ready.chain(all(false, &subset.not_ready_addresses)).take(CAPACITY) {
            let is_ipv6 = endpoint.addresses.iter().any(|address| address.contains(':'));
            by_type.entry(if is_ipv6 { "IPv6" } else { "IPv4" }).or_default().push(endpoint);
        }
        let ports: Vec<EndpointPort> = subset.ports.iter().flatten().map(port).collect();
        let slice = |(address_type, listed): (&str, Vec<Endpoint>)| EndpointSlice {
            address_type: address_type.to_owned(),
            endpoints: Some(listed),
            metadata: metadata(endpoints),
            ports: (!ports.is_empty()).then(|| ports.clone()),
        };
        by_type.into_iter().map(slice).collect::<Vec<_>>()
    };
    endpoints.subsets.iter().flatten().flat_map(of_subset).collect()
}

fn metadata(endpoints: &Endpoints) -> ObjectMeta {
    let name = endpoints.metadata.name.clone().unwrap_or_default();
    let mut labels = endpoints.metadata.labels.clone().unwrap_or_default();
    labels.insert(SERVICE_NAME.to_owned(), name.clone());
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    let mut annotations = endpoints.metadata.annotations.clone().unwrap_or_default();
    annotations.remove(LAST_APPLIED);
    ObjectMeta {
        generate_name: Some(format!("{name}-")),
        namespace: endpoints.metadata.namespace.clone(),
        labels: Some(labels),
        annotations: (!annotations.is_empty()).then_some(annotations),
        owner_references: Some(vec![owner_reference(endpoints)]),
        ..ObjectMeta::default()
    }
}

fn endpoint(address: &EndpointAddress, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
        hostname: address.hostname.clone(),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    }
}

fn port(port: &k8s_openapi::api::core::v1::EndpointPort) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(port.port),
        protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
        app_protocol: port.app_protocol.clone(),
    }
}

/// Whether one may become the other: what kind of address a slice has never changes, and its ports do not here.
fn is_alike(old: &EndpointSlice, new: &EndpointSlice) -> bool {
    (&old.address_type, &old.ports) == (&new.address_type, &new.ports)
}

/// `old` with what `new` says.
fn over(old: &EndpointSlice, new: EndpointSlice) -> EndpointSlice {
    let ObjectMeta { labels, annotations, owner_references, .. } = new.metadata;
    let metadata = ObjectMeta { labels, annotations, owner_references, ..old.metadata.clone() };
    EndpointSlice { metadata, ..new }
}
