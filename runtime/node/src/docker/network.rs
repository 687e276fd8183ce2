//! The bridge network of the pods.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::Docker;
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest};

use super::Options;
use super::convert::{CLUSTER, failed, status};
use crate::runtime::{Error, Result};

/// The network of the pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodNetwork {
    /// Its name in the engine.
    pub name: String,
    /// Its range, as `10.244.0.0/24`.
    pub subnet: String,
    /// The host's address in it: where pods reach the host.
    pub gateway: IpAddr,
}

/// Its name.
pub(super) fn name(cluster: &str) -> String {
    format!("trimtab-{cluster}")
}

/// Finds the network, or makes it, in the wanted range or the first other that is free.
pub(super) async fn ensure(engine: &Docker, options: &Options) -> Result<PodNetwork> {
    if let Some(network) = find(engine, &options.cluster).await? {
        return Ok(network);
    }
    let mut overlap = String::new();
    for subnet in candidates(&options.subnet) {
        match engine.create_network(request(&options.cluster, &subnet)).await {
            Ok(_) => break,
            Err(error) if error.to_string().to_ascii_lowercase().contains("overlap") => overlap = error.to_string(),
            // Made by another process in the meantime.
            Err(error) if status(&error) == Some(409) => break,
            Err(error) => return Err(failed(error, &name(&options.cluster))),
        }
    }
    find(engine, &options.cluster).await?.ok_or_else(|| {
        Error::refused(format!("no free range for the pod network, from {} on: {overlap}", options.subnet))
    })
}

/// Removes the network; one that is gone already is fine.
pub(super) async fn remove(engine: &Docker, options: &Options) -> Result<()> {
    match engine.remove_network(&name(&options.cluster)).await {
        Ok(()) => Ok(()),
        Err(error) if status(&error) == Some(404) => Ok(()),
        Err(error) => Err(failed(error, &name(&options.cluster))),
    }
}

async fn find(engine: &Docker, cluster: &str) -> Result<Option<PodNetwork>> {
    let name = name(cluster);
    let network = match engine.inspect_network(&name, None).await {
        Ok(network) => network,
        Err(error) if status(&error) == Some(404) => return Ok(None),
        Err(error) => return Err(failed(error, &name)),
    };
    let range = network.ipam.and_then(|ipam| ipam.config).and_then(|ranges| ranges.into_iter().next());
    let subnet = range.as_ref().and_then(|range| range.subnet.clone());
    let gateway = range.and_then(|range| range.gateway).and_then(|ip| ip.split('/').next()?.parse().ok());
    match (subnet, gateway) {
        (Some(subnet), Some(gateway)) => Ok(Some(PodNetwork { name, subnet, gateway })),
        _ => Err(Error::refused(format!(
            "the network {name} has no address range; remove it (docker network rm {name})"
        ))),
    }
}

/// The wanted range, then the other /24 ranges of its /16, then some more private ones.
fn candidates(wanted: &str) -> Vec<String> {
    let mut candidates = vec![wanted.to_owned()];
    let second = wanted.split('.').nth(1).and_then(|octet| octet.parse::<u8>().ok()).unwrap_or(244);
    candidates.extend((0..=255).step_by(16).map(|third: u16| format!("10.{second}.{third}.0/24")));
    candidates.extend((240..=255).map(|octet| format!("10.{octet}.128.0/24")));
    candidates.extend((0..=15).map(|octet| format!("192.168.{}.0/24", 100 + octet)));
    candidates
}

fn request(cluster: &str, subnet: &str) -> NetworkCreateRequest {
    let range = IpamConfig { subnet: Some(subnet.to_owned()), gateway: gateway(subnet), ..IpamConfig::default() };
    NetworkCreateRequest {
        name: name(cluster),
        driver: Some("bridge".to_owned()),
        ipam: Some(Ipam { config: Some(vec![range]), ..Ipam::default() }),
        labels: Some(HashMap::from([(CLUSTER.to_owned(), cluster.to_owned())])),
        ..NetworkCreateRequest::default()
    }
}

/// The first address of an IPv4 range. The engine chooses for others.
fn gateway(subnet: &str) -> Option<String> {
    let base: std::net::Ipv4Addr = subnet.split('/').next()?.parse().ok()?;
    Some(std::net::Ipv4Addr::from(u32::from(base) + 1).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_range_comes_first_and_the_gateway_is_its_first_address() {
        let candidates = candidates("10.200.0.0/24");
        assert_eq!(candidates[0], "10.200.0.0/24");
        assert!(candidates.contains(&"10.200.16.0/24".to_owned()) && candidates.len() > 30);
        assert_eq!(gateway("10.200.0.0/24").as_deref(), Some("10.200.0.1"));
    }
}
