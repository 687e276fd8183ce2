//! Admission policies and their bindings, validating and mutating
//! (`pkg/apis/admissionregistration/validation`).

use k8s_openapi::api::admissionregistration::v1::{MatchResources, RuleWithOperations};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;
use serde_json::{Value, json};

use super::webhooks::check_rule;
use crate::check::Checks;
use crate::field::{Error, Path};
use crate::names;
use crate::object::Object;
use crate::policy::Policy;
use crate::strategy::{Admission, Operation, Strategy};

/// What must hold of writes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ValidatingPolicy;

/// Where a validating policy is in force, and what comes of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ValidatingPolicyBinding;

/// What is changed of writes.
#[derive(Clone, Copy, Debug, Default)]
pub struct MutatingPolicy;

/// Where a mutating policy is in force.
#[derive(Clone, Copy, Debug, Default)]
pub struct MutatingPolicyBinding;

const ACTIONS: [&str; 3] = ["Audit", "Deny", "Warn"];

impl Strategy for ValidatingPolicy {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        policy(operation, object, |spec, path, checks| {
            let given = |field: &str| spec[field].as_array().is_some_and(|list| !list.is_empty());
            if !given("validations") && !given("auditAnnotations") {
                for field in ["validations", "auditAnnotations"] {
                    let detail = "validations or auditAnnotations must be specified";
                    checks.push(Error::required(&path.child(field), detail));
                }
            }
        })
    }

    fn cell(&self, name: &str, object: &Object, _: i64) -> Value {
        let count = |field: &str| object.at(&["spec", field]).and_then(Value::as_array).map_or(0, Vec::len);
        match name {
            "Validations" => count("validations").into(),
            _ => param_kind(name, object),
        }
    }
}

impl Strategy for MutatingPolicy {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        if let Some(spec) = object.0.get_mut("spec").and_then(Value::as_object_mut) {
            spec.entry("reinvocationPolicy").or_insert_with(|| "Never".into());
        }
        policy(operation, object, |spec, path, checks| {
            if spec["mutations"].as_array().is_none_or(Vec::is_empty) {
                let detail = "mutations must contain at least one item";
                checks.push(Error::required(&path.child("mutations"), detail));
            }
            let at = path.child("reinvocationPolicy");
            checks.one_of(&at, text(spec, "reinvocationPolicy"), &["IfNeeded", "Never"]);
        })
    }

    fn cell(&self, name: &str, object: &Object, _: i64) -> Value {
        match name {
            "Mutations" => object.at(&["spec", "mutations"]).and_then(Value::as_array).map_or(0, Vec::len).into(),
            _ => param_kind(name, object),
        }
    }
}

impl Strategy for ValidatingPolicyBinding {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        binding(operation, object, |spec, path, checks| {
            let at = path.child("validationActions");
            let actions: Vec<&str> =
                spec["validationActions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if actions.is_empty() {
                checks.push(Error::required(&at, "at least one validation action is required"));
            }
            for (index, action) in actions.iter().enumerate() {
                if !ACTIONS.contains(action) {
                    checks.push(Error::not_supported(&at.index(index), action, &ACTIONS));
                }
                if actions[..index].contains(action) {
                    checks.push(Error::duplicate(&at.index(index), action));
                }
            }
            if actions.contains(&"Deny") && actions.contains(&"Warn") {
                let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
                checks.invalid(&at, &actions, detail);
            }
        })
    }

    fn cell(&self, name: &str, object: &Object, _: i64) -> Value {
        binding_cell(name, object)
    }
}

impl Strategy for MutatingPolicyBinding {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        binding(operation, object, |_, _, _| ())
    }

    fn cell(&self, name: &str, object: &Object, _: i64) -> Value {
        binding_cell(name, object)
    }
}

fn param_kind(name: &str, object: &Object) -> Value {
    match (name, object.at(&["spec", "paramKind"])) {
        ("ParamKind", Some(kind)) => format!("{}/{}", text(kind, "apiVersion"), text(kind, "kind")).into(),
        ("ParamKind", None) => "<unset>".into(),
        _ => Value::Null,
    }
}

