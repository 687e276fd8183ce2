//! What the built-in kinds do of their own accord: one file a kind.

mod config;
mod endpoints;
mod event;
mod namespace;
mod node;
mod pod;
mod replication_controller;
mod service;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use config::{ConfigMap, Secret};
pub use endpoints::{EndpointSlice, Endpoints};
pub use event::Event;
pub use namespace::Namespace;
pub use node::Node;
pub use pod::{Pod, is_ready as pod_is_ready, ready_since as pod_ready_since};
pub use replication_controller::ReplicationController;
pub use service::Service;

use crate::field::{self, Path};
use crate::object::Object;
use crate::strategy::Admission;

/// Runs `admit` on the typed form of `object`, and puts the result back.
fn typed<K: DeserializeOwned + Serialize>(
    object: &mut Object,
    admit: impl FnOnce(&mut K, &mut Vec<field::Error>),
) -> Admission {
    let mut admission = Admission::default();
    let mut decoded: K = match object.to_typed() {
        Ok(decoded) => decoded,
        Err(error) => {
            admission.errors.push(field::Error::type_invalid(&Path::default(), Value::Null, error));
            return admission;
        }
    };
    admit(&mut decoded, &mut admission.errors);
    match Object::from_typed(&decoded) {
        Ok(encoded) => *object = encoded,
        Err(error) => admission.errors.push(field::Error::type_invalid(&Path::default(), Value::Null, error)),
    }
    admission
}

fn invalid_all(errors: &mut Vec<field::Error>, path: &Path, value: impl Serialize + Copy, details: Vec<String>) {
    errors.extend(details.into_iter().map(|detail| field::Error::invalid(path, value, detail)));
}
