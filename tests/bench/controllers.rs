//! One controller written three ways, side by side against the same server: each is a process of its own.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::json;
use tokio::runtime::Runtime;
use trimtab::client::{Kubeconfig, Patch, WatchEvent};
use trimtab::{Api, Client, Manager, Meta, View};
use trimtab_env::{CancellationToken, Env};

use crate::common::{Server, large_pod, mib, millis, typed, until, usage};
use crate::process::Usage;
use crate::three_ways::{HEADING, Notice, NoticeSpec, TEXT, Way, looks};

const WAYS: [Way; 3] = [Way::Ours, Way::Pure, Way::KubeRs];
const NOTICES: usize = 2_000;
/// How often all of them are woken by something that changes nothing.
const ROUNDS: usize = 5;
const CHANGES: usize = 200;
const PODS: usize = 20_000;

/// What a worker process is started with: `worker WHAT KUBECONFIG`.
pub(crate) const WORKER: &str = "worker";

/// Serves as one of the workers, if the arguments say so: it answers each line that it reads with a count.
pub(crate) fn worked(runtime: &Runtime) -> bool {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [worker, what, kubeconfig] = &args[..] else { return false };
    if worker != WORKER {
        return false;
    }
    let kubeconfig = std::path::PathBuf::from(kubeconfig);
    let count = match WAYS.into_iter().find(|way| format!("{way:?}") == *what) {
        Some(way) => {
            runtime.spawn(async move { way.run(&kubeconfig, CancellationToken::new()).await });
            Box::new(looks) as Box<dyn Fn() -> u64>
        }
        None => cache(runtime, what, &kubeconfig),
    };
    for line in std::io::stdin().lines() {
        if line.is_err() {
            break;
        }
        println!("{}", count());
    }
    true
}

/// The phase of a pod, and nothing else of it.
#[derive(View, Deserialize, Clone, Debug)]
#[view(of = Pod)]
struct PodPhase {
    metadata: ObjectMeta,
    #[serde(default)]
    #[expect(dead_code, reason = "it is held")]
    status: Phase,
}

#[derive(Deserialize, Clone, Debug, Default)]
struct Phase {
    #[serde(default)]
    #[expect(dead_code, reason = "it is held")]
    phase: String,
}

fn cache(runtime: &Runtime, what: &str, kubeconfig: &Path) -> Box<dyn Fn() -> u64> {
    fn ours<K: View>(runtime: &Runtime, kubeconfig: &Path) -> Box<dyn Fn() -> u64> {
        let client = Kubeconfig::read(kubeconfig).unwrap().client(None).unwrap();
        let manager = Manager::new(client, Env::system());
        let cache = runtime.block_on(async { manager.cache::<K>() });
        Box::new(move || {
            let _running = &manager;
            cache.len() as u64
        })
    }
    match what {
        "Pod" => ours::<Pod>(runtime, kubeconfig),
        "PodPhase" => ours::<PodPhase>(runtime, kubeconfig),
        "Meta" => ours::<Meta<Pod>>(runtime, kubeconfig),
        _ => {
            use kube::runtime::{WatchStreamExt, reflector, watcher};
            let file = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
            let options = kube::config::KubeConfigOptions::default();
            let (reader, writer) = reflector::store::<Pod>();
            runtime.spawn(async move {
                let config = kube::Config::from_custom_kubeconfig(file, &options).await.unwrap();
                let pods = kube::Api::<Pod>::all(kube::Client::try_from(config).unwrap());
                let changes = reflector(writer, watcher(pods, watcher::Config::default())).default_backoff();
                changes.for_each(|_| std::future::ready(())).await;
            });
            Box::new(move || reader.len() as u64)
        }
    }
}

struct Worker {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Worker {
    fn start(what: &str, server: &Server<'_>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([WORKER, what]).arg(server.cluster.kubeconfig());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    fn count(&mut self) -> u64 {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }

    fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }

