//! The README's quickstart on Docker: at rest, and how soon a Pod runs.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Pod, ReplicationController};
use serde_json::json;
use tokio::runtime::Runtime;
use trimtab_client::{Api, Client, ListParams};

use crate::common::{client, mib, millis, timed, typed, until, usage};
use crate::docker;
use crate::harness::{Cluster, quickstart};

/// The README's quickstart at rest.
pub(crate) fn rest(runtime: &Runtime) {
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
pub(crate) fn pods(runtime: &Runtime) {
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
