//! Which pods have to go so that one of a higher priority finds room
//! (<https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/>).
//!
//! No disruption budget is looked at: upstream heeds them only as far as there is a choice.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::filter;
use crate::node_info::{Facts, NodeInfo};
use crate::pod_info::PodInfo;

/// The pods that have to leave a node.
#[derive(Debug)]
pub(crate) struct Preemption {
    pub(crate) node: String,
    /// The most important first.
    pub(crate) victims: Vec<Arc<PodInfo>>,
}

/// Why a node is no help, as the pod's condition says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NoHelp {
    /// Nobody's leaving would change what the node is refused for.
    NotHelpful,
    /// There is nobody less important, or not enough of them.
    NoVictims,
}

impl std::fmt::Display for NoHelp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotHelpful => "Preemption is not helpful for scheduling",
            Self::NoVictims => "No preemption victims found for incoming pod",
        })
    }
}

/// Who has to leave `node` for `pod`, of `others` who are there and less important.
pub(crate) fn victims(
    pod: &PodInfo,
    node: &NodeInfo,
    facts: &Facts,
    others: &[Arc<PodInfo>],
) -> Result<Vec<Arc<PodInfo>>, NoHelp> {
    let empty = NodeInfo { name: node.name.clone(), ..NodeInfo::default() };
    if !filter::refusals(pod, &empty, facts).is_empty() {
        return Err(NoHelp::NotHelpful);
    }
    let mut left = node.clone();
    others.iter().for_each(|other| left.remove(other));
    if others.is_empty() || !filter::refusals(pod, &left, facts).is_empty() {
        return Err(NoHelp::NoVictims);
    }
    // Whoever may stay stays, the most important first, and of equals who has been there for longest.
    let mut others = others.to_vec();
    others.sort_by_key(|other| (Reverse(other.needs.priority), started(other), other.key.clone()));
    others.retain(|other| {
        left.add(other);
        let goes = !filter::refusals(pod, &left, facts).is_empty();
        if goes {
            left.remove(other);
        }
        goes
    });
    Ok(others)
}

/// The node that it costs least to make room on: where the most important victim is the least so, then all of them
/// together, then where they are fewest, and have run for the shortest time.
pub(crate) fn cheapest(found: BTreeMap<String, Vec<Arc<PodInfo>>>) -> Option<Preemption> {
    let cost = |(_, victims): &(String, Vec<Arc<PodInfo>>)| {
        let priority = |victim: &Arc<PodInfo>| i64::from(victim.needs.priority);
        let highest = victims.iter().map(priority).max();
        let sum: i64 = victims.iter().map(|victim| priority(victim) - i64::from(i32::MIN)).sum();
        let since =
            victims.iter().filter(|victim| Some(priority(victim)) == highest).map(|victim| started(victim)).min();
        (highest, sum, victims.len(), Reverse(since))
    };
    found.into_iter().min_by_key(cost).map(|(node, victims)| Preemption { node, victims })
}

fn started(pod: &PodInfo) -> Option<Time> {
    pod.pod.status.as_ref().and_then(|status| status.start_time.clone())
}
