//! `kill -9` at any moment loses nothing acknowledged and disturbs no container.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::docker;
use crate::harness::{Cluster, Sets, alone, quickstart};

/// How often the process is killed while it is at rest, and while it works.
const KILLS: usize = 8;
const KILLS_AMID_ACTIVITY: usize = 50;

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

#[test]
fn fifty_kills_amid_activity_lose_nothing_and_disturb_nobody() {
    if !docker::answers("fifty_kills_amid_activity_lose_nothing_and_disturb_nobody") {
        return;
    }
    let _alone = alone();
    let mut cluster = Cluster::up(&[]);
    let file = quickstart(&cluster.dir.path().join("not-watched"), 30_085).join("hello.yaml");
    cluster.cli(&["apply", "-f", file.to_str().unwrap()]);
    // Nothing that goes on concerns this one.
    let witness = "{apiVersion: v1, kind: Pod, metadata: {name: witness}, spec: {containers: [{name: hello, image: 'trimtab.dev/hello:1'}]}}";
    let witness = cluster.write("witness.yaml", witness);
    cluster.cli(&["apply", "-f", &witness]);
    settled(&cluster, 3);
    cluster.cli(&["wait", "pod/witness", "--for=condition=Ready", "--timeout=60s"]);
    let witnessed = "jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}";
    let before = cluster.cli(&["get", "pod", "witness", "-o", witnessed]);

    let (folder, kubeconfig) = (cluster.dir.path().to_owned(), cluster.kubeconfig());
    let done = &AtomicBool::new(false);
    let (mut acknowledged, mut disturbed) = (Vec::new(), 0);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut acknowledged = Vec::new();
            for n in 0.. {
                if done.load(Ordering::SeqCst) {
                    break;
                }
                let file = folder.join(format!("kept-{n}.yaml"));
                let manifest = format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: kept-{n}}}}}");
                std::fs::write(&file, manifest).unwrap();
                if succeeds(&kubeconfig, &["apply", "-f", file.to_str().unwrap()]) {
                    acknowledged.push(format!("configmap/kept-{n}"));
                }
            }
            acknowledged
        });
        let disturber = scope.spawn(|| {
            let mut done_so_far = 0;
            for n in 0_usize.. {
                if done.load(Ordering::SeqCst) {
                    break;
                }
                let replicas = format!("--replicas={}", 2 + n % 3);
                done_so_far += usize::from(succeeds(&kubeconfig, &["scale", "rc", "hello", &replicas]));
                if n % 4 == 0 {
                    done_so_far +=
                        usize::from(succeeds(&kubeconfig, &["delete", "pod", "-l", "app=hello", "--wait=false"]));
                }
                thread::sleep(Duration::from_millis(300));
            }
            done_so_far
        });
        // Also when a start fails: the scope waits for both threads.
        let at_the_end = Sets(done);
        for round in 0..KILLS_AMID_ACTIVITY {
            // At another moment of what goes on each time.
            thread::sleep(Duration::from_millis(u64::try_from(round * 37 % 250).unwrap()));
            cluster.kill();
            cluster.start();
        }
        drop(at_the_end);
        acknowledged = writer.join().unwrap();
        disturbed = disturber.join().unwrap();
    });
    assert!(disturbed > 0 && acknowledged.len() > KILLS_AMID_ACTIVITY / 5, "{disturbed} {}", acknowledged.len());

    cluster.cli(&["scale", "rc", "hello", "--replicas=3"]);
    settled(&cluster, 3);
    let there: BTreeSet<String> =
        cluster.cli(&["get", "configmaps", "-o", "name"]).lines().map(str::to_owned).collect();
    for name in acknowledged {
        assert!(there.contains(&name), "{name} was acknowledged and is lost");
    }
    assert_eq!(cluster.cli(&["get", "pod", "witness", "-o", witnessed]), before, "the same container, never restarted");
    // Nothing runs that is not declared: the cluster's own containers are told by its label.
    let uid = |container: &serde_json::Value| container["Labels"]["io.kubernetes.pod.uid"].as_str().map(str::to_owned);
    let containers = docker::containers("io.kubernetes.container.name=hello", false);
    let uids = cluster.cli(&["get", "pods", "-o", "jsonpath={.items[*].metadata.uid}"]);
    let declared: BTreeSet<String> = uids.split_whitespace().map(str::to_owned).collect();
    let one = containers.iter().find(|container| uid(container).is_some_and(|uid| declared.contains(&uid))).unwrap();
    let label = format!("dev.trimtab.cluster={}", one["Labels"]["dev.trimtab.cluster"].as_str().unwrap());
    cluster.eventually("only what is declared runs", |_| {
        let running: BTreeSet<String> = docker::containers(&label, false).iter().filter_map(uid).collect();
        running == declared
    });
}

fn settled(cluster: &Cluster, replicas: usize) {
    cluster.eventually(&format!("{replicas} replicas are ready and no others left"), |cluster| {
        let ready = cluster.try_cli(&["get", "rc", "hello", "-o", "jsonpath={.status.readyReplicas}"]);
        let pods = cluster.try_cli(&["get", "pods", "-l", "app=hello", "-o", "name"]);
        ready.is_ok_and(|ready| ready == replicas.to_string())
            && pods.is_ok_and(|pods| pods.lines().count() == replicas)
    });
}

/// Runs a command of the CLI against whatever serves at the moment.
fn succeeds(kubeconfig: &Path, args: &[&str]) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trimtab"));
    command.args(args).env("KUBECONFIG", kubeconfig);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}
