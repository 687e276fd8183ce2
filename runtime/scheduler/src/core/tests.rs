//! Pods and nodes go in, verdicts come out.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;

fn node(name: &str, cpu: &str, extra: Value) -> Node {
    let mut node = json!({
        "metadata": {"name": name, "labels": {"name": name}},
        "status": {
            "allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    });
    for (key, value) in extra.as_object().into_iter().flatten() {
        node[key] = value.clone();
    }
    serde_json::from_value(node).unwrap()
}

fn pod(name: &str, spec: Value) -> Pod {
    let mut whole = json!({"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "500m"}}}]});
    for (key, value) in spec.as_object().into_iter().flatten() {
        whole[key] = value.clone();
    }
    let pod = json!({"metadata": {"name": name, "namespace": "d", "uid": name, "labels": {"app": "a"}}, "spec": whole});
    serde_json::from_value(pod).unwrap()
}

struct Fixture {
    core: Core,
    now: Instant,
}

impl Fixture {
    fn new(nodes: impl IntoIterator<Item = Node>) -> Self {
        let mut fixture = Self { core: Core::new("default-scheduler"), now: Instant::now() };
        nodes.into_iter().for_each(|node| fixture.node(node));
        fixture
    }

    fn node(&mut self, node: Node) {
        self.core.node_changed(&Change::Applied { old: None, new: Arc::new(node) }, self.now);
    }

    fn pod(&mut self, pod: Pod) {
        self.core.pod_changed(&Change::Applied { old: None, new: Arc::new(pod) }, self.now);
    }

    fn delete(&mut self, pod: Pod) {
        self.core.pod_changed(&Change::Deleted(Arc::new(pod)), self.now);
    }

    /// `name -> node`, or `name: message`.
    fn next(&mut self) -> Option<String> {
        let name = |pod: &Pod| pod.metadata.name.clone().unwrap_or_default();
        Some(match self.core.next(self.now, |_| 0)? {
            Verdict::Bind { pod, node } => format!("{} -> {node}", name(&pod)),
            Verdict::Preempt { pod, node, victims, .. } => {
                let victims: Vec<_> = victims.iter().map(|victim| name(victim)).collect();
                format!("{} instead of {} -> {node}", name(&pod), victims.join(", "))
            }
            // What is said of preemption is looked at by itself.
            Verdict::Unschedulable { pod, message } => {
                format!("{}: {}", name(&pod), message.split(" preemption: ").next().unwrap_or_default())
            }
        })
    }

    /// The verdict on one pod alone.
    fn judge(&mut self, spec: Value) -> String {
        self.pod(pod("p", spec));
        self.next().expect("a pod was added")
    }
}

#[tokio::test]
async fn a_node_must_be_able_to_take_the_pod() {
    let tainted = json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}});
    let cordoned = json!({"spec": {"unschedulable": true}});
    let lost = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    let term = json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}]);
    let affinity =
        |kind: Value| json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": kind}}});
    let wants = |cpu: &str| json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]});
    let anti = json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "h"}]}}});
    for (nodes, spec, expected) in [
        (vec![], json!({}), "p: no nodes available to schedule pods"),
        (vec![node("a", "2", json!({}))], json!({}), "p -> a"),
        (vec![node("a", "2", json!({}))], wants("3"), "p: 0/1 nodes are available: 1 Insufficient cpu."),
        (
            vec![node("a", "1", json!({})), node("b", "4", tainted.clone()), node("c", "4", tainted.clone())],
            wants("2"),
            "p: 0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s).",
        ),
        (
            vec![node("a", "2", tainted)],
            json!({"tolerations": [{"key": "k", "operator": "Equal", "value": "v"}]}),
            "p -> a",
        ),
        (vec![node("a", "2", cordoned)], json!({}), "p: 0/1 nodes are available: 1 node(s) were unschedulable."),
        (vec![node("a", "2", lost)], json!({}), "p: 0/1 nodes are available: 1 node(s) were not ready."),
        (vec![node("a", "2", json!({})), node("b", "2", json!({}))], json!({"nodeSelector": {"name": "b"}}), "p -> b"),
        (
            vec![node("a", "2", json!({}))],
            affinity(json!({"nodeSelectorTerms": term})),
            "p: 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
        ),
        (
            vec![node("a", "2", json!({}))],
            anti,
            "p: 0/1 nodes are available: 1 required pod anti-affinity is not supported by this scheduler.",
        ),
    ] {
        assert_eq!(Fixture::new(nodes).judge(spec), expected);
    }
}

