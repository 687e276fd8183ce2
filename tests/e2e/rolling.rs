//! Scaling and rolling updates under load: not one request fails.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::docker;
use crate::harness::{Cluster, Sets, alone, http_get, quickstart};

/// Three pods behind `port`, made by hand: no file repairs what a test changes.
fn start(port: u16) -> Cluster {
    let cluster = Cluster::up(&[]);
    let file = quickstart(&cluster.dir.path().join("not-watched"), port).join("hello.yaml");
    cluster.cli(&["apply", "-f", file.to_str().unwrap()]);
    ready(&cluster, 3);
    cluster.eventually("the port answers", |_| http_get(port).is_ok());
    cluster
}

fn ready(cluster: &Cluster, replicas: usize) {
    cluster.eventually(&format!("{replicas} replicas are ready"), |cluster| {
        let got = cluster.try_cli(&["get", "rc", "hello", "-o", "jsonpath={.status.readyReplicas}"]);
        let pods = cluster.try_cli(&["get", "pods", "-o", "name"]);
        got.is_ok_and(|got| got == replicas.to_string()) && pods.is_ok_and(|pods| pods.lines().count() == replicas)
    });
}

/// Runs `work` while `port` is asked again and again; no answer may fail.
#[track_caller]
fn unnoticed(port: u16, work: impl FnOnce()) {
    let done = AtomicBool::new(false);
    let (asked, failed) = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let (mut asked, mut failed) = (0, Vec::new());
            while !done.load(Ordering::SeqCst) {
                asked += 1;
                failed.extend(http_get(port).err());
                thread::sleep(Duration::from_millis(20));
            }
            (asked, failed)
        });
        let at_the_end = Sets(&done);
        work();
        drop(at_the_end);
        asking.join().unwrap()
    });
    assert!(asked > 0);
    assert!(failed.is_empty(), "{} of {asked} requests failed: {:?}", failed.len(), failed.first());
}

/// Starts the update to the second version, and kills the command once it is under way.
fn interrupted(cluster: &Cluster) {
    let mut update = Command::new(env!("CARGO_BIN_EXE_trimtab"))
        .args(["rolling-update", "hello", "--image", "trimtab.dev/hello:2", "--update-period=0s"])
        .env("KUBECONFIG", cluster.kubeconfig())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    cluster.eventually("a new pod is ready", |cluster| {
        let images =
            "jsonpath={range .items[*]}{.spec.containers[0].image} {.status.containerStatuses[0].ready}{'\\n'}{end}";
        cluster.try_cli(&["get", "pods", "-o", images]).is_ok_and(|text| text.contains("hello:2 true"))
    });
    update.kill().unwrap();
    update.wait().unwrap();
}

#[test]
fn scaling_up_and_down_fails_no_request() {
    if !docker::answers("scaling_up_and_down_fails_no_request") {
        return;
    }
    let _alone = alone();
    let cluster = start(30_086);
    unnoticed(30_086, || {
        cluster.cli(&["scale", "rc", "hello", "--replicas=10"]);
        ready(&cluster, 10);
        cluster.cli(&["scale", "rc", "hello", "--replicas=1"]);
        ready(&cluster, 1);
    });
}

#[test]
fn a_rolling_update_that_is_killed_goes_on_where_it_was() {
    if !docker::answers("a_rolling_update_that_is_killed_goes_on_where_it_was") {
        return;
    }
    let _alone = alone();
    let cluster = start(30_082);
    unnoticed(30_082, || {
        interrupted(&cluster);
        cluster.cli(&["rolling-update", "hello", "--image", "trimtab.dev/hello:2", "--update-period=0s"]);
        ready(&cluster, 3);
    });
    assert_eq!(cluster.cli(&["get", "rc", "-o", "name"]).trim(), "replicationcontroller/hello");
    assert!(http_get(30_082).unwrap().contains("version 2"), "{}", http_get(30_082).unwrap());
}

#[test]
fn a_rolling_update_can_be_taken_back() {
    if !docker::answers("a_rolling_update_can_be_taken_back") {
        return;
    }
    let _alone = alone();
    let cluster = start(30_087);
    unnoticed(30_087, || {
        interrupted(&cluster);
        cluster.cli(&["rolling-update", "hello", "--rollback", "--update-period=0s"]);
        ready(&cluster, 3);
    });
    assert_eq!(cluster.cli(&["get", "rc", "-o", "name"]).trim(), "replicationcontroller/hello");
    let images = cluster.cli(&["get", "pods", "-o", "jsonpath={.items[*].spec.containers[0].image}"]);
    assert!(!images.contains("hello:2"), "{images}");
}
