//! Requests that the node's agent answers: logs, exec, attach, port-forward.

use std::sync::Arc;

use http::{HeaderMap, Method};
use hyper::upgrade::OnUpgrade;
use rustls::ClientConfig;
use serde_json::{Value, json};
use trimtab_api::{ApiError, Object};
use trimtab_client::{HttpTransport, Transport, root_cause};

use crate::admission::Verb;
use crate::handler::{Answer, Call};
use crate::kept::Kept;
use crate::pass::{self, Sent};
use crate::server::ApiServer;
use crate::{encode, read, stored, subresource, websocket};

/// How the server shows itself to the nodes' agents, and whom it trusts.
pub type NodeTls = ClientConfig;

/// Connections to the nodes' agents, kept by address.
pub(crate) struct Nodes {
    tls: Option<NodeTls>,
    open: Kept<HttpTransport>,
}

impl Nodes {
    pub(crate) fn new(tls: Option<NodeTls>) -> Self {
        Self { tls, open: Kept::default() }
    }

    pub(crate) fn to(&self, server: &str) -> Result<Arc<HttpTransport>, ApiError> {
        let tls = self
            .tls
            .as_ref()
            .ok_or_else(|| ApiError::unavailable("this server has no credentials for the nodes' agents"))?;
        let made = self.open.get(server, || HttpTransport::new(server, tls, None));
        made.map_err(|error| ApiError::internal(error.to_string()))
    }
}

/// Passes the call on to the agent of the pod's node. An upgraded connection is passed on byte for
/// byte.
pub(crate) async fn proxy(server: &ApiServer, call: &Call<'_>, upgrade: Option<OnUpgrade>) -> Answer {
    let pod = encode::to_object(&call.kind, &*read::find(server, call).await?);
    let container = container(call, &pod)?;
    let node = pod.str_at(&["spec", "nodeName"]);
    if node.is_empty() {
        return Err(ApiError::bad_request(format!("pod {} does not have a host assigned", pod.name())));
    }
    if let Some(options) = call.kind.subresource(call.path.subresource).filter(|options| options.kind != call.kind.kind)
    {
        let sent = connect_options(call, &options.kind);
        subresource::admit(server, call, Verb::Connect, ("v1", &options.kind), sent, None).await?;
    }
    let transport = server.inner.nodes.to(&address(server, node).await?)?;
    let (namespace, name) = (pod.namespace(), pod.name());
    let path = match call.path.subresource {
        "log" => format!("/containerLogs/{namespace}/{name}/{container}"),
        "portforward" => format!("/portForward/{namespace}/{name}"),
        verb @ ("exec" | "attach") => format!("/{verb}/{namespace}/{name}/{container}"),
        _ => return Err(ApiError::no_such_path()),
    };
    let uri = format!("{path}?{}", agents_query(call));
    let away = |error: trimtab_client::TransportError| {
        ApiError::internal(format!("error dialing backend: node {node}: {error}: {}", root_cause(&error)))
    };
    let is_log = call.path.subresource == "log" && *call.method == Method::GET;
    if !is_log && !call.headers.contains_key(http::header::UPGRADE) {
        return Err(ApiError::bad_request("Upgrade request required"));
    }
    let to: (&dyn Transport, &str) = (&*transport, &uri);
    match upgrade {
        // An agent answers a log with a body, whoever asks.
        Some(upgrade) if is_log && websocket::is_asked(call.headers) => {
            let log = pass::on(server, Sent::of(call), to, HeaderMap::new(), None, away).await?;
            websocket::log(server, call, log, upgrade)
        }
        upgrade => pass::on(server, Sent::of(call), to, HeaderMap::new(), upgrade, away).await,
    }
}

/// What the query says, as the object that upstream makes of it.
pub(crate) fn connect_options(call: &Call<'_>, kind: &str) -> Value {
    let mut options = json!({"kind": kind, "apiVersion": "v1"});
    for (name, value) in call.query.pairs() {
        match name {
            "stdin" | "stdout" | "stderr" | "tty" => options[name] = call.query.flag(name).into(),
            "command" => match &mut options[name] {
                Value::Array(words) => words.push(value.into()),
                none => *none = json!([value]),
            },
            "ports" => options[name] = value.split(',').filter_map(|port| port.parse::<u16>().ok()).collect(),
            "container" => options[name] = value.into(),
            _ => {}
        }
    }
    options
}

/// The query as a kubelet reads it: it calls `input`, `output` and `error` what the API calls
/// `stdin`, `stdout` and `stderr`, and takes only `1` for yes there.
fn agents_query(call: &Call<'_>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(call.query.pairs());
    for (name, agents) in [("stdin", "input"), ("stdout", "output"), ("stderr", "error")] {
        if call.query.flag(name) {
            query.append_pair(agents, "1");
        }
    }
    query.finish()
}

fn container(call: &Call<'_>, pod: &Object) -> Result<String, ApiError> {
    let names = |field: &str| -> Vec<String> {
        let list = pod.at(&["spec", field]).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|c| c["name"].as_str()).map(str::to_owned).collect()
    };
    let containers = names("containers");
    let asked = call.query.get("container");
    if asked.is_empty() {
        return match containers.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(ApiError::bad_request(format!(
                "a container name must be specified for pod {}, choose one of: [{}]",
                pod.name(),
                containers.join(" ")
            ))),
        };
    }
    let others = || [names("initContainers"), names("ephemeralContainers")].into_iter().flatten();
    if containers.iter().cloned().chain(others()).any(|name| name == asked) {
        return Ok(asked.to_owned());
    }
    Err(ApiError::bad_request(format!("container {asked} is not valid for pod {}", pod.name())))
}

/// Where the agent of the node `name` listens.
pub(crate) async fn address(server: &ApiServer, name: &str) -> Result<String, ApiError> {
    let node = stored::find(server, ("", "v1", "nodes"), "", name).await?;
    let addresses = node.at(&["status", "addresses"]).and_then(Value::as_array);
    let internal = addresses.into_iter().flatten().find(|address| address["type"] == "InternalIP");
    let ip = internal.and_then(|address| address["address"].as_str());
    let port = node.at(&["status", "daemonEndpoints", "kubeletEndpoint", "Port"]).and_then(Value::as_u64);
    match (ip, port) {
        (Some(ip), Some(port)) => Ok(format!("https://{ip}:{port}")),
        _ => Err(ApiError::unavailable(format!("node {name} has not said yet where its agent listens"))),
    }
}
