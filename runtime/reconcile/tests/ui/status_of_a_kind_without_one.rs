use serde::{Deserialize, Serialize};
use trimtab_api::{Resource, Schema};

#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(group = "demo.io", version = "v1", kind = "Website", crate = "trimtab_api")]
struct WebsiteSpec {
    image: String,
}

#[trimtab_reconcile::controller(crate = "trimtab_reconcile")]
impl Reconcile for Website {
    async fn reconcile(&self, cx: &trimtab_reconcile::Context<Self>) -> trimtab_reconcile::Result<trimtab_reconcile::Next> {
        cx.status(|status| ()).await?;
        Ok(trimtab_reconcile::Next::on_change())
    }
}

fn main() {}
