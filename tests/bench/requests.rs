//! Requests one by one, under concurrent load: processor time of each, how many a second, and memory after them.

use http::Method;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use trimtab_client::Client;

use crate::common::{Boxed, Server, large_pod, mib, millis, pod_spec, send, usage};

const REQUESTS: usize = 20_000;
/// As many pods as upstream was measured with.
const PODS: usize = 3_000;
const LISTS: usize = 20;

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// A collection, and the objects that are made in it.
struct Kind {
    name: &'static str,
    path: &'static str,
    make: fn(&str) -> Value,
    /// What an update or a patch changes.
    change: fn(usize) -> Value,
}

impl Kind {
    const MAP: Self =
        Self { name: "ConfigMap", path: "/api/v1/namespaces/default/configmaps", make: map, change: data };
    const POD: Self = Self { name: "Pod", path: "/api/v1/namespaces/default/pods", make: pod, change: label };
    const LARGE: Self = Self { name: "large Pod", path: Self::POD.path, make: large_pod, change: label };

    fn create<'a>(&self, client: &'a Client, index: usize) -> Boxed<'a> {
        let (path, object) = (self.path, (self.make)(&format!("load-{index}")));
        Box::pin(async move { drop(send(client, Method::POST, path, Some((JSON, &object))).await) })
    }

    fn get<'a>(&self, client: &'a Client, index: usize) -> Boxed<'a> {
        let path = self.object(index);
        Box::pin(async move { drop(send(client, Method::GET, &path, None).await) })
    }

    fn update<'a>(&self, client: &'a Client, index: usize) -> Boxed<'a> {
        let (path, change) = (self.object(index), (self.change)(index));
        Box::pin(async move {
            let mut object: Value = serde_json::from_slice(&send(client, Method::GET, &path, None).await).unwrap();
            merge(&mut object, change);
            send(client, Method::PUT, &path, Some((JSON, &object))).await;
        })
    }

    fn patch<'a>(&self, type_: &'static str, client: &'a Client, index: usize) -> Boxed<'a> {
        let (path, change) = (self.object(index), (self.change)(index + type_.len()));
        Box::pin(async move { drop(send(client, Method::PATCH, &path, Some((type_, &change))).await) })
    }

    fn apply<'a>(&self, client: &'a Client, index: usize) -> Boxed<'a> {
        let path = format!("{}?fieldManager=load&force=true", self.object(index));
        let mut object = (self.make)(&format!("load-{index}"));
        merge(&mut object, (self.change)(index));
        Box::pin(async move { drop(send(client, Method::PATCH, &path, Some((APPLY, &object))).await) })
    }

    fn delete<'a>(&self, client: &'a Client, index: usize) -> Boxed<'a> {
        let path = self.object(index);
        Box::pin(async move { drop(send(client, Method::DELETE, &path, None).await) })
    }

    fn object(&self, index: usize) -> String {
        format!("{}/load-{index}", self.path)
    }
}

fn map(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app": "load", "of": name}},
        "data": {"a": "x".repeat(200), "b": "y".repeat(200)},
    })
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "load"}}, "spec": pod_spec()})
}

fn data(index: usize) -> Value {
    json!({"data": {"a": format!("{index} changed")}})
}

fn label(index: usize) -> Value {
    json!({"metadata": {"labels": {"changed": index.to_string()}}})
}

fn merge(object: &mut Value, change: Value) {
    match change {
        Value::Object(fields) => fields.into_iter().for_each(|(name, change)| merge(&mut object[name], change)),
        change => *object = change,
    }
}

/// Every verb, on small objects.
pub(crate) fn requests(runtime: &Runtime) {
    for kind in [Kind::MAP, Kind::POD] {
        let server = Server::start(runtime);
        verbs("requests", &server, &kind, REQUESTS);
    }
}

fn verbs(part: &str, server: &Server<'_>, kind: &Kind, count: usize) {
    let named = |verb: &str| format!("{part:<9} {} {verb}", kind.name);
    server.measure(&named("create"), count, |client, index| kind.create(client, index));
    server.measure(&named("get"), count, |client, index| kind.get(client, index));
    server.measure(&named("get and update"), count, |client, index| kind.update(client, index));
    server.measure(&named("merge patch"), count, |client, index| kind.patch(MERGE, client, index));
    server.measure(&named("strategic merge patch"), count, |client, index| kind.patch(STRATEGIC, client, index));
    server.measure(&named("apply"), count, |client, index| kind.apply(client, index));
    server.measure(&named("delete"), count, |client, index| kind.delete(client, index));
}

/// Lists of 3,000 pods, and memory with them and after all that was done to them.
pub(crate) fn lists(runtime: &Runtime) {
    let server = Server::start(runtime);
    println!("lists     at first                     {:>9.1} MiB", mib(usage(&server.cluster).resident));
    let kind = Kind::LARGE;
    runtime.block_on(server.each(PODS, |client, index| kind.create(client, index)));
    println!("lists     after 3,000 pods             {:>9.1} MiB", mib(usage(&server.cluster).resident));
    for type_ in [JSON, "application/vnd.kubernetes.protobuf"] {
        let (before, mut times, mut size) = (usage(&server.cluster), Vec::new(), 0);
        for _ in 0..LISTS {
            let mut request = trimtab_client::request(Method::GET, kind.path, None).unwrap();
            request.headers_mut().insert(http::header::ACCEPT, http::HeaderValue::from_static(type_));
            let start = std::time::Instant::now();
            size = runtime.block_on(server.clients[0].bytes(request)).unwrap().len();
            times.push(start.elapsed());
        }
        times.sort();
        let cpu = millis(usage(&server.cluster).cpu - before.cpu) / LISTS as f64;
        let form = type_.rsplit(['/', '.']).next().unwrap_or_default();
        println!(
            "lists     3,000 pods in {form:<14} {cpu:>9.1} ms CPU   {:>6.1} ms, median   {:>6.1} MiB",
            millis(times[LISTS / 2]),
            mib(size as u64),
        );
    }
    server.measure("lists     get and update", PODS, |client, index| kind.update(client, index));
    server.measure("lists     merge patch", PODS, |client, index| kind.patch(MERGE, client, index));
    server.measure("lists     delete", PODS, |client, index| kind.delete(client, index));
}
