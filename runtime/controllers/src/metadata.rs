//! Any object, reading no more of it than its metadata.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::Deserialize;
use trimtab_client::{Api, Error, ListParams};

const PAGE: usize = 500;

/// The metadata that the generic reconcilers need.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Meta {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    pub(crate) deletion_timestamp: Option<String>,
    pub(crate) finalizers: Vec<String>,
    pub(crate) owner_references: Vec<OwnerReference>,
}

impl Meta {
    /// Whether the object is being deleted and `finalizer` holds it.
    pub(crate) fn is_deleting_with(&self, finalizer: &str) -> bool {
        self.deletion_timestamp.is_some() && self.finalizers.iter().any(|f| f == finalizer)
    }
}

/// Any object, but only its metadata.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Seen {
    #[serde(default)]
    pub(crate) metadata: Meta,
}

/// The metadata of all objects of `api`, and the version they were read at.
pub(crate) async fn list(api: &Api<Seen>) -> Result<(String, Vec<Meta>), Error> {
    let (mut params, mut metas) = (ListParams::default().limit(PAGE), Vec::new());
    loop {
        let page = api.list(&params).await?;
        metas.extend(page.items.into_iter().map(|seen| seen.metadata));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok((page.metadata.resource_version.unwrap_or_default(), metas)),
        }
    }
}
