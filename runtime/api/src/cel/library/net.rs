//! Addresses and ranges of them. As in Go's `netip`, but without zones and without IPv4 addresses in
//! IPv6 form, which upstream refuses too.

use std::net::IpAddr;

use super::{Answer, Call};
use crate::cel::error::EvalError;
use crate::cel::value::Value;

pub(super) fn call<'a>(call: &Call<'_>, args: &[Value<'a>]) -> Option<Answer<'a>> {
    let bool = |bool| Some(Ok(Value::Bool(bool)));
    match (call.function, args) {
        ("ip", [Value::String(text)]) => Some(ip(text).map(Value::Ip)),
        ("isIP", [Value::String(text)]) => bool(ip(text).is_ok()),
        ("ip.isCanonical", [Value::String(text)]) => Some(ip(text).map(|ip| Value::Bool(ip.to_string() == **text))),
        ("family", [Value::Ip(ip)]) => Some(Ok(Value::Int(if ip.is_ipv4() { 4 } else { 6 }))),
        ("isUnspecified", [Value::Ip(ip)]) => bool(ip.is_unspecified()),
        ("isLoopback", [Value::Ip(ip)]) => bool(ip.is_loopback()),
        ("isLinkLocalMulticast", [Value::Ip(ip)]) => bool(match ip {
            IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
            IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
        }),
        ("isLinkLocalUnicast", [Value::Ip(ip)]) => bool(is_link_local(*ip)),
        ("isGlobalUnicast", [Value::Ip(ip)]) => bool(is_global_unicast(*ip)),
        ("cidr", [Value::String(text)]) => Some(cidr(text).map(|(ip, bits)| Value::Cidr(ip, bits))),
        ("isCIDR", [Value::String(text)]) => bool(cidr(text).is_ok()),
        ("containsIP", [Value::Cidr(base, bits), Value::Ip(ip)]) => bool(contains(*base, *bits, *ip)),
        ("containsIP", [Value::Cidr(base, bits), Value::String(text)]) => {
            Some(ip(text).map(|ip| Value::Bool(contains(*base, *bits, ip))))
        }
        ("containsCIDR", [Value::Cidr(base, bits), Value::Cidr(ip, of)]) => {
            bool(bits <= of && contains(*base, *bits, *ip))
        }
        ("containsCIDR", [Value::Cidr(base, bits), Value::String(text)]) => {
            Some(cidr(text).map(|(ip, of)| Value::Bool(*bits <= of && contains(*base, *bits, ip))))
        }
        ("ip", [Value::Cidr(ip, _)]) => Some(Ok(Value::Ip(*ip))),
        ("prefixLength", [Value::Cidr(_, bits)]) => Some(Ok(Value::Int((*bits).into()))),
        ("masked", [Value::Cidr(ip, bits)]) => Some(Ok(Value::Cidr(masked(*ip, *bits), *bits))),
        _ => None,
    }
}

fn ip(text: &str) -> Result<IpAddr, EvalError> {
    let wrong =
        |why: &str| EvalError::new(format!("IP Address {text:?} parse error during conversion from string: {why}"));
    if text.contains('%') {
        return Err(EvalError::new(format!("IP address {text:?} with zone value is not allowed")));
    }
    let ip: IpAddr = text.parse().map_err(|_| wrong("unable to parse IP"))?;
    match ip {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Err(EvalError::new(format!("IPv4-mapped IPv6 address {text:?} is not allowed")))
        }
        ip => Ok(ip),
    }
}

fn cidr(text: &str) -> Result<(IpAddr, u8), EvalError> {
    let wrong = || {
        EvalError::new(format!(
            "network address parse error during conversion from string: netip.ParsePrefix({text:?}): no valid prefix"
        ))
    };
    let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
    let address = ip(address)?;
    let is_plain =
        !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit()) && (bits == "0" || !bits.starts_with('0'));
    let bits: u8 = bits.parse().ok().filter(|_| is_plain).ok_or_else(wrong)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    if bits > most { Err(wrong()) } else { Ok((address, bits)) }
}

fn masked(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((u32::from(ip) & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((u128::from(ip) & mask).into())
        }
    }
}

fn contains(base: IpAddr, bits: u8, ip: IpAddr) -> bool {
    base.is_ipv4() == ip.is_ipv4() && masked(base, bits) == masked(ip, bits)
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    }
}

fn is_global_unicast(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || broadcast || is_link_local(ip))
}
