//! Ranges of IP addresses: `10.9.8.0/24`, `2001:db8::/64`.

use std::net::IpAddr;

use crate::at::At;
use crate::check::Checks;

const FORM: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/// A range of addresses, as the bits that they begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    ip: IpAddr,
    pub(super) prefix: u32,
}

impl Cidr {
    /// Reads `10.9.8.0/24` or `2001:db8::/64`.
    pub fn parse(text: &str) -> Option<Self> {
        let (ip, prefix) = text.split_once('/')?;
        let (ip, prefix): (IpAddr, u32) = (ip.parse().ok()?, prefix.parse().ok()?);
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        (prefix <= bits).then_some(Self { ip, prefix })
    }

    /// An address of the range.
    pub fn ip(self) -> IpAddr {
        self.ip
    }

    /// With how many bits of that the others begin.
    pub fn prefix(self) -> u32 {
        self.prefix
    }

    /// Whether the address is in this range.
    pub fn contains_ip(self, ip: IpAddr) -> bool {
        self.contains(Self { ip, prefix: if ip.is_ipv4() { 32 } else { 128 } })
    }

    pub(super) fn is_ipv6(self) -> bool {
        self.ip.is_ipv6()
    }

    /// Whether all addresses of `other` are in this range.
    pub(super) fn contains(self, other: Self) -> bool {
        let same_start = match (self.ip, other.ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(u32::from(a) ^ u32::from(b)).checked_shr(32 - self.prefix),
            (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b)).checked_shr(128 - self.prefix),
            _ => return false,
        };
        self.prefix <= other.prefix && same_start.unwrap_or(0) == 0
    }
}

/// The range that stands at `at`, if it is one.
pub(super) fn check(at: &At<'_>, checks: &mut Checks) -> Option<Cidr> {
    let cidr = Cidr::parse(at.text());
    if cidr.is_none() {
        at.invalid(FORM, checks);
    }
    cidr
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_smaller_ones() {
        let cidr = |text| Cidr::parse(text).unwrap();
        for (a, b, expected) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.0.0.0/8", "11.0.0.0/16", false),
            ("10.1.0.0/16", "10.0.0.0/8", false),
            ("0.0.0.0/0", "1.2.3.4/32", true),
            ("::/0", "fd00::/8", true),
            ("::/0", "1.2.3.4/32", false),
        ] {
            assert_eq!(cidr(a).contains(cidr(b)), expected, "{a} {b}");
        }
        assert_eq!(Cidr::parse("10.0.0.0/33"), None);
        assert_eq!(Cidr::parse("10.0.0.0"), None);
    }
}
