//! Endpoints: the older of the two records of what is behind a Service, one object per Service.
//!
//! What upstream's endpoints controller writes, from the same [`backends`] as the slices.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use trimtab_api::ObjectRef;
use trimtab_client::DeleteParams;
use trimtab_reconcile::{Context, Next, Result, Setup, controller};

use crate::backends::{Backend, Port, found, is_headless, publishes_not_ready, services_of};

/// An Endpoints object lists no more addresses than this (`maxCapacity` upstream).
const CAPACITY: usize = 1000;
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
const MANAGED_BY: (&str, &str) = ("endpoints.kubernetes.io/managed-by", "endpoint-controller");
/// Marks the endpoints of a Service without an address, which proxies leave alone.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// Keeps the Endpoints of every Service that selects pods.
#[derive(Debug, Default)]
pub struct EndpointsController;

#[controller(
    for = Service,
    watches(Endpoints => |endpoints| vec![ObjectRef::of(endpoints)]),
    name = "endpoint-controller",
    crate = "trimtab_reconcile"
)]
impl EndpointsController {
    fn setup(&self, setup: &mut Setup<'_, Self>) {
        let services = setup.manager().cache::<Service>();
        setup.watches::<Pod>(move |pod| services_of(pod, &services));
    }

    async fn reconcile(&self, service: &Service, cx: &Context<Service>) -> Result<Next> {
        let Some(backends) = found(service, &cx.cache()) else { return Ok(Next::on_change()) };
        let current = cx.cache::<Endpoints>().get(&ObjectRef::of(service));
        let wanted = endpoints(service, &backends, current.as_deref());
        match current {
            None if service.metadata.deletion_timestamp.is_some() => {}
            // They may have been deleted because the Service is.
            None if !cx.is_still_there().await? => {}
            None => drop(cx.create(&wanted).await?),
            Some(current) if *current == wanted => {}
            Some(_) => drop(cx.replace(&wanted).await?),
        }
        Ok(Next::on_change())
    }

    async fn absent(&self, key: &ObjectRef, cx: &Context<Service>) -> Result<Next> {
        // Endpoints that somebody else wrote may well have no Service.
        if let Some(left) = cx.cache::<Endpoints>().get(key).filter(|left| is_ours(left)) {
            cx.delete(&*left, DeleteParams::default()).await?;
        }
        Ok(Next::on_change())
    }
}

fn is_ours(endpoints: &Endpoints) -> bool {
    let labels = endpoints.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(MANAGED_BY.0)).is_some_and(|manager| manager == MANAGED_BY.1)
}

/// The Endpoints of `service`, made from `current` so that foreign annotations stay.
pub(crate) fn endpoints(service: &Service, backends: &[Backend], current: Option<&Endpoints>) -> Endpoints {
    let (backends, truncated) = within_capacity(service, backends);
    let metadata = current.map(|current| current.metadata.clone());
    let mut metadata = metadata.unwrap_or_else(|| ObjectMeta {
        name: service.metadata.name.clone(),
        namespace: service.metadata.namespace.clone(),
        ..ObjectMeta::default()
    });
    metadata.labels = Some(labels(service));
    mark_over_capacity(&mut metadata, truncated);
    let subsets = subsets(service, &backends);
    Endpoints { metadata, subsets: (!subsets.is_empty()).then_some(subsets) }
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    } else {
        labels.remove(HEADLESS);
    }
    labels
}

fn mark_over_capacity(metadata: &mut ObjectMeta, truncated: bool) {
    let annotations = metadata.annotations.get_or_insert_default();
    if truncated {
        annotations.insert(OVER_CAPACITY.to_owned(), "truncated".to_owned());
    } else {
        annotations.remove(OVER_CAPACITY);
    }
    if annotations.is_empty() {
        metadata.annotations = None;
    }
}

fn is_ready(service: &Service, backend: &Backend) -> bool {
    backend.serving || publishes_not_ready(service)
}

/// The backends that are written down: none that is ending, unless the Service publishes those
/// that are not ready; and when there are too many, the ready ones first.
fn within_capacity<'a>(service: &Service, backends: &'a [Backend]) -> (Vec<&'a Backend>, bool) {
    let publishes = publishes_not_ready(service);
    let mut listed: Vec<_> = backends.iter().filter(|backend| publishes || !backend.terminating).collect();
    let truncated = listed.len() > CAPACITY;
    if truncated {
        listed.sort_by_key(|backend| !is_ready(service, backend));
        listed.truncate(CAPACITY);
    }
    (listed, truncated)
}

