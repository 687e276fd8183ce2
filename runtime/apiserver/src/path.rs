//! What a request's path and query say.

use std::borrow::Cow;

use http::Uri;
use http::uri::PathAndQuery;
use url::form_urlencoded;

/// A path under `/api/v1` or `/apis/GROUP/VERSION` that names a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub plural: &'a str,
    /// `""` for all namespaces and for cluster-scoped kinds.
    pub namespace: &'a str,
    /// `""` for the collection.
    pub name: &'a str,
    /// `""` for the object itself.
    pub subresource: &'a str,
    /// What follows the subresource.
    pub rest: &'a str,
}

/// Reads a path; `None` when it names no resource.
pub(crate) fn resource(path: &str) -> Option<ResourcePath<'_>> {
    let trimmed = path.trim_matches('/');
    let mut parts = trimmed.splitn(4, '/');
    let (group, version, rest) = match (parts.next()?, parts.next()?, parts.next()?, parts.next()) {
        ("api", version, first, rest) => ("", version, join(trimmed, first, rest)),
        ("apis", group, version, Some(rest)) => (group, version, rest),
        _ => return None,
    };
    let pieces: Vec<&str> = rest.splitn(6, '/').collect();
    let base = ResourcePath { group, version, ..ResourcePath::default() };
    let found = match pieces.as_slice() {
        // `namespaces/x/finalize` and its like are of the namespace itself.
        ["namespaces", namespace, "finalize" | "status"] => {
            ResourcePath { plural: "namespaces", name: namespace, subresource: pieces[2], ..base }
        }
        ["namespaces", namespace, plural, more @ ..] => {
            let found = ResourcePath { plural, namespace, ..base };
            with_name(found, more, rest)
        }
        [plural, more @ ..] => with_name(ResourcePath { plural, ..base }, more, rest),
        [] => return None,
    };
    (!found.plural.is_empty()).then_some(found)
}

fn join<'a>(whole: &'a str, first: &'a str, rest: Option<&str>) -> &'a str {
    let start = first.as_ptr() as usize - whole.as_ptr() as usize;
    &whole[start..start + first.len() + rest.map_or(0, |rest| rest.len() + 1)]
}

fn with_name<'a>(mut path: ResourcePath<'a>, more: &[&'a str], whole: &'a str) -> ResourcePath<'a> {
    path.name = more.first().copied().unwrap_or_default();
    path.subresource = more.get(1).copied().unwrap_or_default();
    if let Some(third) = more.get(2) {
        let start = third.as_ptr() as usize - whole.as_ptr() as usize;
        path.rest = &whole[start..];
    }
    path
}

