//! A control plane of its own for each test.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};
use trimtab_apiserver::{ApiServer, Config, Identity};
use trimtab_client::{Api, Client, DeleteParams, Patch};
use trimtab_env::{Env, Tasks};
use trimtab_reconcile::Resource;
use trimtab_store::{Memory, Store};

/// How much virtual time anything may take.
const PATIENCE: Duration = Duration::from_secs(1_000);
pub(crate) const NAMESPACE: &str = "default";
/// Whom the namespaces are told to trust.
pub(crate) const ROOT_CA: &str = "-----BEGIN CERTIFICATE-----";

/// Signs by saying for how long, or what, and anybody's certificate.
#[derive(Debug)]
struct Pen;

impl trimtab_controllers::Signer for Pen {
    fn sign(
        &self,
        _: &trimtab_api::kinds::signing_request::Request,
        _: &[String],
        from: jiff::Timestamp,
        until: jiff::Timestamp,
    ) -> Result<String, String> {
        let key = rcgen::KeyPair::generate().map_err(|error| error.to_string())?;
        let certificate = rcgen::CertificateParams::default().self_signed(&key).map_err(|error| error.to_string())?;
        // Around the certificate there may be any text.
        Ok(format!("signed {} minutes\n{}", until.duration_since(from).as_mins() - 10, certificate.pem()))
    }
}

pub(crate) struct ControlPlane {
    pub(crate) client: Client,
    pub(crate) env: Env,
    pub(crate) store: Arc<dyn Store>,
    server: ApiServer,
    tasks: Tasks,
}

impl trimtab_controllers::TokenSigner for Pen {
    fn sign(&self, claims: &trimtab_api::kinds::service_account::SecretClaims) -> Result<String, String> {
        serde_json::to_string(claims).map_err(|error| error.to_string())
    }
}

impl ControlPlane {
    /// A server with the controllers on top.
    pub(crate) async fn new() -> Self {
        let env = Env::seeded(7, "2026-01-01T00:00:00Z".parse().unwrap());
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let config =
            Config::new(trimtab_api::builtin(), Arc::clone(&store), env.clone(), ("10.96.0.0".parse().unwrap(), 24));
        let server = ApiServer::new(config).await.unwrap();
        let client = Client::new(server.transport(Identity::new("tester", &["system:masters"])));
        let plane = Self { client, env, store, server, tasks: Tasks::new() };
        plane.start();
        plane
    }

    /// Starts the controllers, as a process does.
    pub(crate) fn start(&self) {
        let (client, env, token) = (self.client.clone(), self.env.clone(), self.tasks.token().clone());
        let config = trimtab_controllers::Config {
            root_ca: Some(ROOT_CA.to_owned()),
            signer: Some(Arc::new(Pen)),
            tokens: Some(Arc::new(Pen)),
            ..trimtab_controllers::Config::default()
        };
        let run = trimtab_controllers::run(client, env, config, token);
        self.tasks.spawn("controllers", run);
    }

    /// Ends the controllers, as when their process ends.
    pub(crate) async fn stop(&mut self) {
        std::mem::take(&mut self.tasks).shutdown().await;
    }

    /// Ends everything, and waits for it.
    pub(crate) async fn end(self) {
        self.tasks.shutdown().await;
        self.server.shutdown().await;
    }

    pub(crate) fn api<K: Resource>(&self) -> Api<K> {
        Api::of(&self.client, trimtab_client::ApiResource::of::<K>(), Some(NAMESPACE))
    }

    pub(crate) async fn create<K: Resource>(&self, json: Value) -> K {
        self.api::<K>().create(&serde_json::from_value(json).unwrap()).await.unwrap()
    }

    pub(crate) async fn get<K: Resource>(&self, name: &str) -> Option<K> {
        self.api::<K>().get_opt(name).await.unwrap()
    }

    pub(crate) async fn list<K: Resource>(&self) -> Vec<K> {
        self.api::<K>().list(&Default::default()).await.unwrap().items
    }

    pub(crate) async fn delete<K: Resource>(&self, name: &str, params: DeleteParams) {
        self.api::<K>().delete(name, &params).await.unwrap();
    }

    pub(crate) async fn merge<K: Resource>(&self, name: &str, patch: Value) -> K {
        self.api::<K>().patch(name, &Patch::Merge(patch)).await.unwrap()
    }

    /// What a node's agent would report.
    pub(crate) async fn report<K: Resource>(&self, name: &str, status: Value) {
        self.api::<K>().patch_status(name, &Patch::Merge(json!({"status": status}))).await.unwrap();
    }

    /// A pod that runs at `ip` on `node` and is ready.
    pub(crate) async fn running_pod(&self, name: &str, node: &str, ip: &str) {
        let spec = json!({"nodeName": node, "containers": [{"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": 8080}]}]});
        self.create::<Pod>(json!({"metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec})).await;
        self.runs(name, ip).await;
    }

    pub(crate) async fn runs(&self, pod: &str, ip: &str) {
        let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": self.env.now()});
        self.report::<Pod>(pod, json!({"phase": "Running", "podIP": ip, "conditions": [ready]})).await;
    }

    pub(crate) async fn node(&self, name: &str) {
        self.create::<Node>(json!({"metadata": {"name": name}})).await;
        let lease =
            json!({"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": {"holderIdentity": name}});
        Api::<Lease>::all(&self.client).create(&serde_json::from_value(lease).unwrap()).await.unwrap();
        self.report::<Node>(name, json!({"conditions": [
            {"type": "Ready", "status": "True", "lastHeartbeatTime": self.env.now(), "lastTransitionTime": self.env.now()},
        ]}))
        .await;
    }

    /// The node's agent is alive for so long.
    pub(crate) async fn beat(&self, nodes: &[&str], time: Duration) {
        let end = self.env.now() + time;
        while self.env.now() < end {
            for node in nodes {
                let renewed = format!("{:.6}", self.env.now());
                let patch = Patch::Merge(json!({"spec": {"renewTime": renewed}}));
                Api::<Lease>::namespaced(&self.client, "kube-node-lease").patch(node, &patch).await.unwrap();
            }
            self.env.sleep(Duration::from_secs(10)).await;
        }
    }

    /// Waits, in virtual time, until `holds`.
    #[track_caller]
    pub(crate) fn until(&self, what: &'static str, holds: impl AsyncFn(&Self) -> bool) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let end = self.env.now() + PATIENCE;
            while !holds(self).await {
                assert!(self.env.now() < end, "{caller}: never: {what}");
                self.env.sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Lets everything that is under way come to rest.
    pub(crate) async fn settle(&self) {
        self.env.sleep(Duration::from_secs(2)).await;
    }
}
