//! The node agent: on this machine's container engine, or on nodes that pretend.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Taint};
use tokio::net::TcpListener;
use trimtab_client::{Client, ListParams};
use trimtab_env::{Env, Tasks};
use trimtab_node::docker::{self, Docker};
use trimtab_node::sim::Sim;
use trimtab_node::{KubeletServer, NodeConfig, Runtime, images};
use trimtab_reconcile::{Cache, Manager};

use crate::data_dir::{DataDir, Held, Role};
use crate::error::{StartError, other};
use crate::names::{DOMAIN, POD_SUBNET};
use crate::pki::{self, Pki};
use crate::tls::{self, Clients};

/// How many pods a node takes, as upstream.
const MAX_PODS: u32 = 110;

/// Where containers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeChoice {
    /// On this machine's Docker Engine, or Podman.
    Docker,
    /// Nowhere: so many nodes pretend to run them.
    Sim {
        /// How many.
        nodes: usize,
    },
}

/// The files of a serving certificate, where another authority than the data directory's is used.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, in PEM.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who signs the certificates of those that may ask for logs and exec.
    pub client_ca: PathBuf,
}

/// What the agent's server shows.
pub enum Serving<'a> {
    /// A new certificate of this authority.
    Signed(&'a Pki),
    /// Certificates made elsewhere.
    Files(&'a TlsFiles),
}

/// What the agent is made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's name; simulated ones are called `NAME-0`, `NAME-1` and so on.
    pub name: String,
    /// Where containers run.
    pub runtime: RuntimeChoice,
    /// The name server of the pods; with Docker, the host's address in the pod network by default.
    pub cluster_dns: Option<IpAddr>,
    /// Whether other components of the process read all pods anyway; otherwise only the node's own are watched.
    pub shares_caches: bool,
}

impl Config {
    fn pods(&self, manager: &Manager) -> Cache<Pod> {
        match self.runtime {
            _ if self.shares_caches => manager.cache(),
            RuntimeChoice::Docker => {
                manager.cache_of(ListParams::default().fields(format!("spec.nodeName={}", self.name)))
            }
            RuntimeChoice::Sim { .. } => manager.cache_of(ListParams::default().fields("spec.nodeName!=")),
        }
    }
}

/// An agent that runs.
pub struct Node {
    /// What it runs on, for people.
    pub description: String,
    /// The host's address in the pod network, where there is one.
    pub gateway: Option<IpAddr>,
    _held: Option<Held>,
}

/// Starts the agent as a task of `tasks`, on the caches of `manager`.
///
/// # Errors
/// When the engine does not answer, another agent uses the data directory's containers, or the
/// certificate cannot be used.
pub async fn node(
    manager: &Manager,
    client: Client,
    data: &DataDir,
    config: Config,
    serving: Serving<'_>,
    tasks: &Tasks,
) -> Result<Node, StartError> {
    let Prepared { nodes, address, gateway, description, held } = prepare(data, &config, manager.env()).await?;
    let listener = SocketAddr::new(address, 0);
    let listener =
        TcpListener::bind(listener).await.map_err(|source| StartError::Listen { address: listener, source })?;
    let (identity, client_ca) = match serving {
        Serving::Signed(pki) => {
            (pki.server("system:node", &[config.name.clone(), address.to_string()])?, pki.ca_pem().to_owned())
        }
        Serving::Files(files) => (pki::read_identity(&files.cert, &files.key)?, pki::read_text(&files.client_ca)?),
    };
    let mut tls = tls::server(&identity, &client_ca, Clients::NeedCertificates)
        .map_err(other("make the agent's TLS configuration"))?;
    // The agent's server speaks nothing else.
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let agent = trimtab_node::Config {
        nodes,
        pods: config.pods(manager),
        root: data.pods(),
        cluster_dns: config.cluster_dns.or(gateway),
        cluster_domain: DOMAIN.to_owned(),
        server: Some(KubeletServer { listener, tls: Arc::new(tls) }),
    };
    let (manager, token) = (manager.clone(), tasks.token().clone());
    tasks.spawn("node", async move {
        if let Err(error) = trimtab_node::run(manager, client, agent, token).await {
            tracing::error!(%error, "the node agent stopped");
        }
    });
    Ok(Node { description, gateway, _held: held })
}

