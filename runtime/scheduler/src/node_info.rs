//! What a node has, and what is asked of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Node, Pod};
use trimtab_api::{ObjectRef, Quantity};

/// What a pod asks for: its containers together, or the largest init container if that is more
/// (<https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Thousandths of a CPU.
    pub milli_cpu: i64,
    /// Bytes of memory.
    pub memory: i64,
    /// Everything else, in units.
    pub other: BTreeMap<String, i64>,
}

impl Request {
    /// Of a pod.
    pub fn of(pod: &Pod) -> Self {
        let mut total = Self::default();
        let Some(spec) = &pod.spec else { return total };
        for container in &spec.containers {
            total.add(&Self::of_container(container), 1);
        }
        for container in spec.init_containers.iter().flatten() {
            let one = Self::of_container(container);
            // One that restarts runs beside the others for as long as the pod does.
            if container.restart_policy.as_deref() == Some("Always") {
                total.add(&one, 1)
            } else {
                total.at_least(&one)
            }
        }
        let overhead = Self::of_list(spec.overhead.iter().flatten().map(|(name, quantity)| (name, &quantity.0)));
        total.add(&overhead, 1);
        total
    }

    fn of_container(container: &Container) -> Self {
        let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        Self::of_list(requests.into_iter().flatten().map(|(name, quantity)| (name, &quantity.0)))
    }

    pub(crate) fn of_list<'a>(list: impl Iterator<Item = (&'a String, &'a String)>) -> Self {
        let mut request = Self::default();
        for (name, text) in list {
            // The API has validated it; what a foreign server lets through counts for nothing.
            let quantity = Quantity::parse(text).unwrap_or_default();
            match name.as_str() {
                "cpu" => request.milli_cpu += quantity.milli(),
                "memory" => request.memory += quantity.units(),
                _ => *request.other.entry(name.clone()).or_default() += quantity.units(),
            }
        }
        request
    }

    fn add(&mut self, other: &Self, sign: i64) {
        self.milli_cpu += sign * other.milli_cpu;
        self.memory += sign * other.memory;
        for (name, amount) in &other.other {
            *self.other.entry(name.clone()).or_default() += sign * amount;
        }
    }

    fn at_least(&mut self, other: &Self) {
        self.milli_cpu = self.milli_cpu.max(other.milli_cpu);
        self.memory = self.memory.max(other.memory);
        for (name, amount) in &other.other {
            let mine = self.other.entry(name.clone()).or_default();
            *mine = (*mine).max(*amount);
        }
    }
}

/// A host port that a pod takes: address, protocol, number.
pub(crate) type HostPort = (String, String, i32);

pub(crate) fn host_ports(pod: &Pod) -> impl Iterator<Item = HostPort> {
    let ports =
        pod.spec.iter().flat_map(|spec| &spec.containers).flat_map(|container| container.ports.iter().flatten());
    ports.filter_map(|port| {
        let number = port.host_port.filter(|number| *number > 0)?;
        let ip = port.host_ip.clone().filter(|ip| !ip.is_empty()).unwrap_or_else(|| "0.0.0.0".to_owned());
        Some((ip, port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()), number))
    })
}

/// What spreads: the pods of one owner, or else of one namespace.
pub(crate) fn spread_key(pod: &Pod) -> String {
    let owner = pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    owner.map_or_else(|| pod.metadata.namespace.clone().unwrap_or_default(), |owner| owner.uid.clone())
}

struct Placed {
    request: Request,
    ports: Vec<HostPort>,
    spread: String,
}

/// A node and the pods on it.
#[derive(Default)]
pub struct NodeInfo {
    /// The node; absent while only pods on it are known.
    pub(crate) node: Option<Arc<Node>>,
    pub(crate) allocatable: Request,
    pub(crate) max_pods: i64,
    pub(crate) requested: Request,
    pub(crate) ports: HashSet<HostPort>,
    pub(crate) spread: HashMap<String, usize>,
    pods: HashMap<ObjectRef, Placed>,
}

impl NodeInfo {
    /// Takes in what the node says of itself.
    pub fn set_node(&mut self, node: Arc<Node>) {
        let status = node.status.as_ref();
        let allocatable = status.and_then(|status| status.allocatable.as_ref().or(status.capacity.as_ref()));
        self.allocatable =
            Request::of_list(allocatable.into_iter().flatten().map(|(name, quantity)| (name, &quantity.0)));
        self.max_pods = self.allocatable.other.get("pods").copied().unwrap_or(0);
        self.node = Some(node);
    }

    /// How many pods are on it.
    pub fn pods(&self) -> usize {
        self.pods.len()
    }

    /// Counts a pod in; again is once.
    pub fn add(&mut self, pod: &Pod) {
        self.remove(&ObjectRef::of(pod));
        let placed = Placed { request: Request::of(pod), ports: host_ports(pod).collect(), spread: spread_key(pod) };
        self.requested.add(&placed.request, 1);
        self.ports.extend(placed.ports.iter().cloned());
        *self.spread.entry(placed.spread.clone()).or_default() += 1;
        self.pods.insert(ObjectRef::of(pod), placed);
    }

    /// Counts a pod out.
    pub fn remove(&mut self, pod: &ObjectRef) {
        let Some(placed) = self.pods.remove(pod) else { return };
        self.requested.add(&placed.request, -1);
        for port in &placed.ports {
            self.ports.remove(port);
        }
        if let Some(count) = self.spread.get_mut(&placed.spread) {
            *count -= 1;
            if *count == 0 {
                self.spread.remove(&placed.spread);
            }
        }
    }
}