    async fn reaches(&mut self, count: u64) {
        until("the worker is done", async || self.count() >= count).await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn controllers(runtime: &Runtime) {
    for way in WAYS {
        let server = Server::start(runtime);
        runtime.block_on(prepare(&server));
        runtime.block_on(controller(way, &server));
    }
    let server = Server::start(runtime);
    runtime.block_on(server.each(PODS, |client, index| {
        Box::pin(async move {
            let pod: Pod = typed(large_pod(&format!("pod-{index}")));
            Api::<Pod>::namespaced(client, "default").create(&pod).await.unwrap();
        })
    }));
    for what in ["kube-rs", "Pod", "PodPhase", "Meta"] {
        let mut worker = Worker::start(what, &server);
        runtime.block_on(worker.reaches(PODS as u64));
        std::thread::sleep(Duration::from_secs(2));
        let used = worker.usage();
        println!("cache of {PODS} pods, {what:<10} {:>8.1} MiB, {:>7.0} ms CPU", mib(used.resident), millis(used.cpu));
    }
}

async fn prepare(server: &Server<'_>) {
    let client = &server.clients[0];
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let patch = Patch::Apply { object: Notice::crd(), manager: "bench".to_owned(), force: true };
    definitions.patch("notices.three.demo.io", &patch).await.unwrap();
    let heading: ConfigMap = typed(json!({"metadata": {"name": HEADING}, "data": {TEXT: "Today"}}));
    Api::<ConfigMap>::namespaced(client, "default").create(&heading).await.unwrap();
    server.each(NOTICES, |client, index| Box::pin(make(client, index))).await;
}

async fn make(client: &Client, index: usize) {
    let mut notice = Notice::new(name(index), NoticeSpec { text: "a".to_owned() });
    notice.metadata.namespace = Some("default".to_owned());
    Api::<Notice>::namespaced(client, "default").create(&notice).await.unwrap();
}

fn name(index: usize) -> String {
    format!("n-{index}")
}

/// How many requests the server has answered, but those that ask for this.
async fn answered(client: &Client) -> u64 {
    let metrics = client.text("/metrics").await.unwrap();
    let lines = metrics.lines().filter(|line| line.starts_with("apiserver_request_total{"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

async fn controller(way: Way, server: &Server<'_>) {
    let client = &server.clients[0];
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let notices: Api<Notice> = Api::namespaced(client, "default");
    let version = notices.list(&Default::default()).await.unwrap().metadata.resource_version.unwrap();
    let mut events = Box::pin(notices.watch(&Default::default(), &version).await.unwrap());
    let before = (answered(client).await, usage(&server.cluster).cpu);
    let started = Instant::now();
    let mut worker = Worker::start(&format!("{way:?}"), server);
    let mut done = HashSet::new();
    while done.len() < NOTICES {
        if let Some(Ok(WatchEvent::Modified(notice))) = events.next().await
            && notice.status.is_some()
        {
            done.insert(notice.metadata.name);
        }
    }
    drop(events);
    let took = started.elapsed();
    let requests = answered(client).await - before.0;
    let used = worker.usage();
    println!(
        "{way:?}: {NOTICES} notices put up in {:.0} ms, {requests} requests, controller {:.0} ms CPU, {:.1} MiB; server {:.0} ms CPU",
        millis(took),
        millis(used.cpu),
        mib(used.resident),
        millis(usage(&server.cluster).cpu - before.1),
    );

    // Its own writes wake it once more.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (asked, cpu, looked, started) = (answered(client).await, worker.usage().cpu, worker.count(), Instant::now());
    for round in 0..ROUNDS {
        let note = Patch::Merge(json!({"metadata": {"annotations": {"round": round.to_string()}}}));
        maps.patch(HEADING, &note).await.unwrap();
        worker.reaches(looked + ((round + 1) * NOTICES) as u64).await;
    }
    let (took, count) = (started.elapsed(), worker.count() - looked);
    println!(
        "{way:?}: at rest {:.0} reconciles a second, {} requests, {:.3} ms CPU each",
        count as f64 / took.as_secs_f64(),
        answered(client).await - asked - ROUNDS as u64,
        millis(worker.usage().cpu - cpu) / count as f64,
    );

    let version = maps.list(&Default::default()).await.unwrap().metadata.resource_version.unwrap();
    let mut events = Box::pin(maps.watch(&Default::default(), &version).await.unwrap());
    let mut delays = Vec::new();
    for change in 0..CHANGES {
        let text = format!("change {change}");
        let started = Instant::now();
        notices.patch(&name(change), &Patch::Merge(json!({"spec": {"text": text}}))).await.unwrap();
        let wanted = format!("Today: {text}");
        while let Some(event) = events.next().await {
            let Ok(WatchEvent::Added(map) | WatchEvent::Modified(map)) = event else { continue };
            if map.data.as_ref().and_then(|data| data.get(TEXT)) == Some(&wanted) {
                break;
            }
        }
        delays.push(started.elapsed());
    }
    delays.sort();
    let (median, late) = (delays[CHANGES / 2], delays[CHANGES * 99 / 100]);
    println!(
        "{way:?}: from change to child {:.2} ms in the middle, {:.2} ms at the 99th of 100",
        millis(median),
        millis(late)
    );
}
