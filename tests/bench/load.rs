//! What a whole cluster costs, measured from outside through the release binary.
//!
//! ```console
//! $ cargo bench -p trimtab-cli --bench load                  # everything
//! $ cargo bench -p trimtab-cli --bench load -- requests rc   # some of it
//! ```
//!
//! Processor time and memory are the server process's own, read from `/proc`; the load comes from
//! this process over HTTPS. Parts that need Docker are left out, in one line, where none answers.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and measures other processes in real time"
)]
#![expect(dead_code, reason = "the end-to-end tests use the rest of their harness")]

#[path = "../e2e/docker.rs"]
mod docker;
#[path = "../e2e/harness.rs"]
mod harness;
mod process;

use std::future::Future;
use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod, ReplicationController, ServiceAccount};
use serde::de::DeserializeOwned;
use serde_json::json;
use trimtab_client::{Api, Client, Kubeconfig, ListParams};

use harness::{Cluster, PATIENCE, quickstart};
use process::Usage;

/// Requests in flight, over how many connections.
const WORKERS: usize = 32;
const CONNECTIONS: usize = 8;
const REQUESTS: usize = 20_000;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wants = |part: &str| wanted.is_empty() || wanted.iter().any(|name| name == part);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let with_docker = |part| wants(part) && docker::answers(part);
    if wants("size") {
        size();
    }
    if wants("start") {
        start(&runtime);
    }
    if wants("requests") {
        requests(&runtime);
    }
    if wants("rc") {
        replication(&runtime);
    }
    if with_docker("rest") {
        rest(&runtime);
    }
    if with_docker("pods") {
        pods(&runtime);
    }
}

fn size() {
    let bytes = std::fs::metadata(env!("CARGO_BIN_EXE_trimtab")).unwrap().len();
    println!("size      binary                       {:>9.1} MiB", mib(bytes));
}

