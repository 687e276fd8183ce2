//! Watches: what it costs to tell many of a change, and how long it takes.

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use futures::future::join_all;
use http::Method;
use http_body_util::BodyExt;
use tokio::runtime::Runtime;
use trimtab_client::{Client, request};

use crate::common::{Server, large_pod, mib, millis, send, usage};

const WATCHERS: usize = 50;
const EVENTS: usize = 500;
const PODS: &str = "/api/v1/namespaces/default/pods";

/// 50 watchers of pods, of which 500 are made.
pub(crate) fn watches(runtime: &Runtime) {
    let server = Server::start(runtime);
    for round in 0..3 {
        let prefix = format!("watched-{round}-");
        let (before, mut took) = runtime.block_on(async {
            let watching = (0..WATCHERS).map(|number| {
                let client = &server.clients[number % server.clients.len()];
                watch(client, &prefix)
            });
            let mut opened = join_all(watching).await;
            let before = usage(&server.cluster);
            let prefix = &prefix;
            let sent: Vec<std::sync::OnceLock<Instant>> = (0..EVENTS).map(|_| std::sync::OnceLock::new()).collect();
            let writing = server.each(EVENTS, |client, index| {
                let (pod, sent) = (large_pod(&format!("{prefix}{index}")), &sent[index]);
                Box::pin(async move {
                    let _ = sent.set(Instant::now());
                    send(client, Method::POST, PODS, Some(("application/json", &pod))).await;
                })
            });
            let reading = join_all(opened.iter_mut().map(Watcher::read));
            let (received, ()) = futures::future::join(reading, writing).await;
            let took: Vec<Duration> =
                received.into_iter().flatten().map(|(index, at)| at - *sent[index].get().unwrap()).collect();
            (before, took)
        });
        took.sort();
        let after = usage(&server.cluster);
        println!(
            "watches   50 watchers, 500 pods made   {:>9.4} ms CPU for each event   p50 {:>5.1}, p99 {:>5.1} ms   {:>6.1} MiB",
            millis(after.cpu - before.cpu) / took.len() as f64,
            millis(took[took.len() / 2]),
            millis(took[took.len() * 99 / 100]),
            mib(after.resident),
        );
    }
}

struct Watcher {
    body: trimtab_client::Body,
    prefix: String,
}

async fn watch(client: &Client, prefix: &str) -> Watcher {
    let list = format!("{PODS}?limit=1");
    let page: serde_json::Value = serde_json::from_slice(&send(client, Method::GET, &list, None).await).unwrap();
    let version = page["metadata"]["resourceVersion"].as_str().unwrap();
    let path = format!("{PODS}?watch=true&resourceVersion={version}");
    let response = client.send(request(Method::GET, &path, None).unwrap()).await.unwrap();
    Watcher { body: response.into_body(), prefix: format!("\"name\":\"{prefix}") }
}

impl Watcher {
    /// Which object each event was of, and when it came.
    async fn read(&mut self) -> Vec<(usize, Instant)> {
        let (mut read, mut received) = (BytesMut::new(), Vec::with_capacity(EVENTS));
        while received.len() < EVENTS {
            let data = self.body.frame().await.expect("the watch goes on").unwrap().into_data().unwrap();
            read.extend_from_slice(&data);
            while let Some(end) = memchr::memchr(b'\n', &read) {
                let line = read.split_to(end);
                read.advance(1);
                let at = memchr::memmem::find(&line, self.prefix.as_bytes()).expect("an event of the load");
                let name = &line[at + self.prefix.len()..];
                let digits = name.split(|byte| *byte == b'"').next().unwrap_or_default();
                received.push((std::str::from_utf8(digits).unwrap().parse().unwrap(), Instant::now()));
            }
        }
        received
    }
}
