//! Requests to what other servers serve.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use hyper::upgrade::OnUpgrade;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use trimtab_api::ApiError;
use trimtab_client::{HttpTransport, TransportError, Trust, root_cause};

use super::{GROUP, Known, Remote};
use crate::auth::Identity;
use crate::handler::Answer;
use crate::pass::{self, Sent};
use crate::server::ApiServer;
use crate::{backend, body};

/// By these headers the other server is told who asks, as by any authenticating proxy
/// (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#authenticating-proxy>).
const OURS: &str = "x-remote-";
/// What stays as it is in a header's name (RFC 9110, section 5.6.2), except `%`.
const IN_NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'*')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Who else is asked by a request for `path`: for something of a group and version, or for their
/// OpenAPI document.
pub(crate) fn asked(server: &ApiServer, path: &str) -> Option<Arc<Known>> {
    let path = path.strip_prefix("/openapi/v3").unwrap_or(path);
    let mut parts = path.trim_start_matches('/').split('/');
    let (group, version) = match (parts.next()?, parts.next()?) {
        ("api", version) => ("", version),
        // Nobody else serves this one, so that what it says can always be put right.
        ("apis", group) if group != GROUP => (group, parts.next()?),
        _ => return None,
    };
    server.inner.aggregation.other(group, version)
}

/// Passes the request on to a pod of the Service that serves `known`.
///
/// # Errors
/// 503 when it cannot be reached.
pub(crate) async fn pass_on(
    server: &ApiServer,
    known: &Known,
    (sent, uri): (Sent<'_>, &Uri),
    identity: &Identity,
    upgrade: Option<OnUpgrade>,
) -> Answer {
    let unavailable = || {
        let text = "text/plain; charset=utf-8";
        Ok(body::bytes(StatusCode::SERVICE_UNAVAILABLE, text, "service unavailable\n"))
    };
    let Some(remote) = known.remote.as_ref().filter(|_| known.available) else { return unavailable() };
    let transport = match transport(server, remote).await {
        Ok(transport) => transport,
        Err(error) => {
            tracing::warn!(%error, name = known.name(), "an APIService's server cannot be found");
            server.inner.aggregation.work.notify_one();
            return unavailable();
        }
    };
    let mut headers = sent.headers.clone();
    let told: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with(OURS)).cloned().collect();
    told.iter().for_each(|name| drop(headers.remove(name)));
    let mut more = HeaderMap::new();
    speak_for(identity, &mut more);
    let uri = uri.path_and_query().map_or("/", |uri| uri.as_str());
    let sent = Sent { headers: &headers, ..sent };
    let away = |error: TransportError| {
        // It is soon known whether it is away for everybody.
        server.inner.aggregation.work.notify_one();
        ApiError::unavailable(format!("error trying to reach service: {}", root_cause(&error)))
    };
    pass::on(server, sent, (&*transport, uri), more, upgrade, away).await
}

/// Says whom the request is from.
pub(super) fn speak_for(identity: &Identity, headers: &mut HeaderMap) {
    let mut add = |name: &str, value: &str| {
        // What no header can carry, no name has: it would not have come in either.
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    };
    add("x-remote-user", &identity.user);
    if !identity.uid.is_empty() {
        add("x-remote-uid", &identity.uid);
    }
    identity.groups.iter().for_each(|group| add("x-remote-group", group));
    for (key, values) in &identity.extra {
        let name = format!("x-remote-extra-{}", utf8_percent_encode(key, IN_NAME));
        values.iter().for_each(|value| add(&name, value));
    }
}

/// A connection to a pod of `remote`.
///
/// # Errors
/// When there is none, or what it is to be trusted by cannot be read.
pub(super) async fn transport(server: &ApiServer, remote: &Remote) -> Result<Arc<HttpTransport>, ApiError> {
    let found = backend::of(server, &remote.namespace, &remote.name, &remote.port.to_string()).await?;
    let base = format!("https://{}:{}", found.host, found.port);
    let trust = match (&*remote.authority, remote.insecure) {
        (_, true) => Trust::Anybody,
        ([], false) => Trust::System,
        (authority, false) => Trust::Authority(authority),
    };
    let identity = server.inner.aggregation.identity.as_deref();
    let authority = String::from_utf8_lossy(&remote.authority);
    let key = format!("apiservice {base} {:?} {} {authority}", found.at, remote.insecure);
    let made = server.inner.outside.get(&key, || HttpTransport::trusting(&base, trust, found.at, identity));
    made.map_err(|error| ApiError::unavailable(root_cause(&error)))
}

/// What `path` of `remote` is called.
pub(super) fn url(remote: &Remote, path: &str) -> String {
    format!("https://{}.{}.svc:{}{path}", remote.name, remote.namespace, remote.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_stands_in_the_headers() {
        let identity = Identity {
            user: "jane".to_owned(),
            uid: "7".to_owned(),
            groups: vec!["a".to_owned(), "b c".to_owned()],
            extra: [("Example.com/x%".to_owned(), vec!["y".to_owned()])].into(),
        };
        let mut headers = HeaderMap::new();
        speak_for(&identity, &mut headers);
        let all: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(
            all,
            [
                ("x-remote-user", "jane"),
                ("x-remote-uid", "7"),
                ("x-remote-group", "a"),
                ("x-remote-group", "b c"),
                ("x-remote-extra-example.com%2fx%25", "y"),
            ]
        );
    }
}
