//! One function for each component: the only wiring there is. `trimtab up` runs them all in one
//! process, `trimtab run` one of them.
//!
//! A component asks the API as itself. Components of one process may share the caches of one
//! [`Manager`]; then what they read, they read as its client.

mod apiserver;
mod node;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use trimtab_client::Client;
use trimtab_env::{Env, Tasks};
use trimtab_network::{dns as name_server, proxy as service_proxy};
use trimtab_reconcile::{Manager, Recorder};

pub use apiserver::{Api, AuditConfig, Config as ApiConfig};
pub(crate) use node::node_config;
pub use node::{Config as NodeConfig, Node, RuntimeChoice, Serving, TlsFiles, authority, gateway, node};
pub use service_proxy::Mode as ProxyMode;
pub use trimtab_apiserver::{Destination as AuditDestination, Rotation as AuditRotation};
pub use trimtab_sync::Config as SyncConfig;

use crate::data_dir::DataDir;
use crate::error::{StartError, other};
use crate::names::{DNS_PORT, DOMAIN, SERVICE_CIDR_TEXT};
use crate::signer::FileSigner;
use crate::tokens::TokenKey;

/// What the controllers know of the cluster's authority.
#[derive(Clone, Debug, Default)]
pub struct Authority {
    /// Its certificate (PEM), which pods are told to trust.
    pub root_ca: Option<String>,
    /// Who signs with it what the API asks for.
    pub signer: Option<Arc<dyn trimtab_controllers::Signer>>,
    /// Who signs the tokens of service accounts that Secrets hold.
    pub tokens: Option<Arc<dyn trimtab_controllers::TokenSigner>>,
}

impl Authority {
    /// Signs with the authority whose certificate and key are in these files.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn signing(self, cert: &Path, key: &Path) -> Result<Self, StartError> {
        Ok(Self { signer: Some(Arc::new(FileSigner::open(cert, key)?)), ..self })
    }

    /// Signs service accounts' tokens with the key in this file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn signing_tokens(self, key: &Path) -> Result<Self, StartError> {
        Ok(Self { tokens: Some(Arc::new(TokenKey::open(key)?)), ..self })
    }
}

/// Adds the built-in controllers to `manager`, and runs the garbage collector beside them.
pub fn controllers(manager: &Manager, authority: Authority, tasks: &Tasks) {
    let Authority { root_ca, signer, tokens } = authority;
    let config = trimtab_controllers::Config { root_ca, signer, tokens, ..trimtab_controllers::Config::default() };
    trimtab_controllers::install(manager, &config);
    let (client, env, token) = (manager.client().clone(), manager.env().clone(), tasks.token().clone());
    tasks.spawn("garbage-collector", async move { trimtab_controllers::garbage::run(client, env, token).await });
}

/// Runs the scheduler on the caches of `manager`.
pub fn scheduler(manager: &Manager, client: Client, tasks: &Tasks) {
    tasks.spawn("scheduler", trimtab_scheduler::run(manager.clone(), client, tasks.token().clone()));
}

/// Runs the service proxy of this machine on the caches of `manager`.
pub fn proxy(manager: &Manager, client: &Client, data: &DataDir, mode: ProxyMode, tasks: &Tasks) {
    let config =
        service_proxy::Config { cluster: data.cluster().to_owned(), service_cidr: SERVICE_CIDR_TEXT.to_owned(), mode };
    let recorder = Recorder::new(client, manager.env(), "trimtab-proxy", None, tasks);
    let (manager, token) = (manager.clone(), tasks.token().clone());
    tasks.spawn("proxy", async move { service_proxy::run(&manager, recorder, config, token).await });
}

/// Runs the DNS server on the caches of `manager`.
pub fn dns(manager: &Manager, listen: Vec<SocketAddr>, tasks: &Tasks) {
    let config = name_server::Config { listen, domain: DOMAIN.to_owned(), upstreams: name_server::Upstreams::System };
    let (manager, token) = (manager.clone(), tasks.token().clone());
    tasks.spawn("dns", async move { name_server::run(&manager, config, token).await });
}

/// Where the DNS server of a machine listens for pods that reach it at `gateway`.
pub fn dns_address(gateway: IpAddr) -> SocketAddr {
    SocketAddr::new(gateway, DNS_PORT)
}

/// Runs the watched directories. A directory that is not there is told at once.
///
/// # Errors
/// When a directory cannot be read.
pub async fn sync(client: Client, env: &Env, config: SyncConfig, tasks: &Tasks) -> Result<(), StartError> {
    for dir in &config.dirs {
        let _readable = tokio::fs::read_dir(dir).await.map_err(|source| {
            other("watch the manifests")(std::io::Error::new(source.kind(), format!("{}: {source}", dir.display())))
        })?;
    }
    let (env, token) = (env.clone(), tasks.token().clone());
    tasks.spawn("sync", async move {
        if let Err(error) = trimtab_sync::run(client, env, config, token).await {
            tracing::error!(%error, "the manifests are no longer watched");
        }
    });
    Ok(())
}