/// Writes plainly what the path encodes without need, as clients do with the colons in names: all that look at a path
/// then see the same (RFC 3986, 6.2.2.2). What may not stand in a path, or would divide it, stays encoded.
pub(crate) fn write_plainly(uri: &mut Uri) {
    if !uri.path().contains('%') {
        return;
    }
    let mut rest = uri.path();
    let mut plain = String::with_capacity(rest.len());
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).map(char::from);
        match byte.filter(|byte| byte.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@".contains(*byte)) {
            Some(byte) => {
                plain.push(byte);
                rest = &after[2..];
            }
            None => {
                plain.push('%');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    replace(uri, plain + &query);
}

fn replace(uri: &mut Uri, path_and_query: String) {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(path_and_query).ok();
    if let Ok(changed) = Uri::from_parts(parts) {
        *uri = changed;
    }
}

/// Writes the deprecated path of a watch, `/api/v1/watch/pods`, as a list that is watched: `/api/v1/pods?watch=true`.
/// That of one object is a watch of its name.
pub(crate) fn write_watch(uri: &mut Uri) {
    if !uri.path().contains("/watch/") {
        return;
    }
    let parts: Vec<&str> = uri.path().split('/').collect();
    let (before, what) = match &parts[..] {
        ["", "api", _, "watch", what @ ..] => (&parts[..3], what),
        ["", "apis", _, _, "watch", what @ ..] => (&parts[..4], what),
        _ => return,
    };
    let (collection, name) = match what {
        [_] | ["namespaces", _, _] => (what, ""),
        ["namespaces", _, _, name] => (&what[..3], *name),
        [_, name] => (&what[..1], *name),
        _ => return,
    };
    let path = [before, collection].concat().join("/");
    let selector = if name.is_empty() { String::new() } else { format!("&fieldSelector=metadata.name%3D{name}") };
    let query = uri.query().map(|query| format!("&{query}")).unwrap_or_default();
    replace(uri, format!("{path}?watch=true{selector}{query}"));
}

/// The query's parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(crate) fn of(uri: &'a Uri) -> Self {
        Self(form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect())
    }

    /// The first value of `name`; `""` when there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Whether `name` is there and does not say no: `?watch` alone says yes, as upstream reads it.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        value.is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        self.0.iter().any(|(key, have)| key == name && have == value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        let check = |path: &str, expected: [&str; 6]| {
            let found = resource(path).unwrap();
            let found = [found.group, found.plural, found.namespace, found.name, found.subresource, found.rest];
            assert_eq!(found, expected, "{path}");
        };
        check("/api/v1/pods", ["", "pods", "", "", "", ""]);
        check("/api/v1/nodes/n/status", ["", "nodes", "", "n", "status", ""]);
        check("/api/v1/namespaces/ns", ["", "namespaces", "", "ns", "", ""]);
        check("/api/v1/namespaces/ns/finalize", ["", "namespaces", "", "ns", "finalize", ""]);
        check("/api/v1/namespaces/ns/pods/p/log", ["", "pods", "ns", "p", "log", ""]);
        check("/apis/demo.io/v1/namespaces/ns/websites/w", ["demo.io", "websites", "ns", "w", "", ""]);
        check("/api/v1/namespaces/ns/services/s/proxy/a/b", ["", "services", "ns", "s", "proxy", "a/b"]);
        for none in ["/", "/api", "/api/v1", "/apis/g", "/apis/g/v1", "/healthz"] {
            assert!(resource(none).is_none(), "{none}");
        }
    }

    #[test]
    fn what_is_encoded_without_need_is_written_plainly() {
        for (sent, read) in [
            ("/api/v1/pods/p%3A80/proxy/?a=%3A", "/api/v1/pods/p:80/proxy/?a=%3A"),
            ("/a%2Fb%20c%3f%25%3A", "/a%2Fb%20c%3f%25:"),
            ("/%e4%3a%", "/%e4:%"),
            ("/plain?x", "/plain?x"),
        ] {
            let mut uri: Uri = sent.parse().unwrap();
            write_plainly(&mut uri);
            assert_eq!(uri, read);
        }
    }

    #[test]
    fn old_paths_of_watches_are_lists_that_are_watched() {
        for (sent, read) in [
            ("/api/v1/watch/pods?resourceVersion=7", "/api/v1/pods?watch=true&resourceVersion=7"),
            ("/api/v1/watch/nodes/n", "/api/v1/nodes?watch=true&fieldSelector=metadata.name%3Dn"),
            ("/api/v1/watch/namespaces/ns", "/api/v1/namespaces?watch=true&fieldSelector=metadata.name%3Dns"),
            ("/apis/g/v/watch/namespaces/ns/kinds", "/apis/g/v/namespaces/ns/kinds?watch=true"),
            (
                "/apis/g/v/watch/namespaces/ns/kinds/k",
                "/apis/g/v/namespaces/ns/kinds?watch=true&fieldSelector=metadata.name%3Dk",
            ),
            ("/api/v1/namespaces/watch/pods", "/api/v1/namespaces/watch/pods"),
            ("/api/v1/watch", "/api/v1/watch"),
        ] {
            let mut uri: Uri = sent.parse().unwrap();
            write_watch(&mut uri);
            assert_eq!(uri, read);
        }
    }

    #[test]
    fn flags_are_read_as_upstream_does() {
        for (query, expected) in [
            ("", false),
            ("watch", true),
            ("watch=True", true),
            ("watch=1", true),
            ("watch=FALSE", false),
            ("watch=0", false),
        ] {
            let uri = format!("/x?{query}").parse().unwrap();
            assert_eq!(Query::of(&uri).flag("watch"), expected, "{query}");
        }
    }
}
