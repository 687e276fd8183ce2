//! A cluster of simulated nodes: everything but containers.

use crate::harness::Cluster;

#[test]
fn a_thousand_pods_run_on_a_hundred_nodes() {
    let cluster = Cluster::up(&["--runtime", "sim", "--sim-nodes", "100"]);
    cluster.eventually("the nodes are there", |cluster| {
        cluster.try_cli(&["get", "nodes", "-o", "name"]).is_ok_and(|nodes| nodes.lines().count() == 100)
    });
    let file = cluster.write("rc.yaml", &controller("many", 1_000));
    cluster.cli(&["apply", "-f", &file]);
    cluster.eventually("1,000 pods are ready", |cluster| {
        cluster.cli(&["get", "rc", "many", "-o", "jsonpath={.status.readyReplicas}"]) == "1000"
    });
    let nodes = cluster.cli(&["get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}"]);
    let distinct: std::collections::BTreeSet<_> = nodes.split_whitespace().collect();
    assert_eq!(distinct.len(), 100, "the pods are spread over all nodes");

    cluster.cli(&["scale", "rc", "many", "--replicas=1"]);
    cluster.eventually("one pod is left", |cluster| cluster.cli(&["get", "pods", "-o", "name"]).lines().count() == 1);
    cluster.cli(&["delete", "rc", "many"]);
    cluster.eventually("its pods went with the controller", |cluster| {
        cluster.cli(&["get", "pods", "-o", "name"]).is_empty()
    });
}

#[test]
fn a_deleted_namespace_takes_everything_with_it() {
    let cluster = Cluster::up(&["--runtime", "sim"]);
    let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: away}}\n---\n";
    let file = cluster.write("away.yaml", &(namespace.to_owned() + &controller("gone", 3)));
    cluster.cli(&["apply", "-n", "away", "-f", &file]);
    cluster.eventually("the pods are there", |cluster| {
        cluster.cli(&["get", "pods", "-n", "away", "-o", "name"]).lines().count() == 3
    });
    cluster.cli(&["delete", "namespace", "away"]);
    cluster.eventually("the namespace is gone", |cluster| cluster.try_cli(&["get", "namespace", "away"]).is_err());
    assert!(cluster.cli(&["get", "pods", "-A", "-o", "name"]).is_empty());
}

#[test]
fn a_mistake_gets_a_precise_error() {
    let cluster = Cluster::up(&["--runtime", "sim"]);
    let check = |name: &str, manifest: &str, expected: &str| {
        let file = cluster.write(name, manifest);
        let error = cluster.try_cli(&["apply", "-f", &file]).expect_err(manifest);
        assert!(error.contains(expected), "{manifest}\nexpected {expected:?} in {error:?}");
    };
    let pod = |spec: &str| format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  {spec}\n");
    check("field.yaml", &pod("containers: [{name: c, image: i, imag: j}]"), "spec.containers[0].imag");
    check("type.yaml", &pod("containers: [{name: c, image: i, ports: [{containerPort: http}]}]"), "containerPort");
    check("yaml.yaml", "apiVersion: v1\nkind: [Pod\n", "line 3");
    check("kind.yaml", "apiVersion: v1\nkind: Podd\nmetadata: {name: x}\n", "Podd");
    let long = "n".repeat(300);
    let manifest = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {long}}}\n");
    check("long.yaml", &manifest, "must be no more than 253");
}

fn controller(name: &str, replicas: usize) -> String {
    format!(
        "apiVersion: v1\nkind: ReplicationController\nmetadata:\n  name: {name}\nspec:\n  replicas: {replicas}\n  \
         selector: {{app: {name}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      \
         containers:\n        - {{name: c, image: sim}}\n"
    )
}
