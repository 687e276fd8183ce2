//! `pods/NAME/proxy`, `services/NAME/proxy` and `nodes/NAME/proxy`: HTTP to what listens there
//! (<https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/>).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::{HOST, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use serde_json::{Value, json};
use trimtab_api::{ApiError, Object};
use trimtab_client::{Body, HttpTransport, Trust, root_cause};

use crate::admission::Verb;
use crate::handler::{Answer, Call};
use crate::pass::{self, Sent};
use crate::path::ResourcePath;
use crate::server::ApiServer;
use crate::{backend, encode, nodes, read, subresource};

/// What a name in the path stands for: `[SCHEME:]NAME[:PORT]`.
#[derive(Debug, PartialEq)]
struct Target<'a> {
    scheme: &'a str,
    name: &'a str,
    /// A number or a name; `""` for the first one.
    port: &'a str,
}

impl<'a> Target<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match parts.as_slice() {
            [name] => ("", *name, ""),
            [name, port] => ("", *name, *port),
            [scheme @ ("" | "http" | "https"), name, port] => (*scheme, *name, *port),
            _ => return None,
        };
        let scheme = if scheme.is_empty() { "http" } else { scheme };
        (!name.is_empty()).then_some(Self { scheme, name, port })
    }
}

/// Passes the call on to what listens in the pod, behind the Service or on the node that it names.
pub(crate) async fn proxy(server: &ApiServer, call: &Call<'_>, upgrade: Option<OnUpgrade>) -> Answer {
    let target = Target::read(call.path.name)
        .ok_or_else(|| ApiError::bad_request(format!("invalid {} request {:?}", call.kind.singular, call.path.name)))?;
    let (before, rest) = around(call);
    if rest.is_empty() && matches!(*call.method, Method::GET | Method::HEAD) {
        return Ok(redirected(&format!("{before}/"), call));
    }
    let whole = Call { path: ResourcePath { name: target.name, ..call.path.clone() }, ..call.borrowed() };
    let object = encode::to_object(&call.kind, &*read::find(server, &whole).await?);
    if let Some(options) = call.kind.subresource("proxy") {
        let sent = json!({"kind": options.kind, "apiVersion": "v1", "path": rest});
        subresource::admit(server, call, Verb::Connect, ("v1", &options.kind), sent, None).await?;
    }
    let transport = transport(server, call, &target, &object).await?;
    let query = call.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let uri = format!("{}{query}", if rest.is_empty() { "/" } else { rest });
    let away = |error| ApiError::unavailable(format!("error trying to reach service: {}", root_cause(&error)));
    let headers = forwarded(call, before, rest);
    let mut response = pass::on(server, Sent::of(call), (&*transport, &uri), headers, upgrade, away).await?;
    keep_within(&mut response, before, transport.as_ref());
    Ok(response)
}

/// The path up to and with `proxy`, and what follows it: `""`, or from its slash on.
fn around<'a>(call: &Call<'a>) -> (&'a str, &'a str) {
    let path = call.uri.path();
    let own = format!("/{}/proxy", call.path.name);
    let end = path.find(&own).map_or(path.len(), |at| at + own.len());
    path.split_at(end)
}

