struct Websites;

#[derive(serde::Serialize, serde::Deserialize, Clone, Debug)]
struct Settings;

#[trimtab_reconcile::controller(for = k8s_openapi::api::core::v1::Pod, owns(Settings), crate = "trimtab_reconcile")]
impl Websites {
    async fn reconcile(
        &self,
        _: &k8s_openapi::api::core::v1::Pod,
        _: &trimtab_reconcile::Context<k8s_openapi::api::core::v1::Pod>,
    ) -> trimtab_reconcile::Result<trimtab_reconcile::Next> {
        Ok(trimtab_reconcile::Next::on_change())
    }
}

fn main() {}