fn binding_cell(name: &str, object: &Object) -> Value {
    match (name, object.at(&["spec", "paramRef"])) {
        ("PolicyName", _) => object.str_at(&["spec", "policyName"]).into(),
        ("ParamRef", Some(param)) => match (text(param, "namespace"), text(param, "name")) {
            (_, "") => "*".into(),
            ("", name) => name.into(),
            (namespace, name) => format!("{namespace}/{name}").into(),
        },
        ("ParamRef", None) => "<unset>".into(),
        _ => Value::Null,
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

type Own<'a> = &'a dyn Fn(&Value, &Path, &mut Checks);

fn with_spec(object: &mut Object, look: impl FnOnce(&mut Value, &Path, &mut Checks)) -> Admission {
    let mut checks = Checks::default();
    let mut spec = object.0.remove("spec").unwrap_or_else(|| json!({}));
    look(&mut spec, &Path::new("spec"), &mut checks);
    object.0.insert("spec".to_owned(), spec);
    checks.into()
}

fn policy(operation: Operation<'_>, object: &mut Object, own: impl Fn(&Value, &Path, &mut Checks)) -> Admission {
    if matches!(operation, Operation::UpdateStatus { .. }) {
        return Admission::default();
    }
    if matches!(operation, Operation::Create) {
        object.remove(&["status"]);
    }
    let own: Own<'_> = &own;
    with_spec(object, |spec, path, checks| {
        if spec["failurePolicy"].is_null() {
            spec["failurePolicy"] = "Fail".into();
        }
        if !spec["matchConstraints"].is_null() {
            fill_matched(&mut spec["matchConstraints"]);
        }
        checks.one_of(&path.child("failurePolicy"), text(spec, "failurePolicy"), &["Fail", "Ignore"]);
        if let Some(kind) = spec.get("paramKind").filter(|kind| !kind.is_null()) {
            let path = path.child("paramKind");
            checks.named(&path.child("apiVersion"), text(kind, "apiVersion"), |_| Vec::new());
            checks.named(&path.child("kind"), text(kind, "kind"), |kind| names::dns1035_label(&kind.to_lowercase()));
        }
        match spec.get("matchConstraints").filter(|matched| !matched.is_null()) {
            None => checks.required(&path.child("matchConstraints")),
            Some(matched) => {
                let path = path.child("matchConstraints");
                if matched["resourceRules"].as_array().is_none_or(Vec::is_empty) {
                    checks.required(&path.child("resourceRules"));
                }
                check_matched(matched, &path, checks);
            }
        }
        own(spec, path, checks);
        checks.errors.extend(Policy::read(spec, path).1);
    })
}

fn binding(operation: Operation<'_>, object: &mut Object, own: impl Fn(&Value, &Path, &mut Checks)) -> Admission {
    if matches!(operation, Operation::UpdateStatus { .. }) {
        return Admission::default();
    }
    let own: Own<'_> = &own;
    with_spec(object, |spec, path, checks| {
        checks.named(&path.child("policyName"), text(spec, "policyName"), names::dns1123_subdomain);
        let reference = &spec["paramRef"];
        if !reference.is_null() {
            let path = path.child("paramRef");
            let detail = "one of name or selector must be specified";
            match (text(reference, "name"), reference["selector"].is_null()) {
                ("", true) => checks.push(Error::required(&path, detail)),
                (name, false) if !name.is_empty() => {
                    checks.forbidden(&path.child("name"), "name and selector are mutually exclusive");
                }
                _ => {}
            }
            let actions = ["Allow", "Deny"];
            checks.one_of(&path.child("parameterNotFoundAction"), text(reference, "parameterNotFoundAction"), &actions);
        }
        own(spec, path, checks);
        if !spec["matchResources"].is_null() {
            fill_matched(&mut spec["matchResources"]);
            check_matched(&spec["matchResources"], &path.child("matchResources"), checks);
        }
    })
}

fn fill_matched(matched: &mut Value) {
    let Some(map) = matched.as_object_mut() else { return };
    map.entry("matchPolicy").or_insert_with(|| "Equivalent".into());
    for selector in ["namespaceSelector", "objectSelector"] {
        map.entry(selector).or_insert_with(|| json!({}));
    }
    for field in ["resourceRules", "excludeResourceRules"] {
        let rules = map.get_mut(field).and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten().filter_map(Value::as_object_mut) {
            rule.entry("scope").or_insert_with(|| "*".into());
        }
    }
}

fn check_matched(matched: &Value, path: &Path, checks: &mut Checks) {
    checks.one_of(&path.child("matchPolicy"), text(matched, "matchPolicy"), &["Equivalent", "Exact"]);
    for field in ["namespaceSelector", "objectSelector"] {
        match LabelSelector::deserialize(&matched[field]) {
            Ok(selector) => checks.label_selector(&path.child(field), &selector),
            Err(error) => checks.push(Error::type_invalid(&path.child(field), "", error)),
        }
    }
    for field in ["resourceRules", "excludeResourceRules"] {
        for (index, rule) in matched[field].as_array().into_iter().flatten().enumerate() {
            let path = path.child(field).index(index);
            match RuleWithOperations::deserialize(rule) {
                Ok(rule) => check_rule(&path, &rule, checks),
                Err(error) => checks.push(Error::type_invalid(&path, "", error)),
            }
        }
    }
}

/// Which writes a policy or binding is about; nothing when it does not say.
///
/// # Errors
/// When it has not the type of such.
pub fn matched(object: &Object, field: &str) -> Result<Option<MatchResources>, serde_json::Error> {
    object.at(&["spec", field]).map(MatchResources::deserialize).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created};

    const MATCH: &str = "matchConstraints: {resourceRules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [pods]}]}";

    #[test]
    fn what_is_not_said_is_filled_in() {
        let yaml =
            format!("{{metadata: {{name: x}}, spec: {{{MATCH}, validations: [{{expression: 'object != null'}}]}}}}");
        let policy = created(&ValidatingPolicy, &yaml);
        assert_eq!(policy.str_at(&["spec", "failurePolicy"]), "Fail");
        assert_eq!(policy.str_at(&["spec", "matchConstraints", "matchPolicy"]), "Equivalent");
        assert_eq!(policy.0["spec"]["matchConstraints"]["resourceRules"][0]["scope"], "*");
        let yaml = format!(
            "{{metadata: {{name: x}}, spec: {{{MATCH}, mutations: [{{patchType: JSONPatch, jsonPatch: {{expression: '[JSONPatch{{op: \"test\", path: \"/a\"}}]'}}}}]}}}}"
        );
        assert_eq!(created(&MutatingPolicy, &yaml).str_at(&["spec", "reinvocationPolicy"]), "Never");
    }

    #[test]
    fn mistakes_are_told_field_by_field() {
        let yaml = "{metadata: {name: x}, spec: {failurePolicy: No, validations: [{expression: 'foo'}]}}";
        let found = create_errors(&ValidatingPolicy, yaml);
        assert_eq!(found[0], r#"spec.failurePolicy: Unsupported value: "No": supported values: "Fail", "Ignore""#);
        assert_eq!(found[1], "spec.matchConstraints: Required value");
        assert!(found[2].contains("undeclared reference to 'foo' (in container '')"), "{found:?}");
        let yaml = "{metadata: {name: x}, spec: {policyName: p, paramRef: {}, validationActions: [Deny, Warn]}}";
        assert_eq!(
            create_errors(&ValidatingPolicyBinding, yaml),
            [
                "spec.paramRef: Required value: one of name or selector must be specified",
                "spec.paramRef.parameterNotFoundAction: Required value",
                r#"spec.validationActions: Invalid value: ["Deny","Warn"]: must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"#,
            ]
        );
    }
}
