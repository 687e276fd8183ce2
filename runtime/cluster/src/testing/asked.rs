//! What a request is about.

use bytes::Bytes;
use http::{Method, Request};

/// What a path is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    pub(super) group: &'a str,
    namespace: &'a str,
    resource: &'a str,
    name: &'a str,
    subresource: &'a str,
}

impl<'a> Asked<'a> {
    pub(super) fn of(path: &'a str) -> Self {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (group, rest) = match &parts[..] {
            ["api", _, rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => return Self::default(),
        };
        let (namespace, rest) = match rest {
            // A namespace's own subresources.
            ["namespaces", _, "status" | "finalize"] => ("", rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            _ => ("", rest),
        };
        let part = |index: usize| rest.get(index).copied().unwrap_or_default();
        Self { group, namespace, resource: part(0), name: part(1), subresource: part(2) }
    }

    /// What is done to it, but for reading.
    pub(super) fn verb(&self, method: &Method) -> Option<&'static str> {
        match *method {
            Method::POST => Some("create"),
            Method::PUT => Some("update"),
            Method::PATCH => Some("patch"),
            Method::DELETE if self.name.is_empty() => Some("deletecollection"),
            Method::DELETE => Some("delete"),
            Method::GET if !self.name.is_empty() => Some("get"),
            _ => None,
        }
    }

    /// With the subresource, as `pods/status`.
    pub(super) fn whole(&self) -> String {
        let slash = if self.subresource.is_empty() { "" } else { "/" };
        format!("{}{slash}{}", self.resource, self.subresource)
    }

    /// Events are told once, reviews and tokens change nothing, and a leader renews its lease for as long as it leads.
    fn is_lasting(&self, is_elected: bool) -> bool {
        let elects = is_elected && self.resource == "leases" && self.namespace != "kube-node-lease";
        !(elects && self.group == "coordination.k8s.io"
            || self.resource == "events" && ["", "events.k8s.io"].contains(&self.group)
            || ["authentication.k8s.io", "authorization.k8s.io"].contains(&self.group)
            || self.group.is_empty() && self.subresource == "token")
    }
}

pub(super) fn is_lasting(request: &Request<Bytes>, is_elected: bool) -> bool {
    Asked::of(request.uri().path()).is_lasting(is_elected)
}

pub(super) fn is_read(request: &Request<Bytes>) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method())
}

pub(super) fn is_watch(request: &Request<Bytes>) -> bool {
    let watches = |query: &str| query.split('&').any(|part| part == "watch=true" || part == "watch=1");
    request.method() == Method::GET && request.uri().query().is_some_and(watches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_told_by_what_it_is_about() {
        let is_lasting = |path: &str, is_elected: bool| Asked::of(path).is_lasting(is_elected);
        for path in [
            "/api/v1/namespaces/events/pods/a",
            "/api/v1/namespaces/leases",
            "/api/v1/namespaces/a/status",
            "/api/v1/namespaces/a/secrets/token",
            "/apis/demo.io/v1/namespaces/a/eventsources/b/status",
            "/apis/demo.io/v1/codereviews",
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-0",
        ] {
            assert!(is_lasting(path, true) && is_lasting(path, false), "{path}");
        }
        for path in [
            "/api/v1/namespaces/a/events",
            "/apis/events.k8s.io/v1/namespaces/a/events/b",
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            "/api/v1/namespaces/a/serviceaccounts/b/token",
        ] {
            assert!(!is_lasting(path, false), "{path}");
        }
        let lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases/website";
        assert_eq!([true, false].map(|is_elected| is_lasting(lease, is_elected)), [false, true]);
    }
}
