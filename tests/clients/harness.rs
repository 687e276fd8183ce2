//! A cluster of its own for each test, with a real listener and a kubeconfig file.

use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use serde::de::DeserializeOwned;
use serde_json::Value;
use trimtab_cluster::component::{ProxyMode, RuntimeChoice};
use trimtab_cluster::{Cluster, Config};
use trimtab_env::Env;

/// How long anything may take before a test gives up. Far more than it needs: a busy machine must
/// not fail a test.
const PATIENCE: Duration = Duration::from_secs(120);

/// A cluster with one simulated node, `sim-0`.
pub(crate) struct Running {
    cluster: Cluster,
    pub(crate) dir: tempfile::TempDir,
}

impl Running {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: dir.path().join("data"),
            listen: "127.0.0.1:0".parse().unwrap(),
            manifests: Vec::new(),
            runtime: RuntimeChoice::Sim { nodes: 1 },
            proxy_mode: ProxyMode::NodePorts,
            kubeconfig: dir.path().join("kubeconfig"),
            audit: None,
        };
        let cluster = Cluster::start(config, Env::system(), &|_| {}).await.unwrap();
        let accounts: trimtab::Api<ServiceAccount> = trimtab::Api::namespaced(cluster.client(), "default");
        // A controller makes it, and the node's agent the node; pods are refused before, or wait.
        let nodes: trimtab::Api<Node> = trimtab::Api::all(cluster.client());
        let both = async {
            while accounts.get("default").await.is_err() || !nodes.get("sim-0").await.is_ok_and(|node| is_ready(&node))
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within("the default account and the node are there", both).await;
        Self { cluster, dir }
    }

    /// The file that lets its reader do everything.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// The crate `kube`'s client, as that file makes it.
    pub(crate) async fn kube(&self) -> kube::Client {
        connected(kube::config::Kubeconfig::read_from(self.kubeconfig()).unwrap()).await
    }

    pub(crate) async fn end(self) {
        self.cluster.stop().await;
    }
}

/// The crate `kube`'s client, as a kubeconfig file makes it.
pub(crate) async fn connected(file: kube::config::Kubeconfig) -> kube::Client {
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(file, &options).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
}

/// Waits for what must come.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// An object from its JSON.
#[track_caller]
pub(crate) fn object<K: DeserializeOwned>(json: Value) -> K {
    serde_json::from_value(json).unwrap()
}
