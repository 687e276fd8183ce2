//! The built-in kinds' own behaviour, one file per kind: defaults, validation, what a write may
//! touch. Everything else about a kind stands in its YAML file (`manifests/kinds/`).

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::check::Checks;
use crate::field::{Error, Path};
use crate::object::Object;
use crate::strategy::Admission;

mod binding;
mod config_map;
mod endpoint_slice;
mod endpoints;
mod event;
#[cfg(test)]
pub(crate) mod fixture;
mod lease;
mod namespace;
mod node;
pub mod pod;
pub mod policies;
pub mod printed;
mod replication_controller;
mod review;
mod role;
mod role_binding;
mod secret;
mod service;
mod service_account;
pub mod signing_request;
pub mod webhooks;
pub mod workload;

pub use crate::crd::CustomResourceDefinition;
pub use binding::Binding;
pub use config_map::ConfigMap;
pub use endpoint_slice::EndpointSlice;
pub use endpoints::Endpoints;
pub use event::{Event, NewEvent};
pub use lease::Lease;
pub use namespace::Namespace;
pub use node::Node;
pub use pod::{Pod, is_ready as pod_is_ready, ready_since as pod_ready_since};
pub use policies::{MutatingPolicy, MutatingPolicyBinding, ValidatingPolicy, ValidatingPolicyBinding};
pub use replication_controller::ReplicationController;
pub use review::{LocalSubjectAccessReview, SelfSubjectAccessReview, SubjectAccessReview};
pub use role::{ClusterRole, Role};
pub use role_binding::{ClusterRoleBinding, RoleBinding};
pub use secret::Secret;
pub use service::Service;
pub use service_account::ServiceAccount;
pub use signing_request::CertificateSigningRequest;
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
    Admission { errors: checks.errors, warnings: checks.warnings }
}

/// As [`typed`], of a write of `status` alone. The rest is what is stored: it is not read anew.
fn typed_status<S>(object: &mut Object, admit: impl FnOnce(&mut S, &mut Checks)) -> Admission
where
    S: DeserializeOwned + Default + Serialize,
{
    let mut checks = Checks::default();
    let unreadable = |error: &serde_json::Error| Error::type_invalid(&Path::new("status"), "", error);
    match object.0.get("status").map_or_else(|| Ok(S::default()), S::deserialize) {
        Ok(mut status) => {
            admit(&mut status, &mut checks);
            match serde_json::to_value(&status) {
                Ok(written) => object.set(&["status"], written),
                Err(error) => checks.push(unreadable(&error)),
            }
        }
        Err(error) => checks.push(unreadable(&error)),
    }
    Admission { errors: checks.errors, warnings: checks.warnings }
}

/// What is stored, as a `K`: it was one when it was stored.
fn stored<K: DeserializeOwned>(old: &Object, checks: &mut Checks) -> Option<K> {
    old.to_typed().map_err(|error| checks.push(unreadable(&error))).ok()
}

fn unreadable(error: &serde_json::Error) -> Error {
    Error::type_invalid(&Path::default(), "", error)
}
