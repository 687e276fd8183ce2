//! The API server over the store of a data directory.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use trimtab_apiserver::{ApiServer, Audit, AuditPolicy, Destination, ServiceAccounts, SigningKey, Watching};
use trimtab_client::Client;
use trimtab_env::{Env, Tasks};
use trimtab_store::{Embedded, Store};

use crate::data_dir::{DataDir, Held, Role};
use crate::error::{StartError, other};
use crate::identity::Identity;
use crate::names::{API_SERVICE_IP, SERVICE_CIDR, SIMULATED_API_IP, reachable};
use crate::pki::{Pki, PkiError};
use crate::tls::{self, Clients};
use crate::{bootstrap, kubeconfig, names};

/// How often an address that is not there yet is looked for.
const RETRY: Duration = Duration::from_secs(3);

/// What the API server is made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The kubeconfig file that the administrator's context is merged into.
    pub kubeconfig: PathBuf,
    /// The audit log, if there is to be one.
    pub audit: Option<AuditConfig>,
}

/// What the audit log is made from.
#[derive(Clone, Debug)]
pub struct AuditConfig {
    /// The file that says what is logged: an `audit.k8s.io/v1` Policy.
    pub policy_file: PathBuf,
    /// Where it goes.
    pub destination: Destination,
}

impl AuditConfig {
    fn open(self) -> Result<Audit, StartError> {
        let failed = |path: &Path, source: Box<dyn std::error::Error + Send + Sync>| StartError::Audit {
            path: path.to_owned(),
            source,
        };
        let text = std::fs::read_to_string(&self.policy_file).map_err(|e| failed(&self.policy_file, e.into()))?;
        let policy = AuditPolicy::parse(&text).map_err(|e| failed(&self.policy_file, e.into()))?;
        let path = match &self.destination {
            Destination::Stdout => PathBuf::from("-"),
            Destination::File(path, _) => path.clone(),
        };
        Audit::open(policy, self.destination).map_err(|e| failed(&path, e.into()))
    }
}

/// What is signed with, kept in files.
struct Keys {
    pki: Pki,
    front_proxy: Pki,
    service_accounts: Vec<u8>,
}

impl Keys {
    fn open(dir: &Path, env: &Env) -> Result<Self, PkiError> {
        let pki = Pki::open(dir, env.now())?;
        let (front_proxy, service_accounts) = (pki.front_proxy()?, pki.service_account_key()?);
        Ok(Self { pki, front_proxy, service_accounts })
    }
}

/// An API server that runs.
pub struct Api {
    server: ApiServer,
    pki: Pki,
    address: SocketAddr,
    store: Arc<dyn Store>,
    env: Env,
    tasks: Tasks,
    _held: Held,
}

