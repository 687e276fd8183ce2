//! The objects that a pod is made from.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;

use super::{ephemeral_containers, init_containers, spec};

/// Names of objects in the pod's namespace.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct References {
    pub(crate) config_maps: BTreeSet<String>,
    pub(crate) secrets: BTreeSet<String>,
    /// Secrets with credentials of image registries.
    pub(crate) pull_secrets: BTreeSet<String>,
}

impl References {
    /// What the pod's environment, volumes and images refer to.
    pub(crate) fn of(pod: &Pod) -> Self {
        let mut all = Self::of_environment(pod);
        for volume in spec(pod).volumes.iter().flatten() {
            all.config_maps.extend(volume.config_map.as_ref().map(|source| source.name.clone()));
            all.secrets.extend(volume.secret.as_ref().and_then(|source| source.secret_name.clone()));
            for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
                all.config_maps.extend(source.config_map.as_ref().map(|source| source.name.clone()));
                all.secrets.extend(source.secret.as_ref().map(|source| source.name.clone()));
            }
        }
        all.pull_secrets.extend(spec(pod).image_pull_secrets.iter().flatten().map(|secret| secret.name.clone()));
        all
    }

    /// What the environment of its containers refers to.
    pub(crate) fn of_environment(pod: &Pod) -> Self {
        let mut all = Self::default();
        let ephemeral = ephemeral_containers(pod);
        for container in spec(pod).containers.iter().chain(init_containers(pod)).chain(&ephemeral) {
            for from in container.env_from.iter().flatten() {
                all.config_maps.extend(from.config_map_ref.as_ref().map(|reference| reference.name.clone()));
                all.secrets.extend(from.secret_ref.as_ref().map(|reference| reference.name.clone()));
            }
            for from in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
                all.config_maps.extend(from.config_map_key_ref.as_ref().map(|reference| reference.name.clone()));
                all.secrets.extend(from.secret_key_ref.as_ref().map(|reference| reference.name.clone()));
            }
        }
        all
    }
}

/// Whether the pod has volumes that are made from objects, or from itself, and so change with them.
pub(crate) fn has_object_volumes(pod: &Pod) -> bool {
    let mut volumes = spec(pod).volumes.iter().flatten();
    volumes.any(|v| v.config_map.is_some() || v.secret.is_some() || v.downward_api.is_some() || v.projected.is_some())
}
