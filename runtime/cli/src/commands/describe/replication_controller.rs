//! A replication controller, with the states of its pods.

use anyhow::Result;
use serde_json::Value;
use trimtab_api::Object;
use trimtab_client::ListParams;

use k8s_openapi::api::core::v1::Pod;
use trimtab_client::Api;

use super::page::{Page, pairs};
use super::pod;
use crate::session::Session;

pub(super) async fn describe(page: &mut Page, controller: &Object, session: &Session) -> Result<()> {
    let part = |path: &[&str]| controller.at(path).cloned().unwrap_or_default();
    let number = |path: &[&str]| part(path).as_i64().unwrap_or(0);
    page.field(0, "Name", controller.name());
    page.field(0, "Namespace", controller.namespace());
    page.field(0, "Selector", pairs(&part(&["spec", "selector"])));
    page.labels(controller);
    let replicas = (number(&["status", "replicas"]), number(&["spec", "replicas"]));
    page.field(0, "Replicas", format!("{} current / {} desired", replicas.0, replicas.1));
    page.field(0, "Pods Status", pods(controller, &part(&["spec", "selector"]), session).await?);
    page.heading(0, "Pod Template");
    let template = part(&["spec", "template"]);
    page.field(1, "Labels", pairs(&template["metadata"]["labels"]));
    pod::containers(page, 1, "Init Containers", &template["spec"]["initContainers"], None);
    pod::containers(page, 1, "Containers", &template["spec"]["containers"], None);
    pod::volumes(page, 1, &template["spec"]["volumes"]);
    Ok(())
}

async fn pods(controller: &Object, selector: &Value, session: &Session) -> Result<String> {
    let api: Api<Pod> = Api::namespaced(&session.client, controller.namespace());
    let pods = api.list(&ListParams::default().labels(pairs(selector))).await?.items;
    let owned = |pod: &&Pod| {
        let owners = pod.metadata.owner_references.iter().flatten();
        owners.into_iter().any(|owner| owner.uid == controller.uid())
    };
    let phases: Vec<_> = pods
        .iter()
        .filter(owned)
        .map(|pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending"))
        .collect();
    let count = |phase: &str| phases.iter().filter(|p| **p == phase).count();
    let (running, waiting) = (count("Running"), count("Pending"));
    let (succeeded, failed) = (count("Succeeded"), count("Failed"));
    Ok(format!("{running} Running / {waiting} Waiting / {succeeded} Succeeded / {failed} Failed"))
}