async fn transport(
    server: &ApiServer,
    call: &Call<'_>,
    target: &Target<'_>,
    object: &Object,
) -> Result<Arc<HttpTransport>, ApiError> {
    let (host, port, at) = match &*call.kind.plural {
        "nodes" => {
            let agent = nodes::address(server, target.name).await?;
            if !target.port.is_empty() && !agent.ends_with(&format!(":{}", target.port)) {
                let detail = format!("a node's proxy leads to its agent alone, not to port {}", target.port);
                return Err(ApiError::bad_request(detail));
            }
            return server.inner.nodes.to(&agent);
        }
        "services" => {
            let found = backend::of(server, object.namespace(), target.name, target.port).await?;
            (found.host, found.port, found.at)
        }
        _ => {
            let at = of_pod(object, target.port)?;
            (at.ip().to_string(), at.port(), None)
        }
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let base = format!("{}://{host}:{port}", target.scheme);
    // Whoever may use the proxy trusts the cluster's network, as upstream has it.
    let made = server
        .inner
        .outside
        .get(&format!("proxy {base} {at:?}"), || HttpTransport::trusting(&base, Trust::Anybody, at, None));
    made.map_err(|error| ApiError::internal(root_cause(&error)))
}

fn of_pod(pod: &Object, port: &str) -> Result<SocketAddr, ApiError> {
    let ip = pod.str_at(&["status", "podIP"]);
    let ip: IpAddr = ip.parse().map_err(|_| ApiError::bad_request(format!("pod {} has no address yet", pod.name())))?;
    // A pod's status may say anything; only on its node's network is the machine's own its address.
    let is_own = ip.is_loopback() || matches!(ip, IpAddr::V4(ip) if ip.is_link_local());
    if is_own && pod.at(&["spec", "hostNetwork"]) != Some(&Value::Bool(true)) {
        return Err(ApiError::bad_request("address not allowed"));
    }
    let containers = pod.at(&["spec", "containers"]).and_then(Value::as_array);
    let ports = containers.into_iter().flatten().filter_map(|container| container["ports"].as_array()).flatten();
    let declared = ports.into_iter().find(|known| port.is_empty() || known["name"] == port);
    let number = declared.and_then(|known| known["containerPort"].as_u64());
    let found = match port.parse() {
        Ok(port) => Some(port),
        Err(_) => number.and_then(|number| u16::try_from(number).ok()),
    };
    match (found, port) {
        (Some(port), _) => Ok(SocketAddr::new(ip, port)),
        (None, "") => Ok(SocketAddr::new(ip, 80)),
        (None, _) => Err(ApiError::bad_request(format!("pod {} has no port {port:?}", pod.name()))),
    }
}

/// What is asked for has no path: relative links of the answer need its slash.
fn redirected(to: &str, call: &Call<'_>) -> Response<Body> {
    let query = call.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut response = Response::new(trimtab_client::empty_body());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(location) = HeaderValue::from_str(&format!("{to}{query}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// How the client reaches what it asks for.
fn forwarded(call: &Call<'_>, before: &str, rest: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, value: Result<HeaderValue, _>| {
        if let Ok(value) = value {
            headers.insert(name, value);
        }
    };
    add("x-forwarded-uri", HeaderValue::from_str(&format!("{before}{rest}")));
    add("x-forwarded-proto", HeaderValue::from_str("https"));
    if let Some(host) = call.uri.host().map(HeaderValue::from_str).or_else(|| call.headers.get(HOST).cloned().map(Ok)) {
        add("x-forwarded-host", host);
    }
    headers
}

/// A redirect to another path of the same server stays behind the proxy.
fn keep_within(response: &mut Response<Body>, before: &str, transport: &HttpTransport) {
    use trimtab_client::Transport as _;
    let Some(location) = response.headers().get(LOCATION).and_then(|location| location.to_str().ok()) else { return };
    let path = location.strip_prefix(transport.server()).unwrap_or(location);
    if path.starts_with('/')
        && !path.starts_with("//")
        && let Ok(kept) = HeaderValue::from_str(&format!("{before}{path}"))
    {
        response.headers_mut().insert(LOCATION, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_a_scheme_and_a_port() {
        let read = |text| Target::read(text).map(|target| (target.scheme, target.name, target.port));
        assert_eq!(read("a"), Some(("http", "a", "")));
        assert_eq!(read("a:80"), Some(("http", "a", "80")));
        assert_eq!(read("https:a:web"), Some(("https", "a", "web")));
        assert_eq!(read(":a:"), Some(("http", "a", "")));
        assert_eq!(read("ftp:a:"), None);
        assert_eq!(read("http::80"), None);
    }
}
