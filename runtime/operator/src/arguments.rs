//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use url::Url;

/// Controllers, and what a cluster needs to run them
#[derive(Parser)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// How much is logged, as `warn` or `trimtab_reconcile=debug`
    #[arg(long, global = true, default_value = "info", env = "TRIMTAB_LOG")]
    pub(crate) log: String,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the controllers until the process is told to end
    Run(Run),
    /// Print the definitions of its kinds
    Crds(Crds),
    /// Print the service account and the roles that it needs, and no more
    Rbac(Rbac),
    /// Print all that a cluster needs to run it
    Manifests(Manifests),
    /// Print what it watches, owns, refers to and reads, as a Mermaid diagram
    Diagram,
}

#[derive(Args)]
pub(crate) struct Run {
    /// Which cluster [default: that of $KUBECONFIG or ~/.kube/config, or the one that this runs in]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The name of the kubeconfig context to use
    #[arg(long)]
    pub(crate) context: Option<String>,
    /// A namespace whose objects it looks after; may be given several times [default: all]
    #[arg(short, long = "namespace", value_name = "NAMESPACE")]
    pub(crate) namespaces: Vec<String>,
    /// Work only while no other process of this program does: a Lease decides
    #[arg(long)]
    pub(crate) leader_elect: bool,
    /// The namespace of the Lease [default: that of the context, or of the pod]
    #[arg(long, value_name = "NAMESPACE", requires = "leader_elect")]
    pub(crate) leader_election_namespace: Option<String>,
    /// Where /healthz, /livez, /readyz, /metrics and /failing are served; `:8080` is any address, 0 is nowhere
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT", value_parser = address)]
    pub(crate) metrics_bind_address: Address,
    /// Apply the definitions of its kinds first, and wait until they are served
    #[arg(long)]
    pub(crate) install_crds: bool,
    /// Where the webhook that converts between versions is served, of kinds that have several
    #[arg(long, default_value = ":9443", value_name = "ADDRESS:PORT", value_parser = address)]
    pub(crate) webhook_bind_address: Address,
    /// The webhook's certificate: tls.crt, tls.key and, of an authority that not everybody trusts, ca.crt
    /// [default: one is made at the start]
    #[arg(long, value_name = "DIR")]
    pub(crate) webhook_cert_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) webhook: Webhook,
}

/// Where the API server finds what converts between versions.
#[derive(Args, Default)]
pub(crate) struct Webhook {
    /// Where the API server finds the webhook, as https://10.0.0.7:9443
    #[arg(long, value_name = "URL", value_parser = https, conflicts_with = "webhook_service")]
    pub(crate) webhook_url: Option<Url>,
    /// The Service by which the API server finds the webhook
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = service)]
    pub(crate) webhook_service: Option<Service>,
}

#[derive(Args)]
pub(crate) struct Crds {
    #[command(flatten)]
    pub(crate) webhook: Webhook,
    /// The certificate (PEM) of the authority that the webhook's is of
    #[arg(long, value_name = "FILE")]
    pub(crate) webhook_ca_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Rbac {
    /// The namespace that it runs in [default: its own name and `-system`]
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) operator_namespace: Option<String>,
    /// A namespace whose objects it looks after; may be given several times [default: all]
    #[arg(short, long = "namespace", value_name = "NAMESPACE")]
    pub(crate) namespaces: Vec<String>,
    /// Also what `run --install-crds` needs
    #[arg(long)]
    pub(crate) install_crds: bool,
}

#[derive(Args)]
pub(crate) struct Manifests {
    /// The container image
    #[arg(long)]
    pub(crate) image: String,
    /// What keeps it running: a Deployment, or a ReplicationController, as for a cluster of Trimtab's own
    #[arg(long, value_enum, default_value = "deployment")]
    pub(crate) workload: Workload,
    /// How many of it there are; one of them works
    #[arg(long, default_value_t = 1)]
    pub(crate) replicas: u16,
    /// The Secret (kubernetes.io/tls) with the certificate of the webhook that converts between versions
    /// [default: one is made at the start]
    #[arg(long, value_name = "NAME")]
    pub(crate) webhook_cert_secret: Option<String>,
    #[command(flatten)]
    pub(crate) rbac: Rbac,
}

/// A kind that keeps programs running.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    Deployment,
    #[value(name = "replicationcontroller")]
    ReplicationController,
}

/// Where to listen; nowhere, if it says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address(pub(crate) Option<SocketAddr>);

/// A Service.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

fn address(text: &str) -> Result<Address, String> {
    if text == "0" {
        return Ok(Address(None));
    }
    // As Go writes it.
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    full.parse()
        .map(|at| Address(Some(at)))
        .map_err(|_| "expected an IP address and a port, as 127.0.0.1:8080 or :8080; or 0".to_owned())
}

fn https(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; expected https://HOST:PORT"))?;
    if url.scheme() != "https" || url.host_str().is_none() {
        return Err("the API server calls webhooks over https alone; expected https://HOST:PORT".to_owned());
    }
    Ok(url)
}

fn service(text: &str) -> Result<Service, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(Service { namespace: namespace.to_owned(), name: name.to_owned() })
        }
        _ => Err("expected NAMESPACE/NAME".to_owned()),
    }
}
