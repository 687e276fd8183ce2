//! The ranges that Services get their addresses from: the server's own, and those that ServiceCIDRs add.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::RwLock;

use k8s_openapi::api::networking::v1::ServiceCIDR;
use trimtab_api::Kinds;
use trimtab_api::kinds::Cidr;
use trimtab_env::{exclusive, shared};
use trimtab_store::{Entry, Page, ReadError, Revision, Store};

use crate::allocate::Hook;
use crate::encode;

pub(crate) const GROUP: &str = "networking.k8s.io";
pub(crate) const PLURAL: &str = "servicecidrs";

/// The addresses of a range but the first and the last: they are the network's, and everybody's in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub first: u32,
    pub count: u32,
}

impl Range {
    pub(crate) fn new(network: Ipv4Addr, prefix: u32) -> Self {
        let size = 1_u32.checked_shl(32 - prefix.min(32)).unwrap_or(u32::MAX);
        let network = u32::from(network) & u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or(0);
        Self { first: network + 1, count: size.saturating_sub(2) }
    }

    pub(crate) fn contains(self, ip: Ipv4Addr) -> bool {
        u32::from(ip).checked_sub(self.first).is_some_and(|offset| offset < self.count)
    }
}

/// The ranges as they are stored, but for those that are going.
pub(crate) struct Ranges {
    own: Range,
    others: RwLock<BTreeMap<String, Vec<Range>>>,
}

impl Ranges {
    /// Knows what is stored.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn load(kinds: &Kinds, store: &dyn Store, own: (Ipv4Addr, u8)) -> Result<Self, ReadError> {
        let this = Self { own: Range::new(own.0, own.1.into()), others: RwLock::default() };
        if let Some(kind) = kinds.by_resource(GROUP, "v1", PLURAL) {
            let page = store.list(&encode::prefix(kind, ""), Page::default()).await?;
            page.entries.iter().for_each(|entry| this.written(entry));
        }
        Ok(this)
    }

    /// The server's own first.
    pub(crate) fn all(&self) -> Vec<Range> {
        let others = shared(&self.others);
        std::iter::once(self.own).chain(others.values().flatten().copied()).collect()
    }

    pub(crate) fn own(&self) -> Range {
        self.own
    }
}

impl Hook for Ranges {
    fn written(&self, entry: &Entry) {
        let Ok(range) = serde_json::from_slice::<ServiceCIDR>(&entry.value) else { return };
        let is_going = range.metadata.deletion_timestamp.is_some();
        let name = range.metadata.name.unwrap_or_default();
        let cidrs = range.spec.and_then(|spec| spec.cidrs).unwrap_or_default();
        let ranges = cidrs.iter().filter_map(|text| {
            let cidr = Cidr::parse(text)?;
            match cidr.ip() {
                IpAddr::V4(ip) => Some(Range::new(ip, cidr.prefix())),
                IpAddr::V6(_) => None,
            }
        });
        let ranges: Vec<_> = ranges.filter(|range| *range != self.own).collect();
        let mut others = exclusive(&self.others);
        if is_going || ranges.is_empty() {
            others.remove(&name);
        } else {
            others.insert(name, ranges);
        }
    }

    fn removed(&self, entry: &Entry, _revision: Revision) {
        let name = entry.key.rsplit('/').next().unwrap_or_default();
        exclusive(&self.others).remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_lacks_its_ends() {
        let range = |network: [u8; 4], prefix| Range::new(network.into(), prefix);
        let first = |ip: [u8; 4]| u32::from(Ipv4Addr::from(ip));
        assert_eq!(range([10, 96, 0, 0], 24), Range { first: first([10, 96, 0, 1]), count: 254 });
        assert_eq!(range([10, 96, 7, 9], 16), Range { first: first([10, 96, 0, 1]), count: 65_534 });
        assert_eq!(range([10, 96, 0, 4], 31).count, 0);
        assert!(range([10, 96, 0, 0], 30).contains(Ipv4Addr::new(10, 96, 0, 2)));
        assert!(!range([10, 96, 0, 0], 30).contains(Ipv4Addr::new(10, 96, 0, 3)));
    }
}
