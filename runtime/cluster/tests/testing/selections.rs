//! Controllers that look at some objects of a kind, and caches that are shared.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};
use trimtab_client::{Body, Client, Patch, Switched, Transport, TransportError};
use trimtab_cluster::testing::{TestCluster, in_virtual_time};
use trimtab_env::Tasks;
use trimtab_reconcile::{Context, Manager, Named, Next, Result, controller};

/// Keeps a Secret for each key of a ConfigMap.
#[derive(Default)]
struct Keeper {
    /// What it saw of the Secret `other`, which it does not look at.
    other: Arc<Mutex<Vec<bool>>>,
}

#[controller(for = ConfigMap, labels = "kept", owns(Secret[labels = "part in (kept, spare)"]), crate = "trimtab_reconcile")]
impl Keeper {
    async fn reconcile(&self, map: &ConfigMap, cx: &Context<ConfigMap>) -> Result<Next> {
        for (name, part) in map.data.iter().flatten() {
            let secret = json!({"metadata": {"name": name, "labels": {"part": part}}});
            cx.apply(serde_json::from_value::<Secret>(secret).unwrap()).await?;
        }
        self.other.lock().unwrap().push(cx.get::<Secret>("other")?.is_some());
        Ok(Next::on_change())
    }
}

async fn secrets(cluster: &TestCluster) -> Vec<String> {
    let secrets = cluster.api::<Secret>("default").list(&Default::default()).await.unwrap().items;
    secrets.iter().map(|secret| secret.name().to_owned()).collect()
}

async fn declared(cluster: &TestCluster, data: Value) {
    cluster.api::<ConfigMap>("default").patch("wish", &Patch::Merge(json!({"data": data}))).await.unwrap();
    cluster.settle().await;
}

#[test]
fn no_others_are_looked_at_than_those_that_are_selected() {
    in_virtual_time(async {
        let cluster = TestCluster::start(1).await;
        let other = Arc::<Mutex<Vec<bool>>>::default();
        let seen = Arc::clone(&other);
        cluster.run(move || Keeper { other: Arc::clone(&seen) });
        cluster.apply("{apiVersion: v1, kind: Secret, metadata: {name: other, labels: {part: none}}}").await;
        cluster.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: wish, labels: {kept: here}}}").await;
        declared(&cluster, json!({"one": "kept", "two": "spare"})).await;
        assert_eq!(secrets(&cluster).await, ["one", "other", "two"]);
        // At rest, and looked at once more, nothing is asked.
        let writes = cluster.writes_of("keeper");
        let note = Patch::Merge(json!({"metadata": {"annotations": {"note": "again"}}}));
        cluster.api::<ConfigMap>("default").patch("wish", &note).await.unwrap();
        cluster.settle().await;
        assert_eq!(cluster.writes_of("keeper"), writes);
        declared(&cluster, json!({"one": null})).await;
        assert_eq!(secrets(&cluster).await, ["other", "two"], "what is unwanted goes");
        let seen = other.lock().unwrap().clone();
        assert!(seen.len() > 3 && !seen.contains(&true), "{seen:?}");
        // Nobody would see it again.
        declared(&cluster, json!({"three": "neither"})).await;
        assert_eq!(secrets(&cluster).await, ["other", "two"]);
        let told = cluster.api::<k8s_openapi::api::core::v1::Event>("default").list(&Default::default()).await.unwrap();
        let messages: Vec<_> = told.items.iter().filter_map(|event| event.message.as_deref()).collect();
        let why = "Secret default/three: it is not among those that the controller looks at \
                   (labels = \"part in (kept, spare)\"), and would never be seen again";
        assert!(messages.contains(&why), "{messages:?}");
        cluster.stop().await;
    });
}

struct Misspelt;

#[controller(for = ConfigMap, reads(Secret[labels = "a in b"]), crate = "trimtab_reconcile")]
impl Misspelt {
    async fn reconcile(&self, _map: &ConfigMap, _cx: &Context<ConfigMap>) -> Result<Next> {
        Ok(Next::on_change())
    }
}

/// Before anything is asked of a server: whoever prints its role is told as well.
#[test]
#[should_panic(expected = "the controller misspelt selects objects of secrets: labels = \"a in b\"")]
fn what_is_no_selector_is_told_at_once() {
    Manager::needs_of(|manager| manager.add(Misspelt));
}

/// A way to the server that counts the watches of ConfigMaps.
struct Counting {
    inner: Arc<dyn Transport>,
    watches: Arc<AtomicUsize>,
}

impl Transport for Counting {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, std::result::Result<Response<Body>, TransportError>> {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch="));
        if is_watch && request.uri().path() == "/api/v1/configmaps" {
            self.watches.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.send(request)
    }

    fn upgrade(&self, request: Request<Bytes>) -> BoxFuture<'_, std::result::Result<Switched, TransportError>> {
        self.inner.upgrade(request)
    }

    fn server(&self) -> &str {
        self.inner.server()
    }
}

struct First(Arc<AtomicUsize>);
struct Second(Arc<AtomicUsize>);

#[controller(for = ConfigMap, reads(Secret), crate = "trimtab_reconcile")]
impl First {
    async fn reconcile(&self, _map: &ConfigMap, cx: &Context<ConfigMap>) -> Result<Next> {
        self.0.store(Arc::as_ptr(&cx.cache::<ConfigMap>().list()[0]) as usize, Ordering::Relaxed);
        Ok(Next::on_change())
    }
}

#[controller(for = Secret, reads(ConfigMap), crate = "trimtab_reconcile")]
impl Second {
    async fn reconcile(&self, _secret: &Secret, cx: &Context<Secret>) -> Result<Next> {
        self.0.store(Arc::as_ptr(&cx.cache::<ConfigMap>().list()[0]) as usize, Ordering::Relaxed);
        Ok(Next::on_change())
    }
}

#[test]
fn two_controllers_share_one_watch_and_one_cache() {
    in_virtual_time(async {
        let cluster = TestCluster::start(1).await;
        cluster.apply("{apiVersion: v1, kind: Secret, metadata: {name: a}}").await;
        cluster.settle().await;
        let watches = Arc::<AtomicUsize>::default();
        let counting = Counting { inner: cluster.client().transport(), watches: Arc::clone(&watches) };
        let manager = Manager::new(Client::new(Arc::new(counting)), cluster.env().clone());
        let seen = [Arc::<AtomicUsize>::default(), Arc::default()];
        manager.add(First(Arc::clone(&seen[0])));
        manager.add(Second(Arc::clone(&seen[1])));
        let tasks = Tasks::new();
        let (running, token) = (manager.clone(), tasks.token().clone());
        tasks.spawn("manager", async move { running.run(token).await });
        cluster.advance(std::time::Duration::from_secs(5)).await;
        let seen = seen.map(|seen| seen.load(Ordering::Relaxed));
        assert!(seen[0] != 0 && seen[0] == seen[1], "it is the same object in memory");
        assert_eq!(watches.load(Ordering::Relaxed), 1);
        tasks.shutdown().await;
        cluster.stop().await;
    });
}
