//! An API server in memory, a directory, and a syncer between them that can be stopped and started.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use trimtab_api::Object;
use trimtab_apiserver::{ApiServer, Config as ServerConfig, Identity};
use trimtab_client::{Api, ApiResource, Client, ListParams, Patch};
use trimtab_env::{CancellationToken, Env};
use trimtab_store::Memory;
use trimtab_sync::{Config, ManifestFile, ManifestFileStatus, run};

/// How long something may take to come true.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) folder: tempfile::TempDir,
    syncer: JoinSet<()>,
    shutdown: CancellationToken,
    _server: ApiServer,
}

impl World {
    /// A world whose syncer runs.
    pub(crate) async fn new() -> Self {
        let kinds = trimtab_api::builtin().with([ManifestFile::kind()]);
        let config =
            ServerConfig::new(kinds, Arc::new(Memory::new()), Env::system(), (Ipv4Addr::new(10, 96, 0, 0), 16));
        let server = ApiServer::new(config).await.unwrap();
        let client = Client::new(server.transport(Identity::new("sync", &["system:masters"])));
        let folder = tempfile::tempdir().unwrap();
        let (syncer, shutdown) = (JoinSet::new(), CancellationToken::new());
        let mut world = Self { client, folder, syncer, shutdown, _server: server };
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}});
        world.apply_as("kubectl", "Namespace", "", "default", namespace).await;
        world.start();
        world
    }

    pub(crate) fn start(&mut self) {
        self.shutdown = CancellationToken::new();
        let config = Config { dirs: vec![self.folder.path().to_owned()] };
        let (client, shutdown) = (self.client.clone(), self.shutdown.clone());
        self.syncer.spawn(async move { run(client, Env::system(), config, shutdown).await.unwrap() });
    }

    pub(crate) async fn stop(&mut self) {
        self.shutdown.cancel();
        while let Some(ended) = self.syncer.join_next().await {
            ended.unwrap();
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    pub(crate) fn api(&self, kind: &str, namespace: &str) -> Api<Object> {
        let kinds = trimtab_api::builtin();
        let kind = kinds.by_kind("v1", kind).expect("a built-in kind");
        Api::dynamic(&self.client, &ApiResource::from(&**kind), Some(namespace))
    }

    pub(crate) async fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Object> {
        self.api(kind, namespace).get_opt(name).await.unwrap()
    }

    /// `data.key` of a ConfigMap in `default`; `""` when there is none.
    pub(crate) async fn value(&self, name: &str) -> String {
        self.get("ConfigMap", "default", name).await.map_or_else(String::new, |o| o.str_at(&["data", "key"]).to_owned())
    }

    /// Server-side apply by someone else.
    pub(crate) async fn apply_as(&self, manager: &str, kind: &str, namespace: &str, name: &str, object: Value) {
        let patch = Patch::Apply { object, manager: manager.to_owned(), force: true };
        self.api(kind, namespace).patch(name, &patch).await.unwrap();
    }

    /// Changes a ConfigMap of `default` by hand.
    pub(crate) async fn patch(&self, name: &str, patch: Value) {
        self.api("ConfigMap", "default").patch(name, &Patch::Merge(patch)).await.unwrap();
    }

    pub(crate) async fn files(&self) -> Vec<ManifestFile> {
        Api::<ManifestFile>::all(&self.client).list(&ListParams::default()).await.unwrap().items
    }

    /// The status of a file, once it has one.
    pub(crate) async fn status(&self, name: &str) -> Option<ManifestFileStatus> {
        let path = self.path(name).to_string_lossy().into_owned();
        self.files().await.into_iter().find(|file| file.spec.path == path)?.status
    }

    pub(crate) async fn is_ready(&self, name: &str) -> bool {
        let status = self.status(name).await.unwrap_or_default();
        status.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    }

    pub(crate) async fn error(&self, name: &str) -> String {
        self.status(name).await.and_then(|status| status.last_error).unwrap_or_default()
    }

    /// Waits until `holds`.
    ///
    /// # Panics
    /// When it does not come true, with what the files' objects say.
    pub(crate) async fn eventually<F: Future<Output = bool>>(&self, what: &str, holds: impl Fn() -> F) {
        let wait = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            let files = self.files().await;
            panic!("{what}: {:#?}", files.iter().map(|file| (&file.spec, &file.status)).collect::<Vec<_>>());
        }
    }
}

pub(crate) fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: {value}\n")
}

/// Writes as a careful program does: beside, then renamed over.
pub(crate) fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("tmp");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}