/// The host's address in the pod network of the cluster of `data`; the network is made if there is
/// none.
///
/// # Errors
/// When the engine does not answer or refuses.
pub async fn gateway(data: &DataDir) -> Result<IpAddr, StartError> {
    let engine = connect(data).await?;
    engine.pod_network().await.map(|network| network.gateway).map_err(StartError::Engine)
}

struct Prepared {
    nodes: Vec<NodeConfig>,
    address: IpAddr,
    gateway: Option<IpAddr>,
    description: String,
    held: Option<Held>,
}

async fn prepare(data: &DataDir, config: &Config, env: &Env) -> Result<Prepared, StartError> {
    let name = &config.name;
    match config.runtime {
        RuntimeChoice::Sim { nodes: count } => {
            let address = IpAddr::from(Ipv4Addr::LOCALHOST);
            let nodes = (0..u32::try_from(count).unwrap_or(u32::MAX))
                .map(|index| node_config(&format!("{name}-{index}"), Arc::new(Sim::new(env.clone(), index)), address))
                .collect();
            Ok(Prepared { nodes, address, gateway: None, description: format!("{count} simulated nodes"), held: None })
        }
        RuntimeChoice::Docker => {
            // Two agents would take each other's containers for leftovers.
            let held = data.hold(Role::Node, env).await?;
            let engine = connect(data).await?;
            load_images(&engine).await.map_err(StartError::Engine)?;
            let network = engine.pod_network().await.map_err(StartError::Engine)?;
            let version = engine.version().await.map_err(StartError::Engine)?;
            let description =
                format!("node {name} on {} {}, pods in {}", version.name, version.version, network.subnet);
            let nodes = vec![node_config(name, Arc::new(engine), network.gateway)];
            let gateway = Some(network.gateway);
            Ok(Prepared { nodes, address: network.gateway, gateway, description, held: Some(held) })
        }
    }
}

/// A node as it registers itself.
pub(crate) fn node_config(name: &str, runtime: Arc<dyn Runtime>, address: IpAddr) -> NodeConfig {
    NodeConfig {
        name: name.to_owned(),
        runtime,
        address,
        labels: BTreeMap::new(),
        // As upstream's nodes: nothing is placed before the agent has said how the node is.
        taints: vec![Taint {
            key: "node.kubernetes.io/not-ready".to_owned(),
            effect: "NoSchedule".to_owned(),
            ..Taint::default()
        }],
        max_pods: MAX_PODS,
    }
}

async fn connect(data: &DataDir) -> Result<Docker, StartError> {
    let options = docker::Options { cluster: data.cluster().to_owned(), subnet: POD_SUBNET.to_owned() };
    Docker::connect(options).await.map_err(StartError::Engine)
}

/// The engine keeps our images; they are loaded when one is not there or of another build.
async fn load_images(engine: &Docker) -> Result<(), trimtab_node::runtime::Error> {
    for (tag, id) in images::tags() {
        if engine.image(tag).await?.is_none_or(|image| image.id != id) {
            return engine.load(images::archive()).await;
        }
    }
    Ok(())
}

/// The authority of the data directory, for an agent that runs by itself.
///
/// # Errors
/// When there is none: then the certificate must be given.
pub fn authority(data: &DataDir, env: &Env) -> Result<Pki, StartError> {
    let dir: &Path = &data.pki();
    if !dir.join("ca.key").exists() {
        return Err(other("make a serving certificate")(format!(
            "{} holds no certificate authority; run on the API server's data directory, or give --tls-cert, --tls-key and --client-ca",
            dir.display()
        )));
    }
    Ok(Pki::open(dir, env.now())?)
}
