//! The service proxy: cluster IPs and node ports lead to ready endpoints.
//!
//! Cluster IPs are rules in the kernel where the process may write them, and listeners on this
//! machine's own addresses otherwise. Node ports are always listeners: a listener can try the next
//! endpoint when one is dead, which a rule in the kernel cannot. Nothing of this is taken back when
//! the process ends; [`cleanup`] does that.

mod balance;
mod hairpin;
mod kernel;
mod listeners;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use trimtab_api::ObjectRef;
use trimtab_env::{CancellationToken, Env, Tasks};
use trimtab_reconcile::{EventType, Manager, Recorder};

use crate::model::{self, Protocol, Table};
use crate::snapshot::{Snapshot, Source};
use kernel::Kernel;
pub use kernel::KernelError;
use listeners::{Listeners, Place};
use rules::Rules;

/// How soon what failed is tried again. Nothing is tried again while nothing has failed.
const RETRY: Duration = Duration::from_secs(3);

/// How cluster IPs are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By the kernel if it lets us, otherwise by listeners, otherwise not at all.
    Auto,
    /// By listeners; the range of cluster IPs is made this machine's own.
    Listeners,
    /// Not at all: node ports alone.
    NodePorts,
}

/// What the proxy needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster's identity: names what belongs to it in the kernel.
    pub cluster: String,
    /// The range of cluster IPs, as `10.96.0.0/12`.
    pub service_cidr: String,
    /// How cluster IPs are served.
    pub mode: Mode,
}

/// Something about a Service that its owner should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The Service.
    pub service: ObjectRef,
    /// A word in CamelCase, as in events.
    pub reason: &'static str,
    /// What is wrong and what can be done.
    pub message: String,
}

/// Takes problems. Each is reported once until it is gone.
pub type Report = Arc<dyn Fn(Problem) + Send + Sync>;

/// Serves the Services in the caches of `manager` until `shutdown`; what cannot be done is told to
/// `recorder` as an event of the Service.
pub async fn run(manager: &Manager, recorder: Recorder, config: Config, shutdown: CancellationToken) {
    let tasks = Tasks::under(&shutdown);
    let source = Source::of(manager);
    let services = source.services.clone();
    let report: Report = Arc::new(move |problem: Problem| {
        if let Some(service) = services.get(&problem.service) {
            recorder.event(&*service, EventType::Warning, problem.reason, problem.message);
        }
    });
    if let Some(snapshots) = shutdown.run_until_cancelled(source.follow(&tasks)).await {
        drive(snapshots, report, manager.env().clone(), config, shutdown).await;
    }
    tasks.shutdown().await;
}

/// Keeps kernel and listeners equal to the latest snapshot until `shutdown`.
pub async fn drive(
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    report: Report,
    env: Env,
    config: Config,
    shutdown: CancellationToken,
) {
    let tasks = Tasks::under(&shutdown);
    // The first rules replace an earlier process' in one step: no moment without them.
    let first = Rules::from(&model::table(&snapshots.borrow()));
    let backend = Backend::choose(&config, first).await;
    let mut proxy = Proxy { backend, listeners: Listeners::new(&tasks), report, reported: BTreeSet::new() };
    loop {
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        let settled = proxy.apply(&model::table(&snapshot)).await;
        tokio::select! {
            () = shutdown.cancelled() => break,
            changed = snapshots.changed() => if changed.is_err() { break },
            () = env.sleep(RETRY), if !settled => {}
        }
    }
    tasks.shutdown().await;
}

/// Takes back what the proxy of `cluster` left in the kernel.
///
/// # Errors
/// When the kernel's tools refuse. Where they are missing or not allowed there is nothing to take
/// back, and that is no error.
pub async fn cleanup(cluster: &str, service_cidr: &str) -> Result<(), KernelError> {
    // Absent unless cluster IPs were served by listeners.
    let _ = kernel::remove_local_route(cluster, service_cidr).await;
    match kernel::remove_table(cluster).await {
        Err(KernelError::Refused { message, .. }) if message.contains("Operation not permitted") => Ok(()),
        Err(KernelError::Run { .. }) => Ok(()),
        done => done,
    }
}

enum Backend {
    Kernel(Kernel),
    Listeners,
    /// With the reason, for people.
    Nothing(String),
}

