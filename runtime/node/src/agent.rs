//! The agent of one process: any number of nodes, with one watch of pods and one server.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Taint;
use tokio::net::TcpListener;
use trimtab_client::Client;
use trimtab_env::{CancellationToken, Env};

use crate::runtime::{self, Runtime};

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

/// Runs the agent until `shutdown`. Containers keep running afterwards.
///
/// # Errors
/// If a runtime cannot be prepared at the start.
pub async fn run(client: Client, env: Env, config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    for node in &config.nodes {
        let failed = |source| Error::Runtime { node: node.name.clone(), source };
        node.runtime.prepare().await.map_err(failed)?;
    }
    drop((client, env));
    shutdown.cancelled().await;
    Ok(())
}
