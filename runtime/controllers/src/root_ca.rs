//! Tells every namespace the authority of the API server's certificate, so that pods know whom they
//! talk to (`pkg/controller/certificates/rootcacertpublisher`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use trimtab_api::ObjectRef;
use trimtab_client::{Api, ListParams};
use trimtab_reconcile::{Context, Controller, Error, Next, Result, Setup, predicates};

/// The ConfigMap, and the key in it.
const NAME: &str = "kube-root-ca.crt";
const KEY: &str = "ca.crt";

/// Keeps the ConfigMap `kube-root-ca.crt` of every namespace.
#[derive(Debug)]
pub struct RootCaPublisher {
    data: BTreeMap<String, String>,
}

impl RootCaPublisher {
    /// Publishes `pem`.
    pub fn new(pem: &str) -> Self {
        Self { data: [(KEY.to_owned(), pem.to_owned())].into() }
    }
}

fn published() -> ListParams {
    ListParams::default().fields(format!("metadata.name={NAME}"))
}

impl Controller for RootCaPublisher {
    type Kind = Namespace;
    const NAME: &'static str = "root-ca-certificate-publisher";

    fn setup(&self, setup: &mut Setup<'_, Self>) {
        setup.watches_when::<ConfigMap>(published(), predicates::anything, |map| {
            vec![ObjectRef::new("", map.metadata.namespace.clone().unwrap_or_default())]
        });
    }

    async fn reconcile(&self, namespace: &Namespace, cx: &Context<Namespace>) -> Result<Next> {
        if namespace.metadata.deletion_timestamp.is_some() {
            return Ok(Next::on_change());
        }
        let name = namespace.metadata.name.clone().unwrap_or_default();
        let there = cx.cache_of::<ConfigMap>(published()).get(&ObjectRef::new(name.as_str(), NAME));
        let maps = Api::<ConfigMap>::namespaced(cx.client(), &name);
        let done = match there {
            Some(map) if map.data.as_ref() == Some(&self.data) => return Ok(Next::on_change()),
            Some(map) => maps.replace(&ConfigMap { data: Some(self.data.clone()), ..ConfigMap::clone(&map) }).await,
            None => {
                let metadata =
                    ObjectMeta { name: Some(NAME.to_owned()), namespace: Some(name), ..ObjectMeta::default() };
                maps.create(&ConfigMap { metadata, data: Some(self.data.clone()), ..ConfigMap::default() }).await
            }
        };
        match done {
            // The cache is behind, or the namespace is going: the watch will tell.
            Err(error) if error.is_already_exists() || error.is_not_found() => Ok(Next::on_change()),
            done => done.map(|_| Next::on_change()).map_err(Error::Client),
        }
    }
}
