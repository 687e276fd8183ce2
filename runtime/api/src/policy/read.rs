//! The expressions of a policy's `spec`, or of a webhook, and what is wrong with them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::env::{Offers, environment};
use super::{Expression, Mutation, Policy, Validation};
use crate::cel::{Compiled, Env, Type};
use crate::check::Checks;
use crate::field::{Error, Path};
use crate::names;

const MAX_CONDITIONS: usize = 64;
const REASONS: [&str; 4] = ["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"];

impl Policy {
    /// The policy whose `spec`, at `path`, this is; or the match conditions of the webhook whose JSON
    /// it is. What is wrong is left out of it, and told.
    pub fn read(spec: &Value, path: &Path) -> (Self, Vec<Error>) {
        let mut reader = Reader {
            checks: Checks::default(),
            policy: Self::default(),
            types: Vec::new(),
            params: !spec["paramKind"].is_null(),
            mutates: spec["mutations"].is_array(),
        };
        reader.variables(&spec["variables"], &path.child("variables"));
        reader.conditions(&spec["matchConditions"], &path.child("matchConditions"));
        reader.validations(&spec["validations"], &path.child("validations"));
        reader.annotations(&spec["auditAnnotations"], &path.child("auditAnnotations"));
        reader.mutations(&spec["mutations"], &path.child("mutations"));
        (reader.policy, reader.checks.errors)
    }
}

struct Reader {
    checks: Checks,
    policy: Policy,
    types: Vec<(String, Type)>,
    params: bool,
    mutates: bool,
}

pub(super) fn list(value: &Value) -> impl Iterator<Item = (usize, &Value)> {
    value.as_array().into_iter().flatten().enumerate()
}

pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn breaks(text: &str) -> bool {
    text.contains(['\n', '\r'])
}

impl Reader {
    fn env(&self, authorizer: bool) -> Env {
        environment(Offers { params: self.params, authorizer, mutates: self.mutates }, &self.types)
    }

    /// Compiles `source`, which gives one of `results`; any when there are none.
    fn compile(&mut self, path: &Path, source: &str, env: &Env, results: &[Type]) -> Option<Compiled> {
        if source.trim().is_empty() {
            self.checks.push(Error::required(path, "expression is not specified"));
            return None;
        }
        let compiled = match env.compile(source) {
            Ok(compiled) => compiled,
            Err(why) => {
                self.checks.invalid(path, source, &format!("compilation failed: {why}"));
                return None;
            }
        };
        if results.is_empty() || results.contains(&compiled.result) {
            return Some(compiled);
        }
        let wanted: Vec<String> = results.iter().map(ToString::to_string).collect();
        let detail = match &wanted[..] {
            [one] => format!("must evaluate to {one}"),
            all => format!("must evaluate to one of [{}]", all.join(" ")),
        };
        self.checks.invalid(path, source, &detail);
        None
    }

    fn expression(&mut self, path: &Path, source: &str, results: &[Type]) -> Option<Expression> {
        let env = self.env(true);
        let compiled = self.compile(path, source, &env, results)?;
        Some(Expression { source: source.to_owned(), program: compiled.program })
    }

    fn variables(&mut self, all: &Value, path: &Path) {
        for (index, variable) in list(all) {
            let (path, name) = (path.index(index), text(variable, "name"));
            let at = path.child("name");
            let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && crate::cel::escape(name).is_some_and(|escaped| escaped == name || name.contains("__"));
            if name.is_empty() {
                self.checks.push(Error::required(&at, "name is not specified"));
            } else if !is_name {
                self.checks.invalid(&at, name, "name is not a valid CEL identifier");
            } else if self.types.iter().any(|(known, _)| known == name) {
                self.checks.push(Error::duplicate(&at, name));
            } else {
                let env = self.env(true);
                let source = text(variable, "expression");
                let compiled = self.compile(&path.child("expression"), source, &env, &[]);
                // One that is wrong is of any type to those that look at it.
                let type_ = compiled.as_ref().map_or(Type::Dyn, |compiled| compiled.result.clone());
                self.types.push((name.to_owned(), type_));
                self.policy.variables.extend(compiled.map(|compiled| (name.to_owned(), compiled.program)));
            }
        }
    }

