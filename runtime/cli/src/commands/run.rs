//! `trimtab run COMPONENT`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args as Group, Subcommand};
use trimtab_client::Client;
use trimtab_cluster::component::{self, Api, ApiConfig, Authority, NodeConfig, Serving, SyncConfig, TlsFiles};
use trimtab_cluster::{DataDir, default_data_dir, hostname};
use trimtab_env::{Env, Tasks};
use trimtab_reconcile::Manager;

use super::audit;
use super::up::{self, ProxyModeName, RuntimeName, Stop};
use crate::console::Console;
use crate::print;
use crate::session::{Connection, Session};

#[derive(Group)]
pub(crate) struct Args {
    #[command(subcommand)]
    component: Component,
}

#[derive(Subcommand)]
enum Component {
    /// The API server, with its store; writes kubeconfig files for the other components
    Apiserver(ApiServer),
    /// The built-in controllers
    Controllers(Controllers),
    /// The scheduler
    Scheduler,
    /// The agent of this machine's node
    Node(Node),
    /// The service proxy of this machine
    Proxy(Proxy),
    /// The DNS server
    Dns(Dns),
    /// The watched directories
    Sync(Sync),
}

#[derive(Group)]
struct ApiServer {
    #[command(flatten)]
    data: Data,
    /// Where the API listens; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:6443")]
    listen: SocketAddr,
    /// Where pods reach the API; it listens there, too.
    #[arg(long, value_name = "IP")]
    advertise_address: Option<IpAddr>,
    #[command(flatten)]
    audit: audit::Flags,
    /// A node that gets a kubeconfig file; may be given several times [default: this machine's name].
    #[arg(long = "node", value_name = "NAME")]
    nodes: Vec<String>,
}

#[derive(Group)]
struct Controllers {
    /// The certificate (PEM) of the authority that signs what the API asks for; without it, nobody here does.
    #[arg(long, value_name = "FILE", requires = "cluster_signing_key_file")]
    cluster_signing_cert_file: Option<PathBuf>,
    /// The authority's private key (PEM, PKCS #8).
    #[arg(long, value_name = "FILE", requires = "cluster_signing_cert_file")]
    cluster_signing_key_file: Option<PathBuf>,
    /// The key (PEM, PKCS #8) that the API server knows service accounts' tokens by; without it, nobody here fills in
    /// Secrets that are to hold one.
    #[arg(long, value_name = "FILE")]
    service_account_private_key_file: Option<PathBuf>,
}

#[derive(Group)]
struct Data {
    /// Where everything that outlives the process is kept.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Group)]
struct Node {
    #[command(flatten)]
    data: Data,
    /// The node's name; simulated ones are called NAME-0, NAME-1 and so on [default: this machine's name].
    #[arg(long)]
    name: Option<String>,
    /// Where containers run.
    #[arg(long, value_enum, default_value_t = RuntimeName::Docker)]
    runtime: RuntimeName,
    /// How many nodes are simulated.
    #[arg(long, default_value_t = 1)]
    sim_nodes: usize,
    /// The name server of pods [default: this machine's address in the pod network].
    #[arg(long, value_name = "IP")]
    cluster_dns: Option<IpAddr>,
    /// The certificate of the agent's server [default: a new one of the data directory's authority].
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "client_ca"])]
    tls_cert: Option<PathBuf>,
    /// Its private key.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The authority of those who may ask for logs and exec.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    client_ca: Option<PathBuf>,
}

#[derive(Group)]
struct Proxy {
    #[command(flatten)]
    data: Data,
    /// How cluster IPs are served.
    #[arg(long, value_enum, default_value_t = ProxyModeName::Auto)]
    mode: ProxyModeName,
}

#[derive(Group)]
struct Dns {
    #[command(flatten)]
    data: Data,
    /// Where it listens; may be given several times [default: this machine's address in the pod network, port 53].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,
}

#[derive(Group)]
struct Sync {
    /// A directory to keep applied; may be given several times.
    #[arg(long, value_name = "DIR", required = true)]
    manifests: Vec<PathBuf>,
}

impl Component {
    /// The name under which its writes are recorded: upstream's, where upstream has the component.
    fn agent(&self) -> &'static str {
        match self {
            Self::Apiserver(_) => "kube-apiserver",
            Self::Controllers(_) => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Node(_) => "kubelet",
            Self::Proxy(_) => "kube-proxy",
            Self::Dns(_) => "trimtab-dns",
            Self::Sync(_) => "trimtab-sync",
        }
    }
}

