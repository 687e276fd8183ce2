//! In the pure form.

use k8s_openapi::api::core::v1::ConfigMap;
use trimtab::{Composition, Result, World, controller};

use super::ours::heading;
use super::{HEADING, Notice, look, put_up, whole};

#[controller(owns(ConfigMap), references(ConfigMap => heading))]
impl Compose for Notice {
    fn compose(&self, world: &World<'_, Self>) -> Result<Composition<Self>> {
        look();
        let text = whole(world.get::<ConfigMap>(HEADING)?.as_deref(), &self.spec.text);
        let child = put_up(self, &text);
        Ok(Composition::of(self).child(child).status(move |status| status.length = text.len()))
    }
}
