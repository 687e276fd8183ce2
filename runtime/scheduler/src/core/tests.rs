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
            Verdict::Unschedulable { pod, message } => format!("{}: {message}", name(&pod)),
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
