//! Node lifecycle: heartbeats, taints and evictions.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Node, Pod};
use trimtab_client::DeleteParams;

use crate::harness::ControlPlane;

async fn ready(plane: &ControlPlane, node: &str) -> String {
    let status = plane.get::<Node>(node).await.unwrap().status.unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    conditions.iter().find(|condition| condition.type_ == "Ready").map(|c| c.status.clone()).unwrap_or_default()
}

async fn taints(plane: &ControlPlane, node: &str) -> Vec<String> {
    let spec = plane.get::<Node>(node).await.unwrap().spec.unwrap_or_default();
    spec.taints.unwrap_or_default().iter().map(|taint| format!("{}:{}", taint.key, taint.effect)).collect()
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_silent_node_are_evicted_once_their_toleration_ends() {
    let plane = ControlPlane::new().await;
    plane.node("alive").await;
    plane.node("dead").await;
    plane.running_pod("a", "dead", "10.0.0.1").await;
    plane.running_pod("b", "alive", "10.0.0.2").await;
    plane.beat(&["alive", "dead"], Duration::from_secs(60)).await;
    assert_eq!((ready(&plane, "dead").await.as_str(), taints(&plane, "dead").await.len()), ("True", 0));
    // From here on one of them is silent; it is dead after 50 s, its pods tolerate that for 300 s.
    plane.beat(&["alive"], Duration::from_secs(90)).await;
    assert_eq!(ready(&plane, "dead").await, "Unknown");
    let expected = ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"];
    assert_eq!(taints(&plane, "dead").await, expected);
    let pod = plane.get::<Pod>("a").await.unwrap();
    assert_eq!(pod.status.unwrap().conditions.unwrap()[0].status, "False");
    assert!(pod.metadata.deletion_timestamp.is_none());
    plane.beat(&["alive"], Duration::from_secs(320)).await;
    assert!(plane.get::<Pod>("a").await.unwrap().metadata.deletion_timestamp.is_some());
    assert!(plane.get::<Pod>("b").await.unwrap().metadata.deletion_timestamp.is_none());
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn when_every_node_is_silent_nobody_is_evicted() {
    let plane = ControlPlane::new().await;
    plane.node("only").await;
    plane.running_pod("a", "only", "10.0.0.1").await;
    plane.env.sleep(Duration::from_secs(900)).await;
    assert_eq!(ready(&plane, "only").await, "Unknown");
    assert_eq!(taints(&plane, "only").await, ["node.kubernetes.io/unreachable:NoSchedule"]);
    assert!(plane.get::<Pod>("a").await.unwrap().metadata.deletion_timestamp.is_none());
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_returns_loses_its_taints() {
    let plane = ControlPlane::new().await;
    plane.node("n").await;
    plane.env.sleep(Duration::from_secs(70)).await;
    assert_eq!(ready(&plane, "n").await, "Unknown");
    let now = plane.env.now();
    let condition =
        serde_json::json!({"type": "Ready", "status": "True", "lastHeartbeatTime": now, "lastTransitionTime": now});
    plane.report::<Node>("n", serde_json::json!({"conditions": [condition]})).await;
    plane.until("the taints go", async |plane| taints(plane, "n").await.is_empty()).await;
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_node_that_is_gone_go_after_a_while() {
    let plane = ControlPlane::new().await;
    plane.node("n").await;
    plane.running_pod("a", "n", "10.0.0.1").await;
    plane.settle().await;
    plane.delete::<Node>("n", DeleteParams::default()).await;
    plane.env.sleep(Duration::from_secs(30)).await;
    assert!(plane.get::<Pod>("a").await.is_some());
    plane.env.sleep(Duration::from_secs(30)).await;
    assert!(plane.get::<Pod>("a").await.is_none());
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_taint_that_somebody_put_on_a_ready_node_evicts_what_does_not_tolerate_it() {
    let plane = ControlPlane::new().await;
    plane.node("n").await;
    plane.running_pod("a", "n", "10.0.0.1").await;
    let taint = serde_json::json!({"key": "drain", "effect": "NoExecute"});
    plane.merge::<Node>("n", serde_json::json!({"spec": {"taints": [taint]}})).await;
    plane
        .until("the pod is told to go", async |plane| {
            plane.get::<Pod>("a").await.is_none_or(|pod| pod.metadata.deletion_timestamp.is_some())
        })
        .await;
    assert_eq!(taints(&plane, "n").await, ["drain:NoExecute"]);
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_just_registered_is_not_ready_and_never_unreachable() {
    let plane = ControlPlane::new().await;
    plane.create::<Node>(serde_json::json!({"metadata": {"name": "n"}})).await;
    plane.settle().await;
    assert_eq!(taints(&plane, "n").await, ["node.kubernetes.io/not-ready:NoSchedule"]);
    let now = plane.env.now();
    let condition = serde_json::json!({"type": "Ready", "status": "True", "lastHeartbeatTime": now});
    plane.report::<Node>("n", serde_json::json!({"conditions": [condition]})).await;
    plane.settle().await;
    assert!(taints(&plane, "n").await.is_empty());
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_written_before_a_restart_counts_for_nothing() {
    let mut plane = ControlPlane::new().await;
    plane.node("n").await;
    plane.running_pod("a", "n", "10.0.0.1").await;
    plane.beat(&["n"], Duration::from_secs(30)).await;
    plane.stop().await;
    plane.env.sleep(Duration::from_secs(86_400)).await;
    plane.start();
    plane.env.sleep(Duration::from_secs(45)).await;
    assert_eq!((ready(&plane, "n").await.as_str(), taints(&plane, "n").await.len()), ("True", 0));
    assert!(plane.list::<Event>().await.is_empty(), "nothing to tell");
    // Not heard of since, it is silent, counted from the restart on.
    plane.env.sleep(Duration::from_secs(10)).await;
    assert_eq!(ready(&plane, "n").await, "Unknown");
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_was_away_together_with_the_controllers_keeps_its_pods() {
    let mut plane = ControlPlane::new().await;
    plane.node("alive").await;
    plane.node("away").await;
    plane.running_pod("a", "away", "10.0.0.1").await;
    plane.beat(&["alive"], Duration::from_secs(90)).await;
    let tainted = ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"];
    assert_eq!(taints(&plane, "away").await, tainted);
    plane.stop().await;
    plane.env.sleep(Duration::from_secs(86_400)).await;
    plane.start();
    plane.beat(&["alive"], Duration::from_secs(200)).await;
    assert_eq!(taints(&plane, "away").await, tainted);
    assert!(plane.get::<Pod>("a").await.unwrap().metadata.deletion_timestamp.is_none(), "it has 300 s from now on");
    plane.beat(&["alive"], Duration::from_secs(120)).await;
    assert!(plane.get::<Pod>("a").await.unwrap().metadata.deletion_timestamp.is_some());
    plane.end().await;
}
