//! `trimtab up`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use k8s_openapi::api::core::v1::Service;
use tokio::net::TcpStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use trimtab_client::{Api, ListParams, kubeconfig};
use trimtab_cluster::component::{ProxyMode, RuntimeChoice};
use trimtab_cluster::{Cluster, Config, default_data_dir};
use trimtab_env::Env;

use super::audit;
use crate::print;
use crate::session::Connection;

/// How often it is tried whether a Service answers, while it does not.
const TRY_EVERY: Duration = Duration::from_millis(50);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A directory to keep applied; may be given several times.
    #[arg(long, value_name = "DIR")]
    manifests: Vec<PathBuf>,
    /// Where everything that outlives the process is kept.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the API listens; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:6443")]
    listen: SocketAddr,
    #[command(flatten)]
    audit: audit::Flags,
    /// Where containers run.
    #[arg(long, value_enum, default_value_t = RuntimeName::Docker)]
    runtime: RuntimeName,
    /// How many nodes are simulated.
    #[arg(long, default_value_t = 1)]
    sim_nodes: usize,
    /// How cluster IPs are served.
    #[arg(long, value_enum, default_value_t = ProxyModeName::Auto)]
    proxy_mode: ProxyModeName,
    /// How many seconds to wait for the Services to answer before saying which do not.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    wait: u64,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum RuntimeName {
    /// On this machine's Docker Engine, or Podman.
    Docker,
    /// Nowhere: nodes pretend to run them.
    Sim,
}

impl RuntimeName {
    pub(crate) fn choice(self, sim_nodes: usize) -> RuntimeChoice {
        match self {
            Self::Docker => RuntimeChoice::Docker,
            Self::Sim => RuntimeChoice::Sim { nodes: sim_nodes },
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ProxyModeName {
    /// By rules in the kernel where they may be written, else by listeners.
    Auto,
    /// By listeners on this machine's own addresses.
    Listeners,
    /// Not at all: only node ports are served.
    NodePorts,
}

impl From<ProxyModeName> for ProxyMode {
    fn from(name: ProxyModeName) -> Self {
        match name {
            ProxyModeName::Auto => Self::Auto,
            ProxyModeName::Listeners => Self::Listeners,
            ProxyModeName::NodePorts => Self::NodePorts,
        }
    }
}

/// The signals that tell a process to end.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The file that the administrator's context goes into.
pub(crate) fn kubeconfig(connection: &Connection) -> PathBuf {
    let named = connection.kubeconfig.clone().or_else(|| kubeconfig::default_paths().into_iter().next());
    named.unwrap_or_else(|| PathBuf::from("kubeconfig"))
}

/// Prints a step that is done.
pub(crate) fn tell(step: &str) {
    print::note(format_args!("* {step}"));
}

pub(crate) async fn run(args: Args, connection: &Connection) -> anyhow::Result<()> {
    let (kubeconfig, env) = (kubeconfig(connection), Env::system());
    let config = Config {
        data_dir: args.data_dir.unwrap_or_else(default_data_dir),
        listen: args.listen,
        manifests: args.manifests.clone(),
        runtime: args.runtime.choice(args.sim_nodes),
        proxy_mode: args.proxy_mode.into(),
        kubeconfig: kubeconfig.clone(),
        audit: args.audit.config(),
    };
    let mut stop = Stop::listen()?;
    let cluster = Cluster::start(config, env.clone(), &tell).await?;
    print::note(format_args!("\n  kubectl --kubeconfig {} --context trimtab get pods -A\n", kubeconfig.display()));
    let containers = matches!(args.runtime, RuntimeName::Docker);
    let told = async {
        if containers && !args.manifests.is_empty() {
            tell_services(&cluster, &env, Duration::from_secs(args.wait)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = told => {}
        () = stop.wait() => {}
    }
    print::note("ending; containers keep running (`trimtab down` removes them)");
    cluster.stop().await;
    Ok(())
}

/// Says of each node port when it first answers, and in the end which do not.
async fn tell_services(cluster: &Cluster, env: &Env, patience: Duration) {
    let services: Api<Service> = Api::all(cluster.client());
    let mut told: BTreeSet<String> = BTreeSet::new();
    let mut waited = Duration::ZERO;
    let mut silent;
    loop {
        let list = services.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default();
        silent = Vec::new();
        for (name, port) in list.iter().flat_map(node_ports) {
            if told.contains(&name) {
                continue;
            }
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() && has_endpoints(cluster, &name).await {
                print::line(format_args!("service {name} answers: curl http://127.0.0.1:{port}"));
                told.insert(name);
            } else {
                silent.push(name);
            }
        }
        let settled = silent.is_empty() && !told.is_empty();
        if settled || waited >= patience {
            break;
        }
        env.sleep(TRY_EVERY).await;
        waited += TRY_EVERY;
    }
    for name in silent {
        print::note(format_args!(
            "service {name} does not answer yet; see `kubectl describe service` and `kubectl get events`"
        ));
    }
}

fn node_ports(service: &Service) -> Vec<(String, u16)> {
    let metadata = &service.metadata;
    let name = format!(
        "{}/{}",
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default()
    );
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let tcp = ports.filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP");
    tcp.filter_map(|port| u16::try_from(port.node_port?).ok()).map(|port| (name.clone(), port)).collect()
}

async fn has_endpoints(cluster: &Cluster, service: &str) -> bool {
    use k8s_openapi::api::discovery::v1::EndpointSlice;
    let (namespace, name) = service.split_once('/').unwrap_or(("default", service));
    let slices: Api<EndpointSlice> = Api::namespaced(cluster.client(), namespace);
    let list = slices.list(&ListParams::default().labels(format!("kubernetes.io/service-name={name}"))).await;
    let ready = |slice: &EndpointSlice| {
        slice.endpoints.iter().flatten().any(|e| e.conditions.as_ref().is_some_and(|c| c.ready == Some(true)))
    };
    list.is_ok_and(|list| list.items.iter().any(ready))
}