impl Backend {
    async fn choose(config: &Config, first: Rules) -> Self {
        let mut kernel = Kernel::new(&config.cluster);
        let no_rules = match config.mode {
            Mode::NodePorts => return Self::Nothing("this proxy serves node ports alone".to_owned()),
            Mode::Listeners => {
                // Rules of an earlier process, in another mode, would be asked first.
                let _ = kernel::remove_table(&config.cluster).await;
                "rules in the kernel are not wanted".to_owned()
            }
            Mode::Auto => match kernel.set(first).await {
                Ok(()) => return Self::Kernel(kernel),
                Err(error) => Chain(&error).to_string(),
            },
        };
        let Err(no_route) = kernel::add_local_route(&config.cluster, &config.service_cidr).await else {
            tracing::info!(reason = no_rules, "no rules in the kernel: cluster IPs are served by listeners");
            return Self::Listeners;
        };
        let reason = format!("{no_rules}; {}", Chain(&no_route));
        tracing::warn!(reason, "cluster IPs are not reachable, only node ports are; run as root to have both");
        Self::Nothing(reason)
    }
}

/// An error with its causes.
struct Chain<'a>(&'a KernelError);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = std::error::Error::source(self.0);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

struct Proxy {
    backend: Backend,
    listeners: Listeners,
    report: Report,
    reported: BTreeSet<(ObjectRef, String)>,
}

impl Proxy {
    /// Makes the world right; whether there is nothing left to try again.
    async fn apply(&mut self, table: &Table) -> bool {
        let mut problems = unsupported(table);
        let mut settled = true;
        let failures = self.listeners.set(&places(table, matches!(self.backend, Backend::Listeners)));
        for failure in failures {
            settled = false;
            let message = format!("could not listen on {}: {}; trying again", failure.place, failure.error);
            problems.push(Problem { service: failure.service, reason: "PortNotOpened", message });
        }
        match &mut self.backend {
            Backend::Kernel(kernel) => {
                if let Err(error) = kernel.set(Rules::from(table)).await {
                    tracing::error!(error = %Chain(&error), "could not write the service rules; trying again");
                    settled = false;
                }
                hairpin::allow(table);
            }
            Backend::Nothing(reason) => problems.extend(unreachable(table, reason)),
            Backend::Listeners => {}
        }
        self.tell(problems);
        settled
    }

    fn tell(&mut self, problems: Vec<Problem>) {
        let key = |problem: &Problem| (problem.service.clone(), problem.message.clone());
        let current: BTreeSet<_> = problems.iter().map(key).collect();
        for problem in problems.into_iter().filter(|problem| !self.reported.contains(&key(problem))) {
            tracing::warn!(service = %problem.service, reason = problem.reason, "{}", problem.message);
            (self.report)(problem);
        }
        self.reported = current;
    }
}

fn places(table: &Table, with_cluster_ips: bool) -> BTreeMap<Place, &model::Port> {
    let tcp = table.ports.iter().filter(|port| port.frontend.protocol == Protocol::Tcp);
    let mut places = BTreeMap::new();
    for port in tcp {
        if let Some(number) = port.node_port {
            places.insert(Place::Node(number), port);
        }
        if with_cluster_ips {
            places.insert(Place::Address(SocketAddrV4::new(port.frontend.ip, port.frontend.port)), port);
        }
    }
    places
}

fn unsupported(table: &Table) -> Vec<Problem> {
    let problem =
        |service: &ObjectRef, message: String| Problem { service: service.clone(), reason: "NotSupported", message };
    let mut problems: Vec<_> = table.unsupported.iter().map(|u| problem(&u.service, u.message.clone())).collect();
    for port in table.ports.iter().filter(|port| port.frontend.protocol == Protocol::Udp) {
        if let Some(number) = port.node_port {
            let message = format!("node port {number}/udp is not opened: node ports carry TCP only");
            problems.push(problem(&port.service, message));
        }
    }
    problems
}

/// One problem a Service whose cluster IP nobody serves.
fn unreachable(table: &Table, reason: &str) -> Vec<Problem> {
    let services: BTreeMap<_, _> = table.ports.iter().map(|port| (&port.service, port.frontend.ip)).collect();
    let problem = |(service, ip): (&ObjectRef, _)| Problem {
        service: service.clone(),
        reason: "ClusterIPNotServed",
        message: format!("{ip} is not reachable, only node ports are: {reason}"),
    };
    services.into_iter().map(problem).collect()
}
