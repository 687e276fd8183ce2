//! What the rules of a version's schema must be: right, and cheap enough whatever the object
//! (`ValidateCustomResourceDefinitionOpenAPISchema`).

use std::sync::Arc;

use serde_json::{Value, json};

use super::text;
use crate::cel::{self, Declared};
use crate::check::Checks;
use crate::field::{Error, Path};
use crate::schema::{Wrong, compile, field_path};

/// The most that one rule may cost, of all that one object may hold.
const RULE_LIMIT: u64 = 10_000_000;
/// The most that all rules of a schema may cost.
const SCHEMA_LIMIT: u64 = 100_000_000;
/// Of rules that are too dear together, so many are named.
const NAMED: usize = 4;
const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// Where a schema stands.
#[derive(Clone)]
struct Place {
    path: Path,
    /// How many values of it there may be; `None` when there is no bound.
    count: Option<u64>,
    /// The list or map within which what was there before cannot be told.
    uncorrelatable: Option<Path>,
    /// Whether it is of an object with `metadata`.
    root: bool,
}

/// Checks all rules of the schema of a whole object. Expressions are looked at only where the
/// schema itself is right: `compiles`.
pub(super) fn check(schema: &Value, path: &Path, compiles: bool, checks: &mut Checks) {
    let mut all = All { total: 0, dear: Vec::new(), compiles, checks };
    all.visit(schema, &Place { path: path.clone(), count: Some(1), uncorrelatable: None, root: true });
    if all.total > SCHEMA_LIMIT {
        let All { total, mut dear, checks, .. } = all;
        dear.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
        for (path, _) in dear.into_iter().take(NAMED) {
            let detail = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
            checks.forbidden(&path, detail);
        }
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        checks.forbidden(path, &too_dear(what, total, SCHEMA_LIMIT));
    }
}

struct All<'a> {
    total: u64,
    dear: Vec<(Path, u64)>,
    compiles: bool,
    checks: &'a mut Checks,
}

