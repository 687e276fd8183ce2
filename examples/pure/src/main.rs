//! Pages: text in a frame that others share. The controller is a function, without `async` and without a client.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::process::ExitCode;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::{Deserialize, Serialize};
use trimtab::{Composition, Conditions, Named, ObjectRef, Resource, Result, Schema, World, controller, named};

/// A page.
#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(group = "demo.io", version = "v1", kind = "Page", status = PageStatus, column("Frame", ".spec.frame"))]
struct PageSpec {
    text: String,
    /// The ConfigMap whose `html` has the word BODY where the text is to be.
    frame: String,
}

#[derive(Schema, Serialize, Deserialize, Clone, Debug, Default)]
struct PageStatus {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[controller(owns(ConfigMap), references(ConfigMap => frame_of))]
impl Compose for Page {
    fn compose(&self, world: &World<'_, Self>) -> Result<Composition<Self>> {
        let frame = world.get::<ConfigMap>(&self.spec.frame)?;
        let Some(html) = frame.as_ref().and_then(|frame| frame.data.as_ref()?.get("html")) else {
            let why = format!("the ConfigMap {:?} has no html", self.spec.frame);
            let waits = world.condition("Ready", false, "FrameMissing", why);
            return Ok(Composition::of(self).status(|status| status.conditions.put(waits)));
        };
        let data = Some(BTreeMap::from([("html".to_owned(), html.replace("BODY", &self.spec.text))]));
        let page = ConfigMap { metadata: named(format!("page-{}", self.name())), data, ..ConfigMap::default() };
        let ready = world.condition("Ready", true, "Framed", "");
        Ok(Composition::of(self).child(page).status(|status| status.conditions.put(ready)))
    }
}

fn frame_of(page: &Page) -> Vec<ObjectRef> {
    vec![ObjectRef::new(page.namespace(), page.spec.frame.as_str())]
}

fn main() -> ExitCode {
    trimtab::operator!(Page)
}
