//! The server's state, and what it is made from.

use std::net::Ipv4Addr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::future::join_all;
use http::{Method, Request, Uri};
use tracing::Instrument;
use trimtab_api::policy::Policy;
use trimtab_api::{Kind, Kinds, crd};
use trimtab_client::HttpTransport;
use trimtab_env::{CancellationToken, Env, Tasks};
use trimtab_store::Store;

use crate::addresses;
use crate::aggregation::{self, Aggregation};
use crate::allocate::{Hook, ServiceAddresses};
use crate::audit::{Audit, Ids};
use crate::auth::token::Tokens;
use crate::auth::{self, Authorizer, Identity, ServiceAccounts};
use crate::cleaner;
use crate::components::{self, Components};
use crate::definitions::Definitions;
use crate::encode;
use crate::expire;
use crate::flow::{self, Flows};
use crate::handler::Origin;
use crate::kept::Kept;
use crate::metrics::Metrics;
use crate::nodes::{NodeTls, Nodes};
use crate::presence;
use crate::protobuf::Recent;
use crate::ranges::{self, Ranges};
use crate::stored;

/// How long history is kept: as long as upstream keeps it.
const COMPACT_EVERY: Duration = Duration::from_secs(300);
/// What is there before anybody makes anything.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// What a server is made from.
pub struct Config {
    /// What is served.
    pub kinds: Kinds,
    /// Where it is kept.
    pub store: Arc<dyn Store>,
    /// Time and randomness.
    pub env: Env,
    /// The first address and the prefix length of the Services' addresses.
    pub service_cidr: (Ipv4Addr, u8),
    /// How to reach the nodes' agents; without it, logs and exec are answered with 503.
    pub node_tls: Option<NodeTls>,
    /// How other servers, to which requests are passed on, know that this one may speak for its callers: a
    /// certificate and its key, in PEM; without it, they are shown none.
    pub front_proxy: Option<String>,
    /// How service accounts show who they are; without it, they have no tokens.
    pub service_accounts: Option<ServiceAccounts>,
    /// The audit log, if there is to be one.
    pub audit: Option<Audit>,
    /// Whether a server of this very version has been there before: then the namespaces, roles and bindings that
    /// every cluster has are not looked for.
    pub prepared: bool,
    /// The name of the machine: by it, and by a Lease that it keeps, others see that this server is there; without it,
    /// the server does not tell.
    pub hostname: Option<String>,
}

impl Config {
    /// What every server has; the rest is left out.
    pub fn new(kinds: Kinds, store: Arc<dyn Store>, env: Env, service_cidr: (Ipv4Addr, u8)) -> Self {
        Self {
            kinds,
            store,
            env,
            service_cidr,
            node_tls: None,
            front_proxy: None,
            service_accounts: None,
            audit: None,
            prepared: false,
            hostname: None,
        }
    }
}

/// The API server. Cloning is cheap; clones are the same server.
#[derive(Clone)]
pub struct ApiServer {
    pub(crate) inner: Arc<Inner>,
}

/// What the server does beside writes, by group and plural.
type Hooks = Vec<(&'static str, &'static str, Arc<dyn Hook>)>;

/// Tells `hooks` of what is stored from now on, for as long as they are there.
fn observe(store: &dyn Store, hooks: &Hooks) {
    let hooks = hooks.iter().map(|(group, plural, hook)| (encode::under(group, plural, ""), Arc::downgrade(hook)));
    let hooks: Vec<(String, Weak<dyn Hook>)> = hooks.collect();
    store.observe(Box::new(move |event| {
        for (_, hook) in hooks.iter().filter(|(key, _)| event.key().starts_with(key)) {
            let Some(hook) = hook.upgrade() else { return false };
            match (&event.entry, &event.previous) {
                (Some(entry), _) => hook.written(entry),
                (None, Some(previous)) => hook.removed(previous, event.revision),
                (None, None) => {}
            }
        }
        true
    }));
}

pub(crate) struct Inner {
    pub definitions: Arc<Definitions>,
    pub aggregation: Arc<Aggregation>,
    pub components: Arc<Components>,
    pub flows: Arc<Flows>,
    pub store: Arc<dyn Store>,
    pub env: Env,
    hooks: Hooks,
    pub authorizer: Authorizer,
    pub tokens: Option<Tokens>,
    pub nodes: Nodes,
    /// Connections to webhooks and other servers.
    pub outside: Kept<HttpTransport>,
    /// Compiled admission policies.
    pub policies: Kept<Policy>,
    pub metrics: Metrics,
    pub ids: Ids,
    pub audit: Option<Audit>,
    /// For those who read protobuf.
    pub messages: Arc<Recent>,
    /// Cancelled when the server ends: watches end with it.
    pub ending: CancellationToken,
    tasks: Tasks,
}

