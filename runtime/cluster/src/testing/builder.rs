//! What a test's cluster is made from.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use trimtab_api::Kind;
use trimtab_apiserver::ApiServer;
use trimtab_env::{Env, Tasks};
use trimtab_node::runtime::ContainerSpec;
use trimtab_node::sim::{Behaviour, Sim};
use trimtab_store::{Memory, Store};

use super::TestCluster;
use super::faults::{Faults, Weather};
use super::history::History;
use super::ledger::Ledger;
use super::plan::{Fault, Plan, Trouble};
use super::program::Programs;
use super::template::Template;
use crate::names::SERVICE_CIDR;
use crate::pki::Authority;

/// When every test cluster starts.
pub(super) const EPOCH: &str = "2026-01-01T00:00:00Z";

type Script = Arc<dyn Fn(&ContainerSpec) -> Behaviour + Send + Sync>;

/// What a [`TestCluster`] is made from.
pub struct Builder {
    seed: u64,
    nodes: u32,
    kinds: Vec<Kind>,
    script: Script,
    plan: Plan,
    faults: Option<Faults>,
    elected: bool,
}

impl Builder {
    pub(super) fn new(seed: u64) -> Self {
        let (kinds, plan) = (Vec::new(), Plan::new());
        Self { seed, nodes: 1, kinds, script: Arc::new(Behaviour::of), plan, faults: None, elected: false }
    }

    /// So many nodes; one when it is not said.
    #[must_use]
    pub fn nodes(mut self, count: u32) -> Self {
        self.nodes = count;
        self
    }

    /// Kinds that the server knows from the start, beside the built-in ones.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.kinds.extend(kinds);
        self
    }

    /// Of the built-in controllers, and of the scheduler, there are two, of which one leads.
    #[must_use]
    pub fn elected(mut self) -> Self {
        self.elected = true;
        self
    }

    /// How containers behave; by default they start at once and run until they are stopped.
    #[must_use]
    pub fn script(mut self, script: impl Fn(&ContainerSpec) -> Behaviour + Send + Sync + 'static) -> Self {
        self.script = Arc::new(script);
        self
    }

    /// Lets the `number`th write of a program, counted from 0, meet a fault. The programs are
    /// `kube-controller-manager`, `kube-scheduler`, `kubelet` (that of all nodes), and each controller that is run
    /// beside them by its name.
    #[must_use]
    pub fn fault(self, program: &str, number: u64, fault: Fault) -> Self {
        self.trouble(Trouble::Write { program: program.to_owned(), number, fault })
    }

    /// Lets something go wrong.
    #[must_use]
    pub fn trouble(mut self, trouble: Trouble) -> Self {
        self.plan.push(trouble);
        self
    }

    /// Lets things go wrong at random, from when the cluster is up. [`run`](super::run) then looks how it ends.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = Some(faults);
        self
    }

    pub(super) fn node_names(&self) -> Vec<String> {
        (0..self.nodes).map(node_name).collect()
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn has_faults(&self) -> bool {
        self.faults.is_some() || !self.plan.is_empty()
    }

    /// Nothing but this goes wrong.
    pub(super) fn with_plan(self, plan: Plan) -> Self {
        Self { plan, faults: None, ..self }
    }

    /// Starts the cluster. Its nodes are ready when this returns. What every cluster has was made a minute ago.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(self) -> TestCluster {
        let template = Template::get();
        let epoch = EPOCH.parse().expect("a time");
        self.start_on(Arc::new(template.store.fork()), Arc::clone(&template.authority), epoch).await
    }

    /// Starts it on what is stored.
    pub(super) async fn start_on(self, store: Arc<Memory>, authority: Arc<Authority>, epoch: Timestamp) -> TestCluster {
        let env = Env::seeded(self.seed, epoch);
        let ledger = Arc::new(Ledger::new(store));
        let store: Arc<dyn Store> = Arc::<Ledger>::clone(&ledger);
        let kinds = trimtab_api::builtin().with(self.kinds);
        let config = trimtab_apiserver::Config {
            prepared: store.revision() > 0,
            ..trimtab_apiserver::Config::new(kinds, Arc::clone(&store), env.clone(), SERVICE_CIDR)
        };
        let tasks = Tasks::new();
        let history = History::follow(ledger, &tasks);
        let server = ApiServer::new(config).await.expect("what is in memory can be read");
        let node = |index| {
            let script = Arc::clone(&self.script);
            (node_name(index), Sim::scripted(env.clone(), index, move |spec| script(spec)))
        };
        let nodes: Arc<BTreeMap<String, Sim>> = Arc::new((0..self.nodes).map(node).collect());
        let weather = Arc::new(Weather::new(self.seed, self.plan, self.faults));
        let programs = Arc::new(Programs::new(Arc::clone(&weather), history.clone(), env.clone(), tasks.clone()));
        let cluster = TestCluster {
            seed: self.seed,
            env,
            store,
            server,
            nodes,
            history,
            weather,
            programs,
            authority,
            tasks,
            outside: Tasks::new(),
        };
        cluster.start_components(self.elected);
        cluster.until("the nodes are ready", async |cluster| cluster.ready_nodes().await == cluster.nodes.len()).await;
        cluster.begin_weather();
        cluster
    }
}

fn node_name(index: u32) -> String {
    format!("node-{index}")
}
