//! The agent of one process: any number of nodes, with one watch of pods and one server.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Taint};
use tokio::net::TcpListener;
use trimtab_client::Client;
use trimtab_env::{CancellationToken, Tasks};
use trimtab_reconcile::{Cache, Manager};

use crate::feed::{Feed, Nodes};
use crate::node::{Node, Shared};
use crate::runtime::{self, Runtime};
use crate::sources::Sources;
use crate::token::Tokens;
use crate::volume::Files;
use crate::{eviction, health, heartbeat, server};

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

/// What an agent is made from.
pub struct Config {
    /// The nodes.
    pub nodes: Vec<NodeConfig>,
    /// The pods: at least all that are bound to these nodes.
    pub pods: Cache<Pod>,
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

/// Runs the agent until `shutdown`: it reads through the caches of `manager`, and writes as
/// `client`. Containers keep running afterwards.
///
/// # Errors
/// If a runtime cannot be prepared at the start.
pub async fn run(manager: Manager, client: Client, config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    let tasks = Tasks::under(&shutdown);
    let shared = Arc::new(Shared {
        client,
        env: manager.env().clone(),
        files: Files::new(&config.root),
        dns: config.cluster_dns,
        domain: config.cluster_domain,
        tokens: Tokens::default(),
        services: manager.cache(),
    });
    let mut nodes = Nodes::default();
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
    let sources = Sources::new(shared.client.clone(), shared.env.clone(), Arc::clone(&nodes), tasks.clone());
    let feed = Feed { pods: config.pods, nodes, tasks: tasks.clone(), sources };
    tasks.spawn_cancellable("pods", feed.run());
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
    tasks.spawn_cancellable("heartbeat", heartbeat::run(Arc::clone(node), port));
    tasks.spawn_cancellable("runtime events", health::follow(Arc::clone(node)));
    if !node.runtime().is_simulated() {
        tasks.spawn_cancellable("relist", relist(Arc::clone(node)));
        tasks.spawn_cancellable("eviction", eviction::run(Arc::clone(node)));
    }
}

async fn relist(node: Arc<Node>) {
    loop {
        node.shared.env.sleep(RELIST).await;
        node.tell_all_dirty();
    }
}
