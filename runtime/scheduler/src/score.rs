//! How well each node that can take a pod suits it.
//!
//! As upstream, each view scores from 0 to 100 and has a weight: room left over (1), distance from
//! the pod's kin (2), preferred node affinity (2), taints that would rather not (3).

use crate::filter::tolerated;
use crate::node_info::{Facts, NodeInfo};
use crate::pod_info::PodInfo;
use crate::selector;

const MOST: i64 = 100;

/// The score of each of `nodes`, in their order.
pub(crate) fn scores(pod: &PodInfo, nodes: &[(&NodeInfo, &Facts)]) -> Vec<i64> {
    let each = |of: &dyn Fn(&NodeInfo, &Facts) -> i64| nodes.iter().map(|(node, facts)| of(node, facts)).collect();
    let kin: Vec<i64> = each(&|node, _| node.groups.get(&pod.group).copied().unwrap_or_default());
    let preferred: Vec<i64> = each(&|node, facts| preference(pod, node, facts));
    let reluctant: Vec<i64> = each(&|_, facts| reluctance(pod, facts));
    let most = |values: &[i64]| values.iter().copied().max().unwrap_or_default();
    let (most_kin, most_preferred, most_reluctant) = (most(&kin), most(&preferred), most(&reluctant));
    let rising = |value: i64, most: i64| if most == 0 { 0 } else { value * MOST / most };
    let falling = |value: i64, most: i64| MOST - rising(value, most);
    let total = |(index, (node, facts)): (usize, &(&NodeInfo, &Facts))| {
        room(pod, node, facts)
            + 2 * falling(kin[index], most_kin)
            + 2 * rising(preferred[index], most_preferred)
            + 3 * falling(reluctant[index], most_reluctant)
    };
    nodes.iter().enumerate().map(total).collect()
}

/// What would be left over of CPU and memory, of all that the node has (`LeastAllocated`).
fn room(pod: &PodInfo, node: &NodeInfo, facts: &Facts) -> i64 {
    let (cpu, memory) = pod.weight();
    let left = |has: i64, held: i64| if has <= 0 || held > has { 0 } else { (has - held) * MOST / has };
    let of_cpu = left(facts.allocatable.cpu, node.weight.0 + cpu);
    let of_memory = left(facts.allocatable.memory, node.weight.1 + memory);
    i64::midpoint(of_cpu, of_memory)
}

fn preference(pod: &PodInfo, node: &NodeInfo, facts: &Facts) -> i64 {
    let chosen = pod.needs.preferred.iter();
    let chosen = chosen.filter(|term| selector::term_selects(&term.preference, &node.name, facts));
    chosen.map(|term| i64::from(term.weight)).sum()
}

/// How many taints would rather not have the pod.
fn reluctance(pod: &PodInfo, facts: &Facts) -> i64 {
    let taints = facts.taints.iter().filter(|taint| taint.effect == "PreferNoSchedule");
    let count = taints.filter(|taint| !tolerated(taint, &pod.needs.tolerations)).count();
    i64::try_from(count).unwrap_or(i64::MAX)
}
