//! Which nodes can take a pod, and why the others cannot.

use k8s_openapi::api::core::v1::{Taint, Toleration};

use crate::node_info::{Facts, NodeInfo};
use crate::pod_info::PodInfo;
use crate::selector;

/// The taint of a node that is closed to new pods.
const UNSCHEDULABLE_TAINT: &str = "node.kubernetes.io/unschedulable";

/// Why a node cannot take a pod, as the pod's condition says it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Reason {
    NotReady,
    Unschedulable,
    Taints,
    NodeAffinity,
    HostPorts,
    TooManyPods,
    Insufficient(String),
    Unknown(&'static str),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotReady => "node(s) were not ready",
            Self::Unschedulable => "node(s) were unschedulable",
            Self::Taints => "node(s) had untolerated taint(s)",
            Self::NodeAffinity => "node(s) didn't match Pod's node affinity/selector",
            Self::HostPorts => "node(s) didn't have free ports for the requested pod ports",
            Self::TooManyPods => "Too many pods",
            Self::Insufficient(resource) => return write!(f, "Insufficient {resource}"),
            Self::Unknown(what) => what,
        })
    }
}

/// Why `node` cannot take `pod`: the reasons of the first filter that refuses, as upstream; none
/// when it can.
pub(crate) fn refusals(pod: &PodInfo, node: &NodeInfo, facts: &Facts) -> Vec<Reason> {
    let one = |reason| vec![reason];
    if let Some(what) = pod.needs.unknown {
        one(Reason::Unknown(what))
    } else if facts.unschedulable && !tolerates_unschedulable(pod) {
        one(Reason::Unschedulable)
    } else if facts.taints.iter().any(|taint| repels(taint) && !tolerated(taint, &pod.needs.tolerations)) {
        one(Reason::Taints)
    } else if !facts.ready {
        one(Reason::NotReady)
    } else if !matches_selector(pod, node, facts) {
        one(Reason::NodeAffinity)
    } else if pod.needs.ports.iter().any(|port| node.ports.iter().any(|held| held.conflicts(port))) {
        one(Reason::HostPorts)
    } else {
        missing(pod, node, facts)
    }
}

fn repels(taint: &Taint) -> bool {
    matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute")
}

fn tolerates_unschedulable(pod: &PodInfo) -> bool {
    let taint = Taint { key: UNSCHEDULABLE_TAINT.to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
    tolerated(&taint, &pod.needs.tolerations)
}

/// Whether one of `tolerations` tolerates `taint`.
pub(crate) fn tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    tolerations.iter().any(|toleration| {
        let (key, effect) = (text(&toleration.key), text(&toleration.effect));
        let same_value = || text(&toleration.value) == text(&taint.value);
        (effect.is_empty() || effect == taint.effect)
            && (key.is_empty() || key == taint.key)
            && match toleration.operator.as_deref().unwrap_or_default() {
                "Exists" => true,
                "" | "Equal" => !key.is_empty() && same_value(),
                _ => false,
            }
    })
}

fn matches_selector(pod: &PodInfo, node: &NodeInfo, facts: &Facts) -> bool {
    let has = |(key, value): (&String, &String)| facts.labels.get(key) == Some(value);
    pod.needs.node_selector.iter().all(has)
        && pod.needs.required.as_ref().is_none_or(|required| selector::selects(required, &node.name, facts))
}

fn missing(pod: &PodInfo, node: &NodeInfo, facts: &Facts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if node.pods + 1 > facts.max_pods {
        reasons.push(Reason::TooManyPods);
    }
    let (wanted, has, held) = (&pod.needs.requests, &facts.allocatable, &node.requested);
    let mut check = |name: &str, wanted: i64, has: i64, held: i64| {
        if wanted > 0 && wanted > has - held {
            reasons.push(Reason::Insufficient(name.to_owned()));
        }
    };
    check("cpu", wanted.cpu, has.cpu, held.cpu);
    check("memory", wanted.memory, has.memory, held.memory);
    for (name, wanted) in &wanted.others {
        let of = |amounts: &crate::pod_info::Amounts| amounts.others.get(name).copied().unwrap_or_default();
        check(name, *wanted, of(has), of(held));
    }
    reasons
}
