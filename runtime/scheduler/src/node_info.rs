//! What the scheduler knows of one node: the node itself, and what its pods hold of it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Taint};
use trimtab_env::HashMap;

use crate::pod_info::{Amounts, HostPort, PodInfo};

/// What is told of a node, as far as it matters here. Heartbeats leave it equal.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) taints: Vec<Taint>,
    pub(crate) allocatable: Amounts,
    /// How many pods the node takes.
    pub(crate) max_pods: i64,
    pub(crate) unschedulable: bool,
    pub(crate) ready: bool,
}

/// One node.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeInfo {
    pub(crate) name: String,
    /// `None` while pods are known to be on a node that itself is not known.
    pub(crate) facts: Option<Facts>,
    pub(crate) requested: Amounts,
    /// What pods are taken for when nodes are scored.
    pub(crate) weight: (i64, i64),
    pub(crate) pods: i64,
    pub(crate) ports: Vec<HostPort>,
    /// How many pods of each group there are.
    pub(crate) groups: HashMap<u64, i64>,
}

impl Facts {
    pub(crate) fn of(node: &Node) -> Self {
        let spec = node.spec.clone().unwrap_or_default();
        let status = node.status.as_ref();
        let mut allocatable = Amounts::of(status.and_then(|status| status.allocatable.as_ref()));
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        Self {
            labels: node.metadata.labels.clone().unwrap_or_default(),
            taints: spec.taints.unwrap_or_default(),
            max_pods: allocatable.others.remove("pods").unwrap_or_default(),
            allocatable,
            unschedulable: spec.unschedulable.unwrap_or_default(),
            ready: conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        }
    }
}

impl NodeInfo {
    pub(crate) fn add(&mut self, pod: &PodInfo) {
        self.requested.add(&pod.needs.requests);
        let (cpu, memory) = pod.weight();
        self.weight = (self.weight.0 + cpu, self.weight.1 + memory);
        self.pods += 1;
        self.ports.extend_from_slice(&pod.needs.ports);
        *self.groups.entry(pod.group).or_default() += 1;
    }

    pub(crate) fn remove(&mut self, pod: &PodInfo) {
        self.requested.subtract(&pod.needs.requests);
        let (cpu, memory) = pod.weight();
        self.weight = (self.weight.0 - cpu, self.weight.1 - memory);
        self.pods -= 1;
        for port in &pod.needs.ports {
            if let Some(at) = self.ports.iter().position(|held| held == port) {
                self.ports.swap_remove(at);
            }
        }
        if let Some(count) = self.groups.get_mut(&pod.group) {
            *count -= 1;
            if *count == 0 {
                self.groups.remove(&pod.group);
            }
        }
    }
}
