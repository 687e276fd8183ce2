//! The unmodified `kubectl` on PATH.

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
fn kubectl_works_on_every_kind_of_request() {
    if !is_there("kubectl_works_on_every_kind_of_request") {
        return;
    }
    let cluster = Cluster::up(&["--runtime", "sim"]);
    let kubectl = Kubectl(&cluster);
    let file = quickstart(&cluster.dir.path().join("m"), 30_090).join("hello.yaml");
    let file = file.to_str().unwrap();

    assert!(kubectl.run(&["apply", "-f", file]).contains("replicationcontroller/hello created"));
    assert!(kubectl.run(&["apply", "-f", file]).contains("replicationcontroller/hello unchanged"));
    assert!(kubectl.run(&["apply", "--server-side", "--force-conflicts", "-f", file]).contains("serverside-applied"));
    cluster.eventually("three are ready", |_| {
        kubectl.run(&["get", "rc", "hello", "-o", "jsonpath={.status.readyReplicas}"]) == "3"
    });
    let table = kubectl.run(&["get", "pods,rc,svc,endpoints,nodes", "-A", "-o", "wide"]);
    for heading in ["NOMINATED NODE", "DESIRED", "CLUSTER-IP", "ENDPOINTS", "CONTAINER-RUNTIME"] {
        assert!(table.contains(heading), "{heading} in\n{table}");
    }
    assert!(kubectl.run(&["describe", "rc", "hello"]).contains("SuccessfulCreate"));
    assert!(kubectl.run(&["describe", "node"]).contains("Allocated resources"));
    kubectl.run(&["scale", "rc", "hello", "--replicas=2"]);
    cluster.eventually("two are left", |_| kubectl.run(&["get", "pods", "-o", "name"]).lines().count() == 2);
    kubectl.run(&["label", "rc", "hello", "tier=front"]);
    kubectl.run(&["annotate", "rc", "hello", "why=because"]);
    kubectl.run(&[
        "patch",
        "rc",
        "hello",
        "--type=json",
        "-p",
        r#"[{"op":"replace","path":"/spec/replicas","value":1}]"#,
    ]);
    kubectl.run(&["patch", "rc", "hello", "--type=merge", "-p", r#"{"spec":{"minReadySeconds":1}}"#]);
    let strategic = r#"{"spec":{"template":{"spec":{"containers":[{"name":"hello","image":"trimtab.dev/hello:2"}]}}}}"#;
    kubectl.run(&["patch", "rc", "hello", "-p", strategic]);
    let args =
        kubectl.run(&["get", "rc", "hello", "-o", "jsonpath={.spec.template.spec.containers[0]['image','args']}"]);
    assert!(args.contains("hello:2") && args.contains("8080"), "the patch merged: {args}");
    let editor = cluster.write("editor.sh", "#!/bin/sh\nsed -i 's/tier: front/tier: back/' \"$1\"\n");
    Command::new("chmod").args(["+x", &editor]).status().unwrap();
    let edited = Command::new("kubectl")
        .args(["edit", "rc", "hello"])
        .env("KUBECONFIG", cluster.kubeconfig())
        .env("EDITOR", &editor)
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&edited.stdout).contains("edited"), "{edited:?}");
    assert!(kubectl.run(&["explain", "pod.spec.containers"]).contains("List of containers"));
    assert!(kubectl.run(&["api-resources"]).contains("replicationcontrollers"));
    assert!(kubectl.run(&["get", "events"]).contains("SuccessfulCreate"));
    kubectl.run(&["delete", "-f", file]);
    cluster.eventually("the pods went too", |_| kubectl.run(&["get", "pods", "-o", "name"]).is_empty());
    let error = cluster.program("kubectl", &["get", "pod", "nope"]).unwrap_err();
    assert!(error.contains(r#"Error from server (NotFound): pods "nope" not found"#), "{error}");
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
