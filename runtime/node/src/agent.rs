//! The agent of one process: any number of nodes, with one watch of pods and one server.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Taint;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use trimtab_client::Client;
use trimtab_env::{CancellationToken, Env, Tasks};

use crate::feed::{self, Nodes};
use crate::node::{Node, Shared, lock};
use crate::runtime::{self, Runtime};
use crate::volume::Files;
use crate::{heartbeat, recorder, server};

/// Where the HTTPS server listens, which the apiserver calls for logs and exec.
pub struct KubeletServer {
    /// Bound already; its port is reported in the nodes' status.
    pub listener: TcpListener,
    /// With the serving certificate, and a verifier that demands a client certificate of the cluster's authority.
    pub tls: Arc<rustls::ServerConfig>,
}

/// One node.
pub struct NodeConfig {
    /// Its name.
    pub name: String,
    /// Where its containers run.
    pub runtime: Arc<dyn Runtime>,
    /// Its `InternalIP`.
    pub address: IpAddr,
    /// Labels beside `kubernetes.io/hostname`, `os` and `arch`.
    pub labels: BTreeMap<String, String>,
    /// Taints it registers with.
    pub taints: Vec<Taint>,
    /// How many pods it takes; upstream's default is 110.
    pub max_pods: u32,
}

/// The agent of one process.
pub struct Config {
    /// The nodes.
    pub nodes: Vec<NodeConfig>,
    /// A folder for the files of pods, which outlives the process.
    pub root: PathBuf,
    /// The name server of pods with `dnsPolicy: ClusterFirst`; the host's when absent.
    pub cluster_dns: Option<IpAddr>,
    /// `cluster.local`.
    pub cluster_domain: String,
    /// The server for logs and exec; none of them without it.
    pub server: Option<KubeletServer>,
}

/// Why the agent could not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A container runtime failed at the start.
    #[error("node {node}: the container runtime could not be prepared")]
    Runtime {
        /// The node.
        node: String,
        /// Why.
        #[source]
        source: runtime::Error,
    },
}

/// How often everything is compared with the runtime, in case an event was missed.
const RELIST: Duration = Duration::from_secs(60);
/// How often a runtime that does not answer is asked again.
const PROBE: Duration = Duration::from_secs(1);

/// Runs the agent until `shutdown`. Containers keep running afterwards.
///
/// # Errors
/// If a runtime cannot be prepared at the start.
pub async fn run(client: Client, env: Env, config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    let tasks = Tasks::under(&shutdown);
    let (recorder, writer) = recorder::recorder(client.clone(), env.clone());
    tasks.spawn("events", writer.run(tasks.token().clone()));
    let shared = Arc::new(Shared {
        client,
        env: env.clone(),
        files: Files::new(&config.root),
        dns: config.cluster_dns,
        domain: config.cluster_domain,
        recorder,
    });
    let mut nodes = Nodes::new();
    for node in config.nodes {
        let name = node.name.clone();
        let node =
            prepare(node, &shared, &tasks).await.map_err(|source| Error::Runtime { node: name.clone(), source })?;
        nodes.insert(name, Arc::new(node));
    }
    let nodes = Arc::new(nodes);
    let port = config.server.map(|server| server::start(server, Arc::clone(&nodes), &tasks));
    for node in nodes.values() {
        start(node, port, &tasks);
    }
    let (orphans, owners) = (tasks.clone(), Arc::clone(&nodes));
    let on_listed = move || {
        for node in owners.values() {
            let node = Arc::clone(node);
            orphans.spawn_cancellable("orphans", async move { node.remove_orphans().await });
        }
    };
    tasks.spawn_cancellable("pods", feed::pods(Arc::clone(&nodes), env.clone(), on_listed));
    if nodes.values().any(|node| !node.runtime().is_simulated()) {
        tasks.spawn_cancellable("volume sources", feed::sources(nodes, env));
    }
    shutdown.cancelled().await;
    tasks.shutdown().await;
    Ok(())
}

async fn prepare(config: NodeConfig, shared: &Arc<Shared>, tasks: &Tasks) -> runtime::Result<Node> {
    let runtime = Arc::clone(&config.runtime);
    runtime.prepare().await?;
    let (host, version) = futures::try_join!(runtime.host(), runtime.version())?;
    let node = Node::new(config, Arc::clone(shared), host, version, tasks.clone());
    node.adopt(&runtime.observe(None).await?);
    Ok(node)
}

fn start(node: &Arc<Node>, port: Option<u16>, tasks: &Tasks) {
    let changed = Arc::new(Notify::new());
    tasks.spawn_cancellable("heartbeat", heartbeat::run(Arc::clone(node), port, Arc::clone(&changed)));
    tasks.spawn_cancellable("runtime events", listen(Arc::clone(node), changed));
    if !node.runtime().is_simulated() {
        tasks.spawn_cancellable("relist", relist(Arc::clone(node)));
    }
}

/// Passes the runtime's events on. When they end, the runtime is asked whether it lives.
async fn listen(node: Arc<Node>, changed: Arc<Notify>) {
    loop {
        let mut events = node.runtime().events();
        // What happened before the stream was open is seen by looking.
        node.tell_all_dirty();
        while let Some(Ok(event)) = events.next().await {
            tracing::trace!(?event, "runtime event");
            node.tell(&event.uid, |news| news.dirty = true);
        }
        loop {
            let trouble = node.runtime().version().await.err().map(|error| chain(&error));
            let down = trouble.is_some();
            let before = std::mem::replace(&mut *lock(&node.trouble), trouble);
            if before.is_some() != down {
                tracing::warn!(node = %node.config.name, down, "the container runtime's state changed");
                changed.notify_one();
            }
            if !down {
                break;
            }
            node.shared.env.sleep(PROBE).await;
        }
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

async fn relist(node: Arc<Node>) {
    loop {
        node.shared.env.sleep(RELIST).await;
        node.tell_all_dirty();
    }
}
