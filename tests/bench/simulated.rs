//! The binary, its start, and a ReplicationController on simulated nodes.

use std::time::Duration;

use k8s_openapi::api::core::v1::ReplicationController;
use serde_json::json;
use tokio::runtime::Runtime;
use trimtab_client::Api;
use trimtab_cluster::testing::{TestCluster, in_virtual_time};

use crate::common::{client, is_ready, mib, millis, pod_spec, timed, typed, until, usage};
use crate::harness::Cluster;

pub(crate) fn size() {
    let bytes = std::fs::metadata(env!("CARGO_BIN_EXE_trimtab")).unwrap().len();
    println!("size      binary                       {:>9.1} MiB", mib(bytes));
}

/// From the process's start to the first `ok` of `/readyz`, on an empty and on a used folder.
pub(crate) fn start(runtime: &Runtime) {
    let mut cluster = Cluster::new(&["--runtime", "sim"]);
    let first = timed(|| started(&mut cluster, runtime));
    println!("start     empty folder                 {:>9.0} ms", millis(first));
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            cluster.kill();
            timed(|| started(&mut cluster, runtime))
        })
        .collect();
    times.sort();
    println!("start     used folder, median of 9     {:>9.0} ms", millis(times[4]));
}

fn started(cluster: &mut Cluster, runtime: &Runtime) {
    cluster.spawn();
    runtime.block_on(until("the API is ready", async || is_ready(cluster).await));
}

/// A cluster inside a test, in this process: from nothing until its node is ready, and its end.
pub(crate) fn inside() {
    let mut times: Vec<Duration> =
        (0..101).map(|seed| timed(|| in_virtual_time(async { TestCluster::start(seed).await.stop().await }))).collect();
    // What they all begin with is made by the first.
    println!("inside    the first cluster of a process {:>7.1} ms", millis(times[0]));
    times.sort();
    println!("inside    a cluster, median of 101     {:>9.1} ms", millis(times[50]));
}

/// A ReplicationController of 1,000 pods on 100 simulated nodes, until all are Running.
pub(crate) fn replication(runtime: &Runtime) {
    let cluster = Cluster::up(&["--runtime", "sim", "--sim-nodes", "100"]);
    cluster.eventually("the nodes are ready", |cluster| {
        let ready = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}";
        cluster.try_cli(&["get", "nodes", "-o", ready]).is_ok_and(|text| text.matches("True").count() == 100)
    });
    let client = client(&cluster).unwrap();
    let controllers: Api<ReplicationController> = Api::namespaced(&client, "default");
    for round in 0..5 {
        let name = format!("load-{round}");
        let before = usage(&cluster);
        let took = timed(|| {
            runtime.block_on(async {
                controllers.create(&controller(&name, 1_000)).await.unwrap();
                until("1,000 pods are Running", async || {
                    let status = controllers.get(&name).await.unwrap().status.unwrap();
                    status.ready_replicas == Some(1_000)
                })
                .await;
            });
        });
        let after = usage(&cluster);
        println!(
            "rc        1,000 pods on 100 nodes      {:>9.2} s     {:>6.2} s CPU   {:>6.1} MiB",
            took.as_secs_f64(),
            (after.cpu - before.cpu).as_secs_f64(),
            mib(after.resident),
        );
        runtime.block_on(controllers.delete(&name, &Default::default())).unwrap();
        cluster.eventually("they are gone", |cluster| cluster.cli(&["get", "pods", "-o", "name"]).is_empty());
    }
}

fn controller(name: &str, replicas: usize) -> ReplicationController {
    typed(json!({"metadata": {"name": name}, "spec": {
        "replicas": replicas,
        "selector": {"app": name},
        "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec()},
    }}))
}