#[tokio::test]
async fn host_ports_and_places_run_out() {
    let ports = json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]});
    let mut fixture = Fixture::new([node("a", "2", json!({}))]);
    fixture.pod(pod("p", ports.clone()));
    fixture.pod(pod("q", ports));
    assert_eq!(fixture.next().as_deref(), Some("p -> a"));
    let expected = "q: 0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";
    assert_eq!(fixture.next().as_deref(), Some(expected));

    let tiny = json!({"status": {"allocatable": {"cpu": "9", "memory": "8Gi", "pods": "1"}, "conditions": [{"type": "Ready", "status": "True"}]}});
    let mut fixture = Fixture::new([node("a", "9", tiny)]);
    fixture.pod(pod("p", json!({})));
    fixture.pod(pod("q", json!({})));
    assert_eq!(fixture.next().as_deref(), Some("p -> a"));
    assert_eq!(fixture.next().as_deref(), Some("q: 0/1 nodes are available: 1 Too many pods."));
}

#[tokio::test]
async fn kin_are_spread_and_preferences_kept() {
    let mut fixture = Fixture::new(["a", "b", "c"].map(|name| node(name, "8", json!({}))));
    for name in ["p", "q", "r"] {
        fixture.pod(pod(name, json!({})));
    }
    let verdicts: Vec<_> = std::iter::from_fn(|| fixture.next()).collect();
    assert_eq!(verdicts, ["p -> a", "q -> b", "r -> c"]);
    let preference = json!({"matchExpressions": [{"key": "name", "operator": "In", "values": ["c"]}]});
    let preferred = json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 9, "preference": preference}]}}});
    let mut fixture = Fixture::new(["a", "b", "c"].map(|name| node(name, "8", json!({}))));
    assert_eq!(fixture.judge(preferred), "p -> c");
}

#[tokio::test]
async fn higher_priorities_go_first() {
    let mut fixture = Fixture::new([node("a", "8", json!({}))]);
    fixture.pod(pod("low", json!({})));
    fixture.pod(pod("high", json!({"priority": 9})));
    assert_eq!(fixture.next().as_deref(), Some("high -> a"));
    assert_eq!(fixture.next().as_deref(), Some("low -> a"));
    assert_eq!(fixture.next(), None);
}

#[tokio::test]
async fn a_stuck_pod_waits_for_the_world_and_not_for_time() {
    let mut fixture = Fixture::new([node("a", "100m", json!({}))]);
    fixture.pod(pod("p", json!({})));
    assert_eq!(fixture.next().as_deref(), Some("p: 0/1 nodes are available: 1 Insufficient cpu."));
    assert_eq!(fixture.core.next_due(), None, "no timer at rest");
    fixture.now += Duration::from_secs(3600);
    assert_eq!(fixture.next(), None);
    // A heartbeat is no change of the world.
    fixture.node(node("a", "100m", json!({})));
    assert_eq!(fixture.next(), None);
    // Nor is the pod's own condition.
    let mut same = pod("p", json!({}));
    same.status = serde_json::from_value(json!({"conditions": []})).unwrap();
    fixture.pod(same);
    assert_eq!(fixture.next(), None);
    fixture.node(node("b", "4", json!({})));
    assert_eq!(fixture.next().as_deref(), Some("p -> b"));
}

#[tokio::test]
async fn a_pod_that_goes_makes_room_after_the_back_off() {
    let mut fixture = Fixture::new([node("a", "500m", json!({}))]);
    let first = pod("p", json!({"nodeName": "a"}));
    fixture.pod(first.clone());
    fixture.pod(pod("q", json!({})));
    assert_eq!(fixture.next().as_deref(), Some("q: 0/1 nodes are available: 1 Insufficient cpu."));
    fixture.delete(first);
    assert_eq!(fixture.next(), None, "it backs off for a second");
    fixture.now = fixture.core.next_due().expect("a timer while it backs off");
    assert_eq!(fixture.next().as_deref(), Some("q -> a"));
}

#[tokio::test]
async fn a_failed_binding_frees_the_place() {
    let mut fixture = Fixture::new([node("a", "500m", json!({}))]);
    fixture.pod(pod("p", json!({})));
    assert_eq!(fixture.next().as_deref(), Some("p -> a"));
    fixture.core.not_bound(&ObjectRef::new("d", "p"), fixture.now);
    assert_eq!(fixture.next(), None);
    fixture.now += Duration::from_secs(1);
    assert_eq!(fixture.next().as_deref(), Some("p -> a"));
    // Confirmed by the watch: a late failure of another request takes nothing back.
    fixture.pod(pod("p", json!({"nodeName": "a"})));
    fixture.core.not_bound(&ObjectRef::new("d", "p"), fixture.now);
    fixture.pod(pod("q", json!({})));
    assert_eq!(fixture.next().as_deref(), Some("q: 0/1 nodes are available: 1 Insufficient cpu."));
}

