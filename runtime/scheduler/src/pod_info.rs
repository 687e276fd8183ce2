//! What the scheduler knows of one pod, worked out once.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, NodeSelector, Pod, PodSpec, PreferredSchedulingTerm, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use trimtab_api::{ObjectRef, Quantity};
use trimtab_reconcile::controller_of;

/// What the cheapest pod is taken for when nodes are scored, so that pods without requests spread
/// too: a tenth of a CPU and 200 MB (`k8s.io/kubernetes/pkg/scheduler/util`).
const LEAST_CPU: i64 = 100;
const LEAST_MEMORY: i64 = 200 * 1024 * 1024;

/// Amounts of resources: CPU in thousandths, all else in units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    pub(crate) cpu: i64,
    pub(crate) memory: i64,
    /// All others, `ephemeral-storage` among them.
    pub(crate) others: BTreeMap<String, i64>,
}

/// A port of the node that a pod wants for itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HostPort {
    pub(crate) ip: String,
    pub(crate) protocol: String,
    pub(crate) port: i32,
}

/// What a pod needs of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Needs {
    pub(crate) requests: Amounts,
    pub(crate) ports: Vec<HostPort>,
    pub(crate) tolerations: Vec<Toleration>,
    pub(crate) node_selector: BTreeMap<String, String>,
    pub(crate) required: Option<NodeSelector>,
    pub(crate) preferred: Vec<PreferredSchedulingTerm>,
    pub(crate) priority: i32,
    /// Whether others may have to make room for it.
    pub(crate) preempts: bool,
    pub(crate) gated: bool,
    /// What the pod asks for and this scheduler does not know.
    pub(crate) unknown: Option<&'static str>,
}

/// One pod.
#[derive(Clone, Debug)]
pub(crate) struct PodInfo {
    pub(crate) key: ObjectRef,
    pub(crate) pod: Arc<Pod>,
    pub(crate) needs: Needs,
    /// Pods of one group are spread: those of one controller, or of the same labels.
    pub(crate) group: u64,
}

impl PodInfo {
    pub(crate) fn new(pod: Arc<Pod>) -> Self {
        let needs = pod.spec.as_ref().map(Needs::of).unwrap_or_default();
        Self { key: ObjectRef::of(&*pod), group: group(&pod), needs, pod }
    }

    pub(crate) fn uid(&self) -> &str {
        self.pod.metadata.uid.as_deref().unwrap_or_default()
    }

    /// Where the pod is; `""` when nowhere yet.
    pub(crate) fn node(&self) -> &str {
        self.pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
    }

    /// Whether the pod has ended, and holds nothing of its node any more.
    pub(crate) fn has_ended(&self) -> bool {
        let phase = self.pod.status.as_ref().and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    }

    /// Whether the pod is on its way out.
    pub(crate) fn is_going(&self) -> bool {
        self.pod.metadata.deletion_timestamp.is_some()
    }

    /// Whether a scheduler called `name` is to find the pod a node.
    pub(crate) fn is_for(&self, name: &str) -> bool {
        let wanted = self.pod.spec.as_ref().and_then(|spec| spec.scheduler_name.as_deref());
        let alive = self.pod.metadata.deletion_timestamp.is_none() && !self.has_ended();
        alive && !self.needs.gated && self.node().is_empty() && wanted.unwrap_or("default-scheduler") == name
    }

    /// What the pod is taken for when nodes are scored.
    pub(crate) fn weight(&self) -> (i64, i64) {
        let least = |amount: i64, least: i64| if amount == 0 { least } else { amount };
        let Amounts { cpu, memory, .. } = self.needs.requests;
        (least(cpu, LEAST_CPU), least(memory, LEAST_MEMORY))
    }
}

impl Needs {
    fn of(spec: &PodSpec) -> Self {
        let affinity = spec.affinity.as_ref();
        let node = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
        let preferred = node.and_then(|node| node.preferred_during_scheduling_ignored_during_execution.clone());
        Self {
            requests: requests(spec),
            ports: host_ports(spec),
            tolerations: spec.tolerations.clone().unwrap_or_default(),
            node_selector: spec.node_selector.clone().unwrap_or_default(),
            required: node.and_then(|node| node.required_during_scheduling_ignored_during_execution.clone()),
            preferred: preferred.unwrap_or_default(),
            priority: spec.priority.unwrap_or_default(),
            preempts: spec.preemption_policy.as_deref() != Some("Never"),
            gated: spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()),
            unknown: unknown(spec),
        }
    }
}

