//! The built-in kinds' own behaviour, one file per kind: defaults, validation, what a write may
//! touch. Everything else about a kind stands in its YAML file (`manifests/kinds/`).

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::check::Checks;
use crate::field::{Error, Path};
use crate::object::Object;
use crate::strategy::Admission;

pub mod api_service;
mod autoscaler;
mod binding;
mod cidr;
mod component_status;
mod config_map;
mod controller_revision;
mod cron_job;
mod csi;
mod daemon_set;
mod deployment;
mod device;
mod device_selector;
mod disruption_budget;
mod endpoint_slice;
mod endpoints;
mod event;
#[cfg(test)]
pub(crate) mod fixture;
pub mod flow_control;
mod flow_schema;
mod ingress;
mod ip_address;
mod job;
mod lease;
mod limit_range;
mod namespace;
mod network_policy;
mod node;
mod persistent_volume;
mod persistent_volume_claim;
pub mod pod;
mod pod_template;
pub mod policies;
mod priority_class;
mod priority_level;
mod replica_set;
mod replication_controller;
mod resource_quota;
mod resource_slice;
mod review;
mod role;
mod role_binding;
pub mod ruled;
mod runtime_class;
mod schedule;
mod secret;
mod service;
pub mod service_account;
mod share;
pub mod signing_request;
mod stateful_set;
mod storage_class;
pub mod warnings;
pub mod webhooks;
mod workload;

pub use crate::crd::CustomResourceDefinition;
pub use api_service::ApiService;
pub use autoscaler::HORIZONTAL_POD_AUTOSCALER;
pub use binding::Binding;
pub use cidr::Cidr;
pub use component_status::COMPONENT_STATUS;
pub use config_map::ConfigMap;
pub use controller_revision::CONTROLLER_REVISION;
pub use cron_job::CRON_JOB;
pub use csi::{CSI_DRIVER, CSI_NODE, CSI_STORAGE_CAPACITY, VOLUME_ATTACHMENT};
pub use daemon_set::DAEMON_SET;
pub use deployment::DEPLOYMENT;
pub use device::{DEVICE_CLASS, RESOURCE_CLAIM, RESOURCE_CLAIM_TEMPLATE};
pub use disruption_budget::POD_DISRUPTION_BUDGET;
pub use endpoint_slice::EndpointSlice;
pub use endpoints::Endpoints;
pub use event::{Event, NewEvent};
pub use flow_schema::FLOW_SCHEMA;
pub use ingress::{INGRESS, INGRESS_CLASS};
pub use ip_address::{IP_ADDRESS, SERVICE_CIDR};
pub use job::JOB;
pub use lease::Lease;
pub use limit_range::LIMIT_RANGE;
pub use namespace::Namespace;
pub use network_policy::NETWORK_POLICY;
pub use node::Node;
pub use persistent_volume::PERSISTENT_VOLUME;
pub use persistent_volume_claim::PERSISTENT_VOLUME_CLAIM;
pub use pod::{Pod, is_ready as pod_is_ready, ready_since as pod_ready_since};
pub use pod_template::POD_TEMPLATE;
pub use policies::{MutatingPolicy, MutatingPolicyBinding, ValidatingPolicy, ValidatingPolicyBinding};
pub use priority_class::PRIORITY_CLASS;
pub use priority_level::PRIORITY_LEVEL_CONFIGURATION;
pub use replica_set::REPLICA_SET;
pub use replication_controller::ReplicationController;
pub use resource_quota::RESOURCE_QUOTA;
pub use resource_slice::RESOURCE_SLICE;
pub use review::{LocalSubjectAccessReview, SelfSubjectAccessReview, SubjectAccessReview};
pub use role::{ClusterRole, Role};
pub use role_binding::{ClusterRoleBinding, RoleBinding};
pub use runtime_class::RUNTIME_CLASS;
pub use secret::Secret;
pub use service::Service;
pub use service_account::ServiceAccount;
pub use signing_request::CertificateSigningRequest;
pub use stateful_set::STATEFUL_SET;
pub use storage_class::{STORAGE_CLASS, VOLUME_ATTRIBUTES_CLASS};
pub use webhooks::{MutatingWebhooks, ValidatingWebhooks};

/// Reads `object` as a `K`, lets `admit` fill and check it, and writes it back.
fn typed<K: DeserializeOwned + Serialize>(object: &mut Object, admit: impl FnOnce(&mut K, &mut Checks)) -> Admission {
    let mut checks = Checks::default();
    match object.to_typed::<K>() {
        Ok(mut value) => {
            admit(&mut value, &mut checks);
            match Object::from_typed(&value) {
                Ok(written) => *object = written,
                Err(error) => checks.push(unreadable(&error)),
            }
        }
        Err(error) => checks.push(unreadable(&error)),
    }
    checks.into()
}

/// As [`typed`], of a write of `status` alone. The rest is what is stored: it is not read anew.
fn typed_status<S>(object: &mut Object, admit: impl FnOnce(&mut S, &mut Checks)) -> Admission
where
    S: DeserializeOwned + Default + Serialize,
{
    let mut checks = Checks::default();
    let unreadable = |error: &serde_json::Error| Error::type_invalid(&Path::new("status"), "", error);
    match object.0.get("status").map_or_else(|| Ok(S::default()), crate::from_value) {
        Ok(mut status) => {
            admit(&mut status, &mut checks);
            match serde_json::to_value(&status) {
                Ok(written) => object.set(&["status"], written),
                Err(error) => checks.push(unreadable(&error)),
            }
        }
        Err(error) => checks.push(unreadable(&error)),
    }
    checks.into()
}

/// What is stored, as a `K`: it was one when it was stored.
fn stored<K: DeserializeOwned>(old: &Object, checks: &mut Checks) -> Option<K> {
    old.to_typed().map_err(|error| checks.push(unreadable(&error))).ok()
}

fn unreadable(error: &serde_json::Error) -> Error {
    Error::type_invalid(&Path::default(), "", error)
}
