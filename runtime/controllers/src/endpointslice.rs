//! EndpointSlices: what is behind a Service, in pieces small enough to be written often.
//!
//! `plan` says which slices to write so that they list what `backends` found,
//! touching as few of them as it can: a slice that is right stays, one with room is filled before
//! a new one is made.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use trimtab_api::ObjectRef;
use trimtab_client::DeleteParams;
use trimtab_reconcile::{Cache, Context, Next, Result, Setup, controller, owner_reference};

use crate::backends::{Backend, Port, found, is_headless, publishes_not_ready, services_of};

/// Which Service a slice belongs to.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Who keeps a slice; one with another name here is not ours to touch.
const MANAGED_BY: (&str, &str) = ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io");
const HEADLESS: &str = "service.kubernetes.io/headless";
/// A slice that we make lists no more endpoints than this (`--max-endpoints-per-slice`).
const CAPACITY: usize = 100;

/// The zone of a node, for traffic that is to stay near.
const ZONE: &str = "topology.kubernetes.io/zone";

/// Keeps the EndpointSlices of every Service that selects pods. Those of a Service that is gone go
/// with it, for it owns them.
#[derive(Debug, Default)]
pub struct EndpointSliceController;

#[controller(
    for = Service,
    watches(EndpointSlice => service_of, Node => |_| Vec::new()),
    name = "endpoint-slice-controller",
    crate = "trimtab_reconcile"
)]
impl EndpointSliceController {
    fn setup(&self, setup: &mut Setup<'_, Self>) {
        let services = setup.manager().cache::<Service>();
        setup.watches::<Pod>(move |pod| services_of(pod, &services));
    }

    async fn reconcile(&self, service: &Service, cx: &Context<Service>) -> Result<Next> {
        let Some(backends) = found(service, &cx.cache()) else { return Ok(Next::on_change()) };
        if service.metadata.deletion_timestamp.is_some() {
            return Ok(Next::on_change());
        }
        let (name, namespace) = (service.metadata.name.as_deref(), service.metadata.namespace.as_deref());
        let slices = cx.cache::<EndpointSlice>().in_namespace(namespace.unwrap_or_default());
        let ours = slices.iter().filter(|slice| is_of(slice, name.unwrap_or_default()));
        let current = ours.map(|slice| EndpointSlice::clone(slice)).collect();
        let nodes: Cache<Node> = cx.cache();
        let plan = plan(service, &backends, current, |node| zone(&nodes, node));
        // They may have been deleted because the Service is.
        if !plan.create.is_empty() && !cx.is_still_there().await? {
            return Ok(Next::on_change());
        }
        // New ones first, so that no endpoint is missing in between.
        for slice in &plan.create {
            cx.create(slice).await?;
        }
        for slice in &plan.update {
            cx.replace(slice).await?;
        }
        for slice in &plan.delete {
            cx.delete(slice, DeleteParams::default()).await?;
        }
        Ok(Next::on_change())
    }
}

fn service_of(slice: &EndpointSlice) -> Vec<ObjectRef> {
    let service = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME));
    let namespace = slice.metadata.namespace.as_deref().unwrap_or_default();
    service.map(|service| ObjectRef::new(namespace, service.as_str())).into_iter().collect()
}

fn zone(nodes: &Cache<Node>, name: &str) -> Option<String> {
    nodes.get(&ObjectRef::new("", name))?.metadata.labels.as_ref()?.get(ZONE).cloned()
}

/// The writes that make the slices right.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    create: Vec<EndpointSlice>,
    update: Vec<EndpointSlice>,
    delete: Vec<EndpointSlice>,
}

/// Whether `slice` is one of those that we keep for `service`.
fn is_of(slice: &EndpointSlice, service: &str) -> bool {
    let labels = slice.metadata.labels.as_ref();
    let label = |name: &str| labels.and_then(|labels| labels.get(name)).map(String::as_str);
    label(SERVICE_NAME) == Some(service) && label(MANAGED_BY.0) == Some(MANAGED_BY.1)
}

