//! A container engine that dies, or hangs, and returns.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use serde_json::Value;

use crate::docker;
use crate::harness::{Cluster, alone, quickstart};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Passes,
    /// Connections are closed, old and new.
    Cut,
    /// Nothing gets through.
    Hangs,
}

/// A socket that passes everything on to the engine's, as long as it is told to.
struct Relay {
    path: PathBuf,
    state: Arc<State>,
}

struct State {
    mode: Mutex<Mode>,
    changed: Condvar,
    open: Mutex<Vec<UnixStream>>,
}

impl State {
    fn mode(&self) -> MutexGuard<'_, Mode> {
        self.mode.lock().unwrap()
    }

    fn copy(&self, mut from: UnixStream, mut to: UnixStream) {
        let mut piece = [0; 16 << 10];
        while let Ok(read @ 1..) = from.read(&mut piece) {
            let mode = self.changed.wait_while(self.mode(), |mode| *mode == Mode::Hangs).unwrap();
            if *mode == Mode::Cut || to.write_all(&piece[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    }
}

impl Relay {
    fn start(dir: &Path) -> Self {
        let path = dir.join("engine.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let state = Arc::new(State { mode: Mutex::new(Mode::Passes), changed: Condvar::new(), open: Mutex::default() });
        let shared = Arc::clone(&state);
        // Ends with the test's process: it waits in `accept`.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let engine = UnixStream::connect("/var/run/docker.sock").unwrap();
                if *shared.mode() == Mode::Cut {
                    continue;
                }
                let twin = |stream: &UnixStream| stream.try_clone().unwrap();
                shared.open.lock().unwrap().extend([twin(&client), twin(&engine)]);
                for (from, to) in [(twin(&client), twin(&engine)), (engine, client)] {
                    let state = Arc::clone(&shared);
                    thread::spawn(move || state.copy(from, to));
                }
            }
        });
        Self { path, state }
    }

    fn set(&self, mode: Mode) {
        *self.state.mode() = mode;
        self.state.changed.notify_all();
        if mode == Mode::Cut {
            for stream in self.state.open.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

/// The node's condition `Ready`: its status, reason and message.
fn ready(cluster: &Cluster) -> Option<[String; 3]> {
    let nodes: Value = serde_json::from_str(&cluster.try_cli(&["get", "nodes", "-o", "json"]).ok()?).unwrap();
    let conditions = nodes["items"][0]["status"]["conditions"].as_array()?;
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready")?;
    Some(["status", "reason", "message"].map(|key| ready[key].as_str().unwrap_or_default().to_owned()))
}

fn hello(cluster: &Cluster) -> BTreeSet<String> {
    let uids = cluster.cli(&["get", "pods", "-o", "jsonpath={.items[*].metadata.uid}"]);
    let running = docker::containers("io.kubernetes.container.name=hello", false);
    let ours = running.iter().filter(|c| uids.contains(c["Labels"]["io.kubernetes.pod.uid"].as_str().unwrap()));
    ours.map(|c| c["Id"].as_str().unwrap().to_owned()).collect()
}

fn all_ready(cluster: &Cluster) {
    cluster.eventually("the node and three replicas are ready", |cluster| {
        let replicas = cluster.try_cli(&["get", "rc", "hello", "-o", "jsonpath={.status.readyReplicas}"]);
        replicas.is_ok_and(|replicas| replicas == "3") && ready(cluster).is_some_and(|ready| ready[0] == "True")
    });
}

const LATE: &str = "apiVersion: v1
kind: Pod
metadata: {name: late}
spec:
  containers: [{name: late, image: 'trimtab.dev/hello:1'}]
";

#[test]
fn a_dead_engine_is_told_and_its_return_mends_everything() {
    if !docker::answers("a_dead_engine_is_told_and_its_return_mends_everything") {
        return;
    }
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let manifests = quickstart(&dir.path().join("manifests"), 30_089);
    let relay = Relay::start(dir.path());
    let mut cluster = Cluster::new(&["--manifests", manifests.to_str().unwrap()]);
    cluster.env("DOCKER_HOST", &format!("unix://{}", relay.path.display()));
    cluster.start();
    all_ready(&cluster);
    let before = hello(&cluster);
    assert_eq!(before.len(), 3);

    relay.set(Mode::Cut);
    cluster.eventually("the node is not ready", |cluster| ready(cluster).is_some_and(|ready| ready[0] == "False"));
    let [_, reason, message] = ready(&cluster).unwrap();
    assert_eq!(reason, "KubeletNotReady");
    let expected = format!("container runtime is down: docker at unix://{}: ", relay.path.display());
    assert!(message.starts_with(&expected), "{message}");
    // What happens meanwhile is caught up with: a loss, and a new pod.
    let lost = before.first().unwrap();
    docker::remove(lost);
    cluster.cli(&["apply", "-f", &cluster.write("late.yaml", LATE)]);
    relay.set(Mode::Passes);
    all_ready(&cluster);
    cluster.eventually("the lost container is replaced, and the late pod runs", |cluster| {
        let phase = cluster.try_cli(&["get", "pod", "late", "-o", "jsonpath={.status.phase}"]);
        hello(cluster).len() == 3 && phase.is_ok_and(|phase| phase == "Running")
    });
    let after = hello(&cluster);
    let kept: Vec<_> = before.intersection(&after).collect();
    assert_eq!(kept, before.iter().filter(|id| *id != lost).collect::<Vec<_>>(), "the others were left alone");

    relay.set(Mode::Hangs);
    cluster.eventually("the node is not ready", |cluster| ready(cluster).is_some_and(|ready| ready[0] == "False"));
    relay.set(Mode::Passes);
    all_ready(&cluster);
    assert_eq!(hello(&cluster), after, "an engine that only hung has lost nothing");
}