impl Api {
    /// Opens the store and the authority of `data`, both made on the first start, listens, and
    /// writes the administrator's context. `tell` gets a line for each step done.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn start(
        data: &DataDir,
        config: &Config,
        env: &Env,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, StartError> {
        // What the user may have to put right comes first.
        let audit = config.audit.clone().map(AuditConfig::open).transpose()?;
        let held = data.hold(Role::ApiServer, env).await?;
        // Both are made on the first start, and mostly wait for the disk then.
        let (store, keys) = std::thread::scope(|scope| {
            let store = scope.spawn(|| Embedded::open(&data.store()));
            let keys = Keys::open(&data.pki(), env);
            (store.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), keys)
        });
        let store: Arc<dyn Store> = Arc::new(store.map_err(other("open the store"))?);
        tell(&format!("store opened at revision {}", store.revision()));
        let Keys { pki, front_proxy, service_accounts } = keys?;
        let listener = listen(config.listen).await?;
        let address = listener.local_addr().map_err(|source| StartError::Listen { address: config.listen, source })?;
        let to_nodes = pki.client(&Identity::kubelet_client())?;
        let node_tls =
            tls::client(&to_nodes, pki.ca_pem()).map_err(other("make the API's client TLS configuration"))?;
        let to_others = front_proxy.client(&Identity::front_proxy_client())?;
        let key = SigningKey::from_pkcs8(&service_accounts).map_err(other("use the service accounts' signing key"))?;
        let service_accounts = ServiceAccounts {
            key,
            issuer: names::token_issuer(),
            jwks_uri: format!("https://{}/openid/v1/jwks", reachable(address)),
        };
        let server = trimtab_apiserver::Config {
            kinds: trimtab_api::builtin().with([trimtab_sync::ManifestFile::kind()]),
            store: Arc::clone(&store),
            env: env.clone(),
            service_cidr: SERVICE_CIDR,
            node_tls: Some(node_tls),
            front_proxy: Some(format!("{}{}", to_others.cert_pem, to_others.key_pem)),
            service_accounts: Some(service_accounts),
            audit,
            prepared: false,
            hostname: Some(names::hostname()),
        };
        let server = ApiServer::new(server).await.map_err(other("read the store"))?;
        let api = Self { server, pki, address, store, env: env.clone(), tasks: Tasks::new(), _held: held };
        api.serve(listener, api.tls(address.ip())?);
        let own = api.own_client();
        let first = bootstrap::service(&own, API_SERVICE_IP, address.port());
        let trust = bootstrap::trust(&own, api.pki.ca_pem(), front_proxy.ca_pem());
        tokio::try_join!(first, trust).map_err(other("make the first objects"))?;
        tell(&format!("API ready at {}", api.url()));
        kubeconfig::write_administrator(&api.pki, &api.url(), &config.kubeconfig)?;
        tell(&format!("context {:?} written to {}", names::CONTEXT, config.kubeconfig.display()));
        Ok(api)
    }

    /// Where the API is reached from this machine: `https://127.0.0.1:6443`.
    pub fn url(&self) -> String {
        format!("https://{}", reachable(self.address))
    }

    /// A client in this process, as `identity`.
    pub(crate) fn client(&self, identity: &Identity) -> Client {
        let user = trimtab_apiserver::Identity::new(&identity.user, identity.groups);
        Client::new(self.server.transport(user)).with_user_agent(identity.agent)
    }

    /// Takes note that `identity` works on the caches of this process, and so has no watch of its own.
    pub(crate) fn watching(&self, identity: &Identity) -> Option<Watching> {
        self.server.watching(&identity.user)
    }

    /// A client in this process that may do everything.
    pub fn own_client(&self) -> Client {
        self.client(&Identity::api_server())
    }

    pub(crate) fn pki(&self) -> &Pki {
        &self.pki
    }

    /// Writes the data directory's `kubeconfigs`: what the other components need to run as processes of their own.
    ///
    /// # Errors
    /// When a certificate cannot be made or a file not be written.
    pub fn write_kubeconfigs(&self, data: &DataDir, nodes: &[String]) -> Result<PathBuf, StartError> {
        let dir = data.kubeconfigs();
        kubeconfig::write_components(&self.pki, &self.url(), &dir, nodes)?;
        Ok(dir)
    }

    /// Says where pods reach the API: at the address it listens on; or, where that is of this
    /// machine alone, at `address`, on which it then listens as well, from when the machine has it.
    ///
    /// # Errors
    /// When no certificate can be made, or the store fails.
    pub async fn advertise(&self, address: Option<IpAddr>) -> Result<(), StartError> {
        let (own, port) = (self.address.ip(), self.address.port());
        let reached = if own.is_loopback() || own.is_unspecified() { address } else { Some(own) };
        let client = self.own_client();
        let Some(ip) = reached.filter(|_| own.is_loopback()) else {
            return bootstrap::endpoint(&client, reached, port).await.map_err(other("say where the API is"));
        };
        let (wanted, tls) = (SocketAddr::new(ip, port), self.tls(ip)?);
        let (server, env, token) = (self.server.clone(), self.env.clone(), self.tasks.token().clone());
        self.tasks.spawn("apiserver-for-pods", async move {
            let Some(listener) = token.run_until_cancelled(patiently(wanted, &env)).await else { return };
            if let Err(error) = bootstrap::endpoint(&client, reached, port).await {
                tracing::error!(%error, "could not say where pods reach the API");
            }
            if let Err(error) = server.serve(listener, tls, token).await {
                tracing::error!(%error, "pods no longer reach the API");
            }
        });
        Ok(())
    }

    /// As [`Api::advertise`], to pods that only pretend to run: where it would reach nobody else, at an address that
    /// only pretends to be one.
    ///
    /// # Errors
    /// As [`Api::advertise`].
    pub async fn advertise_to_simulated(&self) -> Result<(), StartError> {
        let own = self.address.ip();
        let reached = if own.is_loopback() || own.is_unspecified() { SIMULATED_API_IP } else { own };
        let told = bootstrap::endpoint(&self.own_client(), Some(reached), self.address.port()).await;
        told.map_err(other("say where the API is"))
    }

    fn serve(&self, listener: TcpListener, tls: ServerConfig) {
        let (server, token) = (self.server.clone(), self.tasks.token().clone());
        self.tasks.spawn("apiserver", async move {
            if let Err(error) = server.serve(listener, tls, token).await {
                tracing::error!(%error, "the API server stopped");
            }
        });
    }

    fn tls(&self, address: IpAddr) -> Result<ServerConfig, StartError> {
        let mut names = names::api_server();
        if !address.is_unspecified() {
            names.push(address.to_string());
        }
        let identity = self.pki.server("kube-apiserver", &names)?;
        tls::server(&identity, self.pki.ca_pem(), Clients::MayBeStrangers)
            .map_err(other("make the API's TLS configuration"))
    }

    /// Ends the server, then the store.
    pub async fn stop(&self) {
        self.tasks.shutdown().await;
        self.store.close().await;
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

/// The pods' network may not be there yet.
async fn patiently(address: SocketAddr, env: &Env) -> TcpListener {
    let mut told = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if !told => {
                tracing::warn!(%error, %address, "pods do not reach the API yet; trying again");
                told = true;
            }
            Err(_) => {}
        }
        env.sleep(RETRY).await;
    }
}
