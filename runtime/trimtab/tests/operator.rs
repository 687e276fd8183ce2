//! A kind and its controller as a user writes them, against the API server in process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use trimtab::client::{DeleteParams, Patch};
use trimtab::{Api, Client, Context, Manager, Next, Of, Resource, Result, controller};
use trimtab_apiserver::{ApiServer, Config, Identity};
use trimtab_env::{CancellationToken, Env, Tasks};
use trimtab_store::Memory;

/// A greeting, to be held ready in a ConfigMap.
#[derive(Resource, Serialize, Deserialize, JsonSchema, Clone, Debug)]
#[resource(group = "demo.io", version = "v1", kind = "Greeting", status = GreetingStatus, column("Text", ".spec.text"))]
pub struct GreetingSpec {
    text: String,
    #[resource(default = 1)]
    #[schemars(range(max = 3))]
    #[serde(default)]
    times: usize,
}

/// How long the greeting is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
pub struct GreetingStatus {
    length: usize,
}

#[controller(owns(ConfigMap), finalizer = "demo.io/farewell")]
impl Reconcile for Greeting {
    async fn reconcile(&self, cx: &Context<Self>) -> Result<Next> {
        let text = vec![self.spec.text.as_str(); self.spec.times].join(" ");
        let length = text.len();
        cx.apply(map(self, self.metadata.name.clone(), text)).await?;
        cx.status(|status| status.length = length).await?;
        Ok(Next::on_change())
    }

    async fn cleanup(&self, cx: &Context<Self>) -> Result<()> {
        cx.apply_unowned(&map(self, Some("farewell".to_owned()), self.spec.text.clone())).await?;
        Ok(())
    }
}

fn map(greeting: &Greeting, name: Option<String>, text: String) -> ConfigMap {
    let metadata = ObjectMeta { name, namespace: greeting.metadata.namespace.clone(), ..ObjectMeta::default() };
    ConfigMap { metadata, data: Some(BTreeMap::from([("text".to_owned(), text)])), ..ConfigMap::default() }
}

struct Cluster {
    client: Client,
    tasks: Tasks,
    shutdown: CancellationToken,
}

impl Cluster {
    async fn start() -> Self {
        let env = Env::seeded(7, "2026-01-01T00:00:00Z".parse().unwrap());
        let config = Config::new(
            trimtab::api::builtin().with([Greeting::kind()]),
            Arc::new(Memory::new()),
            env.clone(),
            ("10.96.0.0".parse().unwrap(), 24),
        );
        let server = ApiServer::new(config).await.unwrap();
        let client = Client::new(server.transport(Identity::new("tester", &["system:masters"])));
        let manager = Manager::new(client.clone(), env);
        manager.add(Of::<Greeting>::new());
        let (tasks, shutdown) = (Tasks::new(), CancellationToken::new());
        let stop = shutdown.clone();
        tasks.spawn("manager", async move { manager.run(stop).await });
        Self { client, tasks, shutdown }
    }

    fn greetings(&self) -> Api<Greeting> {
        Api::namespaced(&self.client, "default")
    }

    // The text of the ConfigMap `name` once it is as `wanted`; time is virtual.
    async fn text_becomes(&self, name: &str, wanted: Option<&str>) {
        let maps: Api<ConfigMap> = Api::namespaced(&self.client, "default");
        let text = |map: Option<ConfigMap>| map.and_then(|map| map.data?.get("text").cloned());
        for _ in 0..1000 {
            if text(maps.get_opt(name).await.unwrap()).as_deref() == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{name} is {:?}, not {wanted:?}", text(maps.get_opt(name).await.unwrap()));
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.shutdown().await;
    }
}

fn greeting(text: &str, times: usize) -> Greeting {
    let mut greeting = Greeting::new("hello", GreetingSpec { text: text.to_owned(), times });
    greeting.metadata.namespace = Some("default".to_owned());
    greeting
}

#[tokio::test(start_paused = true)]
async fn a_declared_kind_is_reconciled_repaired_and_cleaned_up() {
    let cluster = Cluster::start().await;
    cluster.greetings().create(&greeting("hi", 2)).await.unwrap();
    cluster.text_becomes("hello", Some("hi hi")).await;

    // What the controller owns wakes it.
    let maps: Api<ConfigMap> = Api::namespaced(&cluster.client, "default");
    maps.delete("hello", &DeleteParams::default()).await.unwrap();
    cluster.text_becomes("hello", Some("hi hi")).await;
    maps.patch("hello", &Patch::Merge(json!({"data": {"text": "changed"}}))).await.unwrap();
    cluster.text_becomes("hello", Some("hi hi")).await;

    cluster.greetings().patch("hello", &Patch::Merge(json!({"spec": {"text": "hey"}}))).await.unwrap();
    cluster.text_becomes("hello", Some("hey hey")).await;
    let found = cluster.greetings().get("hello").await.unwrap();
    assert_eq!(found.metadata.finalizers, Some(vec!["demo.io/farewell".to_owned()]));

    cluster.greetings().delete("hello", &DeleteParams::default()).await.unwrap();
    cluster.text_becomes("farewell", Some("hey")).await;
    for _ in 0..1000 {
        if cluster.greetings().get_opt("hello").await.unwrap().is_none() {
            return cluster.stop().await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the finalizer was not taken away");
}

#[tokio::test(start_paused = true)]
async fn the_server_fills_defaults_and_holds_to_the_schema() {
    let cluster = Cluster::start().await;
    let apply = |spec| {
        let object =
            json!({"apiVersion": "demo.io/v1", "kind": "Greeting", "metadata": {"name": "hello"}, "spec": spec});
        Patch::Apply { object, manager: "test".to_owned(), force: false }
    };
    let made = cluster.greetings().patch("hello", &apply(json!({"text": "hi"}))).await.unwrap();
    assert_eq!(made.spec.times, 1);
    let error = cluster.greetings().patch("hello", &apply(json!({"text": "hi", "times": 4}))).await.unwrap_err();
    let expected = "Greeting.demo.io \"hello\" is invalid: spec.times: Invalid value: 4: spec.times in body should be less than or equal to 3";
    assert_eq!(error.to_string(), expected);
    cluster.stop().await;
}