/// What slices of one kind have in common: their address type and their ports.
type Key = (&'static str, Vec<Port>);

/// The writes that turn the slices `current` of `service` into slices of `backends`. `zone` knows
/// the zone of a node.
fn plan(
    service: &Service,
    backends: &[Backend],
    current: Vec<EndpointSlice>,
    zone: impl Fn(&str) -> Option<String>,
) -> Plan {
    let mut wanted: BTreeMap<Key, BTreeMap<String, Endpoint>> = BTreeMap::new();
    for backend in backends {
        let uid = backend.target.uid.clone().unwrap_or_default();
        let key = (address_type(&backend.ip), backend.ports.clone());
        wanted.entry(key).or_default().insert(uid, endpoint(service, backend, &zone));
    }
    // A Service without backends keeps one empty slice, so that its watchers know it is seen to.
    if wanted.is_empty() {
        wanted.insert((family(service), Vec::new()), BTreeMap::new());
    }
    let mut current_by_key: BTreeMap<Key, Vec<EndpointSlice>> = BTreeMap::new();
    for slice in current {
        current_by_key.entry(key_of(&slice)).or_default().push(slice);
    }
    let mut plan = Plan::default();
    for (key, endpoints) in wanted {
        let slices = current_by_key.remove(&key).unwrap_or_default();
        fill(&mut plan, service, &key, endpoints, slices);
    }
    plan.delete.extend(current_by_key.into_values().flatten());
    plan
}

/// Puts `endpoints`, all of one key, into `slices` of that key and new ones.
fn fill(
    plan: &mut Plan,
    service: &Service,
    key: &Key,
    mut endpoints: BTreeMap<String, Endpoint>,
    slices: Vec<EndpointSlice>,
) {
    let mut kept: Vec<(EndpointSlice, Vec<Endpoint>)> = slices
        .into_iter()
        .map(|slice| {
            let listed = slice.endpoints.iter().flatten();
            let kept = listed.filter_map(|endpoint| endpoints.remove(uid(endpoint)?)).collect();
            (slice, kept)
        })
        .collect();
    let mut rest = endpoints.into_values();
    // Slices that must be written anyway take new endpoints before the others do.
    kept.sort_by_key(|(slice, kept)| slice.endpoints.iter().flatten().eq(kept.iter()));
    for (_, kept) in &mut kept {
        let room = CAPACITY.saturating_sub(kept.len());
        kept.extend(rest.by_ref().take(room));
    }
    let mut any = false;
    for (slice, endpoints) in kept {
        if endpoints.is_empty() && (any || !key.1.is_empty()) {
            plan.delete.push(slice);
            continue;
        }
        any = true;
        let changed = with(service, key, Some(&slice), endpoints);
        if changed != slice {
            plan.update.push(changed);
        }
    }
    let rest: Vec<_> = rest.collect();
    plan.create.extend(rest.chunks(CAPACITY).map(|chunk| with(service, key, None, chunk.to_vec())));
    if rest.is_empty() && !any {
        plan.create.push(with(service, key, None, Vec::new()));
    }
}

fn with(service: &Service, key: &Key, current: Option<&EndpointSlice>, endpoints: Vec<Endpoint>) -> EndpointSlice {
    let name = service.metadata.name.clone().unwrap_or_default();
    let mut metadata = current.map(|slice| slice.metadata.clone()).unwrap_or_else(|| ObjectMeta {
        generate_name: Some(format!("{name}-")),
        namespace: service.metadata.namespace.clone(),
        ..ObjectMeta::default()
    });
    metadata.labels = Some(labels(service, name));
    metadata.owner_references = Some(vec![owner_reference(service)]);
    EndpointSlice {
        address_type: key.0.to_owned(),
        endpoints: (!endpoints.is_empty()).then_some(endpoints),
        metadata,
        ports: (!key.1.is_empty()).then(|| key.1.iter().map(port).collect()),
    }
}

fn labels(service: &Service, name: String) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(HEADLESS);
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.insert(SERVICE_NAME.to_owned(), name);
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    labels
}

fn endpoint(service: &Service, backend: &Backend, zone: impl Fn(&str) -> Option<String>) -> Endpoint {
    Endpoint {
        addresses: vec![backend.ip.clone()],
        conditions: Some(EndpointConditions {
            ready: Some(publishes_not_ready(service) || (backend.serving && !backend.terminating)),
            serving: Some(backend.serving),
            terminating: Some(backend.terminating),
        }),
        hostname: backend.hostname.clone(),
        node_name: backend.node.clone(),
        target_ref: Some(backend.target.clone()),
        zone: backend.node.as_deref().and_then(zone),
        ..Endpoint::default()
    }
}

