//! A kind of two versions, one that lives in no namespace, and a controller with state.

use std::collections::BTreeMap;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use trimtab::{Composition, Context, Next, ObjectRef, Operator, Resource, Result, Schema, World, controller};

#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(group = "demo.io", version = "v1", kind = "Website", versions(WebsiteV1Beta1Spec), status = WebsiteStatus)]
pub(crate) struct WebsiteSpec {
    pub(crate) image: String,
    secret: Option<String>,
}

#[derive(Schema, Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct WebsiteStatus {
    pub(crate) shown: String,
}

#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(version = "v1beta1", converts = WebsiteSpec, status = WebsiteStatus, deprecated)]
pub(crate) struct WebsiteV1Beta1Spec {
    pub(crate) picture: String,
}

impl From<WebsiteV1Beta1Spec> for WebsiteSpec {
    fn from(old: WebsiteV1Beta1Spec) -> Self {
        Self { image: old.picture, secret: None }
    }
}

impl From<WebsiteSpec> for WebsiteV1Beta1Spec {
    fn from(new: WebsiteSpec) -> Self {
        Self { picture: new.image }
    }
}

#[controller(owns(ConfigMap), references(Secret => secrets), finalizer = "demo.io/website")]
impl Reconcile for Website {
    async fn reconcile(&self, cx: &Context<Self>) -> Result<Next> {
        let metadata = ObjectMeta { name: self.metadata.name.clone(), ..ObjectMeta::default() };
        let data = Some(BTreeMap::from([("image".to_owned(), self.spec.image.clone())]));
        cx.apply(ConfigMap { metadata, data, ..ConfigMap::default() }).await?;
        cx.status(|status| status.shown.clone_from(&self.spec.image)).await?;
        Ok(Next::on_change())
    }

    async fn cleanup(&self, _: &Context<Self>) -> Result<()> {
        Ok(())
    }
}

fn secrets(website: &Website) -> Vec<ObjectRef> {
    let namespace = website.metadata.namespace.clone().unwrap_or_default();
    website.spec.secret.iter().map(|name| ObjectRef::new(namespace.clone(), name.clone())).collect()
}

#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(group = "demo.io", version = "v1", kind = "Tenant", cluster)]
pub(crate) struct TenantSpec {}

#[controller(owns(Namespace))]
impl Compose for Tenant {
    fn compose(&self, _: &World<'_, Self>) -> Result<Composition<Self>> {
        let metadata = ObjectMeta { name: self.metadata.name.clone(), ..ObjectMeta::default() };
        Ok(Composition::of(self).child(Namespace { metadata, ..Namespace::default() }))
    }
}

/// Looks after pods that are there anyway.
pub(crate) struct Guard;

#[controller(for = Pod, watches(Node => nobody), reads(ConfigMap), uses(Pod/eviction: create, Lease: get | update))]
impl Guard {
    async fn reconcile(&self, _: &Pod, _: &Context<Pod>) -> Result<Next> {
        Ok(Next::on_change())
    }
}

fn nobody(_: &Node) -> Vec<ObjectRef> {
    Vec::new()
}

/// As `operator!(Website, Tenant; Guard)` makes it.
pub(crate) fn operator() -> Operator {
    Operator::new("websites", "1.2.3").kind::<Website>().kind::<Tenant>().controller(|| Guard)
}
