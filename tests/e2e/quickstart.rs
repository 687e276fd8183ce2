//! The README's first command: three pods behind one port, and what is thrown at them.

use std::collections::BTreeSet;

use crate::docker;
use crate::harness::{Cluster, alone, http_get, quickstart};

const PORT: u16 = 30_080;

fn start(args: &[&str], port: u16) -> Cluster {
    let manifests = tempfile::tempdir().unwrap().keep();
    quickstart(&manifests, port);
    let cluster = Cluster::up(&[&["--manifests", manifests.to_str().unwrap()], args].concat());
    ready(&cluster, 3);
    cluster
}

fn ready(cluster: &Cluster, replicas: usize) {
    let wanted = replicas.to_string();
    cluster.eventually(&format!("{replicas} replicas are ready"), |cluster| {
        let got = cluster.try_cli(&["get", "rc", "hello", "-o", "jsonpath={.status.readyReplicas}"]);
        let pods = cluster.try_cli(&["get", "pods", "-l", "app=hello", "-o", "name"]);
        got.is_ok_and(|got| got == wanted) && pods.is_ok_and(|pods| pods.lines().count() == replicas)
    });
}

fn hello_containers(cluster: &Cluster, all: bool) -> BTreeSet<String> {
    let uids = cluster.cli(&["get", "pods", "-l", "app=hello", "-o", "jsonpath={.items[*].metadata.uid}"]);
    let uids: BTreeSet<_> = uids.split_whitespace().collect();
    let containers = docker::containers("io.kubernetes.container.name=hello", all);
    let ours =
        containers.iter().filter(|c| uids.contains(c["Labels"]["io.kubernetes.pod.uid"].as_str().unwrap_or_default()));
    ours.map(|c| c["Id"].as_str().unwrap().to_owned()).collect()
}

fn answering_pods(port: u16) -> BTreeSet<String> {
    (0..30).filter_map(|_| http_get(port).ok()).map(|body| body.lines().next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn three_pods_answer_in_turn_and_every_loss_is_replaced() {
    if !docker::answers("three_pods_answer_in_turn_and_every_loss_is_replaced") {
        return;
    }
    let _alone = alone();
    let cluster = start(&[], PORT);
    cluster.eventually("the port answers", |_| http_get(PORT).is_ok());
    let distinct = (0..30).map(|_| http_get(PORT).unwrap()).filter_map(|body| pod_name(&body)).collect::<BTreeSet<_>>();
    assert_eq!(distinct.len(), 3, "three pods answer: {distinct:?}");

    // One container: the same pod, a new container.
    let before = hello_containers(&cluster, false);
    docker::remove(before.first().unwrap());
    cluster.eventually("the container is replaced", |cluster| {
        let now = hello_containers(cluster, false);
        now.len() == 3 && now != before
    });
    // All of them at once.
    for id in hello_containers(&cluster, false) {
        docker::remove(&id);
    }
    cluster.eventually("all are replaced", |cluster| hello_containers(cluster, false).len() == 3);
    ready(&cluster, 3);
    cluster.eventually("the port answers again", |_| !answering_pods(PORT).is_empty());
}

fn pod_name(body: &str) -> Option<String> {
    body.split_whitespace().find(|word| word.starts_with("hello-")).map(str::to_owned)
}

#[test]
fn scaling_deleting_and_relabelling_converge() {
    if !docker::answers("scaling_deleting_and_relabelling_converge") {
        return;
    }
    let _alone = alone();
    let cluster = start(&[], 30_081);
    cluster.cli(&["scale", "rc", "hello", "--replicas=5"]);
    // The file says three: what it sets is repaired.
    ready(&cluster, 3);
    let pods = cluster.cli(&["get", "pods", "-l", "app=hello", "-o", "name"]);
    let (first, second) = (pods.lines().next().unwrap(), pods.lines().nth(1).unwrap());
    cluster.cli(&["delete", first]);
    ready(&cluster, 3);
    cluster.cli(&["label", second, "app=apart", "--overwrite"]);
    ready(&cluster, 3);
    let owners = cluster.cli(&["get", second, "-o", "jsonpath={.metadata.ownerReferences}"]);
    assert!(matches!(owners.as_str(), "" | "[]"), "released: {owners}");
    assert_eq!(cluster.cli(&["get", second, "-o", "jsonpath={.status.phase}"]), "Running");
}

#[test]
fn a_dead_sandbox_takes_its_pod_with_it_and_the_pod_comes_back() {
    if !docker::answers("a_dead_sandbox_takes_its_pod_with_it_and_the_pod_comes_back") {
        return;
    }
    let _alone = alone();
    let cluster = start(&[], 30_083);
    let uid = cluster.cli(&["get", "pods", "-l", "app=hello", "-o", "jsonpath={.items[0].metadata.uid}"]);
    let of_pod = || docker::containers(&format!("io.kubernetes.pod.uid={uid}"), false);
    let sandbox = |containers: &[serde_json::Value]| {
        let found = containers.iter().find(|c| {
            c["Labels"]["io.kubernetes.container.name"].is_null()
                || c["Labels"]["io.kubernetes.container.name"] == "POD"
        });
        found.map(|c| c["Id"].as_str().unwrap().to_owned())
    };
    let old = sandbox(&of_pod()).expect("a pod has a sandbox");
    docker::remove(&old);
    cluster.eventually("a new sandbox runs with its container", |_| {
        let containers = of_pod();
        containers.len() == 2 && sandbox(&containers).is_some_and(|id| id != old)
    });
    ready(&cluster, 3);
}
