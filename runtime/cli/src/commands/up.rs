//! `trimtab up`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use k8s_openapi::api::core::v1::Service;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use trimtab_client::{Api, ListParams, kubeconfig};
use trimtab_cluster::{Cluster, Config, RuntimeChoice, default_data_dir};
use trimtab_env::Env;

use crate::print;

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
    /// Where containers run.
    #[arg(long, value_enum, default_value_t = RuntimeName::Docker)]
    runtime: RuntimeName,
    /// How many nodes are simulated.
    #[arg(long, default_value_t = 1)]
    sim_nodes: usize,
    /// How many seconds to wait for the Services to answer before saying which do not.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    wait: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum RuntimeName {
    /// On this machine's Docker Engine, or Podman.
    Docker,
    /// Nowhere: nodes pretend to run them.
    Sim,
}

pub(crate) async fn run(args: Args, kubeconfig: Option<PathBuf>) -> anyhow::Result<()> {
    let kubeconfig = kubeconfig
        .or_else(|| kubeconfig::default_paths().into_iter().next())
        .unwrap_or_else(|| PathBuf::from("kubeconfig"));
    let env = Env::system();
    let config = Config {
        data_dir: args.data_dir.unwrap_or_else(default_data_dir),
        listen: args.listen,
        manifests: args.manifests.clone(),
        runtime: match args.runtime {
            RuntimeName::Docker => RuntimeChoice::Docker,
            RuntimeName::Sim => RuntimeChoice::Sim { nodes: args.sim_nodes },
        },
        kubeconfig: kubeconfig.clone(),
    };
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let cluster = Cluster::start(config, env.clone(), &|step| print::note(format_args!("* {step}"))).await?;
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
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
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
