//! The whole scheduler against the API server, in process over the in-memory store.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Node, Pod};
use serde_json::{Value, json};
use trimtab_apiserver::{ApiServer, Config, Identity};
use trimtab_client::{Api, Client};
use trimtab_env::{CancellationToken, Env, Tasks};
use trimtab_reconcile::{Cache, Manager};
use trimtab_store::Memory;

fn typed<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("an object of its kind")
}

fn node(name: &str) -> Node {
    typed(json!({
        "metadata": {"name": name},
        "status": {
            "capacity": {"cpu": "1", "memory": "1Gi", "pods": "10"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }))
}

fn pod(name: &str, cpu: &str) -> Pod {
    let container = json!({"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}});
    typed(json!({"metadata": {"name": name}, "spec": {"containers": [container]}}))
}

async fn until(pods: &Cache<Pod>, name: &str, holds: impl Fn(&Pod) -> bool) -> Arc<Pod> {
    let mut changes = pods.subscribe();
    loop {
        // A minute of virtual time, so that a test in vain fails rather than hangs.
        let change = tokio::time::timeout(Duration::from_secs(60), changes.recv()).await.expect("soon");
        let change = change.expect("the cache outlives the test");
        if change.object().metadata.name.as_deref() == Some(name) && holds(change.object()) {
            return Arc::clone(change.object());
        }
    }
}

fn condition(pod: &Pod) -> Option<(&str, &str)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|condition| condition.type_ == "PodScheduled")?;
    Some((&found.status, found.message.as_deref().unwrap_or_default()))
}

#[tokio::test(start_paused = true)]
async fn pods_are_bound_and_those_that_fit_nowhere_are_told_why() {
    let env = Env::seeded(7, "2026-01-01T00:00:00Z".parse().expect("a time"));
    let config = Config::new(
        trimtab_api::builtin(),
        Arc::new(Memory::new()),
        env.clone(),
        ("10.96.0.0".parse().expect("an address"), 24),
    );
    let server = ApiServer::new(config).await.expect("a server");
    let client = Client::new(server.transport(Identity::new("scheduler", &["system:masters"])));
    let manager = Manager::new(client.clone(), env);
    let (tasks, shutdown) = (Tasks::new(), CancellationToken::new());
    tasks.spawn("scheduler", trimtab_scheduler::run(manager.clone(), client.clone(), shutdown.clone()));

    let pods: Api<Pod> = Api::namespaced(&client, "default");
    let nodes: Api<Node> = Api::all(&client);
    let cache = manager.cache::<Pod>();
    let (known, mut seen) = (manager.cache::<Node>(), manager.cache::<Node>().subscribe());
    nodes.create(&node("a")).await.expect("a node");
    // The two kinds are watched apart: only a node that is known can take the pod at once.
    while known.list().is_empty() {
        tokio::time::timeout(Duration::from_secs(60), seen.recv()).await.expect("soon");
    }
    pods.create(&pod("small", "600m")).await.expect("a pod");
    let bound = until(&cache, "small", |pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())).await;
    assert_eq!(bound.spec.as_ref().and_then(|spec| spec.node_name.as_deref()), Some("a"));
    assert_eq!(condition(&bound), Some(("True", "")));

    pods.create(&pod("late", "600m")).await.expect("a pod");
    let told = until(&cache, "late", |pod| condition(pod).is_some()).await;
    let none = "0/1 nodes are available: 1 No preemption victims found for incoming pod.";
    let expected = format!("0/1 nodes are available: 1 Insufficient cpu. preemption: {none}");
    assert_eq!(condition(&told), Some(("False", &*expected)));
    nodes.create(&node("b")).await.expect("a node");
    let bound = until(&cache, "late", |pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())).await;
    assert_eq!(bound.spec.as_ref().and_then(|spec| spec.node_name.as_deref()), Some("b"));
    assert_eq!(condition(&bound), Some(("True", "")));

    let events = manager.cache::<Event>();
    let mut changes = events.subscribe();
    let mut reasons = std::collections::BTreeSet::new();
    while reasons.len() < 3 {
        let change = tokio::time::timeout(Duration::from_secs(60), changes.recv()).await.expect("soon");
        let change = change.expect("the cache outlives the test");
        let event = change.object();
        let about = event.involved_object.name.clone().unwrap_or_default();
        reasons.insert(format!("{about} {}", event.reason.clone().unwrap_or_default()));
    }
    let expected = ["late FailedScheduling", "late Scheduled", "small Scheduled"].map(str::to_owned);
    assert_eq!(reasons, expected.into());
    shutdown.cancel();
    tasks.join().await;
}