/// One subset for each set of ports that some backends serve alike.
fn subsets(service: &Service, backends: &[&Backend]) -> Vec<EndpointSubset> {
    let mut by_ports: BTreeMap<&[Port], EndpointSubset> = BTreeMap::new();
    let portless = service.spec.iter().all(|spec| spec.ports.iter().flatten().next().is_none());
    for backend in backends.iter().filter(|backend| portless || !backend.ports.is_empty()) {
        let subset = by_ports.entry(&backend.ports).or_insert_with(|| EndpointSubset {
            ports: (!backend.ports.is_empty()).then(|| backend.ports.iter().map(port).collect()),
            ..EndpointSubset::default()
        });
        let addresses =
            if is_ready(service, backend) { &mut subset.addresses } else { &mut subset.not_ready_addresses };
        addresses.get_or_insert_default().push(address(backend));
    }
    by_ports.into_values().collect()
}

fn port(port: &Port) -> EndpointPort {
    EndpointPort {
        name: (!port.name.is_empty()).then(|| port.name.clone()),
        port: port.number,
        protocol: Some(port.protocol.clone()),
        app_protocol: port.app_protocol.clone(),
    }
}

fn address(backend: &Backend) -> EndpointAddress {
    EndpointAddress {
        ip: backend.ip.clone(),
        hostname: backend.hostname.clone(),
        node_name: backend.node.clone(),
        target_ref: Some(backend.target.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::backends;
    use crate::backends::tests::{pod, service};

    fn ips(addresses: Option<&Vec<EndpointAddress>>) -> Vec<&str> {
        addresses.into_iter().flatten().map(|address| address.ip.as_str()).collect()
    }

    #[test]
    fn ready_and_unready_addresses_share_a_subset() {
        let pods = [pod("b", "10.0.0.2", true), pod("a", "10.0.0.1", false), pod("c", "10.0.0.3", true)];
        let made = endpoints(&service(), &backends(&service(), &pods), None);
        let [subset] = made.subsets.as_deref().unwrap() else { panic!("{made:?}") };
        assert_eq!(ips(subset.addresses.as_ref()), ["10.0.0.2", "10.0.0.3"]);
        assert_eq!(ips(subset.not_ready_addresses.as_ref()), ["10.0.0.1"]);
        assert_eq!(made.metadata.labels.unwrap().get("team").unwrap(), "a");
    }

    #[test]
    fn pods_with_other_ports_are_a_subset_of_their_own() {
        let mut other = pod("b", "10.0.0.2", true);
        other.spec.as_mut().unwrap().containers[0].ports.as_mut().unwrap()[0].container_port = 7070;
        let made = endpoints(&service(), &backends(&service(), [&pod("a", "10.0.0.1", true), &other]), None);
        let subsets = made.subsets.unwrap();
        assert_eq!(subsets.iter().map(|s| ips(s.addresses.as_ref())).collect::<Vec<_>>(), [["10.0.0.2"], ["10.0.0.1"]]);
    }

    #[test]
    fn ending_pods_are_listed_only_by_a_service_that_publishes_unready_ones() {
        let mut ending = backends(&service(), [&pod("a", "10.0.0.1", true)]);
        ending[0].terminating = true;
        assert_eq!(endpoints(&service(), &ending, None).subsets, None);
        let mut publishing = service();
        publishing.spec.as_mut().unwrap().publish_not_ready_addresses = Some(true);
        assert_eq!(endpoints(&publishing, &ending, None).subsets.unwrap().len(), 1);
    }

    #[test]
    fn over_capacity_keeps_the_ready_ones_and_says_so() {
        let mut pods: Vec<_> =
            (0..CAPACITY).map(|n| pod(&format!("u{n:04}"), &format!("10.0.{}.{}", n / 250, n % 250), false)).collect();
        pods.push(pod("ready", "10.9.9.9", true));
        let mut made = endpoints(&service(), &backends(&service(), &pods), None);
        let subset = made.subsets.take().unwrap().remove(0);
        assert_eq!((ips(subset.addresses.as_ref()).len(), ips(subset.not_ready_addresses.as_ref()).len()), (1, 999));
        assert_eq!(made.metadata.annotations.as_ref().unwrap()[OVER_CAPACITY], "truncated");
        assert_eq!(endpoints(&service(), &[], Some(&made)).metadata.annotations, None);
    }

    #[test]
    fn doing_it_again_changes_nothing() {
        let found = backends(&service(), [&pod("a", "10.0.0.1", true)]);
        let once = endpoints(&service(), &found, None);
        assert_eq!(endpoints(&service(), &found, Some(&once)), once);
    }
}
