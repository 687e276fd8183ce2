//! CustomResourceDefinitions (`apiextensions.k8s.io/v1`): what a definition must be, which names it
//! is given, and the kinds that it defines.
//!
//! A definition is looked at as JSON: it is as large as its schemas, and those are any JSON. Start
//! at [`CustomResourceDefinition`], its strategy, and [`kinds`].

mod conditions;
mod conversion;
mod custom;
mod kinds;
mod names;
mod rules;
mod schema;
mod strategy;
mod structural;
mod validate;

pub use conditions::{is_true, set_condition};
pub use conversion::Conversion;
pub(crate) use kinds::columns;
pub use kinds::kinds;
pub use names::{Taken, accept};
pub use strategy::CustomResourceDefinition;

use serde_json::Value;

use crate::field::Error;
use crate::object::Object;
use crate::strategy::{Operation, Strategy};

/// The group of definitions themselves.
pub const GROUP: &str = "apiextensions.k8s.io";
/// The resource of definitions themselves.
pub const PLURAL: &str = "customresourcedefinitions";
/// Keeps a deleted definition until no object of it is left.
pub const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// What is wrong with a definition that somebody is about to write: in upstream's words, all that
/// the API server would refuse it for.
pub fn check(definition: &Value) -> Vec<Error> {
    let mut object = Object(definition.as_object().cloned().unwrap_or_default());
    CustomResourceDefinition.admit(Operation::Create, &mut object).errors
}

/// The versions of a definition.
fn versions(definition: &Object) -> &[Value] {
    definition.at(&["spec", "versions"]).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The name of the version that objects are stored in.
pub fn storage_version(definition: &Object) -> &str {
    let storage = versions(definition).iter().find(|version| version["storage"] == true);
    storage.map(|version| text(&version["name"])).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().map(text)
}