impl All<'_> {
    fn visit(&mut self, schema: &Value, place: &Place) {
        let path = &place.path;
        let within = cel::cardinality(schema);
        let below = |path: Path, counted: bool, loose: bool, child: &Value| Place {
            uncorrelatable: place.uncorrelatable.clone().or_else(|| loose.then(|| place.path.clone())),
            count: if counted { place.count.zip(within).map(|(a, b)| a.saturating_mul(b)) } else { place.count },
            root: child["x-kubernetes-embedded-resource"] == true,
            path,
        };
        let is_atomic = schema["x-kubernetes-map-type"] == "atomic";
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            self.visit(property, &below(path.child("properties").key(name), false, is_atomic, property));
        }
        if let values @ Value::Object(_) = &schema["additionalProperties"] {
            self.visit(values, &below(path.child("additionalProperties"), true, is_atomic, values));
        }
        if let items @ Value::Object(_) = &schema["items"] {
            let loose = schema["x-kubernetes-list-type"] != "map";
            self.visit(items, &below(path.child("items"), true, loose, items));
        }
        let rules = schema["x-kubernetes-validations"].as_array().map(Vec::as_slice).unwrap_or_default();
        if rules.is_empty() {
            return;
        }
        let list = path.child("x-kubernetes-validations");
        let before = self.checks.errors.len();
        for (index, rule) in rules.iter().enumerate() {
            self.shape(rule, schema, &list.index(index));
        }
        if !self.compiles || self.checks.errors.len() > before {
            return;
        }
        let Some(declared) = cel::declared(schema, place.root) else {
            let detail = "internal error: failed to retrieve type information for x-kubernetes-validations";
            self.checks.push(Error::internal(&list, detail));
            return;
        };
        for (index, rule) in rules.iter().enumerate() {
            let most = cel::most_per_request(schema, place.root);
            self.rule(rule, &declared, &list.index(index), place, most);
        }
    }

    fn shape(&mut self, rule: &Value, schema: &Value, path: &Path) {
        let (source, message) = (text(&rule["rule"]).trim(), text(&rule["message"]));
        let breaks = |text: &str| text.contains(['\n', '\r']);
        let checks = &mut *self.checks;
        if source.is_empty() {
            checks.push(Error::required(&path.child("rule"), "rule is not specified"));
        }
        let at = path.child("message");
        if !message.is_empty() && message.trim().is_empty() {
            checks.invalid(&at, message, "message must be non-empty if specified");
        } else if breaks(message.trim()) {
            checks.invalid(&at, message, "message must not contain line breaks");
        } else if breaks(source) && message.trim().is_empty() {
            checks.push(Error::required(&at, "message must be specified if rule contains line breaks"));
        }
        let expression = text(&rule["messageExpression"]);
        if !expression.is_empty() && expression.trim().is_empty() {
            let detail = "messageExpression must be non-empty if specified";
            checks.push(Error::required(&path.child("messageExpression"), detail));
        }
        if let Some(reason) = rule["reason"].as_str().filter(|reason| !REASONS.contains(reason)) {
            checks.push(Error::not_supported(&path.child("reason"), reason, &REASONS));
        }
        let (at, field) = (path.child("fieldPath"), text(&rule["fieldPath"]));
        if field.is_empty() {
            return;
        }
        if field.trim().is_empty() {
            checks.invalid(&at, field, "fieldPath must be non-empty if specified");
        }
        if breaks(field) {
            checks.invalid(&at, field, "fieldPath must not contain line breaks");
        }
        if field_path(field, schema).is_err() {
            checks.invalid(&at, field, "fieldPath must be a valid path");
        }
    }

    fn rule(&mut self, rule: &Value, declared: &Arc<Declared>, path: &Path, place: &Place, most: u64) {
        let compiled = match compile(rule, declared) {
            Ok(compiled) => compiled,
            Err(wrong) => {
                for wrong in wrong {
                    let (at, detail) = match wrong {
                        Wrong::Rule(detail) => (path.child("rule"), detail),
                        Wrong::Message(detail) => (path.child("messageExpression"), detail),
                    };
                    self.checks.invalid(&at, as_written(rule), &detail);
                }
                return;
            }
        };
        let cost = compiled.rule.cost.max.saturating_mul(place.count.unwrap_or(most));
        self.cost("estimated rule cost", cost, path.child("rule"));
        if let Some(message) = &compiled.message {
            self.cost("estimated messageExpression cost", message.cost.max, path.child("messageExpression"));
        }
        match (&place.uncorrelatable, compiled.uses_old) {
            (Some(within), true) => {
                let detail =
                    format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {within}");
                self.checks.invalid(&path.child("rule"), text(&rule["rule"]), &detail);
            }
            (_, false) if !rule["optionalOldSelf"].is_null() => {
                let detail = "may not be set if oldSelf is not used in rule";
                self.checks.invalid(&path.child("optionalOldSelf"), &rule["optionalOldSelf"], detail);
            }
            _ => {}
        }
    }

    fn cost(&mut self, what: &str, cost: u64, path: Path) {
        if cost > RULE_LIMIT {
            self.checks.forbidden(&path, &too_dear(what, cost, RULE_LIMIT));
        }
        self.total = self.total.saturating_add(cost);
        if cost >= SCHEMA_LIMIT / 100 {
            self.dear.push((path, cost));
        }
    }
}