impl ApiServer {
    /// A server over `config.store`. Reads what is stored to know which addresses are taken, and
    /// makes the namespaces, roles and bindings that every cluster has.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn new(config: Config) -> Result<Self, trimtab_store::ReadError> {
        let ranges = Arc::new(Ranges::load(&config.kinds, &*config.store, config.service_cidr).await?);
        let services =
            ServiceAddresses::load(&config.kinds, &*config.store, &config.env, Arc::<Ranges>::clone(&ranges));
        let services = Arc::new(services.await?);
        let definitions = Arc::new(Definitions::load(config.kinds, &*config.store, &config.env).await?);
        let aggregation = Aggregation::load(&definitions.kinds(), &*config.store, config.front_proxy).await?;
        let aggregation = Arc::new(aggregation);
        let components = Arc::new(Components::new(Arc::clone(&config.store)));
        let flows = Arc::<Flows>::default();
        let hooks: Hooks = vec![
            ("", "services", Arc::<ServiceAddresses>::clone(&services)),
            (ranges::GROUP, ranges::PLURAL, ranges),
            (addresses::GROUP, addresses::PLURAL, Arc::new(addresses::Noted(Arc::clone(&services)))),
            (crd::GROUP, crd::PLURAL, Arc::<Definitions>::clone(&definitions)),
            (aggregation::GROUP, aggregation::PLURAL, Arc::<Aggregation>::clone(&aggregation)),
            ("", components::PLURAL, Arc::<Components>::clone(&components)),
            (flow::GROUP, flow::PLURALS[0], Arc::<Flows>::clone(&flows)),
            (flow::GROUP, flow::PLURALS[1], Arc::<Flows>::clone(&flows)),
        ];
        observe(&*config.store, &hooks);
        let tasks = Tasks::new();
        let ids = Ids::new(&config.env);
        let inner = Arc::new(Inner {
            definitions,
            aggregation,
            components,
            flows,
            store: config.store,
            env: config.env,
            hooks,
            authorizer: Authorizer::default(),
            tokens: config.service_accounts.map(Tokens::new),
            nodes: Nodes::new(config.node_tls),
            outside: Kept::default(),
            policies: Kept::default(),
            metrics: Metrics::default(),
            ids,
            audit: config.audit,
            messages: Arc::default(),
            ending: tasks.token().clone(),
            tasks,
        });
        let server = Self { inner };
        let defaults = async {
            if !config.prepared {
                tokio::join!(server.make_namespaces(), auth::bootstrap::reconcile(&server, config.service_cidr));
            }
        };
        // The store makes one step of them all.
        tokio::join!(defaults, aggregation::reconcile(&server, true));
        server.keep_tidy();
        server.inner.tasks.spawn_cancellable("definitions", cleaner::run(Arc::downgrade(&server.inner)));
        server.inner.tasks.spawn_cancellable("flows", auth::bootstrap::keep_flows(Arc::downgrade(&server.inner)));
        server.inner.tasks.spawn_cancellable("apiservices", aggregation::run(Arc::downgrade(&server.inner)));
        if let Some(hostname) = config.hostname {
            server.inner.tasks.spawn_cancellable("presence", presence::keep(Arc::downgrade(&server.inner), hostname));
        }
        let (store, env) = (Arc::clone(&server.inner.store), server.inner.env.clone());
        server.inner.tasks.spawn_cancellable("ipaddresses", addresses::keep(services, store, env));
        Ok(server)
    }

    // As upstream's server, so that a client finds `default` from the first moment on.
    async fn make_namespaces(&self) {
        let identity = Identity::new("system:apiserver", &["system:masters"]);
        let make = |name| {
            let origin = Origin { identity: Some(&identity), address: None };
            async move {
                if let Ok(Some(_)) = stored::get(self, ("", "v1", "namespaces"), "", name).await {
                    return;
                }
                let body = serde_json::json!({"metadata": {"name": name}}).to_string();
                let mut request = Request::new(Ok(body.into()));
                *request.method_mut() = Method::POST;
                *request.uri_mut() = Uri::from_static("/api/v1/namespaces");
                let code = self.handle(request, origin, None).await.status();
                // A registry without namespaces needs none.
                if !matches!(code.as_u16(), 201 | 404 | 409) {
                    tracing::warn!(%name, %code, "a namespace could not be made");
                }
            }
        };
        join_all(NAMESPACES.map(make)).await;
    }

    /// What is served now: what it was made with, and what has been defined since.
    pub fn kinds(&self) -> Kinds {
        self.inner.kinds()
    }

    /// Ends all watches and background work, and waits for them and for the audit log.
    pub async fn shutdown(&self) {
        self.inner.tasks.shutdown().await;
        self.flush().await;
    }

    /// Waits until all that was logged for audit is written.
    pub(crate) async fn flush(&self) {
        if let Some(audit) = &self.inner.audit {
            audit.flush().await;
        }
    }

    /// Runs what outlives its request: a tunnel to a node.
    pub(crate) fn tunnel(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.inner.tasks.spawn_cancellable("tunnel", future.in_current_span());
    }

    // What was current one period ago is forgotten, so that a watch can always be resumed within it.
    fn keep_tidy(&self) {
        let (store, env) = (Arc::clone(&self.inner.store), self.inner.env.clone());
        // The server owns the task: the task must not keep the server.
        let server = Arc::downgrade(&self.inner);
        self.inner.tasks.spawn_cancellable("compaction", async move {
            loop {
                let revision = store.revision();
                env.sleep(COMPACT_EVERY).await;
                let Some(inner) = server.upgrade() else { return };
                if let Err(error) = store.compact(revision).await {
                    tracing::warn!(%error, "compaction failed");
                }
                expire::sweep(&ApiServer { inner }).await;
            }
        });
    }
}

impl Inner {
    pub(crate) fn kinds(&self) -> Kinds {
        self.definitions.kinds()
    }

    pub(crate) fn hook(&self, kind: &Kind) -> Option<&dyn Hook> {
        let of_kind = |(group, plural, _): &&(_, _, _)| kind.group == *group && kind.plural == *plural;
        self.hooks.iter().find(of_kind).map(|(_, _, hook)| &**hook)
    }

    /// The time as the API writes it: RFC 3339 in UTC, whole seconds.
    pub(crate) fn timestamp(&self) -> String {
        format_time(self.env.now())
    }
}

pub(crate) fn format_time(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
