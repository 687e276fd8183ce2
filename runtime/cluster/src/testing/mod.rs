//! A whole cluster inside a test: API server, controllers, scheduler and simulated nodes on a store in
//! memory, in this thread and in virtual time. It needs no port, no file, no container engine.
//!
//! The same seed gives the same [`History`], byte for byte: time, randomness, and the order of maps and of
//! tasks all follow from it.
//!
//! # A test
//!
//! With [`macro@test`] an async function is a test with a cluster of its own. [`TestCluster::apply`] declares what
//! there shall be, [`TestCluster::run`] runs a controller beside the built-in ones, [`TestCluster::until`] waits for
//! what shall come of it, [`TestCluster::settle`] until nothing is written any more. Time passes when everything
//! waits: an hour takes no longer than what is done in it.
//!
//! ```
//! use trimtab_cluster::testing::{Faults, Seeds, TestCluster, run};
//!
//! async fn a_pod_runs(cluster: &TestCluster) {
//!     cluster
//!         .apply("{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: web, image: web}]}}")
//!         .await;
//!     let pods = cluster.api::<k8s_openapi::api::core::v1::Pod>("default");
//!     let phase = async || pods.get("web").await.unwrap().status.and_then(|status| status.phase);
//!     cluster.until("the pod runs", async |_| phase().await.as_deref() == Some("Running")).await;
//! }
//!
//! // As `#[trimtab::test(seeds = 2, faults)]` has it run.
//! run(Seeds(2), |seed| TestCluster::builder(seed).faults(Faults::default()), a_pod_runs);
//! ```
//!
//! # Faults
//!
//! With [`Faults`], things go wrong at random by the seed: programs die before and after their writes, answers are
//! lost, the server refuses with 409, 429 and 500, leaders lose their lease while they write, watches are refused, break off, fall silent, expire or come late, nodes and
//! containers die, the clock is set. The test then runs twice, and must end with them as it does without: the same
//! objects but for uids, versions, times and addresses; none left whose owner is gone; none made again and again;
//! and nothing to write for programs that are started anew. If it does not, it fails with the seed, the fewest
//! faults for which it fails, and who wrote what of the objects that differ. `TRIMTAB_SEED=7` runs that seed alone.
//!
//! [`sweep`] leaves nothing to chance: each write, read and watch of one program meets each fault, one run each, also
//! that another takes over from it in the middle of a write ([`TestCluster::run_elected`]). [`sweep_outages`] does so
//! with what happens to nodes, containers and the clock.
//!
//! # From outside
//!
//! [`TestCluster::listen`] opens a port for any other client; from then on time is real.

mod asked;
mod builder;
mod ending;
mod explore;
mod faults;
mod history;
mod ledger;
mod line;
mod listen;
mod managers;
mod news;
mod outages;
mod plan;
mod program;
mod roles;
mod seeds;
mod state;
mod sweep;
mod template;

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use k8s_openapi::api::coordination::v1::Lease;
use serde::Deserialize;
use serde_json::Value;
use trimtab_api::Object;
use trimtab_apiserver::ApiServer;
use trimtab_client::{Api, ApiResource, Client, Patch};
use trimtab_env::{Env, Instant, Tasks};
use trimtab_node::NodeConfig;
use trimtab_node::sim::Sim;
use trimtab_reconcile::{Controller, LeaderElection, Manager, Needs};
use trimtab_store::Store;

pub use builder::Builder;
pub use faults::Faults;
pub use history::History;
pub use listen::Listening;
pub use plan::{Fault, Outage, Plan, Trouble, WatchFault};
pub use program::Running;
pub use seeds::{Outcome, Seeds, in_virtual_time, run};
pub use sweep::{sweep, sweep_outages};
pub use trimtab_macros::test;
pub use trimtab_node::runtime::ContainerSpec;
pub use trimtab_node::sim::Behaviour;

use faults::Weather;
use line::Line;
use managers::Trace;
use program::Programs;

