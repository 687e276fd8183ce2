//! For kube-rs, as its documentation writes controllers: an apply in each reconcile, and the status where it differs.

use std::future::ready;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Config, Resource, ResourceExt};
use serde_json::json;

use super::{HEADING, Notice, NoticeStatus, look, put_up, whole};

struct Context {
    client: Client,
    headings: Store<ConfigMap>,
}

pub(super) async fn run(kubeconfig: &Path) {
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    let client = Client::try_from(config).unwrap();
    let (notices, maps): (Api<Notice>, Api<ConfigMap>) = (Api::all(client.clone()), Api::all(client.clone()));
    let (headings, writer) = reflector::store();
    let named = watcher::Config::default().fields(&format!("metadata.name={HEADING}"));
    let changes = reflector::reflector(writer, watcher(maps.clone(), named)).default_backoff().touched_objects();
    let controller = Controller::new(notices, watcher::Config::default())
        .owns(maps, watcher::Config::default())
        .reconcile_all_on(changes.filter_map(|change| ready(change.ok().map(drop))));
    let retry = |_: Arc<Notice>, _: &kube::Error, _: Arc<Context>| Action::requeue(Duration::from_millis(100));
    controller.run(reconcile, retry, Arc::new(Context { client, headings })).for_each(|_| ready(())).await;
}

async fn reconcile(notice: Arc<Notice>, cx: Arc<Context>) -> Result<Action, kube::Error> {
    look();
    let namespace = notice.namespace().unwrap_or_default();
    let heading = cx.headings.get(&ObjectRef::new(HEADING).within(&namespace));
    let text = whole(heading.as_deref(), &notice.spec.text);
    let mut child = put_up(&notice, &text);
    child.metadata.owner_references = notice.controller_owner_ref(&()).map(|owner| vec![owner]);
    let maps: Api<ConfigMap> = Api::namespaced(cx.client.clone(), &namespace);
    let apply = PatchParams::apply("notices").force();
    maps.patch(&child.name_any(), &apply, &Patch::Apply(&child)).await?;
    let status = NoticeStatus { length: text.len() };
    if notice.status.as_ref() != Some(&status) {
        let notices: Api<Notice> = Api::namespaced(cx.client.clone(), &namespace);
        let patch = Patch::Merge(json!({"status": status}));
        notices.patch_status(&notice.name_any(), &PatchParams::default(), &patch).await?;
    }
    Ok(Action::await_change())
}
