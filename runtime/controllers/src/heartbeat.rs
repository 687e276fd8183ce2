//! Whether a node is alive, by its lease and the status that its agent writes.
//!
//! What counts is when *we* saw the last change, never the times written in it: the node's clock
//! may differ from ours, and what was written before we started says nothing about now. It is
//! measured on a clock that no correction of the time makes jump.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use trimtab_env::{HashMap, Instant};

/// The conditions that only the node's agent knows, so that nobody does when it is silent.
const FROM_AGENT: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// What the agent writes again and again.
#[derive(Clone, Debug, Default, PartialEq)]
struct Beat {
    lease: Option<MicroTime>,
    status: Option<Time>,
}

impl Beat {
    fn of(node: &Node, lease: Option<&Lease>) -> Self {
        let ready = conditions(node).iter().find(|condition| condition.type_ == "Ready");
        // What we ourselves write when the agent is silent is no sign of life.
        let ready = ready.filter(|condition| condition.status != "Unknown");
        Self {
            lease: lease.and_then(|lease| lease.spec.as_ref()?.renew_time.clone()),
            status: ready.and_then(|condition| condition.last_heartbeat_time.clone()),
        }
    }
}

/// When each node was last heard of.
#[derive(Debug, Default)]
pub(crate) struct Heartbeats(HashMap<String, (Beat, Instant)>);

impl Heartbeats {
    /// Notes what is known of `node` at `now`, and answers when it was last heard of.
    pub(crate) fn observe(&mut self, node: &Node, lease: Option<&Lease>, now: Instant) -> Instant {
        let name = node.metadata.name.clone().unwrap_or_default();
        let beat = Beat::of(node, lease);
        let (last, at) = self.0.entry(name).or_insert_with(|| (beat.clone(), now));
        // A node whose Ready condition became unknown has not spoken by that.
        let spoke = last.lease != beat.lease || (beat.status.is_some() && last.status != beat.status);
        if spoke {
            (*last, *at) = (beat, now);
        }
        *at
    }

    /// Forgets a node that is gone.
    pub(crate) fn forget(&mut self, node: &str) {
        self.0.remove(node);
    }
}

/// How long a node may be silent: `startup` until its agent has first written, `grace` thereafter.
pub(crate) fn patience(node: &Node, grace: Duration, startup: Duration) -> Duration {
    if conditions(node).iter().any(|condition| condition.type_ == "Ready") { grace } else { startup }
}

/// The conditions of a node whose agent is silent: those it wrote become unknown. `None` when they
/// are already.
pub(crate) fn silent(node: &Node, now: Timestamp) -> Option<Vec<NodeCondition>> {
    let mut all = conditions(node).to_vec();
    for type_ in FROM_AGENT {
        match all.iter_mut().find(|condition| condition.type_ == type_) {
            Some(condition) if condition.status == "Unknown" => {}
            Some(condition) => {
                condition.status = "Unknown".to_owned();
                condition.reason = Some("NodeStatusUnknown".to_owned());
                condition.message = Some("Kubelet stopped posting node status.".to_owned());
                condition.last_transition_time = Some(Time(now));
            }
            None => all.push(never_posted(node, type_, now)),
        }
    }
    (all != conditions(node)).then_some(all)
}

fn never_posted(node: &Node, type_: &str, now: Timestamp) -> NodeCondition {
    NodeCondition {
        type_: type_.to_owned(),
        status: "Unknown".to_owned(),
        reason: Some("NodeStatusNeverUpdated".to_owned()),
        message: Some("Kubelet never posted node status.".to_owned()),
        last_heartbeat_time: node.metadata.creation_timestamp.clone(),
        last_transition_time: Some(Time(now)),
    }
}

fn conditions(node: &Node) -> &[NodeCondition] {
    node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + second).unwrap()
    }

    fn node(ready: &str) -> Node {
        serde_json::from_value(json!({"metadata": {"name": "n1"}, "status": {"conditions": [
            {"type": "Ready", "status": ready, "lastHeartbeatTime": at(0).to_string()},
            {"type": "DiskPressure", "status": "False"},
        ]}}))
        .unwrap()
    }

    fn lease(renewed: i64) -> Lease {
        serde_json::from_value(json!({"metadata": {}, "spec": {"renewTime": at(renewed).to_string()}})).unwrap()
    }

    #[test]
    fn a_lease_counts_from_when_we_saw_it_change() {
        let (mut heartbeats, start) = (Heartbeats::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(heartbeats.observe(&node("True"), Some(&lease(0)), start), start);
        assert_eq!(heartbeats.observe(&node("True"), Some(&lease(0)), after(20)), start);
        // Its clock is far behind ours: it is alive all the same.
        assert_eq!(heartbeats.observe(&node("True"), Some(&lease(-5_000)), after(30)), after(30));
    }

    #[test]
    fn our_own_verdict_is_no_sign_of_life_but_the_agents_next_word_is() {
        let (mut heartbeats, start) = (Heartbeats::default(), Instant::now());
        heartbeats.observe(&node("True"), Some(&lease(0)), start);
        let mut silenced = node("True");
        silenced.status.as_mut().unwrap().conditions = silent(&silenced, at(60));
        let (later, last) = (start + Duration::from_secs(61), start + Duration::from_secs(70));
        assert_eq!(heartbeats.observe(&silenced, Some(&lease(0)), later), start);
        assert_eq!(heartbeats.observe(&silenced, Some(&lease(5)), last), last);
    }

    #[test]
    fn a_silent_nodes_conditions_become_unknown_once() {
        let mut node = node("True");
        let conditions = silent(&node, at(60)).unwrap();
        let of = |type_: &str| conditions.iter().find(|condition| condition.type_ == type_).unwrap();
        assert_eq!(of("Ready").reason.as_deref(), Some("NodeStatusUnknown"));
        assert_eq!(of("PIDPressure").reason.as_deref(), Some("NodeStatusNeverUpdated"));
        assert!(conditions.iter().all(|condition| condition.status == "Unknown"));
        node.status.as_mut().unwrap().conditions = Some(conditions);
        assert_eq!(silent(&node, at(61)), None);
    }
}