fn unknown(spec: &PodSpec) -> Option<&'static str> {
    let affinity = spec.affinity.as_ref();
    let pods = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
    let anti = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    let some = |terms: Option<&Vec<_>>| terms.is_some_and(|terms| !terms.is_empty());
    let spread = spec.topology_spread_constraints.iter().flatten();
    if some(pods.and_then(|pods| pods.required_during_scheduling_ignored_during_execution.as_ref())) {
        Some("required pod affinity is not supported by this scheduler")
    } else if some(anti.and_then(|anti| anti.required_during_scheduling_ignored_during_execution.as_ref())) {
        Some("required pod anti-affinity is not supported by this scheduler")
    } else if spread.into_iter().any(|constraint| constraint.when_unsatisfiable == "DoNotSchedule") {
        Some("topology spread with DoNotSchedule is not supported by this scheduler")
    } else {
        None
    }
}

/// A pod asks for the sum of its containers, or for its largest init container if that is more.
/// An init container that keeps running counts with both.
fn requests(spec: &PodSpec) -> Amounts {
    let (mut sum, mut largest, mut sidecars) = (Amounts::default(), Amounts::default(), Amounts::default());
    for container in spec.init_containers.iter().flatten() {
        let mut own = container_requests(container);
        if container.restart_policy.as_deref() == Some("Always") {
            sum.add(&own);
            sidecars.add(&own);
            largest.raise_to(&sidecars);
        } else {
            own.add(&sidecars);
            largest.raise_to(&own);
        }
    }
    for container in &spec.containers {
        sum.add(&container_requests(container));
    }
    sum.raise_to(&largest);
    let whole = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    sum.override_by(&Amounts::of(whole));
    sum.add(&Amounts::of(spec.overhead.as_ref()));
    sum
}

fn container_requests(container: &Container) -> Amounts {
    Amounts::of(container.resources.as_ref().and_then(|resources| resources.requests.as_ref()))
}

fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let restartable = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().flatten().filter(restartable);
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    let taken = ports.filter_map(|port| {
        Some(HostPort {
            ip: port.host_ip.clone().filter(|ip| !ip.is_empty()).unwrap_or_else(|| "0.0.0.0".to_owned()),
            protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
            port: port.host_port.filter(|port| *port != 0)?,
        })
    });
    taken.collect()
}

fn group(pod: &Pod) -> u64 {
    let mut hasher = DefaultHasher::new();
    pod.metadata.namespace.hash(&mut hasher);
    match controller_of(pod) {
        Some(owner) => owner.uid.hash(&mut hasher),
        None => pod.metadata.labels.hash(&mut hasher),
    }
    hasher.finish()
}

impl HostPort {
    /// Whether both want the same port of the same address.
    pub(crate) fn conflicts(&self, other: &Self) -> bool {
        let any = |port: &Self| port.ip == "0.0.0.0" || port.ip == "::";
        self.port == other.port && self.protocol == other.protocol && (self.ip == other.ip || any(self) || any(other))
    }
}

impl Amounts {
    /// The amounts that a list of resources names; one that does not parse counts as nothing, for
    /// the API lets none in.
    pub(crate) fn of(list: Option<&BTreeMap<String, Text>>) -> Self {
        let mut amounts = Self::default();
        for (name, text) in list.into_iter().flatten() {
            let quantity = Quantity::try_from(text).unwrap_or_default();
            match name.as_str() {
                "cpu" => amounts.cpu = quantity.milli(),
                "memory" => amounts.memory = quantity.units(),
                _ => drop(amounts.others.insert(name.clone(), quantity.units())),
            }
        }
        amounts
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.combine(other, |a, b| a.saturating_add(b));
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        self.combine(other, |a, b| a.saturating_sub(b));
    }

    fn raise_to(&mut self, other: &Self) {
        self.combine(other, i64::max);
    }

    fn override_by(&mut self, other: &Self) {
        self.combine(other, |own, other| if other == 0 { own } else { other });
    }

    fn combine(&mut self, other: &Self, with: impl Fn(i64, i64) -> i64) {
        self.cpu = with(self.cpu, other.cpu);
        self.memory = with(self.memory, other.memory);
        for (name, amount) in &other.others {
            let own = self.others.entry(name.clone()).or_default();
            *own = with(*own, *amount);
        }
    }
}