/// A rule as upstream's errors show it.
fn as_written(rule: &Value) -> Value {
    json!({
        "Rule": text(&rule["rule"]), "Message": text(&rule["message"]), "MessageExpression": text(&rule["messageExpression"]),
        "Reason": rule["reason"], "FieldPath": text(&rule["fieldPath"]), "OptionalOldSelf": rule["optionalOldSelf"],
    })
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with one digit")]
fn too_dear(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = match factor {
        // What is dearer than this will not fit without bounds, however it is written.
        _ if factor > 100.0 => "more than 100x".to_owned(),
        _ if factor < 1.5 => format!("{factor:.6}x"),
        _ => format!("{factor:.1}x"),
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(schema: &Value) -> Vec<String> {
        let mut checks = Checks::default();
        check(schema, &Path::new("s"), true, &mut checks);
        checks.errors.iter().map(ToString::to_string).collect()
    }

    fn of(property: Value) -> Value {
        json!({"type": "object", "properties": {"p": property}})
    }

    #[test]
    fn rules_are_compiled_when_they_are_written() {
        let with = |rule: Value| {
            of(json!({"type": "object", "properties": {"n": {"type": "integer"}}, "x-kubernetes-validations": [rule]}))
        };
        let at = "s.properties[p].x-kubernetes-validations[0]";
        let check = |rule: Value, expected: String| assert_eq!(errors(&with(rule.clone())), [expected], "{rule}");
        assert_eq!(errors(&with(json!({"rule": "self.n > 1", "fieldPath": ".n"}))), [""; 0]);
        check(json!({"rule": " "}), format!("{at}.rule: Required value: rule is not specified"));
        check(
            json!({"rule": "self.n"}),
            format!(
                "{at}.rule: Invalid value: {}: cel expression must evaluate to a bool",
                as_written(&json!({"rule": "self.n"}))
            ),
        );
        let wrong = json!({"rule": "self.m > 1"});
        check(
            wrong.clone(),
            format!(
                "{at}.rule: Invalid value: {}: compilation failed: ERROR: <input>:1:5: undefined field 'm'\n | self.m > 1\n | ....^",
                as_written(&wrong)
            ),
        );
        check(
            json!({"rule": "self.n > 1", "reason": "No"}),
            format!(
                r#"{at}.reason: Unsupported value: "No": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired""#
            ),
        );
        check(
            json!({"rule": "self.n > 1", "optionalOldSelf": true}),
            format!("{at}.optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule"),
        );
        check(
            json!({"rule": "self.n > 1", "fieldPath": ".m"}),
            format!(r#"{at}.fieldPath: Invalid value: ".m": fieldPath must be a valid path"#),
        );
        check(
            json!({"rule": "self.n >\n1"}),
            format!("{at}.message: Required value: message must be specified if rule contains line breaks"),
        );
    }

    #[test]
    fn rules_that_are_too_dear_are_refused() {
        let list = |most: Option<u64>| {
            let mut list = json!({"type": "array", "items": {"type": "string", "maxLength": 20}});
            if let Some(most) = most {
                list["maxItems"] = most.into();
            }
            of(json!({"type": "object", "properties": {"l": list},
                "x-kubernetes-validations": [{"rule": "self.l.all(x, self.l.all(y, x == y))"}]}))
        };
        assert_eq!(errors(&list(Some(10))), [""; 0]);
        let found = errors(&list(None));
        let at = "s.properties[p].x-kubernetes-validations[0].rule";
        let advice = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)";
        assert_eq!(
            found,
            [
                format!("{at}: Forbidden: estimated rule cost exceeds budget by factor of more than 100x {advice}"),
                format!(
                    "{at}: Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
                ),
                format!(
                    "s: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of more than 100x {advice}"
                ),
            ]
        );
    }

    #[test]
    fn an_object_of_named_fields_may_stay_as_it_was() {
        let text = json!({"type": "string"});
        let rule = json!([{"rule": "self == oldSelf"}]);
        let schema =
            of(json!({"type": "object", "properties": {"a": text, "b": text}, "x-kubernetes-validations": rule}));
        assert_eq!(errors(&schema), [""; 0]);
    }

    #[test]
    fn what_was_is_known_only_where_it_can_be_told() {
        let rule = json!([{"rule": "self == oldSelf"}]);
        let list = of(
            json!({"type": "array", "maxItems": 3, "items": {"type": "string", "maxLength": 5, "x-kubernetes-validations": rule}}),
        );
        assert_eq!(
            errors(&list),
            [
                r#"s.properties[p].items.x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf": oldSelf cannot be used on the uncorrelatable portion of the schema within s.properties[p]"#
            ]
        );
        let map = of(
            json!({"type": "object", "maxProperties": 3, "additionalProperties": {"type": "string", "maxLength": 5, "x-kubernetes-validations": rule}}),
        );
        assert_eq!(errors(&map), [""; 0]);
    }
}
