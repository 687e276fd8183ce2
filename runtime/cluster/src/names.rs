//! What a cluster's parts are called, and where they are by default.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The Services' addresses: this range, of which the first is the API's own.
pub(crate) const SERVICE_CIDR: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 96, 0, 0), 16);
/// The same as text.
pub const SERVICE_CIDR_TEXT: &str = "10.96.0.0/16";
pub(crate) const API_SERVICE_IP: &str = "10.96.0.1";
/// Where simulated pods are told that the API is: below the addresses that they have themselves.
pub(crate) const SIMULATED_API_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 127, 255, 254));
/// The wanted range of the pods' addresses.
pub(crate) const POD_SUBNET: &str = "10.244.0.0/24";
pub(crate) const DOMAIN: &str = "cluster.local";
/// Who says that it has made the service accounts' tokens.
pub(crate) fn token_issuer() -> String {
    format!("https://kubernetes.default.svc.{DOMAIN}")
}
/// The context's name in kubeconfig files.
pub(crate) const CONTEXT: &str = "trimtab";
pub(crate) const DNS_PORT: u16 = 53;

/// This machine's name, as a node may be called.
pub fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_lowercase();
    let fits = |name: &str| trimtab_api::names::dns1123_subdomain(name).is_empty();
    if fits(&name) { name } else { "node".to_owned() }
}

/// The names by which the API server is known, beside the addresses it listens on.
pub(crate) fn api_server() -> Vec<String> {
    let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(str::to_owned);
    let rest = [
        format!("kubernetes.default.svc.{DOMAIN}"),
        hostname(),
        Ipv4Addr::LOCALHOST.to_string(),
        std::net::Ipv6Addr::LOCALHOST.to_string(),
        API_SERVICE_IP.to_owned(),
    ];
    names.into_iter().chain(rest).collect()
}

/// Where something that listens on `address` is reached from this machine.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), address.port()),
        _ => address,
    }
}
