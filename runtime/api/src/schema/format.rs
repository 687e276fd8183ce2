//! Formats of strings, as upstream checks them (`k8s.io/kube-openapi/pkg/validation/strfmt`). A
//! format that is not known is no constraint.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::names;

const KNOWN: [&str; 31] = [
    "bsonobjectid",
    "byte",
    "cidr",
    "creditcard",
    "date",
    "date-time",
    "datetime",
    "double",
    "duration",
    "email",
    "float",
    "hexcolor",
    "hostname",
    "int32",
    "int64",
    "ipv4",
    "ipv6",
    "isbn",
    "isbn10",
    "isbn13",
    "k8s-long-name",
    "k8s-short-name",
    "mac",
    "password",
    "rgbcolor",
    "ssn",
    "uri",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
];

/// Whether `format` is one that means something here.
pub fn knows_format(format: &str) -> bool {
    KNOWN.contains(&format)
}

/// Whether `text` is of `format`.
pub(crate) fn fits(format: &str, text: &str) -> bool {
    match format {
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_cidr(text),
        "mac" => is_mac(text),
        "uri" => is_uri(text),
        "email" => is_email(text),
        "hostname" => is_hostname(text),
        "uuid" => is_uuid(text, None),
        "uuid3" => is_uuid(text, Some(b'3')),
        "uuid4" => is_uuid(text, Some(b'4')),
        "uuid5" => is_uuid(text, Some(b'5')),
        "byte" => STANDARD.decode(text).is_ok(),
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "date-time" | "datetime" => is_date_time(text),
        "duration" => is_duration(text),
        "bsonobjectid" => text.len() == 24 && all_hex(text),
        "hexcolor" => matches!(text.trim_start_matches('#').len(), 3 | 6) && all_hex(text.trim_start_matches('#')),
        "rgbcolor" => is_rgb(text),
        "isbn" => is_isbn10(text) || is_isbn13(text),
        "isbn10" => is_isbn10(text),
        "isbn13" => is_isbn13(text),
        "creditcard" => is_credit_card(text),
        "ssn" => is_ssn(text),
        "k8s-short-name" => names::dns1123_label(text).is_empty(),
        "k8s-long-name" => names::dns1123_subdomain(text).is_empty(),
        _ => true,
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = match address.parse() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    !bits.starts_with('+') && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

// As Go reads one: six, eight or twenty bytes, between colons or dashes, or pairs between dots.
fn is_mac(text: &str) -> bool {
    let of = |separator: char, width: usize, counts: [usize; 3]| {
        let parts: Vec<&str> = text.split(separator).collect();
        counts.contains(&parts.len()) && parts.iter().all(|part| part.len() == width && all_hex(part))
    };
    of(':', 2, [6, 8, 20]) || of('-', 2, [6, 8, 20]) || of('.', 4, [3, 4, 10])
}

// As Go's `ParseRequestURI`: absolute, or a path from the root.
fn is_uri(text: &str) -> bool {
    if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return false;
    }
    let scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    text.starts_with('/') || text.split_once(':').is_some_and(|(before, rest)| scheme(before) && !rest.is_empty())
}

fn is_email(text: &str) -> bool {
    let address = text.rsplit_once('<').map_or(text, |(_, rest)| rest.trim_end_matches('>'));
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let fits =
        |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || "()<>[],;:\\\"".contains(c));
    fits(local) && !local.starts_with('.') && !local.ends_with('.') && fits(domain)
}

fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte >= 0x80);
        inner && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 255 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

fn is_uuid(text: &str, version: Option<u8>) -> bool {
    let plain: String = text.chars().filter(|c| *c != '-').collect();
    let dashes =
        text.len() == 32 || (text.len() == 36 && [8, 13, 18, 23].iter().all(|at| text.as_bytes()[*at] == b'-'));
    plain.len() == 32 && all_hex(&plain) && dashes && version.is_none_or(|version| plain.as_bytes()[12] == version)
}

fn is_date_time(text: &str) -> bool {
    // A date alone, and a time without a zone, are no moments.
    text.contains(['T', 't']) && text.parse::<jiff::Timestamp>().is_ok()
}

