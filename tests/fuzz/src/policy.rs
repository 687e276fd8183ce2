//! Admission policies, and the match conditions of webhooks.

use serde_json::Value;
use trimtab_api::cel::{Authorizer, Check};
use trimtab_api::field::Path;
use trimtab_api::policy::{Change, Input, Policy};
use trimtab_api::{apply, from_yaml, patch};

/// Allows whoever asks to get.
struct Getters;

impl Authorizer for Getters {
    fn check(&self, _: &Check<'_>, verb: &str) -> Result<String, String> {
        if verb == "get" { Ok("to get".to_owned()) } else { Err("only to get".to_owned()) }
    }
}

/// YAML with the policy's `spec`, and what it is asked about. What can be read can be evaluated, and
/// the changes can be tried.
pub fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(all) = from_yaml(text) else { return };
    let (policy, errors) = Policy::read(&all["spec"], &Path::new("spec"));
    for error in &errors {
        assert!(error.path.to_string().starts_with("spec."), "{error}");
    }
    let mut object = all["object"].clone();
    for index in 0..=policy.changes() {
        let input = Input {
            object: &object,
            old: &all["oldObject"],
            request: &all["request"],
            params: &all["params"],
            namespace: &all["namespace"],
            authorizer: Check::of(&Getters),
            resource: Check::of(&Getters),
        };
        if index == policy.changes() {
            let _ = (policy.matches(&input), policy.annotations(&input));
            for refusal in policy.refusals(&input) {
                assert!(!refusal.message.is_empty());
            }
            return;
        }
        let schema = crate::kind("apps", "v1", "deployments").schema.get();
        let changed: Option<Value> = match policy.change(index, &input) {
            Ok(Change::Apply(configuration)) => apply::configure(&object, &configuration, schema).ok(),
            Ok(Change::JsonPatch(operations)) => patch::json(object.clone(), &operations).ok(),
            Err(_) => None,
        };
        object = changed.unwrap_or(object);
    }
}
