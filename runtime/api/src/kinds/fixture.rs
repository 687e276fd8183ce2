//! What the kinds' tests share.

use crate::object::Object;
use crate::strategy::{Operation, Strategy};

/// The object that `yaml` describes.
pub(crate) fn object(yaml: &str) -> Object {
    serde_yaml::from_str(yaml).unwrap()
}

/// What is wrong with the new object that `yaml` describes.
pub(crate) fn create_errors(strategy: &dyn Strategy, yaml: &str) -> Vec<String> {
    let admission = strategy.admit(Operation::Create, &mut object(yaml));
    admission.errors.iter().map(ToString::to_string).collect()
}

/// The object that a create with `yaml` stores.
pub(crate) fn created(strategy: &dyn Strategy, yaml: &str) -> Object {
    let mut created = object(yaml);
    let admission = strategy.admit(Operation::Create, &mut created);
    assert_eq!(admission.errors, [], "{yaml}");
    created
}

/// What is wrong with changing what a create with `yaml` stored by `change`.
pub(crate) fn update_errors(strategy: &dyn Strategy, yaml: &str, change: impl FnOnce(&mut Object)) -> Vec<String> {
    let old = created(strategy, yaml);
    let mut new = old.clone();
    change(&mut new);
    let admission = strategy.admit(Operation::Update { old: &old }, &mut new);
    admission.errors.iter().map(ToString::to_string).collect()
}

/// What is wrong with writing `status` to what a create with `yaml` stored.
pub(crate) fn status_errors(strategy: &dyn Strategy, yaml: &str, status: serde_json::Value) -> Vec<String> {
    let old = created(strategy, yaml);
    let mut new = old.clone();
    new.set(&["status"], status);
    let admission = strategy.admit(Operation::UpdateStatus { old: &old }, &mut new);
    admission.errors.iter().map(ToString::to_string).collect()
}
