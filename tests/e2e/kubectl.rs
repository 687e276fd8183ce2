//! The unmodified `kubectl` on PATH, with real containers; the rest of it is in `tests/clients`.

use std::process::{Command, Stdio};

use crate::docker;
use crate::harness::{Cluster, alone, quickstart};

pub(crate) fn is_there(test: &str) -> bool {
    let found =
        Command::new("kubectl").args(["version", "--client"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = found.is_ok_and(|status| status.success());
    if !there {
        println!("left out: {test} (no kubectl on PATH)");
    }
    there
}

pub(crate) struct Kubectl<'a>(pub(crate) &'a Cluster);

impl Kubectl<'_> {
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> String {
        self.0.program("kubectl", args).unwrap_or_else(|e| panic!("kubectl {args:?}: {e}\n--- log\n{}", self.0.log()))
    }
}

#[test]
fn kubectl_reaches_into_containers() {
    if !is_there("kubectl_reaches_into_containers") || !docker::answers("kubectl_reaches_into_containers") {
        return;
    }
    let _alone = alone();
    let cluster = Cluster::up(&[]);
    let kubectl = Kubectl(&cluster);
    let file = quickstart(&cluster.dir.path().join("m"), 30_091).join("hello.yaml");
    kubectl.run(&["apply", "-f", file.to_str().unwrap()]);
    // `kubectl wait` waits for nothing that is not there.
    cluster.eventually("there are pods", |_| !kubectl.run(&["get", "pods", "-o", "name"]).is_empty());
    kubectl.run(&["wait", "--for=condition=Ready", "pod", "-l", "app=hello", "--timeout=60s"]);
    let pod = kubectl.run(&["get", "pods", "-o", "jsonpath={.items[0].metadata.name}"]);
    let logs = kubectl.run(&["logs", &pod]);
    assert!(!logs.is_empty(), "the server says where it listens");
    let error = cluster.program("kubectl", &["exec", &pod, "--", "/hello", "--no-such-flag"]).unwrap_err();
    assert!(error.contains("exit code"), "{error}");
}

#[test]
fn kubectl_drains_within_the_disruption_budget() {
    if !is_there("kubectl_drains_within_the_disruption_budget") {
        return;
    }
    let cluster = Cluster::up(&["--runtime", "sim", "--sim-nodes", "2"]);
    let kubectl = Kubectl(&cluster);
    let manifests = "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: web}\nspec:\n  replicas: 3\n  \
        template:\n    metadata: {labels: {app: web}}\n    \
        spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: i}]}\n---\n\
        apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: web}\n\
        spec: {minAvailable: 100%, selector: {matchLabels: {app: web}}}\n";
    kubectl.run(&["apply", "-f", &cluster.write("web.yaml", manifests)]);
    let status = |field: &str| kubectl.run(&["get", "pdb", "web", "-o", &format!("jsonpath={{.status.{field}}}")]);
    cluster.eventually("all are healthy", |_| status("currentHealthy") == "3");
    assert_eq!((status("desiredHealthy"), status("disruptionsAllowed")), ("3".to_owned(), "0".to_owned()));
    let node = kubectl.run(&["get", "pods", "-o", "jsonpath={.items[0].spec.nodeName}"]);
    let drain = ["drain", &node, "--ignore-daemonsets", "--timeout=1s"];
    let error = cluster.program("kubectl", &drain).unwrap_err();
    assert!(error.contains("Cannot evict pod as it would violate the pod's disruption budget."), "{error}");
    kubectl.run(&["patch", "pdb", "web", "--type=merge", "-p", r#"{"spec":{"minAvailable":1}}"#]);
    cluster.eventually("two may go", |_| status("disruptionsAllowed") == "2");
    kubectl.run(&["drain", &node, "--ignore-daemonsets"]);
    let at = format!("--field-selector=spec.nodeName={node}");
    assert!(kubectl.run(&["get", "pods", "-o", "name", &at]).is_empty());
    cluster.eventually("all are healthy again, elsewhere", |_| status("currentHealthy") == "3");
}