#[tokio::test]
async fn a_thousand_pods_fill_a_hundred_nodes_evenly() {
    let mut fixture = Fixture::new((0..100).map(|index| node(&format!("n{index:03}"), "8", json!({}))));
    for index in 0..1000 {
        fixture.pod(pod(&format!("p{index}"), json!({"containers": [{"name": "c"}]})));
    }
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    while let Some(Verdict::Bind { node, .. }) = fixture.core.next(fixture.now, |count| count - 1) {
        *counts.entry(node).or_default() += 1;
    }
    assert_eq!(counts.len(), 100);
    assert!(counts.values().all(|count| *count == 10), "{counts:?}");
}

fn there(name: &str, node: &str, priority: i32, cpu: &str) -> Pod {
    let containers = json!([{"name": "c", "resources": {"requests": {"cpu": cpu}}}]);
    pod(name, json!({"nodeName": node, "priority": priority, "containers": containers}))
}

fn wants(cpu: &str, more: Value) -> Value {
    let mut spec = json!({"priority": 9, "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

#[tokio::test]
async fn less_important_pods_make_room() {
    let nodes = || ["a", "b"].map(|name| node(name, "4", json!({})));
    for (there, spec, expected) in [
        // As few as possible, and the least important.
        (
            vec![there("l", "a", 1, "2"), there("m", "a", 2, "2"), there("n", "b", 2, "4")],
            wants("2", json!({})),
            "p instead of l -> a",
        ),
        (
            vec![there("l", "a", 1, "1"), there("m", "a", 1, "3"), there("n", "b", 1, "4")],
            wants("4", json!({})),
            "p instead of n -> b",
        ),
        // Not those that are as important, and not where it is of no use.
        (
            vec![there("l", "a", 9, "4"), there("m", "b", 10, "4")],
            wants("1", json!({})),
            "p: 0/2 nodes are available: 2 Insufficient cpu.",
        ),
        (
            vec![there("l", "a", 1, "4"), there("m", "b", 2, "4")],
            wants("1", json!({"nodeSelector": {"name": "b"}})),
            "p instead of m -> b",
        ),
        (
            vec![there("l", "a", 1, "4"), there("m", "b", 2, "4")],
            wants("1", json!({"preemptionPolicy": "Never"})),
            "p: 0/2 nodes are available: 2 Insufficient cpu.",
        ),
    ] {
        let mut fixture = Fixture::new(nodes());
        there.into_iter().for_each(|pod| fixture.pod(pod));
        assert_eq!(fixture.judge(spec), expected);
    }
}

#[tokio::test]
async fn the_room_that_is_made_is_kept_for_whom_it_is_made_for() {
    let mut fixture = Fixture::new([node("a", "2", json!({}))]);
    let victim = there("l", "a", 1, "2");
    fixture.pod(victim.clone());
    assert_eq!(fixture.judge(wants("2", json!({}))), "p instead of l -> a");
    // While it goes, nobody else has to.
    let mut going = victim.clone();
    going.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    fixture.pod(going);
    fixture.node(node("b", "100m", json!({})));
    fixture.now += Duration::from_secs(1);
    assert_eq!(fixture.next().as_deref(), Some("p: 0/2 nodes are available: 2 Insufficient cpu."));
    fixture.delete(victim);
    fixture.pod(pod("q", json!({"priority": 5})));
    let kept = "q: 0/2 nodes are available: 2 Insufficient cpu.";
    assert_eq!(fixture.next().as_deref(), Some(kept), "p backs off, and has been promised the room");
    fixture.now = fixture.core.next_due().expect("a timer while it backs off");
    assert_eq!(fixture.next().as_deref(), Some("p -> a"));
}

#[tokio::test]
async fn a_stuck_pod_is_told_why_nobody_makes_room() {
    let tainted = json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}});
    let mut fixture = Fixture::new([node("a", "2", json!({})), node("b", "2", tainted), node("c", "1", json!({}))]);
    fixture.pod(there("l", "a", 9, "1"));
    let mut told = |name: &str, spec: Value| {
        fixture.pod(pod(name, spec));
        match fixture.core.next(fixture.now, |_| 0) {
            Some(Verdict::Unschedulable { message, .. }) => message,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        told("p", wants("2", json!({}))),
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. preemption: 0/3 nodes are \
         available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling."
    );
    let never = told("q", wants("3", json!({"preemptionPolicy": "Never"})));
    assert!(never.ends_with("preemption: not eligible due to preemptionPolicy=Never."), "{never}");
}
