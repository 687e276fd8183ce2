//! A whole cluster in this process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use trimtab_apiserver::Watching;
use trimtab_client::Client;
use trimtab_env::{Env, Tasks};
use trimtab_reconcile::Manager;

use crate::component::{
    self, Api, ApiConfig, AuditConfig, Node, NodeConfig, ProxyMode, RuntimeChoice, Serving, SyncConfig,
};
use crate::data_dir::DataDir;
use crate::error::StartError;
use crate::identity::Identity;
use crate::names::hostname;
use crate::tokens::TokenKey;

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
    /// How cluster IPs are served.
    pub proxy_mode: ProxyMode,
    /// The kubeconfig file that the context is merged into.
    pub kubeconfig: PathBuf,
    /// The audit log, if there is to be one.
    pub audit: Option<AuditConfig>,
}

/// A cluster that runs.
pub struct Cluster {
    api: Api,
    client: Client,
    /// What uses the API; ends before it.
    components: Tasks,
    node: Option<Node>,
    /// The scheduler sees what the controllers' caches watch.
    _scheduling: Option<Watching>,
}

impl Cluster {
    /// Starts a cluster. `tell` gets a line for each step done.
    ///
    /// # Errors
    /// When a step fails; what was started is ended again.
    pub async fn start(config: Config, env: Env, tell: &(dyn Fn(&str) + Sync)) -> Result<Self, StartError> {
        let data = DataDir::open(&config.data_dir, &env)?;
        let served =
            ApiConfig { listen: config.listen, kubeconfig: config.kubeconfig.clone(), audit: config.audit.clone() };
        let api = Api::start(&data, &served, &env, tell).await?;
        let scheduling = api.watching(&Identity::scheduler());
        let (client, components) = (api.own_client(), Tasks::new());
        let mut cluster = Self { client, api, components, node: None, _scheduling: scheduling };
        match cluster.start_components(&config, &data, &env, tell).await {
            Ok(node) => {
                cluster.node = Some(node);
                Ok(cluster)
            }
            Err(error) => {
                cluster.stop().await;
                Err(error)
            }
        }
    }

    async fn start_components(
        &self,
        config: &Config,
        data: &DataDir,
        env: &Env,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<Node, StartError> {
        let (api, tasks) = (&self.api, &self.components);
        // Its caches serve all components of this process: it is the one that reads everything.
        let manager = Manager::new(api.client(&Identity::controllers()), env.clone());
        let authority = component::Authority {
            root_ca: Some(api.pki().ca_pem().to_owned()),
            signer: Some(Arc::new(api.pki().signer()?)),
            tokens: Some(Arc::new(TokenKey::of(&api.pki().service_account_key()?)?)),
        };
        component::controllers(&manager, authority, tasks);
        component::scheduler(&manager, api.client(&Identity::scheduler()), tasks);
        let (name, identity) = match config.runtime {
            RuntimeChoice::Docker => (hostname(), Identity::node(&hostname())),
            RuntimeChoice::Sim { .. } => ("sim".to_owned(), Identity::simulated_nodes()),
        };
        let as_node = api.client(&identity);
        let agent = NodeConfig { name, runtime: config.runtime, cluster_dns: None, shares_caches: true };
        let node = component::node(&manager, as_node, data, agent, Serving::Signed(api.pki()), tasks).await?;
        tell(&node.description);
        match config.runtime {
            RuntimeChoice::Docker => api.advertise(node.gateway).await?,
            RuntimeChoice::Sim { .. } => api.advertise_to_simulated().await?,
        }
        if let Some(gateway) = node.gateway {
            component::proxy(&manager, &api.client(&Identity::proxy()), data, config.proxy_mode, tasks);
            component::dns(&manager, vec![component::dns_address(gateway)], tasks);
        }
        if !config.manifests.is_empty() {
            let sync = SyncConfig { dirs: config.manifests.clone() };
            component::sync(api.client(&Identity::sync()), env, sync, tasks).await?;
            let dirs: Vec<_> = config.manifests.iter().map(|dir| dir.display().to_string()).collect();
            tell(&format!("watching {}", dirs.join(", ")));
        }
        let ending = tasks.token().clone();
        tasks.spawn("manager", async move { manager.run(ending).await });
        Ok(node)
    }

    /// A client of the cluster, in process, that may do everything.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Where the API is: `https://127.0.0.1:6443`.
    pub fn server(&self) -> String {
        self.api.url()
    }

    /// Ends everything but the containers: the components first, then the API, then the store.
    pub async fn stop(&self) {
        self.components.shutdown().await;
        self.api.stop().await;
    }
}
