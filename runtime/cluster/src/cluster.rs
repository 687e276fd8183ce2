//! A whole cluster in this process.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use trimtab_apiserver::{ApiServer, Identity};
use trimtab_client::{Client, Kubeconfig};
use trimtab_env::{CancellationToken, Env, Tasks};
use trimtab_network::{dns, proxy};
use trimtab_node::docker::{self, Docker};
use trimtab_node::sim::Sim;
use trimtab_node::{KubeletServer, NodeConfig, Runtime, images};
use trimtab_reconcile::Manager;
use trimtab_store::{Embedded, Store};

use crate::data_dir::{DataDir, DataDirError};
use crate::files::write_private;
use crate::pki::{Pki, PkiError};
use crate::tls::{self, Clients};
use crate::{bootstrap, component};

/// The Services' addresses: this range, of which the first is the API's own.
const SERVICE_CIDR: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 96, 0, 0), 16);
/// The same as text.
pub const SERVICE_CIDR_TEXT: &str = "10.96.0.0/16";
const API_SERVICE_IP: &str = "10.96.0.1";
/// The wanted range of the pods' addresses.
const POD_SUBNET: &str = "10.244.0.0/24";
const DOMAIN: &str = "cluster.local";
/// The context's name in kubeconfig files.
pub(crate) const CONTEXT: &str = "trimtab";
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

/// What a cluster is made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of all that outlives the process.
    pub data_dir: PathBuf,
    /// Where the API listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The watched directories.
    pub manifests: Vec<PathBuf>,
    /// Where containers run.
    pub runtime: RuntimeChoice,
    /// The kubeconfig file that the context is merged into.
    pub kubeconfig: PathBuf,
}