// Go's duration, or a number with a unit in words: `1h30m`, `3 days`.
fn is_duration(text: &str) -> bool {
    const UNITS: [&str; 35] = [
        "ns",
        "nano",
        "nanos",
        "nanosecond",
        "nanoseconds",
        "us",
        "µs",
        "micro",
        "micros",
        "microsecond",
        "microseconds",
        "ms",
        "milli",
        "millis",
        "millisecond",
        "milliseconds",
        "s",
        "sec",
        "secs",
        "second",
        "seconds",
        "m",
        "min",
        "mins",
        "minute",
        "minutes",
        "h",
        "hr",
        "hour",
        "hours",
        "d",
        "day",
        "days",
        "w",
        "week",
    ];
    let mut rest = text.trim().trim_start_matches(['-', '+']);
    if rest == "0" {
        return true;
    }
    let mut any = false;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.len() - after.trim_start_matches(|c: char| c.is_alphabetic()).len();
        let (unit, after) = after.split_at(letters);
        let unit = unit.to_lowercase();
        if number.parse::<f64>().is_err() || !(UNITS.contains(&&*unit) || unit == "weeks" || unit == "μs") {
            return false;
        }
        any = true;
        rest = after.trim_start();
    }
    any
}

fn is_rgb(text: &str) -> bool {
    let inner = text.strip_prefix("rgb(").and_then(|rest| rest.strip_suffix(')'));
    inner.is_some_and(|inner| {
        let parts: Vec<_> = inner.split(',').map(|part| part.trim().parse::<u8>()).collect();
        parts.len() == 3 && parts.iter().all(Result::is_ok)
    })
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_digit(10).unwrap_or(u32::MAX)).collect()
}

fn is_isbn10(text: &str) -> bool {
    let mut digits = digits(text);
    if let (Some(last), true) = (digits.last_mut(), text.ends_with(['X', 'x'])) {
        *last = 10;
    }
    let sum = || -> u32 { (1..).zip(&digits).map(|(weight, digit)| weight * digit).sum() };
    digits.len() == 10 && digits.iter().all(|digit| *digit <= 10) && sum().is_multiple_of(11)
}

fn is_isbn13(text: &str) -> bool {
    let digits = digits(text);
    let sum = || -> u32 { digits.iter().zip([1, 3].iter().cycle()).map(|(digit, weight)| weight * digit).sum() };
    digits.len() == 13 && digits.iter().all(|digit| *digit <= 9) && sum().is_multiple_of(10)
}

fn is_credit_card(text: &str) -> bool {
    let digits = digits(text);
    if !(13..=19).contains(&digits.len()) || digits.iter().any(|digit| *digit > 9) {
        return false;
    }
    let double = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 =
        digits.iter().rev().enumerate().map(|(at, digit)| if at % 2 == 1 { double(*digit) } else { *digit }).sum();
    sum.is_multiple_of(10)
}

fn is_ssn(text: &str) -> bool {
    let widths: Vec<usize> = text.split(['-', ' ']).map(str::len).collect();
    widths == [3, 2, 4] && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | ' '))
}

fn all_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_tell_good_from_bad() {
        for (format, good, bad) in [
            ("ipv4", "10.0.0.1", "10.0.0.256"),
            ("ipv6", "::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("mac", "01:23:45:67:89:ab", "01:23:45"),
            ("uri", "https://a.b/c", "a b"),
            ("email", "a@b.c", "a.b.c"),
            ("hostname", "a-b.example", "-a.example"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
            ("uuid4", "123e4567-e89b-42d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"),
            ("byte", "aGk=", "a$"),
            ("date", "2026-02-28", "2026-02-30"),
            ("date-time", "2026-02-28T01:02:03Z", "2026-02-28"),
            ("duration", "1h30m", "1 fortnight"),
            ("duration", "2 days", "h"),
            ("hexcolor", "#a0b1c2", "#a0b"[..2].trim_end()),
            ("rgbcolor", "rgb(1, 2,3)", "rgb(1,2)"),
            ("isbn10", "0-306-40615-2", "0-306-40615-3"),
            ("isbn13", "978-0-306-40615-7", "978-0-306-40615-8"),
            ("creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"),
            ("ssn", "123-45-6789", "123-456-789"),
            ("bsonobjectid", "507f1f77bcf86cd799439011", "507f1f77"),
        ] {
            assert!(fits(format, good), "{format} {good}");
            assert!(!fits(format, bad), "{format} {bad}");
        }
        assert!(fits("of-my-own", "anything"));
    }
}
