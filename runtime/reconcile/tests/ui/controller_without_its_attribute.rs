use serde::{Deserialize, Serialize};
use trimtab_api::{Resource, Schema};

#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(group = "demo.io", version = "v1", kind = "Website", crate = "trimtab_api")]
struct WebsiteSpec {
    image: String,
}

impl trimtab_reconcile::Reconcile for Website {
    async fn reconcile(&self, _: &trimtab_reconcile::Context<Self>) -> trimtab_reconcile::Result<trimtab_reconcile::Next> {
        Ok(trimtab_reconcile::Next::on_change())
    }
}

fn main() {}