use crate::component;
use crate::identity::Identity;
use crate::names::DOMAIN;
use crate::pki::Authority;
use crate::tokens::Unsigned;

/// How much virtual time anything may take: more than the longest grace period and back-off.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// So long without a write but heartbeats is rest. Longer than a second, which is how exact most stored times are.
const QUIET: Duration = Duration::from_secs(5);
/// The same where something has gone wrong, or a leader may be gone: longer than news may be late, than what failed is
/// put off, and than a lease is left to a leader that is silent.
const QUIET_AFTER_FAULTS: Duration = Duration::from_secs(30);
/// How long after a write, or without one, a condition is looked at again.
const GLANCE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(1));

/// A cluster of this test's own. Cloning is cheap; clones are the same cluster.
#[derive(Clone)]
pub struct TestCluster {
    seed: u64,
    env: Env,
    store: Arc<dyn Store>,
    server: ApiServer,
    nodes: Arc<BTreeMap<String, Sim>>,
    history: History,
    weather: Arc<Weather>,
    programs: Arc<Programs>,
    /// Who signs certificates.
    authority: Arc<Authority>,
    /// What uses the server; ends before it.
    tasks: Tasks,
    /// Where the server is reached from outside.
    outside: Tasks,
}

impl TestCluster {
    /// A cluster of one node, whose randomness is that of `seed`.
    pub fn builder(seed: u64) -> Builder {
        Builder::new(seed)
    }

    /// As `TestCluster::builder(seed).start()`.
    pub async fn start(seed: u64) -> Self {
        Self::builder(seed).start().await
    }

    /// What its randomness follows from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Its time and randomness.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// All that has been written so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The API server.
    pub fn server(&self) -> &ApiServer {
        &self.server
    }

    /// A client that may do everything.
    pub fn client(&self) -> Client {
        let administrator = Identity::administrator();
        self.client_of(&administrator.user, administrator.groups)
    }

