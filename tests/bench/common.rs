//! What every part uses: a server under load, and how it is measured.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use http::{Method, Request};
use k8s_openapi::api::core::v1::ServiceAccount;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use trimtab_client::{Api, Client, Kubeconfig, request};

use crate::harness::{Cluster, PATIENCE};
use crate::process::Usage;

/// Requests in flight, over how many connections.
const WORKERS: usize = 32;
const CONNECTIONS: usize = 8;

pub(crate) type Boxed<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// An API server alone, and its clients.
pub(crate) struct Server<'a> {
    pub(crate) cluster: Cluster,
    pub(crate) clients: Vec<Client>,
    pub(crate) runtime: &'a Runtime,
}

impl<'a> Server<'a> {
    pub(crate) fn start(runtime: &'a Runtime) -> Self {
        let cluster = Cluster::apiserver(&[]);
        let clients: Vec<Client> = (0..CONNECTIONS).map(|_| client(&cluster).unwrap()).collect();
        // No controller runs that would make the pods' account.
        let account: ServiceAccount = typed(json!({"metadata": {"name": "default"}}));
        let accounts = Api::<ServiceAccount>::namespaced(&clients[0], "default");
        runtime.block_on(accounts.create(&account)).unwrap();
        Self { cluster, clients, runtime }
    }

    /// Calls `work` with each number below `count`, many at once.
    pub(crate) async fn each<'s>(&'s self, count: usize, work: impl Fn(&'s Client, usize) -> Boxed<'s>) {
        let work = &work;
        join_all((0..WORKERS.min(count)).map(|worker| async move {
            for index in (worker..count).step_by(WORKERS) {
                work(&self.clients[worker % CONNECTIONS], index).await;
            }
        }))
        .await;
    }

    /// What the server's process uses for each of `count` pieces of `work`.
    pub(crate) fn measure<'s>(&'s self, what: &str, count: usize, work: impl Fn(&'s Client, usize) -> Boxed<'s>) {
        let (before, start) = (usage(&self.cluster), Instant::now());
        self.runtime.block_on(self.each(count, work));
        let (elapsed, after) = (start.elapsed(), usage(&self.cluster));
        println!(
            "{what:<38} {:>9.3} ms CPU each {:>8.0}/s   {:>6.1} MiB",
            millis(after.cpu - before.cpu) / count as f64,
            count as f64 / elapsed.as_secs_f64(),
            mib(after.resident),
        );
    }
}

/// Sends a request of a body of `type_`, and reads the answer.
pub(crate) async fn send(client: &Client, method: Method, path: &str, body: Option<(&str, &Value)>) -> Bytes {
    let body = body.map(|(type_, value)| (type_, Bytes::from(value.to_string())));
    let request: Request<Bytes> = request(method, path, body).unwrap();
    client.bytes(request).await.unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn usage(cluster: &Cluster) -> Usage {
    Usage::of(cluster.child.as_ref().expect("the cluster runs").id())
}

pub(crate) fn client(cluster: &Cluster) -> Option<Client> {
    Kubeconfig::read(&cluster.kubeconfig()).ok()?.client(Some("trimtab")).ok()
}

pub(crate) fn typed<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

pub(crate) fn pod_spec() -> Value {
    json!({"containers": [{
        "name": "web",
        // With a tag: an image without one is pulled each time.
        "image": "sim:1",
        "ports": [{"containerPort": 8080}],
        "env": [{"name": "MODE", "value": "load"}],
        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}},
    }]})
}

/// A pod whose JSON is 3.5 KiB in a list, as the one that upstream was measured with.
pub(crate) fn large_pod(name: &str) -> Value {
    let notes = "what somebody wanted to remember of it; ".repeat(22);
    json!({"apiVersion": "v1", "kind": "Pod", "spec": pod_spec(), "metadata": {
        "name": name, "labels": {"app": "load"}, "annotations": {"example.com/notes": notes},
    }})
}

/// Whether the cluster's API is ready.
pub(crate) async fn is_ready(cluster: &Cluster) -> bool {
    match client(cluster) {
        Some(client) => client.text("/readyz").await.is_ok_and(|text| text == "ok"),
        None => false,
    }
}

pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
