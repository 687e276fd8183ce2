//! The HTTPS server that the API server calls for logs, exec, attach and port-forward.
//!
//! Upstream kubelet's paths. One server serves all nodes of the process: a request names its pod,
//! and the pod tells the node. Whoever asks holds a client certificate of the cluster, and the API
//! server says whether it may.
//!
//! ```text
//! upgrade ─▶ websocket (channels) ─┬─▶ streams ─▶ ends    ─▶ session  (exec, attach)
//!        └─▶ spdy                  ┘           └▶ forward             (ports)
//! ```

mod authority;
mod ends;
mod forward;
mod logs;
mod query;
mod session;
mod spdy;
mod streams;
mod upgrade;
mod websocket;

pub use spdy::fuzz;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use trimtab_api::ApiError;
use trimtab_env::Tasks;
use trimtab_serve::{Body, Server, response};

use crate::agent::KubeletServer;
use crate::feed::Nodes;
use crate::node::Node;
use crate::runtime::Container;
use authority::Caller;
use query::Query;

type Answer = Result<Response<Body>, ApiError>;

/// Serves until `tasks` are cancelled; returns the port.
pub(crate) fn start(server: KubeletServer, nodes: Arc<Nodes>, tasks: &Tasks) -> u16 {
    let port = server.listener.local_addr().map_or(0, |address| address.port());
    let streams = tasks.clone();
    // Logs that are followed end with the agent.
    let server = Server { listener: server.listener, tls: Some(server.tls), grace: Duration::ZERO };
    server.start(tasks, move |request, peer| {
        let (nodes, tasks) = (Arc::clone(&nodes), streams.clone());
        async move {
            let answered = async {
                let caller = peer.certificate.as_ref().and_then(|certificate| Caller::of(certificate));
                check(&nodes, caller.as_ref(), &request).await?;
                answer(&nodes, &tasks, request).await
            };
            answered.await.unwrap_or_else(|error| refusal(&error))
        }
    });
    port
}

/// Whether the caller may ask this.
async fn check(nodes: &Nodes, caller: Option<&Caller>, request: &Request<Incoming>) -> Result<(), ApiError> {
    let caller = caller.ok_or_else(ApiError::unauthorized)?;
    let path = request.uri().path();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let of_pod = match parts.as_slice() {
        [_, namespace, name, ..] => find(nodes, namespace, name).ok().map(|(node, _)| node),
        _ => None,
    };
    let Some(node) = of_pod.or_else(|| nodes.values().next().cloned()) else { return Err(ApiError::no_such_path()) };
    caller.check(&node.shared.client, &node.config.name, request.method(), path).await
}

async fn answer(nodes: &Nodes, tasks: &Tasks, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let query = Query::parse(request.uri().query().unwrap_or_default());
    match parts.as_slice() {
        ["healthz"] => Ok(text("ok")),
        ["pods"] => Ok(json_answer(&pods(nodes))),
        ["stats", "summary"] => Ok(json_answer(&summary(nodes).await)),
        ["containerLogs", namespace, pod, container] if request.method() == Method::GET => {
            let (node, pod) = find(nodes, namespace, pod)?;
            logs::logs(&node, &pod, container, &query).await
        }
        ["exec", namespace, pod, .., container] => {
            let (node, pod) = find(nodes, namespace, pod)?;
            session::exec(&node, &pod, container, &query, tasks, request).await
        }
        ["attach", namespace, pod, .., container] => {
            let (node, pod) = find(nodes, namespace, pod)?;
            session::attach(&node, &pod, container, &query, tasks, request).await
        }
        ["portForward", namespace, pod, ..] => {
            let (node, pod) = find(nodes, namespace, pod)?;
            forward::forward(&node, &pod, &query, tasks, request).await
        }
        _ => Err(ApiError::no_such_path()),
    }
}

fn find(nodes: &Nodes, namespace: &str, name: &str) -> Result<(Arc<Node>, Arc<Pod>), ApiError> {
    let found = nodes.values().find_map(|node| Some((Arc::clone(node), node.find(namespace, name)?)));
    found.ok_or_else(|| ApiError::new(404, "NotFound", format!("pod \"{name}\" does not exist on this node")))
}

/// The running instance of a container.
async fn running(node: &Node, pod: &Pod, container: &str) -> Result<Container, ApiError> {
    let instances = instances(node, pod, container).await?;
    let running = instances.into_iter().find(|instance| instance.state.is_running());
    running.ok_or_else(|| ApiError::bad_request(format!("container not found (\"{container}\")")))
}

/// All instances of a container, the newest first.
async fn instances(node: &Node, pod: &Pod, container: &str) -> Result<Vec<Container>, ApiError> {
    let observed = node.runtime().observe(pod.metadata.uid.as_deref()).await.map_err(ApiError::internal)?;
    let mut instances: Vec<_> = observed.containers.into_iter().filter(|c| c.name == container).collect();
    instances.sort_by_key(|instance| std::cmp::Reverse((instance.attempt, instance.created_at)));
    Ok(instances)
}

fn pods(nodes: &Nodes) -> serde_json::Value {
    let items: Vec<_> = nodes.values().flat_map(|node| node.pods()).collect();
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
}

/// What the containers use: the part of upstream's summary that the runtime tells.
async fn summary(nodes: &Nodes) -> serde_json::Value {
    let mut pods = Vec::new();
    for node in nodes.values().filter(|node| !node.runtime().is_simulated()) {
        let Ok(observed) = node.runtime().observe(None).await else { continue };
        for pod in node.pods() {
            let uid = pod.metadata.uid.clone().unwrap_or_default();
            let mut containers = Vec::new();
            for container in observed.containers.iter().filter(|c| c.uid == uid && c.state.is_running()) {
                let Ok(stats) = node.runtime().stats(&container.id).await else { continue };
                containers.push(json!({
                    "name": container.name,
                    "cpu": {"usageCoreNanoSeconds": stats.cpu_nanoseconds},
                    "memory": {"workingSetBytes": stats.memory_working_set},
                }));
            }
            let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
            pods.push(json!({"podRef": {"name": name, "namespace": namespace, "uid": uid}, "containers": containers}));
        }
    }
    let name = nodes.keys().next();
    json!({"node": {"nodeName": name}, "pods": pods})
}

fn json_answer(value: &serde_json::Value) -> Response<Body> {
    with_type("application/json", value.to_string())
}

fn text(text: &str) -> Response<Body> {
    with_type("text/plain", text.to_owned())
}

fn with_type(type_: &'static str, body: String) -> Response<Body> {
    response(StatusCode::OK, type_, body)
}

fn refusal(error: &ApiError) -> Response<Body> {
    let body = serde_json::to_string(error.status()).unwrap_or_default();
    let mut response = with_type("application/json", body);
    *response.status_mut() = StatusCode::from_u16(error.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
