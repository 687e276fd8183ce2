//! What validating policies want to be logged of a write.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trimtab_api::Object;
use trimtab_api::policy::Refusal;

use crate::audit::Record;

/// Under which upstream notes the validations that failed.
const FAILURE: &str = "validation.policy.admission.k8s.io/validation_failure";

#[derive(Default)]
pub(super) struct Notes {
    /// By policy and key; a policy in force several times may say several things.
    values: BTreeMap<String, Vec<String>>,
    failures: Vec<Value>,
}

impl Notes {
    /// What an audit annotation of the policy `name` says.
    pub(super) fn add(&mut self, name: &str, key: &str, text: String) {
        let texts = self.values.entry(format!("{name}/{key}")).or_default();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }

    /// A validation that does not hold, which its binding wants to be told.
    pub(super) fn failed(&mut self, name: &str, binding: &Object, refusal: &Refusal) {
        self.failures.push(json!({
            "message": refusal.message,
            "policy": name,
            "binding": binding.name(),
            "expressionIndex": refusal.index,
            "validationActions": binding.at(&["spec", "validationActions"]),
        }));
    }

    pub(super) fn publish(self, record: &Record) {
        for (key, texts) in self.values {
            record.annotate(key, texts.join(", "));
        }
        if !self.failures.is_empty() {
            record.annotate(FAILURE, Value::Array(self.failures).to_string());
        }
    }
}
