//! How objects come from one version to another.

use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::WebhookClientConfig;
use serde::Deserialize;
use serde_json::Value;

use super::{text, texts};
use crate::check::Checks;
use crate::field::{Error, Path};
use crate::kinds::webhooks::{client_config, review_versions};
use crate::object::Object;
use crate::pem;

/// The webhook that converts the objects of a definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversion {
    /// How it is reached. Definitions say it as admission webhooks do.
    pub client_config: WebhookClientConfig,
    /// The versions of ConversionReview that it knows, the preferred first.
    pub versions: Vec<String>,
}

// What it holds is text and numbers.
impl Eq for Conversion {}

/// The webhook of a definition; `None` when objects need only another `apiVersion`.
pub(super) fn of(definition: &Object) -> Option<Arc<Conversion>> {
    let webhook = webhook(definition)?;
    let client_config = WebhookClientConfig::deserialize(&webhook["clientConfig"]).ok()?;
    let versions = texts(&webhook["conversionReviewVersions"]).map(str::to_owned).collect();
    Some(Arc::new(Conversion { client_config, versions }))
}

fn webhook(definition: &Object) -> Option<&Value> {
    let conversion = definition.at(&["spec", "conversion"]).filter(|conversion| conversion["strategy"] == "Webhook")?;
    Some(&conversion["webhook"])
}

/// What is wrong with the authority that the webhook of a definition is to be known by, if it names one. A new
/// definition may wait for somebody to put it right, and is not served meanwhile.
pub(super) fn bad_authority(definition: &Object) -> Option<(ByteString, String)> {
    let bundle = &webhook(definition)?["clientConfig"]["caBundle"];
    let bundle = ByteString::deserialize(bundle).ok().filter(|bundle| !bundle.0.is_empty())?;
    let why = pem::authority(&bundle.0).err()?;
    Some((bundle, why))
}

/// What was in force must stay so.
pub(super) fn check_authority(definition: &Object, old: &Object, checks: &mut Checks) {
    if let Some((bundle, why)) = bad_authority(definition).filter(|_| bad_authority(old).is_none()) {
        checks.invalid(&Path::new("spec.conversion.webhookClientConfig.caBundle"), bundle, &why);
    }
}

/// What is wrong with the `conversion` of a definition.
pub(super) fn check(conversion: &Value, path: &Path, checks: &mut Checks) {
    if conversion.is_null() {
        return;
    }
    let strategy = text(&conversion["strategy"]);
    checks.one_of(&path.child("strategy"), strategy, &["None", "Webhook"]);
    let webhook = &conversion["webhook"];
    let (config, versions) = (&webhook["clientConfig"], texts(&webhook["conversionReviewVersions"]).map(str::to_owned));
    let versions: Vec<String> = versions.collect();
    let (config_path, versions_path) = (path.child("webhookClientConfig"), path.child("conversionReviewVersions"));
    if strategy != "Webhook" {
        let detail = "should not be set when strategy is not set to Webhook";
        if !config.is_null() {
            checks.forbidden(&config_path, detail);
        }
        if !versions.is_empty() {
            checks.forbidden(&versions_path, detail);
        }
        return;
    }
    match WebhookClientConfig::deserialize(config) {
        _ if config.is_null() => {
            checks.push(Error::required(&config_path, "required when strategy is set to Webhook"));
        }
        Ok(config) => client_config(&config_path, &config, checks),
        Err(error) => checks.push(Error::type_invalid(&config_path, "", error)),
    }
    review_versions(&versions_path, &versions, checks);
}