    fn conditions(&mut self, all: &Value, path: &Path) {
        let count = list(all).count();
        if count > MAX_CONDITIONS {
            self.checks.push(Error::too_many(path, count, MAX_CONDITIONS));
        }
        let mut seen = BTreeSet::new();
        for (index, condition) in list(all) {
            let (path, name) = (path.index(index), text(condition, "name"));
            let compiled = self.expression(&path.child("expression"), text(condition, "expression"), &[Type::Bool]);
            self.policy.conditions.extend(compiled);
            self.checks.named(&path.child("name"), name, names::qualified_name);
            if !name.is_empty() && !seen.insert(name) {
                self.checks.push(Error::duplicate(&path.child("name"), name));
            }
        }
    }

    fn validations(&mut self, all: &Value, path: &Path) {
        for (index, validation) in list(all) {
            let path = path.index(index);
            let (source, message) = (text(validation, "expression"), text(validation, "message"));
            let expression = self.expression(&path.child("expression"), source, &[Type::Bool]);
            let at = path.child("message");
            if !message.is_empty() && message.trim().is_empty() {
                self.checks.invalid(&at, message, "message must be non-empty if specified");
            } else if breaks(message.trim()) {
                self.checks.invalid(&at, message, "message must not contain line breaks");
            } else if breaks(source.trim()) && message.trim().is_empty() {
                let detail = "message must be specified if expression contains line breaks";
                self.checks.push(Error::required(&at, detail));
            }
            let mut message_expression = None;
            if let Some(source) = validation["messageExpression"].as_str().filter(|source| !source.is_empty()) {
                let env = self.env(false);
                let at = path.child("messageExpression");
                message_expression = self.compile(&at, source, &env, &[Type::String]).map(|compiled| compiled.program);
            }
            let reason = text(validation, "reason");
            if !reason.is_empty() && !REASONS.contains(&reason) {
                self.checks.push(Error::not_supported(&path.child("reason"), reason, &REASONS));
            }
            self.policy.validations.extend(expression.map(|expression| Validation {
                expression,
                message: message.trim().to_owned(),
                message_expression,
                reason: reason.to_owned(),
            }));
        }
    }

    fn annotations(&mut self, all: &Value, path: &Path) {
        let mut seen = BTreeSet::new();
        for (index, annotation) in list(all) {
            let (path, key) = (path.index(index), text(annotation, "key"));
            self.checks.named(&path.child("key"), key, names::qualified_name);
            if !key.is_empty() && !seen.insert(key) {
                self.checks.push(Error::duplicate(&path.child("key"), key));
            }
            let source = text(annotation, "valueExpression");
            let at = path.child("valueExpression");
            if source.trim().is_empty() {
                self.checks.push(Error::required(&at, "valueExpression is not specified"));
            } else if let Some(expression) = self.expression(&at, source, &[Type::String, Type::Null]) {
                self.policy.audit.push((key.to_owned(), expression));
            }
        }
    }

    fn mutations(&mut self, all: &Value, path: &Path) {
        const TYPES: [&str; 2] = ["ApplyConfiguration", "JSONPatch"];
        for (index, mutation) in list(all) {
            let (path, kind) = (path.index(index), text(mutation, "patchType"));
            self.checks.one_of(&path.child("patchType"), kind, &TYPES);
            let (own, other) = match kind {
                "ApplyConfiguration" => ("applyConfiguration", "jsonPatch"),
                "JSONPatch" => ("jsonPatch", "applyConfiguration"),
                _ => continue,
            };
            if mutation[own].is_null() {
                let detail = format!("must be specified when patchType is {kind}");
                self.checks.push(Error::required(&path.child(own), detail));
                continue;
            }
            if !mutation[other].is_null() {
                let detail = format!("must not be specified when patchType is {kind}");
                self.checks.push(Error::forbidden(&path.child(other), detail));
            }
            let patches = Type::list(Type::Opaque("jsonpatch.JSONPatch", None));
            let results = if own == "jsonPatch" { &[patches][..] } else { &[Type::Dyn][..] };
            let at = path.child(own).child("expression");
            if let Some(expression) = self.expression(&at, text(&mutation[own], "expression"), results) {
                self.policy.mutations.push(match own {
                    "jsonPatch" => Mutation::JsonPatch(expression),
                    _ => Mutation::Apply(expression),
                });
            }
        }
    }
}