impl Data {
    fn open(self, env: &Env) -> anyhow::Result<DataDir> {
        Ok(DataDir::open(&self.data_dir.unwrap_or_else(default_data_dir), env)?)
    }
}

/// Runs the component until the process is told to end.
pub(crate) async fn run(args: Args, connection: &Connection) -> anyhow::Result<()> {
    let (env, mut stop) = (Env::system(), Stop::listen()?);
    let component = match args.component {
        Component::Apiserver(args) => return apiserver(args, connection, &env, &mut stop).await,
        other => other,
    };
    let client = Session::connect(connection, Console::standard())?.client.with_user_agent(component.agent());
    let root_ca = connection.config()?.certificate_authority(connection.context.as_deref())?;
    let (manager, tasks) = (Manager::new(client.clone(), env.clone()), Tasks::new());
    let started = start(component, client, root_ca, &manager, &env, &tasks).await;
    if started.is_ok() {
        let ending = tasks.token().clone();
        tasks.spawn("manager", async move { manager.run(ending).await });
        stop.wait().await;
    }
    tasks.shutdown().await;
    started.map(drop)
}

/// What is held while the component runs is returned.
async fn start(
    component: Component,
    client: Client,
    root_ca: Option<String>,
    manager: &Manager,
    env: &Env,
    tasks: &Tasks,
) -> anyhow::Result<Option<component::Node>> {
    match component {
        Component::Apiserver(_) => unreachable!("needs no client"),
        Component::Controllers(args) => {
            let mut authority = Authority { root_ca, ..Authority::default() };
            if let (Some(cert), Some(key)) = (&args.cluster_signing_cert_file, &args.cluster_signing_key_file) {
                authority = authority.signing(cert, key)?;
            }
            if let Some(key) = &args.service_account_private_key_file {
                authority = authority.signing_tokens(key)?;
            }
            component::controllers(manager, authority, tasks);
        }
        Component::Scheduler => component::scheduler(manager, client, tasks),
        Component::Node(args) => return node(args, client, manager, tasks).await.map(Some),
        Component::Proxy(args) => {
            component::proxy(manager, &client, &args.data.open(env)?, args.mode.into(), tasks);
        }
        Component::Dns(args) => {
            let mut listen = args.listen;
            if listen.is_empty() {
                listen.push(component::dns_address(component::gateway(&args.data.open(env)?).await?));
            }
            component::dns(manager, listen, tasks);
        }
        Component::Sync(args) => {
            component::sync(client, env, SyncConfig { dirs: args.manifests }, tasks).await?;
        }
    }
    Ok(None)
}

async fn apiserver(args: ApiServer, connection: &Connection, env: &Env, stop: &mut Stop) -> anyhow::Result<()> {
    let data = args.data.open(env)?;
    let config = ApiConfig { listen: args.listen, kubeconfig: up::kubeconfig(connection), audit: args.audit.config() };
    let api = Api::start(&data, &config, env, &up::tell).await?;
    let nodes = if args.nodes.is_empty() { vec![hostname()] } else { args.nodes };
    let ready = async {
        let dir = api.write_kubeconfigs(&data, &nodes)?;
        up::tell(&format!("kubeconfig files of the components written to {}", dir.display()));
        api.advertise(args.advertise_address).await
    };
    let ready = ready.await;
    if ready.is_ok() {
        stop.wait().await;
    }
    api.stop().await;
    Ok(ready?)
}

async fn node(args: Node, client: Client, manager: &Manager, tasks: &Tasks) -> anyhow::Result<component::Node> {
    let env = manager.env();
    let data = args.data.open(env)?;
    let config = NodeConfig {
        name: args.name.unwrap_or_else(hostname),
        runtime: args.runtime.choice(args.sim_nodes),
        cluster_dns: args.cluster_dns,
        shares_caches: false,
    };
    let files = match (args.tls_cert, args.tls_key, args.client_ca) {
        (Some(cert), Some(key), Some(client_ca)) => Some(TlsFiles { cert, key, client_ca }),
        _ => None,
    };
    let authority;
    let serving = match &files {
        Some(files) => Serving::Files(files),
        None => {
            authority = component::authority(&data, env)?;
            Serving::Signed(&authority)
        }
    };
    let node = component::node(manager, client, &data, config, serving, tasks).await?;
    print::note(format_args!("* {}", node.description));
    Ok(node)
}
