//! The webhook that converts between versions: its certificate, and what a definition says of it
//! (<https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/>).

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use k8s_openapi::ByteString;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{ServiceReference, WebhookClientConfig};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use trimtab_api::custom::Declaration;
use trimtab_client::provider;

use crate::arguments::Webhook;

/// Where conversion reviews are answered.
pub(crate) const PATH: &str = "/convert";

/// A certificate, its key, and whom to trust it for, in PEM.
pub(crate) struct Certificate {
    chain: String,
    key: String,
    /// Without it, whoever calls trusts the system's authorities.
    pub(crate) authority: Option<String>,
}

impl Certificate {
    /// That of a folder, as a Secret of the type `kubernetes.io/tls` is mounted.
    pub(crate) fn read(dir: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = dir.join(name);
            std::fs::read_to_string(&path)
                .with_context(|| format!("--webhook-cert-dir: could not read {}", path.display()))
        };
        let authority = dir.join("ca.crt").exists().then(|| read("ca.crt")).transpose()?;
        Ok(Self { chain: read("tls.crt")?, key: read("tls.key")?, authority })
    }

    /// One that vouches for itself, for a server of these names.
    pub(crate) fn make(names: Vec<String>) -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed(names).context("could not make the webhook's certificate")?;
        let chain = made.cert.pem();
        Ok(Self { authority: Some(chain.clone()), chain, key: made.signing_key.serialize_pem() })
    }

    pub(crate) fn server_config(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes()).collect::<Result<Vec<_>, _>>();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let config = config.with_no_client_auth();
        let config = config.with_single_cert(
            chain.context("tls.crt holds no certificate in PEM")?,
            key.context("tls.key holds no private key in PEM")?,
        );
        Ok(Arc::new(config.context("tls.crt and tls.key do not fit together")?))
    }
}

impl Webhook {
    /// Whether it is said where it is.
    pub(crate) fn is_given(&self) -> bool {
        self.webhook_url.is_some() || self.webhook_service.is_some()
    }

    /// The names under which it is called.
    pub(crate) fn names(&self) -> Vec<String> {
        let url = self.webhook_url.iter().filter_map(|url| url.host_str());
        // An IPv6 address stands in brackets in a URL.
        let url = url.map(|host| host.trim_matches(['[', ']']).to_owned());
        let service = self.webhook_service.iter().map(|service| format!("{}.{}.svc", service.name, service.namespace));
        url.chain(service).collect()
    }

    /// What a definition says of it; `None` when it is not said where it is.
    pub(crate) fn client_config(&self, authority: Option<&str>) -> Option<WebhookClientConfig> {
        let url = self.webhook_url.as_ref().map(|url| match url.path() {
            "/" => url.join(PATH).map_or_else(|_| url.to_string(), |url| url.to_string()),
            _ => url.to_string(),
        });
        let service = self.webhook_service.as_ref().map(|service| ServiceReference {
            namespace: service.namespace.clone(),
            name: service.name.clone(),
            path: Some(PATH.to_owned()),
            port: Some(443),
        });
        let ca_bundle = authority.map(|pem| ByteString(pem.as_bytes().to_vec()));
        self.is_given().then_some(WebhookClientConfig { ca_bundle, service, url })
    }
}

/// The definition, with the webhook if versions are to be converted.
pub(crate) fn definition(declaration: &Declaration, webhook: Option<&WebhookClientConfig>) -> Value {
    match webhook.filter(|_| declaration.converts()) {
        Some(webhook) => declaration.converted_by(webhook),
        None => declaration.definition(),
    }
}

/// Answers a review: all objects of one are of the same kind.
pub(crate) fn convert(kinds: &[&'static Declaration], review: &Value) -> Value {
    let request = &review["request"];
    let wanted = request["desiredAPIVersion"].as_str().unwrap_or_default();
    let group = wanted.split_once('/').map_or("", |(group, _)| group);
    let kind = request["objects"][0]["kind"].as_str();
    let found =
        kinds.iter().find(|known| known.names.group == group && kind.is_none_or(|kind| known.names.kind == kind));
    match found {
        Some(declaration) => declaration.convert(review),
        None => {
            let message = format!("nothing here converts {} to {wanted:?}", kind.unwrap_or("what is nothing"));
            let response = json!({"uid": request["uid"], "convertedObjects": [], "result": {"status": "Failure", "message": message}});
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response})
        }
    }
}
