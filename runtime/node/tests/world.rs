//! An API server in memory, and an agent beside it.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use serde_json::{Value, json};
use tempfile::TempDir;
use trimtab_apiserver::{ApiServer, Identity};
use trimtab_client::{Api, Client};
use trimtab_env::{Env, Tasks};
use trimtab_node::{Config, NodeConfig, Runtime};
use trimtab_reconcile::Manager;
use trimtab_store::Memory;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// An API server with some nodes.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) env: Env,
    api: ApiServer,
    agent: Tasks,
    files: TempDir,
}

impl World {
    /// An API server, and no nodes yet.
    pub(crate) async fn new() -> Self {
        let env = Env::system();
        let config = trimtab_apiserver::Config::new(
            trimtab_api::builtin(),
            Arc::new(Memory::new()),
            env.clone(),
            ("10.96.0.0".parse().expect("an address"), 16),
        );
        let api = ApiServer::new(config).await.expect("an empty store can be read");
        let identity = Identity::new("test", &["system:masters"]);
        let client = Client::new(api.transport(identity));
        for name in ["default", "kube-node-lease"] {
            let namespace: Namespace =
                serde_json::from_value(json!({"metadata": {"name": name}})).expect("a namespace");
            let made = Api::<Namespace>::all(&client).create(&namespace).await;
            assert!(made.as_ref().map_or_else(|error| error.is_already_exists(), |_| true), "{made:?}");
        }
        Self { client, env, api, agent: Tasks::new(), files: tempfile::tempdir().expect("a folder") }
    }

    /// Starts an agent with these nodes; one that runs is ended first.
    pub(crate) async fn start(&mut self, runtimes: Vec<(String, Arc<dyn Runtime>)>) {
        self.agent.shutdown().await;
        self.agent = Tasks::new();
        let node = |(name, runtime)| NodeConfig {
            name,
            runtime,
            address: "127.0.0.1".parse().expect("an address"),
            labels: BTreeMap::new(),
            taints: Vec::new(),
            max_pods: 110,
        };
        let manager = Manager::new(self.client.clone(), self.env.clone());
        let config = Config {
            nodes: runtimes.into_iter().map(node).collect(),
            pods: manager.cache(),
            root: self.files.path().to_owned(),
            cluster_dns: None,
            cluster_domain: "cluster.local".to_owned(),
            server: None,
        };
        let (client, token) = (self.client.clone(), self.agent.token().clone());
        self.agent.spawn("agent", async move {
            if let Err(error) = trimtab_node::run(manager, client, config, token).await {
                panic!("the agent failed: {error}");
            }
        });
    }

    /// Where an `emptyDir` volume of a pod is.
    pub(crate) fn volume(&self, pod: &Pod, name: &str) -> PathBuf {
        let uid = pod.metadata.uid.as_deref().expect("a uid");
        self.files.path().join("pods").join(uid).join("volumes").join(name)
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(&self.client, "default")
    }

    /// Makes a pod that is bound already.
    pub(crate) async fn create(&self, name: &str, node: &str, spec: Value) -> Pod {
        let mut spec = spec;
        spec["nodeName"] = node.into();
        let pod = serde_json::from_value(json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec}));
        self.pods().create(&pod.expect("a pod")).await.expect("the pod is accepted")
    }

    /// Waits until the pod is as wanted.
    pub(crate) async fn until(&self, name: &str, what: &str, wanted: impl Fn(&Pod) -> bool) -> Pod {
        let asked = eventually(|| async { self.pods().get(name).await.ok().filter(|pod| wanted(pod)) });
        match asked.await {
            Some(pod) => pod,
            None => panic!("{name} is not {what}: {:#?}", self.pods().get(name).await.map(|pod| pod.status)),
        }
    }

    /// Waits until the pod is gone.
    pub(crate) async fn until_gone(&self, name: &str) {
        let gone = eventually(|| async { self.pods().get_opt(name).await.ok().filter(Option::is_none) });
        assert!(gone.await.is_some(), "{name} is still there");
    }

    /// Ends the agent and the API server.
    pub(crate) async fn end(self) {
        self.agent.shutdown().await;
        self.api.shutdown().await;
    }
}

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(ask: impl Fn() -> F) -> Option<T> {
    tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .ok()
}

/// Whether the pod runs and is ready.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The id and restart count of the pod's first container.
pub(crate) fn first(pod: &Pod) -> (String, i32) {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let first = statuses.first().expect("a container status");
    (first.container_id.clone().unwrap_or_default(), first.restart_count)
}
