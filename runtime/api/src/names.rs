//! The rules of names, in upstream's words (`k8s.io/apimachinery/pkg/util/validation`). Each
//! function gives what is wrong; nothing when the text fits.

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const HTTP_HEADER: &str = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
const ENV_NAME: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";

/// A DNS label (RFC 1123): at most 63 lower-case letters, digits and dashes.
pub fn dns1123_label(text: &str) -> Vec<String> {
    let message = if is_subdomain(text) { "must not contain dots" } else { LABEL };
    check(text, 63, is_label(text), message)
}

/// A DNS subdomain (RFC 1123): labels joined by dots, at most 253 characters.
pub fn dns1123_subdomain(text: &str) -> Vec<String> {
    check(text, 253, is_subdomain(text), SUBDOMAIN)
}

/// A DNS subdomain below `*.`, as a certificate's or an Ingress's host.
pub fn wildcard_subdomain(text: &str) -> Vec<String> {
    check(text, 253, text.strip_prefix("*.").is_some_and(is_subdomain), WILDCARD)
}

/// A DNS label that starts with a letter (RFC 1035), as a Service's name.
pub fn dns1035_label(text: &str) -> Vec<String> {
    check(text, 63, is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase()), LABEL_1035)
}

/// A label's or annotation's key: a name of at most 63 characters, with a DNS prefix if it has one.
pub fn qualified_name(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let name = match text.split_once('/') {
        Some((_, rest)) if rest.contains('/') => return vec![too_many_parts()],
        Some((prefix, name)) => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            }
            let problems = if prefix.is_empty() { Vec::new() } else { dns1123_subdomain(prefix) };
            errors.extend(problems.iter().map(|problem| format!("prefix part {problem}")));
            name
        }
        None => text,
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        errors.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_name(name) {
        errors.push(QUALIFIED.to_owned());
    }
    errors
}

/// A label's value: at most 63 characters; may be empty.
pub fn label_value(text: &str) -> Vec<String> {
    check(text, 63, text.is_empty() || is_name(text), LABEL_VALUE)
}

/// A key of a ConfigMap or Secret.
pub fn config_map_key(text: &str) -> Vec<String> {
    let fits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let mut errors = check(text, 253, fits, CONFIG_KEY);
    if text == "." || text == ".." {
        errors.push(format!("must not be '{text}'"));
    } else if text.starts_with("..") {
        errors.push("must not start with '..'".to_owned());
    }
    errors
}

/// An environment variable's name: anything printable but `=` (upstream's relaxed rule).
pub fn env_name(text: &str) -> Vec<String> {
    if text.is_empty() {
        return vec!["environment variable name must be non-empty".to_owned()];
    }
    let fits = text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'=');
    check(text, usize::MAX, fits, ENV_NAME)
}

/// A port's name (RFC 6335): at most 15 characters, with a letter in it.
pub fn port_name(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > 15 {
        errors.push("must be no more than 15 bytes".to_owned());
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        errors.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        errors.push("must not begin or end with a hyphen".to_owned());
    }
    errors
}

/// A port's number.
pub fn port_number(port: i32) -> Vec<String> {
    if (1..=65_535).contains(&port) { Vec::new() } else { vec!["must be between 1 and 65535, inclusive".to_owned()] }
}

/// A label that may name one path segment, as upstream names objects of most kinds.
pub fn path_segment(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text == "." || text == ".." {
        errors.push(format!("may not be '{text}'"));
    }
    errors.extend(['/', '%'].into_iter().filter(|c| text.contains(*c)).map(|c| format!("may not contain '{c}'")));
    errors
}

fn check(text: &str, max: usize, fits: bool, message: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > max {
        errors.push(format!("must be no more than {max} bytes"));
    }
    if !fits {
        errors.push(message.to_owned());
    }
    errors
}

/// `prefix`, which a generated suffix will follow, as a rule for whole names can judge it: a dash
/// at its end will not be the name's last character.
pub fn masked_prefix(prefix: &str) -> std::borrow::Cow<'_, str> {
    match prefix.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            let end = rest.char_indices().next_back().map_or(0, |(at, _)| at);
            format!("{}a", &rest[..end]).into()
        }
        _ => prefix.into(),
    }
}

/// The name of an HTTP header.
pub fn http_header(text: &str) -> Vec<String> {
    let fits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    check(text, usize::MAX, fits, HTTP_HEADER)
}

/// A path below a domain: `acme.io/foo`.
pub fn domain_prefixed_path(text: &str) -> Vec<String> {
    const PATH: &str = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
    match text.split_once('/') {
        Some((domain, path)) if !domain.is_empty() && !path.is_empty() => {
            let fits = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b));
            let mut errors = dns1123_subdomain(domain);
            errors.extend(check(path, usize::MAX, fits, PATH));
            errors
        }
        _ => vec!["must be a domain-prefixed path (such as \"acme.io/foo\")".to_owned()],
    }
}

/// An IPv4 or IPv6 address.
pub fn ip_address(text: &str) -> Vec<String> {
    let message = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    check(text, usize::MAX, text.parse::<std::net::IpAddr>().is_ok(), message)
}

fn too_many_parts() -> String {
    let rule = QUALIFIED.trim_start_matches("name part ");
    format!("a qualified name {rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && inner(bytes[0])
        && inner(bytes[bytes.len() - 1])
        && bytes.iter().all(|b| inner(*b) || *b == b'-')
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes[0].is_ascii_alphanumeric()
        && bytes[bytes.len() - 1].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_or_say_why() {
        for (rule, good, bad) in [
            (dns1123_label as fn(&str) -> Vec<String>, "web-1", "Web"),
            (dns1123_subdomain, "a.b-c.d", "a..b"),
            (dns1035_label, "web", "1web"),
            (qualified_name, "demo.io/My_name", "/x"),
            (label_value, "", "-x"),
            (config_map_key, "_a.b", "a b"),
            (port_name, "http-1", "80"),
        ] {
            assert!(rule(good).is_empty(), "{good}: {:?}", rule(good));
            assert!(!rule(bad).is_empty(), "{bad}");
        }
        assert_eq!(dns1123_subdomain(&"n".repeat(300)), ["must be no more than 253 bytes"]);
        assert_eq!(dns1123_label("a.b"), ["must not contain dots"]);
        assert_eq!(config_map_key("..data"), ["must not start with '..'"]);
        assert_eq!(port_name("web--1"), ["must not contain consecutive hyphens"]);
        assert!(qualified_name("a/b/c")[0].starts_with("a qualified name must consist of"));
    }

    #[test]
    fn a_prefix_may_end_with_a_dash() {
        for (prefix, expected) in [("web-", "wea"), ("web", "web"), ("-", "-"), ("a-", "a")] {
            assert_eq!(masked_prefix(prefix), expected);
        }
    }
}
