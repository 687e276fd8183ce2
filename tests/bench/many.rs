//! A hundred thousand pods: stored, listed in pages, watched, and there again after a restart.

use std::time::Instant;

use http::Method;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::runtime::Runtime;
use trimtab_client::request;

use crate::common::{Server, client, is_ready, large_pod, mib, millis, send, timed, until, usage};
use crate::process::Usage;

const MANY: usize = 100_000;
const PODS: &str = "/api/v1/namespaces/default/pods";

pub(crate) fn many(runtime: &Runtime) {
    let mut server = Server::start(runtime);
    server.measure("many      Pod create", MANY, |client, index| {
        let pod = large_pod(&format!("many-{index}"));
        Box::pin(async move { drop(send(client, Method::POST, PODS, Some(("application/json", &pod))).await) })
    });
    pages(&server);
    watched(&server);
    server.cluster.kill();
    let start = timed(|| {
        server.cluster.spawn();
        runtime.block_on(until("the API is ready", async || is_ready(&server.cluster).await));
    });
    server.clients = vec![client(&server.cluster).unwrap()];
    println!(
        "many      restart to ready             {:>9.0} ms   {:>6.1} MiB",
        millis(start),
        mib(usage(&server.cluster).resident),
    );
    pages(&server);
}

/// Lists them all, 500 at a time.
fn pages(server: &Server<'_>) {
    let (before, start, mut seen, mut size, mut next) = (usage(&server.cluster), Instant::now(), 0, 0, String::new());
    loop {
        let path = format!("{PODS}?limit=500&continue={next}");
        let bytes = server.runtime.block_on(send(&server.clients[0], Method::GET, &path, None));
        let page: Value = serde_json::from_slice(&bytes).unwrap();
        seen += page["items"].as_array().unwrap().len();
        size += bytes.len();
        match page["metadata"]["continue"].as_str() {
            Some(more) => more.clone_into(&mut next),
            None => break,
        }
    }
    assert_eq!(seen, MANY);
    tell(server, "pages of 500", size, &before, start);
}

/// Watches them, from what there is.
fn watched(server: &Server<'_>) {
    let path =
        format!("{PODS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
    let (before, start, mut last) = (usage(&server.cluster), Instant::now(), Vec::new());
    let size = server.runtime.block_on(async {
        let watch = server.clients[0].send(request(Method::GET, &path, None).unwrap()).await.unwrap();
        let (mut body, mut size) = (watch.into_body(), 0);
        while memchr::memmem::find(&last, b"k8s.io/initial-events-end").is_none() {
            let data = body.frame().await.expect("the watch goes on").unwrap().into_data().unwrap();
            size += data.len();
            // The mark may be cut in two by the end of a frame.
            last.drain(..last.len().saturating_sub(256));
            last.extend_from_slice(&data);
        }
        size
    });
    tell(server, "watch-list", size, &before, start);
}

/// What reading all of them took.
fn tell(server: &Server<'_>, what: &str, size: usize, before: &Usage, start: Instant) {
    let (took, after) = (start.elapsed(), usage(&server.cluster));
    println!(
        "many      {what:<12}, {:>6.1} MiB     {:>9.0} ms CPU   {:>6.0} ms   {:>6.1} MiB",
        mib(size as u64),
        millis(after.cpu - before.cpu),
        millis(took),
        mib(after.resident),
    );
}