    /// The objects of a kind in one namespace, for someone who may do everything.
    pub fn api<K: trimtab_reconcile::Resource>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(&self.client(), namespace)
    }

    /// A client of a user, who may do what roles allow.
    pub fn client_of(&self, user: &str, groups: &[&str]) -> Client {
        Client::new(self.server.transport(trimtab_apiserver::Identity::new(user, groups)))
    }

    /// The containers of a node, which can be made to fail.
    ///
    /// # Panics
    /// If there is no such node: they are called `node-0`, `node-1` and so on.
    pub fn node(&self, name: &str) -> &Sim {
        self.nodes.get(name).unwrap_or_else(|| panic!("there is no node {name:?}"))
    }

    /// Runs the controller that `make` makes, as a process of its own: with caches that it shares with nobody. When
    /// it dies of a [`Fault`], it is started again.
    ///
    /// It may do what follows from what it declares, and no more: where it is denied anything, [`TestCluster::settle`],
    /// [`TestCluster::until`] and [`TestCluster::stop`] panic, and tell the rule that is missing. So they do when a
    /// reconcile has panicked.
    pub fn run<C: Controller>(&self, make: impl Fn() -> C + Send + 'static) -> Running {
        let granted = self.grant::<C>(Manager::needs_of(|manager| manager.add(make())));
        self.start_program(C::NAME, None, &roles::identity(C::NAME), granted, move |manager, _| manager.add(make()))
    }

    /// As [`TestCluster::run`], twice, of which one works: a Lease of the controller's name in the namespace
    /// `default` decides. When the one falls silent, the other takes over.
    pub fn run_elected<C: Controller>(&self, make: impl Fn() -> C + Clone + Send + 'static) -> [Running; 2] {
        let mut needs = Manager::needs_of(|manager| manager.add(make()));
        needs.add(&ApiResource::of::<Lease>(), "", ["get", "create", "update"]);
        let granted = self.grant::<C>(needs).shared();
        let identity = roles::identity(C::NAME);
        [make.clone(), make].map(|make| {
            let add = move |manager: &Manager, _: &Tasks| manager.add(make());
            self.start_program(C::NAME, Some("default"), &identity, granted.clone(), add)
        })
    }

    /// Lets a controller do what it needs.
    fn grant<C: Controller>(&self, needs: Needs) -> impl Future<Output = ()> + Send + use<C> {
        self.programs.roles.enforce(C::NAME, needs.clone());
        let administrator = self.client();
        async move { roles::grant(&administrator, C::NAME, &needs).await }
    }

    /// What controllers that were run declare, and have not done, in the words of `#[controller]`:
    /// `website: uses(ConfigMap: delete)`. Where a test does all that a controller can, its role allows no more than it
    /// needs if this is empty.
    pub fn unused(&self) -> Vec<String> {
        self.programs.roles.unused()
    }

    /// How often a program has written.
    pub fn writes_of(&self, program: &str) -> u64 {
        self.programs.counts(program).map_or(0, |counts| counts.writes())
    }

    /// Applies the objects of a YAML text (server-side apply; field manager `test`).
    ///
    /// # Panics
    /// If the text is not YAML, or the API refuses an object.
    pub async fn apply(&self, yaml: &str) {
        for document in serde_yaml::Deserializer::from_str(yaml) {
            let object = Value::deserialize(document).unwrap_or_else(|error| panic!("{error}"));
            self.apply_object(object).await;
        }
    }

    async fn apply_object(&self, object: Value) {
        let text = |field: &Value| field.as_str().unwrap_or_default().to_owned();
        let (api_version, kind, name) =
            (text(&object["apiVersion"]), text(&object["kind"]), text(&object["metadata"]["name"]));
        let known = self.server.kinds();
        let known = known.by_kind(&api_version, &kind).unwrap_or_else(|| panic!("{api_version} {kind} is not served"));
        let namespace = text(&object["metadata"]["namespace"]);
        let namespace = if namespace.is_empty() { "default" } else { &namespace };
        let api: Api<Object> = Api::dynamic(&self.client(), &ApiResource::from(&**known), Some(namespace));
        let patch = Patch::Apply { object, manager: "test".to_owned(), force: true };
        api.patch(&name, &patch).await.unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
    }

    /// Lets so much time pass.
    pub async fn advance(&self, time: Duration) {
        self.env.sleep(time).await;
    }

    /// Waits until `holds`.
    ///
    /// # Panics
    /// If it does not within an hour of the cluster's time.
    pub async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        // Not the wall clock, which may be set.
        let end = Instant::now() + PATIENCE;
        while !holds(self).await {
            self.check();
            assert!(Instant::now() < end, "never: {what}\n{}", self.trace());
            // What is read to tell whether it holds takes no time: most of what changes does so by a write.
            let _ = tokio::time::timeout(GLANCE.1, self.history.changed()).await;
            self.env.sleep(GLANCE.0).await;
        }
    }

    /// Waits until nothing is written any more but the heartbeats of nodes.
    ///
    /// # Panics
    /// If it does not come to rest within an hour of the cluster's time.
    pub async fn settle(&self) {
        let end = Instant::now() + PATIENCE;
        let mut writes = self.history.writes();
        loop {
            self.check();
            let patient = !self.weather.met().is_empty() || self.programs.are_elected();
            self.env.sleep(if patient { QUIET_AFTER_FAULTS } else { QUIET }).await;
            let now = self.history.writes();
            if now == writes {
                return;
            }
            assert!(Instant::now() < end, "it does not come to rest\n{}", self.trace());
            writes = now;
        }
    }

    /// Ends everything. Once is enough, of all clones.
    pub async fn stop(&self) {
        self.tasks.shutdown().await;
        self.outside.shutdown().await;
        self.server.shutdown().await;
        self.store.close().await;
        self.check();
    }

    /// # Panics
    /// If a controller was denied something, or panicked.
    fn check(&self) {
        self.programs.roles.check(&self.server.kinds());
        self.programs.managers.check();
    }

    /// What led to what is there.
    fn trace(&self) -> Trace {
        Trace { managers: Arc::clone(&self.programs.managers), history: self.history.clone() }
    }

    fn start_components(&self, elected: bool) {
        let election = elected.then_some("kube-system");
        for _ in 0..=usize::from(elected) {
            let (controllers, scheduler) = (Identity::controllers(), Identity::scheduler());
            let authority = Arc::clone(&self.authority);
            self.start_program("kube-controller-manager", election, &controllers, ready(()), move |manager, tasks| {
                let signer = authority.signer().expect("it has signed its own certificate");
                let authority = component::Authority {
                    root_ca: Some(authority.ca_pem().to_owned()),
                    signer: Some(Arc::new(signer)),
                    tokens: Some(Arc::new(Unsigned)),
                };
                component::controllers(manager, authority, tasks);
            });
            self.start_program("kube-scheduler", election, &scheduler, ready(()), |manager, tasks| {
                component::scheduler(manager, manager.client().clone(), tasks);
            });
        }
        let nodes = Arc::clone(&self.nodes);
        self.start_program("kubelet", None, &Identity::simulated_nodes(), ready(()), move |manager, tasks| {
            let agent = trimtab_node::Config {
                nodes: nodes.iter().map(|(name, sim)| node(name, sim)).collect(),
                pods: manager.cache(),
                // Simulated pods have no files.
                root: PathBuf::new(),
                cluster_dns: None,
                cluster_domain: DOMAIN.to_owned(),
                server: None,
            };
            let (manager, client, token) = (manager.clone(), manager.client().clone(), tasks.token().clone());
            tasks.spawn("node", async move {
                if let Err(error) = trimtab_node::run(manager, client, agent, token).await {
                    panic!("the node agent stopped: {error}");
                }
            });
        });
    }

    /// Starts a program called `name`: `add` gives a manager what it runs. With an `election`, it works while it
    /// holds the Lease of that namespace and of its name.
    fn start_program(
        &self,
        name: &str,
        election: Option<&'static str>,
        identity: &Identity,
        before: impl Future<Output = ()> + Send + 'static,
        add: impl Fn(&Manager, &Tasks) + Send + 'static,
    ) -> Running {
        let user = trimtab_apiserver::Identity::new(&identity.user, identity.groups);
        let (lease, env) = (name.to_owned(), self.env.clone());
        let managers = Arc::clone(&self.programs.managers);
        let start = move |line: &Arc<Line>, tasks: &Tasks| {
            let manager = Manager::new(Client::new(Arc::<Line>::clone(line)), env.clone());
            add(&manager, tasks);
            managers.began(&lease, &manager);
            let (line, ending) = (Arc::clone(line), tasks.token().clone());
            // Who starts anew is somebody else.
            let election = election.map(|namespace| LeaderElection::new(namespace, &lease, env.uuid()));
            tasks.spawn("manager", async move {
                match election {
                    None => manager.run(ending).await,
                    Some(election) => {
                        if manager.run_as_leader(election, ending).await.is_err() {
                            line.kill();
                        }
                    }
                }
            });
        };
        let transport = self.server.transport(user);
        self.programs.start(name, election.is_some(), transport, before, start)
    }

    async fn ready_nodes(&self) -> usize {
        let nodes = Api::<k8s_openapi::api::core::v1::Node>::all(&self.client());
        let listed = nodes.list(&Default::default()).await.expect("nodes can be listed").items;
        let conditions = |node: &k8s_openapi::api::core::v1::Node| {
            let conditions = node.status.as_ref().and_then(|status| status.conditions.clone());
            conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
        };
        listed.iter().filter(|node| conditions(node)).count()
    }
}

fn node(name: &str, sim: &Sim) -> NodeConfig {
    component::node_config(name, Arc::new(sim.clone()), IpAddr::from(Ipv4Addr::LOCALHOST))
}
