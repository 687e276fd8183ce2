//! ServiceCIDRs: ready when they are there, and kept as long as the address of a Service is in no other
//! (<https://kubernetes.io/docs/reference/networking/virtual-ips/#ip-address-objects>).

use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{IPAddress, ServiceCIDR};
use trimtab_api::ObjectRef;
use trimtab_api::kinds::Cidr;
use trimtab_reconcile::{Conditions, Context, Error, Next, Result, Setup, controller};

const READY: &str = "Ready";
const IN_USE: &str =
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";

/// Keeps the condition `Ready` of ServiceCIDRs, and lets one go that nobody needs.
#[derive(Debug, Default)]
pub struct ServiceRanges;

#[controller(
    for = ServiceCIDR,
    finalizer = "networking.k8s.io/service-cidr-finalizer",
    name = "service-cidr-controller",
    crate = "trimtab_reconcile"
)]
impl ServiceRanges {
    fn setup(&self, setup: &mut Setup<'_, Self>) {
        let ranges = setup.manager().cache::<ServiceCIDR>();
        // One that goes may be waiting for an address to be free, or for another range to have it.
        let waiting = move || {
            let is_going = |range: &&std::sync::Arc<ServiceCIDR>| range.metadata.deletion_timestamp.is_some();
            ranges.list().iter().filter(is_going).map(|range| ObjectRef::of(&**range)).collect::<Vec<_>>()
        };
        let of_ranges = waiting.clone();
        setup.watches::<IPAddress>(move |_| waiting());
        setup.watches::<ServiceCIDR>(move |_| of_ranges());
    }

    async fn reconcile(&self, range: &ServiceCIDR, cx: &Context<ServiceCIDR>) -> Result<Next> {
        if !range.status.as_ref().is_some_and(|status| status.conditions.holds(READY)) {
            tell(range, true, "", "Kubernetes Service CIDR is ready", cx).await?;
        }
        Ok(Next::on_change())
    }

    async fn cleanup(&self, range: &ServiceCIDR, cx: &Context<ServiceCIDR>) -> Result<()> {
        let others = cx.cache::<ServiceCIDR>().list();
        let stay = others.iter().filter(|other| other.metadata.deletion_timestamp.is_none());
        let stay: Vec<Cidr> = stay.flat_map(|other| cidrs(other)).collect();
        let own = cidrs(range);
        let has = |ranges: &[Cidr], ip: IpAddr| ranges.iter().any(|range| range.contains_ip(ip));
        let addresses = cx.cache::<IPAddress>().list();
        let mut held = addresses.iter().filter_map(|address| address.metadata.name.as_ref()?.parse().ok());
        if !held.any(|ip| has(&own, ip) && !has(&stay, ip)) {
            return Ok(());
        }
        if range.status.as_ref().is_none_or(|status| status.conditions.holds(READY)) {
            tell(range, false, "Terminating", IN_USE, cx).await?;
        }
        Err(Error::waiting("an address of it is used"))
    }
}

async fn tell(
    range: &ServiceCIDR,
    ready: bool,
    reason: &str,
    message: &str,
    cx: &Context<ServiceCIDR>,
) -> Result<ServiceCIDR> {
    let mut status = range.status.clone().unwrap_or_default();
    let mut condition = cx.condition(READY, ready, reason, message);
    // Ranges have no generation.
    condition.observed_generation = None;
    status.conditions.put(condition);
    cx.replace_status(&ServiceCIDR { status: Some(status), ..range.clone() }).await
}

fn cidrs(range: &ServiceCIDR) -> Vec<Cidr> {
    let all = range.spec.iter().flat_map(|spec| spec.cidrs.iter().flatten());
    all.filter_map(|text| Cidr::parse(text)).collect()
}
