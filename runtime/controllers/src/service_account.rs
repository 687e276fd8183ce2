//! Service accounts: every namespace has one called `default`, which pods use that name no other.

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use trimtab_api::ObjectRef;
use trimtab_reconcile::{Context, Error, Next, Result, controller};

const DEFAULT: &str = "default";

/// Keeps the `default` service account of every namespace.
#[derive(Debug, Default)]
pub struct DefaultServiceAccount;

#[controller(
    for = Namespace,
    watches(ServiceAccount => namespace_of),
    name = "service-account",
    crate = "trimtab_reconcile"
)]
impl DefaultServiceAccount {
    async fn reconcile(&self, namespace: &Namespace, cx: &Context<Namespace>) -> Result<Next> {
        let name = namespace.metadata.name.clone().unwrap_or_default();
        let there = cx.cache::<ServiceAccount>().get(&ObjectRef::new(name.as_str(), DEFAULT)).is_some();
        if there || namespace.metadata.deletion_timestamp.is_some() {
            return Ok(Next::on_change());
        }
        let metadata = ObjectMeta { name: Some(DEFAULT.to_owned()), namespace: Some(name), ..ObjectMeta::default() };
        match cx.create(&ServiceAccount { metadata, ..ServiceAccount::default() }).await {
            Err(Error::Client(error)) if error.is_already_exists() => Ok(Next::on_change()),
            made => made.map(|_| Next::on_change()),
        }
    }
}

fn namespace_of(account: &ServiceAccount) -> Vec<ObjectRef> {
    vec![ObjectRef::new("", account.metadata.namespace.clone().unwrap_or_default())]
}
