//! Lets a pod reach itself through its own Service.
//!
//! Where the kernel also translates the addresses of bridged packets (`br_netfilter`, which Docker
//! loads), a connection that leads back to the pod it came from never leaves the bridge; and a
//! bridge sends nothing out of the port it came in by, unless that port is in hairpin mode.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::model::Table;

/// Puts every port of the bridges on which `table`'s backends are in hairpin mode. What cannot be
/// set is left: all but the way of a pod to itself works without.
pub(crate) fn allow(table: &Table) {
    let Ok(routes) = fs::read_to_string("/proc/net/route") else { return };
    let backends: BTreeSet<Ipv4Addr> =
        table.ports.iter().flat_map(|port| port.backends.iter().map(|backend| *backend.ip())).collect();
    for interface in interfaces(&routes, &backends) {
        let ports = Path::new("/sys/class/net").join(interface).join("brif");
        // What is no bridge has no such folder.
        for port in fs::read_dir(ports).into_iter().flatten().flatten() {
            let mode = port.path().join("hairpin_mode");
            if fs::read_to_string(&mode).is_ok_and(|set| set.trim() == "0")
                && let Err(error) = fs::write(&mode, "1")
            {
                tracing::debug!(%error, port = %mode.display(), "a pod may not reach itself by its Service");
            }
        }
    }
}

/// The interfaces by which `addresses` are reached directly, of a table in the format of
/// `/proc/net/route`: <https://www.kernel.org/doc/html/latest/filesystems/proc.html>.
fn interfaces<'a>(routes: &'a str, addresses: &BTreeSet<Ipv4Addr>) -> BTreeSet<&'a str> {
    let routes: Vec<_> = routes.lines().skip(1).filter_map(route).collect();
    let of = |address: &Ipv4Addr| {
        let fits = routes.iter().filter(|(_, network, mask)| u32::from(*address) & mask == *network);
        fits.max_by_key(|(_, _, mask)| *mask).map(|(interface, ..)| *interface)
    };
    addresses.iter().filter_map(of).collect()
}

/// Interface, network and mask. The numbers are words in the machine's own order of bytes, of
/// addresses in the network's.
fn route(line: &str) -> Option<(&str, u32, u32)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let word = |field: usize| Some(u32::from_be(u32::from_str_radix(fields.get(field)?, 16).ok()?));
    Some((fields.first()?, word(1)?, word(7)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_route_says_where_an_address_is() {
        let word = |text: &str| format!("{:08X}", u32::from(text.parse::<Ipv4Addr>().unwrap()).to_be());
        let line = |interface: &str, network: &str, mask: &str| {
            format!("{interface}\t{}\t00000000\t0001\t0\t0\t0\t{}\t0\t0\t0\n", word(network), word(mask))
        };
        let routes = "Iface\tDestination\n".to_owned()
            + &line("eth0", "0.0.0.0", "0.0.0.0")
            + &line("br-1", "10.244.0.0", "255.255.255.0")
            + &line("wide", "10.0.0.0", "255.0.0.0");
        let addresses = |all: &[&str]| all.iter().map(|address| address.parse().unwrap()).collect();
        assert_eq!(interfaces(&routes, &addresses(&["10.244.0.3", "10.244.0.4"])), BTreeSet::from(["br-1"]));
        assert_eq!(interfaces(&routes, &addresses(&["10.9.0.3", "1.2.3.4"])), BTreeSet::from(["eth0", "wide"]));
        assert!(interfaces("", &addresses(&["10.9.0.3"])).is_empty());
    }
}
