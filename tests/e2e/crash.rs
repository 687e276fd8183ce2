//! `kill -9` at any moment loses nothing acknowledged and disturbs no container.

use std::collections::BTreeSet;

use crate::docker;
use crate::harness::{Cluster, alone, quickstart};

/// How often the process is killed while it works.
const KILLS: usize = 8;

#[test]
fn containers_outlive_the_process_and_are_adopted() {
    if !docker::answers("containers_outlive_the_process_and_are_adopted") {
        return;
    }
    let _alone = alone();
    let mut cluster = Cluster::up(&[]);
    let manifests = cluster.dir.path().join("not-watched");
    let file = quickstart(&manifests, 30_084).join("hello.yaml");
    cluster.cli(&["apply", "-f", file.to_str().unwrap()]);
    let ready = |cluster: &Cluster| {
        cluster.eventually("three are ready", |cluster| {
            let got = cluster.try_cli(&["get", "rc", "hello", "-o", "jsonpath={.status.readyReplicas}"]);
            got.is_ok_and(|got| got == "3")
        });
    };
    ready(&cluster);
    let ids = |cluster: &Cluster| -> BTreeSet<String> {
        let jsonpath = "jsonpath={.items[*].status.containerStatuses[*].containerID}";
        cluster.cli(&["get", "pods", "-l", "app=hello", "-o", jsonpath]).split_whitespace().map(str::to_owned).collect()
    };
    let before = ids(&cluster);
    assert_eq!(before.len(), 3);
    for _ in 0..KILLS {
        cluster.kill();
        cluster.start();
    }
    ready(&cluster);
    assert_eq!(ids(&cluster), before, "the same containers");
    let restarts = cluster.cli(&["get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[*].restartCount}"]);
    assert_eq!(restarts.trim(), "0 0 0");
}

#[test]
fn what_was_acknowledged_is_there_after_kill_9() {
    let mut cluster = Cluster::up(&["--runtime", "sim"]);
    let mut written = Vec::new();
    for round in 0..KILLS {
        for n in 0..5 {
            let name = format!("kept-{round}-{n}");
            let manifest =
                format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}, data: {{n: '{n}'}}}}");
            let file = cluster.write(&format!("{name}.yaml"), &manifest);
            cluster.cli(&["apply", "-f", &file]);
            written.push(format!("configmap/{name}"));
        }
        cluster.kill();
        cluster.start();
    }
    let there: BTreeSet<String> =
        cluster.cli(&["get", "configmaps", "-o", "name"]).lines().map(str::to_owned).collect();
    for name in written {
        assert!(there.contains(&name), "{name} was acknowledged and is lost");
    }
}
