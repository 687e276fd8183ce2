//! Which of the nodes that can run a pod is best.

use crate::node_info::{NodeInfo, Request};

/// What a node gets at most in each respect.
const FULL: i64 = 100;

/// How well a node suits; more is better. Half of it is how free the node would be afterwards, half
/// how few of the pods that should spread are on it.
pub(crate) fn score(request: &Request, spread: &str, most_spread: usize, info: &NodeInfo) -> i64 {
    least_allocated(request, info) + spread_out(spread, most_spread, info)
}

fn least_allocated(request: &Request, info: &NodeInfo) -> i64 {
    let free = |wanted: i64, used: i64, all: i64| if all <= 0 { 0 } else { (all - used - wanted).max(0) * FULL / all };
    let cpu = free(request.milli_cpu, info.requested.milli_cpu, info.allocatable.milli_cpu);
    let memory = free(request.memory, info.requested.memory, info.allocatable.memory);
    // Pods that ask for nothing still take a place.
    let places = free(1, info.pods() as i64, info.max_pods);
    (cpu + memory + places) / 3
}

fn spread_out(spread: &str, most: usize, info: &NodeInfo) -> i64 {
    let here = info.spread.get(spread).copied().unwrap_or(0);
    if most == 0 { FULL } else { (most - here.min(most)) as i64 * FULL / most as i64 }
}