/// From the process's start to the first `ok` of `/readyz`, on an empty and on a used folder.
fn start(runtime: &tokio::runtime::Runtime) {
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

fn started(cluster: &mut Cluster, runtime: &tokio::runtime::Runtime) {
    cluster.spawn();
    runtime.block_on(until("the API is ready", async || match client(cluster) {
        Some(client) => client.text("/readyz").await.is_ok_and(|text| text == "ok"),
        None => false,
    }));
}

/// Processor time of the API server for each request, and how many a second, under concurrent load.
fn requests(runtime: &tokio::runtime::Runtime) {
    let cluster = Cluster::apiserver(&[]);
    let clients: Vec<Client> = (0..CONNECTIONS).map(|_| client(&cluster).unwrap()).collect();
    // No controller runs that would make the pods' account.
    let account: ServiceAccount = typed(json!({"metadata": {"name": "default"}}));
    let accounts = Api::<ServiceAccount>::namespaced(&clients[0], "default");
    runtime.block_on(accounts.create(&account)).unwrap();
    let measure = |what: &str, request: &dyn Fn(Client, usize) -> Boxed| {
        let (before, start) = (usage(&cluster), Instant::now());
        runtime.block_on(join_all((0..WORKERS).map(|worker| {
            let client = &clients[worker % CONNECTIONS];
            async move {
                for index in (worker..REQUESTS).step_by(WORKERS) {
                    request(client.clone(), index).await;
                }
            }
        })));
        let (elapsed, after) = (start.elapsed(), usage(&cluster));
        println!(
            "requests  {what:<28} {:>9.3} ms CPU each {:>8.0}/s   {:>6.1} MiB",
            millis(after.cpu - before.cpu) / REQUESTS as f64,
            REQUESTS as f64 / elapsed.as_secs_f64(),
            mib(after.resident),
        );
    };
    let create_map = |client: Client, index: usize| -> Boxed {
        Box::pin(async move {
            let map = typed(json!({
                "metadata": {"name": format!("map-{index}"), "labels": {"app": "load", "n": index.to_string()}},
                "data": {"a": "x".repeat(200), "b": "y".repeat(200)},
            }));
            Api::<ConfigMap>::namespaced(&client, "default").create(&map).await.unwrap();
        })
    };
    let create_pod = |client: Client, index: usize| -> Boxed {
        Box::pin(async move {
            let pod = typed(
                json!({"metadata": {"name": format!("pod-{index}"), "labels": {"app": "load"}}, "spec": pod_spec()}),
            );
            Api::<Pod>::namespaced(&client, "default").create(&pod).await.unwrap();
        })
    };
    let get_map = |client: Client, index: usize| -> Boxed {
        Box::pin(async move {
            Api::<ConfigMap>::namespaced(&client, "default").get(&format!("map-{index}")).await.unwrap();
        })
    };
    measure("ConfigMap create", &create_map);
    measure("ConfigMap get", &get_map);
    measure("Pod create", &create_pod);
}

/// A ReplicationController of 1,000 pods on 100 simulated nodes, until all are Running.
fn replication(runtime: &tokio::runtime::Runtime) {
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

/// The README's quickstart at rest.
fn rest(runtime: &tokio::runtime::Runtime) {
    const WINDOW: Duration = Duration::from_secs(60);
    let dir = tempfile::tempdir().unwrap();
    let manifests = quickstart(dir.path(), 31_980);
    let cluster = Cluster::up(&["--manifests", manifests.to_str().unwrap()]);
    let client = client(&cluster).unwrap();
    runtime.block_on(ready(&client, "hello", 3));
    std::thread::sleep(Duration::from_secs(5));
    let writes = || runtime.block_on(revision(&client));
    let (before, first, leases) = (usage(&cluster), writes(), runtime.block_on(renewals(&client)));
    std::thread::sleep(WINDOW);
    let (after, last) = (usage(&cluster), writes());
    let leases = runtime.block_on(renewals(&client)) - leases;
    println!("rest      resident                     {:>9.1} MiB", mib(after.resident));
    println!(
        "rest      processor                    {:>9.2} % of a core",
        (after.cpu - before.cpu).as_secs_f64() / WINDOW.as_secs_f64() * 100.0
    );
    println!("rest      writes in a minute           {:>9}, of which {leases} renew leases", last - first);
}

/// A Pod from `create` to Running on Docker, beside what the engine takes for its two containers.
fn pods(runtime: &tokio::runtime::Runtime) {
    const ROUNDS: usize = 15;
    let dir = tempfile::tempdir().unwrap();
    let manifests = quickstart(dir.path(), 31_981);
    // The quickstart loads the images.
    let cluster = Cluster::up(&["--manifests", manifests.to_str().unwrap()]);
    let client = client(&cluster).unwrap();
    runtime.block_on(ready(&client, "hello", 3));
    let api: Api<Pod> = Api::namespaced(&client, "default");
    // The engine's own containers are on the same network as ours.
    let sandboxes = docker::containers("io.kubernetes.container.name=POD", false);
    let network = sandboxes[0]["HostConfig"]["NetworkMode"].clone();
    let (mut ours, mut engines) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let sandbox = format!("trimtab-load-{}-{round}", std::process::id());
        let container = format!("{sandbox}-hello");
        engines.push(timed(|| {
            let host = json!({"NetworkMode": network, "IpcMode": "shareable"});
            run(&sandbox, &json!({"Image": "trimtab.dev/pause:1", "HostConfig": host}));
            let shared =
                json!({"NetworkMode": format!("container:{sandbox}"), "IpcMode": format!("container:{sandbox}")});
            run(&container, &json!({"Image": "trimtab.dev/hello:1", "HostConfig": shared}));
        }));
        docker::remove(&container);
        docker::remove(&sandbox);
        let name = format!("latency-{round}");
        let pod = typed(json!({"metadata": {"name": name}, "spec": {
            "containers": [{"name": "hello", "image": "trimtab.dev/hello:1", "imagePullPolicy": "Never"}],
            "terminationGracePeriodSeconds": 0,
        }}));
        ours.push(timed(|| {
            runtime.block_on(async {
                api.create(&pod).await.unwrap();
                until("the pod is Running", async || {
                    let status = api.get(&name).await.unwrap().status;
                    status.is_some_and(|status| status.phase.as_deref() == Some("Running"))
                })
                .await;
            });
        }));
        cluster.cli(&["delete", "pod", &name, "--wait"]);
    }
    ours.sort();
    engines.sort();
    let (ours, engine) = (ours[ROUNDS / 2], engines[ROUNDS / 2]);
    println!("pods      create to Running, median    {:>9.0} ms", millis(ours));
    println!("pods      the engine alone, median     {:>9.0} ms", millis(engine));
    println!("pods      ratio                        {:>9.2}", ours.as_secs_f64() / engine.as_secs_f64());
}

/// Creates and starts a container; it runs when this returns.
fn run(name: &str, config: &serde_json::Value) {
    let created = docker::request("POST", &format!("/containers/create?name={name}"), Some(config)).unwrap();
    assert_eq!(created.0, 201, "{}", created.1);
    let started = docker::request("POST", &format!("/containers/{name}/start"), None).unwrap();
    assert_eq!(started.0, 204, "{}", started.1);
}

fn usage(cluster: &Cluster) -> Usage {
    Usage::of(cluster.child.as_ref().expect("the cluster runs").id())
}

type Boxed = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn client(cluster: &Cluster) -> Option<Client> {
    Kubeconfig::read(&cluster.kubeconfig()).ok()?.client(Some("trimtab")).ok()
}

fn typed<K: DeserializeOwned>(value: serde_json::Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn pod_spec() -> serde_json::Value {
    json!({"containers": [{
        "name": "web",
        // With a tag: an image without one is pulled each time.
        "image": "sim:1",
        "ports": [{"containerPort": 8080}],
        "env": [{"name": "MODE", "value": "load"}],
        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}},
    }]})
}

fn controller(name: &str, replicas: usize) -> ReplicationController {
    typed(json!({"metadata": {"name": name}, "spec": {
        "replicas": replicas,
        "selector": {"app": name},
        "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec()},
    }}))
}

async fn ready(client: &Client, controller: &str, replicas: i32) {
    let api: Api<ReplicationController> = Api::namespaced(client, "default");
    until("the pods are ready", async || {
        let found = api.get_opt(controller).await.unwrap();
        found.and_then(|rc| rc.status).and_then(|status| status.ready_replicas) == Some(replicas)
    })
    .await;
}

/// The store's revision: how many writes it has taken.
async fn revision(client: &Client) -> u64 {
    let page = Api::<Event>::all(client).list(&ListParams::default().limit(1)).await.unwrap();
    page.metadata.resource_version.unwrap().parse().unwrap()
}

/// How often leases were renewed, in whole renewals of ten seconds each.
async fn renewals(client: &Client) -> i64 {
    let leases = Api::<Lease>::all(client).list(&ListParams::default()).await.unwrap().items;
    let renewed = leases.iter().filter_map(|lease| lease.spec.as_ref()?.renew_time.as_ref());
    renewed.map(|time| time.0.as_second() / 10).sum()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