/// Why a cluster could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The address is taken or not ours.
    #[error("could not listen on {address}; choose another with --listen (port 0 takes a free one)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No container engine.
    #[error(
        "the container engine cannot be used; start it (for instance `systemctl start docker`), or try `--runtime sim`"
    )]
    Engine(#[source] trimtab_node::runtime::Error),
    /// The kubeconfig.
    #[error(transparent)]
    Kubeconfig(#[from] trimtab_client::kubeconfig::ConfigError),
    /// Anything else, with what was attempted.
    #[error("could not {attempt}")]
    Other {
        /// What was attempted.
        attempt: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

pub(crate) fn other<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    attempt: &'static str,
) -> impl FnOnce(E) -> StartError {
    move |source| StartError::Other { attempt, source: source.into() }
}

/// A cluster that runs.
pub struct Cluster {
    client: Client,
    server: String,
    /// What uses the API; ends before it.
    components: Tasks,
    /// The API; its token is not the components'.
    api: Tasks,
    store: Arc<dyn Store>,
    /// Held, so that nobody else opens it.
    _data: DataDir,
}

impl Cluster {
    /// Starts a cluster. `tell` gets a line for each step done.
    ///
    /// # Errors
    /// When a step fails; what was started is ended again.
    pub async fn start(config: Config, env: Env, tell: &(dyn Fn(&str) + Sync)) -> Result<Self, StartError> {
        let data = DataDir::open(&config.data_dir, &env)?;
        let store: Arc<dyn Store> =
            Arc::new(Embedded::open(&data.join("store.redb")).map_err(other("open the store"))?);
        tell(&format!("store opened at revision {}", store.revision()));
        let pki = Pki::open(&data.join("pki"), env.now())?;
        let listen = |source| StartError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        let (components, api) = (Tasks::new(), Tasks::new());
        let apiserver = serve(&pki, &env, Arc::clone(&store), listener, address, &api).await?;
        let server = format!("https://{}", reachable(address));
        let client = Client::new(apiserver.transport(Identity::new("system:trimtab", &["system:masters"])));
        bootstrap::run(&client, API_SERVICE_IP, address).await.map_err(other("make the first objects"))?;
        tell(&format!("API ready at {server}"));
        write_kubeconfig(&pki, &server, &config.kubeconfig)?;
        tell(&format!("context {CONTEXT:?} written to {}", config.kubeconfig.display()));

        let cluster = Self { client, server, components, api, store, _data: data };
        match cluster.start_components(&config, &pki, &env, tell).await {
            Ok(()) => Ok(cluster),
            Err(error) => {
                cluster.stop().await;
                Err(error)
            }
        }
    }

    async fn start_components(
        &self,
        config: &Config,
        pki: &Pki,
        env: &Env,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<(), StartError> {
        let manager = Manager::new(self.client.clone(), env.clone());
        let token = self.components.token().clone();
        component::controllers(&manager, &self.components);
        self.components.spawn("scheduler", trimtab_scheduler::run(manager.clone(), token.clone()));
        let nodes = self.nodes(config, env).await?;
        tell(&nodes.description);
        if let Some(gateway) = nodes.gateway {
            let proxy_config = proxy::Config {
                cluster: self._data.cluster().to_owned(),
                service_cidr: SERVICE_CIDR_TEXT.to_owned(),
                mode: proxy::Mode::Auto,
            };
            let dns_config = dns::Config {
                listen: vec![SocketAddr::new(gateway, 53)],
                domain: DOMAIN.to_owned(),
                upstreams: dns::Upstreams::System,
            };
            let (for_proxy, for_dns, ending) = (manager.clone(), manager.clone(), token.clone());
            self.components.spawn("proxy", async move { proxy::run(&for_proxy, proxy_config, ending).await });
            let ending = token.clone();
            self.components.spawn("dns", async move { dns::run(&for_dns, dns_config, ending).await });
        }
        let agent = self.agent(nodes, pki).await?;
        component::node(&self.client, env, agent, &self.components);
        if !config.manifests.is_empty() {
            let sync = trimtab_sync::Config { dirs: config.manifests.clone() };
            component::sync(&self.client, env, sync, &self.components).await?;
            tell(&format!(
                "watching {}",
                config.manifests.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ")
            ));
        }
        let ending = token;
        self.components.spawn("manager", async move { manager.run(ending).await });
        Ok(())
    }

    async fn nodes(&self, config: &Config, env: &Env) -> Result<Nodes, StartError> {
        let node = |name: String, runtime: Arc<dyn Runtime>, address: IpAddr| NodeConfig {
            name,
            runtime,
            address,
            labels: BTreeMap::new(),
            taints: Vec::new(),
            max_pods: MAX_PODS,
        };
        match config.runtime {
            RuntimeChoice::Sim { nodes: count } => {
                let address = IpAddr::from(Ipv4Addr::LOCALHOST);
                let nodes = (0..u32::try_from(count).unwrap_or(u32::MAX))
                    .map(|index| node(format!("sim-{index}"), Arc::new(Sim::new(env.clone(), index)), address))
                    .collect();
                Ok(Nodes { nodes, address, gateway: None, description: format!("{count} simulated nodes") })
            }
            RuntimeChoice::Docker => {
                let options =
                    docker::Options { cluster: self._data.cluster().to_owned(), subnet: POD_SUBNET.to_owned() };
                let engine = Docker::connect(options).await.map_err(StartError::Engine)?;
                load_images(&engine).await.map_err(StartError::Engine)?;
                let network = engine.pod_network().await.map_err(StartError::Engine)?;
                let version = engine.version().await.map_err(StartError::Engine)?;
                let description =
                    format!("node {} on {} {}, pods in {}", hostname(), version.name, version.version, network.subnet);
                let nodes = vec![node(hostname(), Arc::new(engine), network.gateway)];
                Ok(Nodes { nodes, address: network.gateway, gateway: Some(network.gateway), description })
            }
        }
    }

    async fn agent(&self, nodes: Nodes, pki: &Pki) -> Result<trimtab_node::Config, StartError> {
        let address = SocketAddr::new(nodes.address, 0);
        let listener = TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })?;
        let mut names: Vec<String> = nodes.nodes.iter().map(|node| node.name.clone()).take(1).collect();
        names.push(nodes.address.to_string());
        let identity = pki.server("system:node", &names)?;
        let tls = tls::server(&identity, pki.ca_pem(), Clients::NeedCertificates)
            .map_err(other("make the agent's TLS configuration"))?;
        Ok(trimtab_node::Config {
            nodes: nodes.nodes,
            root: self._data.join("pods"),
            cluster_dns: nodes.gateway,
            cluster_domain: DOMAIN.to_owned(),
            server: Some(KubeletServer { listener, tls: Arc::new(tls) }),
        })
    }

    /// A client of the cluster, in process.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Where the API is: `https://127.0.0.1:6443`.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Ends everything but the containers: the components first, then the API, then the store.
    pub async fn stop(&self) {
        self.components.shutdown().await;
        self.api.shutdown().await;
        self.store.close().await;
    }
}

struct Nodes {
    nodes: Vec<NodeConfig>,
    address: IpAddr,
    /// The host's address in the pod network, where there is one.
    gateway: Option<IpAddr>,
    description: String,
}

async fn serve(
    pki: &Pki,
    env: &Env,
    store: Arc<dyn Store>,
    listener: TcpListener,
    address: SocketAddr,
    tasks: &Tasks,
) -> Result<ApiServer, StartError> {
    let to_nodes = pki.client("kube-apiserver-kubelet-client", &["system:masters"])?;
    let node_tls = tls::client(&to_nodes, pki.ca_pem()).map_err(other("make the API's client TLS configuration"))?;
    let config = trimtab_apiserver::Config {
        kinds: trimtab_api::builtin().with([trimtab_sync::ManifestFile::kind()]),
        store,
        env: env.clone(),
        service_cidr: SERVICE_CIDR,
        node_tls: Some(node_tls),
    };
    let apiserver = ApiServer::new(config).await.map_err(other("read the store"))?;
    let mut names: Vec<String> = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ]
    .map(str::to_owned)
    .to_vec();
    names.extend([hostname(), "127.0.0.1".to_owned(), "::1".to_owned(), API_SERVICE_IP.to_owned()]);
    if !address.ip().is_unspecified() {
        names.push(address.ip().to_string());
    }
    let identity = pki.server("kube-apiserver", &names)?;
    let tls = tls::server(&identity, pki.ca_pem(), Clients::MayBeStrangers)
        .map_err(other("make the API's TLS configuration"))?;
    let (server, token): (ApiServer, CancellationToken) = (apiserver.clone(), tasks.token().clone());
    tasks.spawn("apiserver", async move {
        if let Err(error) = server.serve(listener, tls, token).await {
            tracing::error!(%error, "the API server stopped");
        }
    });
    Ok(apiserver)
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

/// Adds the context, or brings it up to date; everything else in the file stays as it is.
fn write_kubeconfig(pki: &Pki, server: &str, path: &std::path::Path) -> Result<(), StartError> {
    let admin = pki.kept_client("admin", "kubernetes-admin", &["system:masters"])?;
    let ours = Kubeconfig::single(CONTEXT, server, pki.ca_pem(), &admin.cert_pem, &admin.key_pem);
    let mut config = if path.exists() { Kubeconfig::read_unresolved(path)? } else { Kubeconfig::default() };
    let current = config.current_context.clone();
    config.remove(CONTEXT);
    config.current_context = current;
    config.merge(ours);
    let text = config.to_yaml();
    if std::fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(other("make the kubeconfig's folder"))?;
    }
    write_private(path, text.as_bytes()).map_err(other("write the kubeconfig"))
}

fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), address.port()),
        _ => address,
    }
}

/// This machine's name, as a node may be called.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_lowercase();
    let fits = |name: &str| trimtab_api::names::dns1123_subdomain(name).is_empty();
    if fits(&name) { name } else { "node".to_owned() }
}
