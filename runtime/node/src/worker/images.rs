//! The images of a pod's containers.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use trimtab_env::HashMap;

use super::Worker;
use super::fault::Fault;
use super::start::Prepared;
use crate::node::Node;
use crate::pod::actions::Start;
use crate::pod::keyring::Keyring;
use crate::pod::references::References;
use crate::runtime::{self, Image};

/// A pull that is over by then goes without saying.
const SOON: Duration = Duration::from_millis(250);

/// Images by the names pods give them, and why they could not be had.
pub(super) type Images = HashMap<String, Result<Image, Fault>>;

impl Worker {
    /// The images that are there and need not be asked for again.
    pub(super) async fn present_images(&self, starts: &[Start]) -> Images {
        let names: BTreeSet<&str> = starts.iter().filter_map(|s| self.wanted(&s.name)?.image.as_deref()).collect();
        let lookups = names.into_iter().map(|name| async move { (name.to_owned(), self.node.image(name).await) });
        let found = join_all(lookups).await.into_iter();
        let known = found
            .filter_map(|(name, found)| Some((name, found.map_err(Fault::because("ImageInspectError")).transpose()?)));
        known.collect()
    }

    /// Pulls images by their containers' policies. When that takes long, the status says so meanwhile.
    pub(super) async fn pull_missing(&mut self, starts: &[Start], prepared: &mut Prepared) {
        let mut wanted: BTreeMap<String, String> = BTreeMap::new();
        for start in starts {
            let Some(container) = self.wanted(&start.name) else { continue };
            let image = container.image.clone().unwrap_or_default();
            let policy = container.image_pull_policy.as_deref().unwrap_or("IfNotPresent");
            let present = prepared.images.contains_key(&image);
            match (policy, present) {
                ("Always", _) | ("IfNotPresent", false) => drop(wanted.insert(image, container.name.clone())),
                ("Never", false) => {
                    let message = format!("Container image \"{image}\" is not present with pull policy of Never");
                    self.node.event(&self.pod, Some(&container.name), true, "ErrImageNeverPull", message.clone());
                    prepared.images.insert(image, Err(Fault::Waits("ErrImageNeverPull", message)));
                }
                _ => {
                    let message = format!("Container image \"{image}\" already present on machine");
                    self.node.event(&self.pod, Some(&container.name), false, "Pulled", message);
                }
            }
        }
        if wanted.is_empty() {
            return;
        }
        let pull = Pull { node: Arc::clone(&self.node), pod: Arc::clone(&self.pod), keyring: self.keyring().await };
        let pulls = wanted.iter().map(|(image, container)| pull.image(image, container));
        let mut pulls = pin!(join_all(pulls));
        let pulled = match tokio::time::timeout(SOON, &mut pulls).await {
            Ok(pulled) => pulled,
            Err(_) => {
                self.write_status(&[]).await;
                pulls.await
            }
        };
        prepared.images.extend(wanted.keys().cloned().zip(pulled));
    }

    /// The credentials that the pod's `imagePullSecrets` hold. One that is not there is told, and done without.
    async fn keyring(&self) -> Keyring {
        let mut keyring = Keyring::default();
        for name in References::of(&self.pod).pull_secrets {
            let added = match self.secret(&name).await {
                Ok(Some(secret)) => keyring.add(&secret),
                Ok(None) => Err("not found".to_owned()),
                Err(fault) => Err(fault.to_string()),
            };
            if let Err(why) = added {
                let message = format!(
                    "Unable to retrieve the image pull secret {name}: {why}; attempting to pull the image may not succeed."
                );
                self.node.event(&self.pod, None, true, "FailedToRetrieveImagePullSecret", message);
            }
        }
        keyring
    }
}

/// What a pull is made with.
struct Pull {
    node: Arc<Node>,
    pod: Arc<Pod>,
    keyring: Keyring,
}

impl Pull {
    async fn image(&self, image: &str, container: &str) -> Result<Image, Fault> {
        let tell = |warning, reason, message| self.node.event(&self.pod, Some(container), warning, reason, message);
        tell(false, "Pulling", format!("Pulling image \"{image}\""));
        match self.attempts(image).await {
            Ok(pulled) => {
                let size = pulled.size;
                tell(false, "Pulled", format!("Successfully pulled image \"{image}\". Image size: {size} bytes."));
                self.node.remember_image(image, &pulled);
                Ok(pulled)
            }
            Err(error) if error.is_unavailable() => Err(Fault::Postponed(error.to_string())),
            Err(error) => {
                self.node.forget_image(image);
                tell(true, "Failed", format!("Failed to pull image \"{image}\": {error}"));
                Err(Fault::Waits("ErrImagePull", format!("failed to pull image \"{image}\": {error}")))
            }
        }
    }

    /// With each of the credentials for the image's registry in turn, or without any.
    async fn attempts(&self, image: &str) -> runtime::Result<Image> {
        let mut credentials = self.keyring.lookup(image).into_iter();
        let mut result = self.node.runtime().pull(image, credentials.next()).await;
        while result.as_ref().is_err_and(|error| !error.is_unavailable())
            && let Some(next) = credentials.next()
        {
            result = self.node.runtime().pull(image, Some(next)).await;
        }
        result
    }
}
