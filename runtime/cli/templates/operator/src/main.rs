//! {{Kind}}: pods of an image, as many as it says.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::process::ExitCode;

use k8s_openapi::api::core::v1::{
    Container, PodSpec, PodTemplateSpec, ReplicationController, ReplicationControllerSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use serde::{Deserialize, Serialize};
use trimtab::{Conditions, Context, Named, Next, Resource, Result, Schema, controller, named};

/// What is wanted.
#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(
    group = "{{group}}",
    version = "v1",
    kind = "{{Kind}}",
    status = {{Kind}}Status,
    scale(replicas = ".spec.replicas", status = ".status.ready"),
    column("Ready", ".status.ready")
)]
struct {{Kind}}Spec {
    /// What runs.
    image: String,
    /// How many of it there are.
    #[resource(default = 1, rule = "self >= 0 && self <= 100")]
    replicas: i32,
}

/// What there is.
#[derive(Schema, Serialize, Deserialize, Clone, Debug, Default)]
struct {{Kind}}Status {
    /// How many pods are ready.
    #[serde(default)]
    ready: i32,
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[controller(owns(ReplicationController))]
impl Reconcile for {{Kind}} {
    async fn reconcile(&self, cx: &Context<Self>) -> Result<Next> {
        let pods = cx.apply(self.pods()).await?;
        let ready = pods.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
        let condition = if ready >= self.spec.replicas {
            cx.condition("Ready", true, "Running", "")
        } else {
            cx.condition("Ready", false, "Starting", "some pods are not ready yet")
        };
        cx.status(|status| {
            status.ready = ready;
            status.conditions.put(condition);
        })
        .await?;
        Ok(Next::on_change())
    }
}

impl {{Kind}} {
    fn pods(&self) -> ReplicationController {
        let labels = Some(BTreeMap::from([("{{name}}".to_owned(), self.name().to_owned())]));
        let container =
            Container { name: "main".to_owned(), image: Some(self.spec.image.clone()), ..Container::default() };
        let template = PodTemplateSpec {
            metadata: Some(ObjectMeta { labels: labels.clone(), ..ObjectMeta::default() }),
            spec: Some(PodSpec { containers: vec![container], ..PodSpec::default() }),
        };
        let spec = ReplicationControllerSpec {
            replicas: Some(self.spec.replicas),
            selector: labels,
            template: Some(template),
            ..ReplicationControllerSpec::default()
        };
        ReplicationController { metadata: named(self.name()), spec: Some(spec), ..ReplicationController::default() }
    }
}

fn main() -> ExitCode {
    trimtab::operator!({{Kind}})
}
