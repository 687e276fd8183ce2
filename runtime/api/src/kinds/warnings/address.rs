//! Addresses that are written otherwise than they should be (`apimachinery/pkg/util/validation`).

use std::net::IpAddr;

use super::Warnings;
use crate::at::At;

/// The address as upstream writes it.
fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

fn is_mapped(ip: IpAddr) -> bool {
    canonical(ip) != ip
}

pub(super) fn ip(at: &At<'_>, warnings: &mut Warnings) {
    // What is none is refused.
    let Ok(ip) = at.text().parse::<IpAddr>() else { return };
    let (written, right) = (at.text(), canonical(ip).to_string());
    if is_mapped(ip) {
        let text = "will be considered invalid in a future Kubernetes release: use";
        warnings.at(at, &format!("non-standard IP address {written:?} {text} {right:?}"));
    } else if right != written {
        warnings.at(at, &format!("IPv6 address {written:?} should be in RFC 5952 canonical format ({right:?})"));
    }
}

pub(super) fn cidr(at: &At<'_>, warnings: &mut Warnings) {
    let written = at.text();
    let Some((ip, prefix)) = written.split_once('/') else { return };
    let (Ok(ip), Ok(prefix)) = (ip.parse::<IpAddr>(), prefix.parse::<u32>()) else { return };
    let masked = match ip {
        IpAddr::V4(ip) if prefix <= 32 => {
            IpAddr::V4((u32::from(ip) & u32::MAX.checked_shl(32 - prefix).unwrap_or(0)).into())
        }
        IpAddr::V6(ip) if prefix <= 128 => {
            IpAddr::V6((u128::from(ip) & u128::MAX.checked_shl(128 - prefix).unwrap_or(0)).into())
        }
        _ => return,
    };
    let right = format!("{masked}/{prefix}");
    let all = if ip.is_ipv4() { 32 } else { 128 };
    if masked != ip {
        let text = format!("is ambiguous in this context (should be {right:?} or {:?}?)", format!("{ip}/{all}"));
        warnings.at(at, &format!("CIDR value {written:?} {text}"));
    }
    if is_mapped(ip) {
        let right = format!("{}/{}", canonical(masked), prefix.saturating_sub(96));
        let text = "will be considered invalid in a future Kubernetes release: use";
        warnings.at(at, &format!("non-standard CIDR value {written:?} {text} {right:?}"));
    } else if masked == ip && right != written {
        warnings.at(at, &format!("IPv6 CIDR value {written:?} should be in RFC 5952 canonical format ({right:?})"));
    }
}
