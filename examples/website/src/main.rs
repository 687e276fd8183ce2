//! Websites: pods behind a Service, and a record in the zone that all namespaces share.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::process::ExitCode;

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, PodSpec, PodTemplateSpec, ReplicationController, ReplicationControllerSpec, Service,
    ServicePort, ServiceSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use trimtab::client::DeleteParams;
use trimtab::{Context, Named, Next, ObjectRef, Resource, Result, Schema, controller, named};

/// A website.
#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(group = "demo.io", version = "v1", kind = "Website", short = "web", status = WebsiteStatus,
           scale(replicas = ".spec.replicas", status = ".status.ready"), column("Ready", ".status.ready"))]
struct WebsiteSpec {
    image: String,
    #[resource(default = 1, rule = "self <= 100")]
    replicas: i32,
}

/// How many of its pods answer.
#[derive(Schema, Serialize, Deserialize, Clone, Debug, Default)]
struct WebsiteStatus {
    ready: i32,
}

#[controller(owns(ReplicationController, Service), reads(ConfigMap), uses(ConfigMap: create | patch | delete),
             finalizer = "demo.io/dns")]
impl Reconcile for Website {
    async fn reconcile(&self, cx: &Context<Self>) -> Result<Next> {
        let pods = cx.apply(self.pods()).await?;
        cx.apply(self.service()).await?;
        if cx.get::<ConfigMap>(ObjectRef::of(&self.record()))?.is_none() {
            cx.apply_unowned(&self.record()).await?;
        }
        let ready = pods.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
        cx.status(|status| status.ready = ready).await?;
        Ok(Next::on_change())
    }

    // No owner reference leads out of a namespace.
    async fn cleanup(&self, cx: &Context<Self>) -> Result<()> {
        match cx.get::<ConfigMap>(ObjectRef::of(&self.record()))? {
            Some(record) => cx.delete(&*record, DeleteParams::default()).await,
            None => Ok(()),
        }
    }
}

impl Website {
    fn labels(&self) -> Option<BTreeMap<String, String>> {
        Some(BTreeMap::from([("website".to_owned(), self.name().to_owned())]))
    }

    fn pods(&self) -> ReplicationController {
        let image = Some(self.spec.image.clone());
        let containers = vec![Container { name: "web".to_owned(), image, ..Container::default() }];
        let metadata = Some(ObjectMeta { labels: self.labels(), ..ObjectMeta::default() });
        let template = Some(PodTemplateSpec { metadata, spec: Some(PodSpec { containers, ..PodSpec::default() }) });
        let (replicas, selector) = (Some(self.spec.replicas), self.labels());
        let spec = Some(ReplicationControllerSpec { replicas, selector, template, ..Default::default() });
        ReplicationController { metadata: named(self.name()), spec, ..Default::default() }
    }

    fn service(&self) -> Service {
        let ports = Some(vec![ServicePort { port: 80, ..ServicePort::default() }]);
        let spec = Some(ServiceSpec { selector: self.labels(), ports, ..ServiceSpec::default() });
        Service { metadata: named(self.name()), spec, ..Service::default() }
    }

    fn record(&self) -> ConfigMap {
        let host = format!("{}.{}", self.name(), self.namespace());
        let metadata = ObjectMeta { namespace: Some("dns".to_owned()), ..named(&host) };
        let data = Some(BTreeMap::from([("CNAME".to_owned(), format!("{host}.svc.cluster.local"))]));
        ConfigMap { metadata, data, ..ConfigMap::default() }
    }
}

fn main() -> ExitCode {
    trimtab::operator!(Website)
}