fn port(port: &Port) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone()),
        port: Some(port.number),
        protocol: Some(port.protocol.clone()),
        app_protocol: port.app_protocol.clone(),
    }
}

fn uid(endpoint: &Endpoint) -> Option<&str> {
    endpoint.target_ref.as_ref()?.uid.as_deref()
}

fn address_type(ip: &str) -> &'static str {
    if ip.contains(':') { "IPv6" } else { "IPv4" }
}

fn family(service: &Service) -> &'static str {
    let families = service.spec.as_ref().and_then(|spec| spec.ip_families.as_deref()).unwrap_or_default();
    if families.first().is_some_and(|family| family == "IPv6") { "IPv6" } else { "IPv4" }
}

fn key_of(slice: &EndpointSlice) -> Key {
    let port = |port: &EndpointPort| Port {
        name: port.name.clone().unwrap_or_default(),
        number: port.port.unwrap_or_default(),
        protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
        app_protocol: port.app_protocol.clone(),
    };
    let mut ports: Vec<_> = slice.ports.iter().flatten().map(port).collect();
    ports.sort();
    (if slice.address_type == "IPv6" { "IPv6" } else { "IPv4" }, ports)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;
    use crate::backends::backends;
    use crate::backends::tests::{pod, service};

    fn pods(count: usize) -> Vec<Pod> {
        (0..count).map(|n| pod(&format!("p{n:03}"), &format!("10.0.{}.{}", n / 250, n % 250), true)).collect()
    }

    fn planned(pods: &[Pod], current: &[EndpointSlice]) -> Plan {
        plan(&service(), &backends(&service(), pods), current.to_vec(), |node| Some(format!("zone-of-{node}")))
    }

    fn sizes(slices: &[EndpointSlice]) -> Vec<usize> {
        slices.iter().map(|slice| slice.endpoints.iter().flatten().count()).collect()
    }

    #[test]
    fn new_endpoints_are_cut_into_slices_of_a_hundred() {
        let plan = planned(&pods(230), &[]);
        assert_eq!(sizes(&plan.create), [100, 100, 30]);
        let first = &plan.create[0].endpoints.as_ref().unwrap()[0];
        assert_eq!(first.zone.as_deref(), Some("zone-of-n1"));
        assert_eq!(first.conditions.as_ref().unwrap().ready, Some(true));
        assert!(is_of(&plan.create[0], "web") && !is_of(&plan.create[0], "db"));
    }

    #[test]
    fn slices_that_are_right_are_left_alone() {
        let slices = planned(&pods(230), &[]).create;
        assert_eq!(planned(&pods(230), &slices), Plan::default());
    }

    #[test]
    fn a_lost_pod_touches_one_slice_and_a_new_one_takes_its_place() {
        let slices = planned(&pods(230), &[]).create;
        let mut fewer = pods(231);
        fewer.remove(150);
        let plan = planned(&fewer, &slices);
        assert_eq!((sizes(&plan.update), plan.create.len(), plan.delete.len()), (vec![100], 0, 0));
    }

    #[test]
    fn without_backends_one_empty_slice_remains() {
        let empty = planned(&[], &[]);
        assert_eq!(sizes(&empty.create), [0]);
        assert_eq!(planned(&[], &empty.create), Plan::default());
        let full = planned(&pods(2), &empty.create);
        assert_eq!((sizes(&full.create), full.delete.len()), (vec![2], 1));
        let emptied = planned(&[], &full.create);
        assert_eq!((sizes(&emptied.create), emptied.delete.len()), (vec![0], 1));
    }

    #[test]
    fn an_ending_pod_serves_but_is_not_ready() {
        let mut found = backends(&service(), &pods(1));
        found[0].terminating = true;
        let made = plan(&service(), &found, Vec::new(), |_| None).create.remove(0);
        let conditions = made.endpoints.unwrap().remove(0).conditions.unwrap();
        assert_eq!(
            (conditions.ready, conditions.serving, conditions.terminating),
            (Some(false), Some(true), Some(true))
        );
    }
}
