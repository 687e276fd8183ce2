//! Every component as a process of its own, and one of them dying under the others.

use std::fs;
use std::path::Path;

use crate::harness::Cluster;

fn controller(replicas: usize) -> String {
    format!(
        "apiVersion: v1\nkind: ReplicationController\nmetadata:\n  name: web\nspec:\n  replicas: {replicas}\n  \
         selector: {{app: web}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      containers:\n        \
         - {{name: c, image: sim}}\n"
    )
}

fn runs(cluster: &Cluster, replicas: usize) {
    let wanted = replicas.to_string();
    cluster.eventually(&format!("{replicas} pods run and are ready"), |cluster| {
        let ready = cluster.try_cli(&["get", "rc", "web", "-o", "jsonpath={.status.readyReplicas}"]);
        let running = cluster.try_cli(&["get", "pods", "--field-selector", "status.phase=Running", "-o", "name"]);
        ready.is_ok_and(|ready| ready == wanted) && running.is_ok_and(|pods| pods.lines().count() == replicas)
    });
}

#[test]
fn components_run_as_processes_and_outlive_the_api_server() {
    let manifests = tempfile::tempdir().unwrap();
    fs::write(manifests.path().join("web.yaml"), controller(3)).unwrap();
    let mut cluster = Cluster::apiserver(&[]);
    let data = cluster.data();
    cluster.run("controllers", &["controllers"]);
    cluster.run("scheduler", &["scheduler"]);
    let node = ["node", "--name", "sim", "--runtime", "sim", "--sim-nodes", "2", "--data-dir", data.as_str()];
    cluster.run("sim", &node);
    cluster.run("sync", &["sync", "--manifests", manifests.path().to_str().unwrap()]);
    runs(&cluster, 3);

    cluster.kill();
    // What happens meanwhile is not missed.
    fs::write(manifests.path().join("web.yaml"), controller(5)).unwrap();
    cluster.start();
    runs(&cluster, 5);
    let pod = cluster.cli(&["get", "pods", "-o", "jsonpath={.items[0].metadata.name}"]);
    cluster.cli(&["delete", "pod", &pod]);
    runs(&cluster, 5);
    // The API server reaches the agent in its process.
    let pod = cluster.cli(&["get", "pods", "-o", "jsonpath={.items[0].metadata.name}"]);
    cluster.cli(&["logs", &pod]);
    cluster.end_components();
}

#[test]
fn down_deletes_the_data_when_told_to() {
    let cluster = Cluster::up(&["--runtime", "sim"]);
    let data = cluster.data();
    let second = cluster.try_cli(&["up", "--runtime", "sim", "--listen", "127.0.0.1:0", "--data-dir", &data]);
    assert!(second.as_ref().is_err_and(|error| error.contains("in use by process")), "{second:?}");
    let kept = cluster.cli(&["down", "--data-dir", &data]);
    assert!(kept.contains("what is declared stays in") && Path::new(&data).join("store.redb").exists(), "{kept}");
    let deleted = cluster.cli(&["down", "--data-dir", &data, "--delete-data"]);
    assert!(deleted.contains("deleted") && !Path::new(&data).exists(), "{deleted}");
    let none = cluster.try_cli(&["down", "--data-dir", &data]);
    assert!(none.as_ref().is_err_and(|error| error.contains("no cluster to take down")), "{none:?}");
}
