//! The few checks that every kind's validation is put together from, in upstream's words.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;

use crate::apply::Given;
use crate::field::{Error, Path};
use crate::meta::MAX_ANNOTATIONS;
use crate::names;

/// What is wrong with a text; nothing when it fits.
pub(crate) type Rule = fn(&str) -> Vec<String>;

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(crate) errors: Vec<Error>,
    pub(crate) warnings: Vec<String>,
    pub(crate) given: Given,
}

/// The text, `""` when there is none: upstream does not tell the two apart.
pub(crate) fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

impl Checks {
    /// What `check` finds below `path`. Most is well: where something stands is made out once it is known that there
    /// is something to tell.
    pub(crate) fn below(&mut self, path: &Path, check: impl Fn(&Path, &mut Self)) {
        let mut found = Self::default();
        check(&Path::unnamed(), &mut found);
        if !found.errors.is_empty() || !found.warnings.is_empty() {
            check(path, self);
        }
    }

    pub(crate) fn push(&mut self, error: Error) {
        self.errors.push(error);
    }

    pub(crate) fn invalid(&mut self, path: &Path, value: impl Serialize, detail: &str) {
        self.push(Error::invalid(path, value, detail));
    }

    pub(crate) fn required(&mut self, path: &Path) {
        self.push(Error::required(path, ""));
    }

    pub(crate) fn forbidden(&mut self, path: &Path, detail: &str) {
        self.push(Error::forbidden(path, detail));
    }

    /// `value` follows `rule`.
    pub(crate) fn follows(&mut self, path: &Path, value: &str, rule: Rule) {
        for problem in rule(value) {
            self.invalid(path, value, &problem);
        }
    }

    /// `value` is there and follows `rule`.
    pub(crate) fn named(&mut self, path: &Path, value: &str, rule: Rule) {
        if value.is_empty() { self.required(path) } else { self.follows(path, value, rule) }
    }

    /// `value` follows `rule` if it is there.
    pub(crate) fn maybe_named(&mut self, path: &Path, value: &str, rule: Rule) {
        if !value.is_empty() {
            self.follows(path, value, rule);
        }
    }

    /// `value` is there and one of `supported`.
    pub(crate) fn one_of(&mut self, path: &Path, value: &str, supported: &[&str]) {
        if value.is_empty() {
            self.required(path);
        } else if !supported.contains(&value) {
            self.push(Error::not_supported(path, value, supported));
        }
    }

    pub(crate) fn non_negative(&mut self, path: &Path, value: Option<impl Into<i64>>) {
        if let Some(value) = value.map(Into::into).filter(|value| *value < 0) {
            self.invalid(path, value, "must be greater than or equal to 0");
        }
    }

    pub(crate) fn within(&mut self, path: &Path, value: i64, low: i64, high: i64) {
        if !(low..=high).contains(&value) {
            self.invalid(path, value, &format!("must be between {low} and {high}, inclusive"));
        }
    }

    pub(crate) fn port(&mut self, path: &Path, port: i32) {
        self.within(path, port.into(), 1, 65_535);
    }

    pub(crate) fn port_or_name(&mut self, path: &Path, port: &IntOrString) {
        match port {
            IntOrString::Int(port) => self.port(path, *port),
            IntOrString::String(name) => self.follows(path, name, names::port_name),
        }
    }

    pub(crate) fn immutable<T: PartialEq + Serialize>(&mut self, path: &Path, new: &T, old: &T) {
        if new != old {
            self.invalid(path, new, "field is immutable");
        }
    }

    pub(crate) fn labels(&mut self, path: &Path, labels: Option<&BTreeMap<String, String>>) {
        for (key, value) in labels.into_iter().flatten() {
            self.follows(path, key, names::qualified_name);
            self.follows(path, value, names::label_value);
        }
    }

    /// Annotations have label-like keys, in any case, and are bounded in size.
    pub(crate) fn annotations(&mut self, path: &Path, annotations: Option<&BTreeMap<String, String>>) {
        let mut size = 0;
        for (key, value) in annotations.into_iter().flatten() {
            for problem in names::qualified_name(&key.to_lowercase()) {
                self.invalid(path, key, &problem);
            }
            size += key.len() + value.len();
        }
        if size > MAX_ANNOTATIONS {
            self.push(Error::too_long(path, MAX_ANNOTATIONS));
        }
    }

    pub(crate) fn label_selector(&mut self, path: &Path, selector: &LabelSelector) {
        self.labels(&path.child("matchLabels"), selector.match_labels.as_ref());
        for (index, requirement) in selector.match_expressions.iter().flatten().enumerate() {
            let path = path.child("matchExpressions").index(index);
            let values = requirement.values.as_deref().unwrap_or_default();
            self.set_operator(&path, &requirement.operator, values);
            self.follows(&path.child("key"), &requirement.key, names::qualified_name);
            for (index, value) in values.iter().enumerate() {
                self.follows(&path.child("values").index(index), value, names::label_value);
            }
        }
    }

    /// The operator of a set requirement goes with its values.
    pub(crate) fn set_operator(&mut self, path: &Path, operator: &str, values: &[String]) {
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                self.push(Error::required(&path.child("values"), detail));
            }
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                self.forbidden(
                    &path.child("values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                );
            }
            "Exists" | "DoesNotExist" => {}
            _ => self.invalid(&path.child("operator"), operator, "not a valid selector operator"),
        }
    }
}
