//! One controller written three ways: for Trimtab's runtime, in its pure form, and for kube-rs. All do the same,
//! over the same kind; the tests hold them to it, and the benchmark compares them.

mod kube_rs;
mod ours;
mod pure;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use trimtab::client::Kubeconfig;
use trimtab::{Controller, Manager, Of, Resource, Schema};
use trimtab_env::{CancellationToken, Env};

/// A notice, to be put up in a ConfigMap under the heading that all share.
#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(group = "three.demo.io", version = "v1", kind = "Notice", status = NoticeStatus)]
pub(crate) struct NoticeSpec {
    pub(crate) text: String,
}

/// What is put up.
#[derive(Schema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub(crate) struct NoticeStatus {
    /// Of the whole text, in bytes.
    #[serde(default)]
    pub(crate) length: usize,
}

/// The ConfigMap with the heading.
pub(crate) const HEADING: &str = "heading";
pub(crate) const TEXT: &str = "text";

/// How often any of them has looked at a notice.
static LOOKS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn looks() -> u64 {
    LOOKS.load(Ordering::Relaxed)
}

fn look() {
    LOOKS.fetch_add(1, Ordering::Relaxed);
}

/// The ways to write it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Ours,
    Pure,
    KubeRs,
}

impl Way {
    /// Runs it until `shutdown`.
    pub(crate) async fn run(self, kubeconfig: &Path, shutdown: CancellationToken) {
        match self {
            Self::Ours => managed(kubeconfig, ours::Notices, shutdown).await,
            Self::Pure => managed(kubeconfig, Of::<Notice>::new(), shutdown).await,
            Self::KubeRs => drop(shutdown.run_until_cancelled(kube_rs::run(kubeconfig)).await),
        }
    }
}

async fn managed(kubeconfig: &Path, controller: impl Controller, shutdown: CancellationToken) {
    let client = Kubeconfig::read(kubeconfig).unwrap().client(None).unwrap();
    let manager = Manager::new(client, Env::system());
    manager.add(controller);
    manager.run(shutdown).await;
}

/// The whole text of a notice.
fn whole(heading: Option<&ConfigMap>, text: &str) -> String {
    let heading = heading.and_then(|map| map.data.as_ref()?.get(TEXT));
    format!("{}: {text}", heading.map_or("no heading", String::as_str))
}

fn put_up(notice: &Notice, whole: &str) -> ConfigMap {
    let name = notice.metadata.name.as_ref().map(|name| format!("{name}-notice"));
    let data = BTreeMap::from([(TEXT.to_owned(), whole.to_owned())]);
    ConfigMap { metadata: ObjectMeta { name, ..ObjectMeta::default() }, data: Some(data), ..ConfigMap::default() }
}
