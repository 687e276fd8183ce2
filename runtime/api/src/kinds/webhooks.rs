//! Configurations of admission webhooks, mutating and validating
//! (`pkg/apis/admissionregistration/validation`).

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhook as Webhook, RuleWithOperations, ServiceReference, WebhookClientConfig,
};
use serde::Deserialize;
use serde_json::Value;

use crate::check::{Checks, text};
use crate::field::{Error, Path};
use crate::names;
use crate::object::Object;
use crate::policy::Policy;
use crate::strategy::{Admission, Operation, Strategy};

/// Webhooks that change what is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct MutatingWebhooks;

/// Webhooks that accept or refuse what is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct ValidatingWebhooks;

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SIDE_EFFECTS: [&str; 2] = ["None", "NoneOnDryRun"];
const REVIEW_VERSIONS: [&str; 2] = ["v1", "v1beta1"];

impl Strategy for MutatingWebhooks {
    fn admit(&self, _: Operation<'_>, object: &mut Object) -> Admission {
        admit(object, |hook| {
            hook.reinvocation_policy.get_or_insert_with(|| "Never".to_owned());
        })
    }

    fn cell(&self, name: &str, object: &Object, _: i64) -> Value {
        cell(name, object)
    }
}

impl Strategy for ValidatingWebhooks {
    fn admit(&self, _: Operation<'_>, object: &mut Object) -> Admission {
        admit(object, |hook| hook.reinvocation_policy = None)
    }

    fn cell(&self, name: &str, object: &Object, _: i64) -> Value {
        cell(name, object)
    }
}

fn cell(name: &str, object: &Object) -> Value {
    match name {
        "Webhooks" => object.at(&["webhooks"]).and_then(Value::as_array).map_or(0, Vec::len).into(),
        _ => Value::Null,
    }
}

/// The webhooks of a configuration of either kind, in their order.
///
/// # Errors
/// When one has not the type of a webhook.
pub fn webhooks(object: &Object) -> Result<Vec<Webhook>, serde_json::Error> {
    object.0.get("webhooks").map_or_else(|| Ok(Vec::new()), Vec::deserialize)
}

fn admit(object: &mut Object, fill_own: impl Fn(&mut Webhook)) -> Admission {
    let mut checks = Checks::default();
    let path = Path::new("webhooks");
    match webhooks(object) {
        Ok(mut hooks) => {
            let mut known = std::collections::BTreeSet::new();
            for (index, hook) in hooks.iter_mut().enumerate() {
                fill(hook);
                fill_own(hook);
                let path = path.index(index);
                check(&path, hook, &mut checks);
                if !known.insert(hook.name.clone()) {
                    checks.push(Error::duplicate(&path.child("name"), &hook.name));
                }
            }
            match serde_json::to_value(&hooks) {
                Ok(Value::Array(hooks)) if hooks.is_empty() => {}
                Ok(written) => object.set(&["webhooks"], written),
                Err(error) => checks.push(Error::type_invalid(&path, "", error)),
            }
        }
        Err(error) => checks.push(Error::type_invalid(&path, "", error)),
    }
    checks.into()
}

fn fill(hook: &mut Webhook) {
    hook.failure_policy.get_or_insert_with(|| "Fail".to_owned());
    hook.match_policy.get_or_insert_with(|| "Equivalent".to_owned());
    hook.namespace_selector.get_or_insert_default();
    hook.object_selector.get_or_insert_default();
    hook.timeout_seconds.get_or_insert(10);
    if let Some(service) = &mut hook.client_config.service {
        service.port.get_or_insert(443);
    }
    for rule in hook.rules.iter_mut().flatten() {
        rule.scope.get_or_insert_with(|| "*".to_owned());
    }
}

fn check(path: &Path, hook: &Webhook, checks: &mut Checks) {
    fully_qualified(&path.child("name"), &hook.name, checks);
    for (name, selector) in [("namespaceSelector", &hook.namespace_selector), ("objectSelector", &hook.object_selector)]
    {
        if let Some(selector) = selector {
            checks.label_selector(&path.child(name), selector);
        }
    }
    if hook.side_effects.is_empty() {
        let detail = format!("must specify one of {}", SIDE_EFFECTS.join(", "));
        checks.push(Error::required(&path.child("sideEffects"), detail));
    } else {
        checks.one_of(&path.child("sideEffects"), &hook.side_effects, &SIDE_EFFECTS);
    }
    if hook.timeout_seconds.is_some_and(|seconds| !(1..=30).contains(&seconds)) {
        let detail = "the timeout value must be between 1 and 30 seconds";
        checks.invalid(&path.child("timeoutSeconds"), hook.timeout_seconds, detail);
    }
    for (name, value, supported) in [
        ("failurePolicy", &hook.failure_policy, ["Fail", "Ignore"]),
        ("matchPolicy", &hook.match_policy, ["Equivalent", "Exact"]),
        ("reinvocationPolicy", &hook.reinvocation_policy, ["IfNeeded", "Never"]),
    ] {
        if let Some(value) = value {
            checks.one_of(&path.child(name), value, &supported);
        }
    }
    review_versions(&path.child("admissionReviewVersions"), &hook.admission_review_versions, checks);
    for (index, rule) in hook.rules.iter().flatten().enumerate() {
        check_rule(&path.child("rules").index(index), rule, checks);
    }
    client_config(&path.child("clientConfig"), &hook.client_config, checks);
    if hook.match_conditions.as_ref().is_some_and(|conditions| !conditions.is_empty()) {
        let conditions = serde_json::to_value(hook).unwrap_or_default();
        checks.errors.extend(Policy::read(&conditions, path).1);
    }
}

fn fully_qualified(path: &Path, name: &str, checks: &mut Checks) {
    checks.named(path, name, names::dns1123_subdomain);
    if !name.is_empty() && name.split('.').count() < 3 {
        checks.invalid(path, name, "should be a domain with at least three segments separated by dots");
    }
}

pub(crate) fn review_versions(path: &Path, versions: &[String], checks: &mut Checks) {
    if versions.is_empty() {
        checks.push(Error::required(path, format!("must specify one of {}", REVIEW_VERSIONS.join(", "))));
        return;
    }
    for (index, version) in versions.iter().enumerate() {
        checks.follows(&path.index(index), version, names::dns1035_label);
        if versions[..index].contains(version) {
            checks.invalid(&path.index(index), version, "duplicate version");
        }
    }
    if !versions.iter().any(|version| REVIEW_VERSIONS.contains(&version.as_str())) {
        checks.invalid(path, versions, &format!("must include at least one of {}", REVIEW_VERSIONS.join(", ")));
    }
}

pub(super) fn check_rule(path: &Path, rule: &RuleWithOperations, checks: &mut Checks) {
    let operations = rule.operations.as_deref().unwrap_or_default();
    let at = path.child("operations");
    all_or_some(&at, operations, "operations", checks);
    for (index, operation) in operations.iter().enumerate() {
        if !OPERATIONS.contains(&operation.as_str()) {
            checks.push(Error::not_supported(&at.index(index), operation, &OPERATIONS));
        }
    }
    all_or_some(&path.child("apiGroups"), rule.api_groups.as_deref().unwrap_or_default(), "API groups", checks);
    let versions = rule.api_versions.as_deref().unwrap_or_default();
    all_or_some(&path.child("apiVersions"), versions, "API versions", checks);
    let resources = rule.resources.as_deref().unwrap_or_default();
    let at = path.child("resources");
    if resources.is_empty() {
        checks.required(&at);
    }
    for (list, names) in [(versions, path.child("apiVersions")), (resources, at.clone())] {
        for (index, _) in list.iter().enumerate().filter(|(_, name)| name.is_empty()) {
            checks.required(&names.index(index));
        }
    }
    if resources.len() > 1 && resources.iter().any(|resource| resource == "*/*") {
        checks.invalid(&at, resources, "if '*/*' is present, must not specify other resources");
    }
    let main = |resource: &&String| !resource.contains('/');
    if resources.iter().any(|resource| resource == "*") && resources.iter().filter(main).count() > 1 {
        let detail = "if '*' is present, must not specify other resources without subresources";
        checks.invalid(&at, resources, detail);
    }
    checks.one_of(&path.child("scope"), text(&rule.scope), &["*", "Cluster", "Namespaced"]);
}

fn all_or_some(path: &Path, list: &[String], what: &str, checks: &mut Checks) {
    if list.is_empty() {
        checks.required(path);
    } else if list.len() > 1 && list.iter().any(|item| item == "*") {
        checks.invalid(path, list, &format!("if '*' is present, must not specify other {what}"));
    }
}

pub(crate) fn client_config(path: &Path, config: &WebhookClientConfig, checks: &mut Checks) {
    match (&config.url, &config.service) {
        (Some(url), None) => check_url(&path.child("url"), url, checks),
        (None, Some(service)) => check_service(&path.child("service"), service, checks),
        _ => checks.push(Error::required(path, "exactly one of url or service is required")),
    }
}

fn check_url(path: &Path, url: &str, checks: &mut Checks) {
    const FORM: &str = "; desired format: https://host[:port]/path";
    let Some((scheme, rest)) = url.split_once("://") else {
        checks.invalid(path, url, &format!("'https' is the only allowed URL scheme{FORM}"));
        return;
    };
    if scheme != "https" {
        checks.invalid(path, scheme, &format!("'https' is the only allowed URL scheme{FORM}"));
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() {
        checks.invalid(path, host, &format!("host must be specified{FORM}"));
    }
    if let Some((user, _)) = host.rsplit_once('@') {
        checks.invalid(path, user, "user information is not permitted in the URL");
    }
    if let Some((_, fragment)) = rest.split_once('#') {
        checks.invalid(path, fragment, "fragments are not permitted in the URL");
    } else if let Some((_, query)) = rest.split_once('?') {
        checks.invalid(path, query, "query parameters are not permitted in the URL");
    }
}

fn check_service(path: &Path, service: &ServiceReference, checks: &mut Checks) {
    if service.name.is_empty() {
        checks.push(Error::required(&path.child("name"), "service name is required"));
    }
    if service.namespace.is_empty() {
        checks.push(Error::required(&path.child("namespace"), "service namespace is required"));
    }
    for problem in service.port.map_or_else(Vec::new, names::port_number) {
        checks.invalid(&path.child("port"), service.port, &format!("port is not valid: {problem}"));
    }
    if let Some(target) = service.path.as_deref().filter(|target| !target.starts_with('/')) {
        checks.invalid(&path.child("path"), target, "must start with a '/'");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created};

    const HOOK: &str = "name: a.b.c, sideEffects: None, admissionReviewVersions: [v1], clientConfig: {service: {name: s, namespace: n}}, rules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [pods]}]";

    #[test]
    fn what_is_not_said_is_filled_in() {
        let yaml = format!("{{metadata: {{name: x}}, webhooks: [{{{HOOK}}}]}}");
        let mutating = created(&MutatingWebhooks, &yaml);
        let hook = &mutating.0["webhooks"][0];
        assert_eq!(hook["failurePolicy"], "Fail");
        assert_eq!(hook["timeoutSeconds"], 10);
        assert_eq!(hook["clientConfig"]["service"]["port"], 443);
        assert_eq!(hook["rules"][0]["scope"], "*");
        assert_eq!(hook["reinvocationPolicy"], "Never");
        assert_eq!(hook["objectSelector"], serde_json::json!({}));
        assert_eq!(cell("Webhooks", &mutating), 1);
        let validating = created(&ValidatingWebhooks, &yaml);
        assert!(validating.0["webhooks"][0].get("reinvocationPolicy").is_none());
    }

    #[test]
    fn mistakes_are_told_field_by_field() {
        let yaml = "{metadata: {name: x}, webhooks: [{name: a.b, sideEffects: Some, admissionReviewVersions: [v9], timeoutSeconds: 31, clientConfig: {url: 'http://x?y'}, rules: [{operations: ['*', CREATE], apiGroups: [], apiVersions: [v1], resources: ['*/*', pods]}]}]}";
        let expected = [
            "webhooks[0].name: Invalid value: \"a.b\": should be a domain with at least three segments separated by dots",
            "webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"",
            "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
            "webhooks[0].admissionReviewVersions: Invalid value: [\"v9\"]: must include at least one of v1, v1beta1",
            "webhooks[0].rules[0].operations: Invalid value: [\"*\",\"CREATE\"]: if '*' is present, must not specify other operations",
            "webhooks[0].rules[0].apiGroups: Required value",
            "webhooks[0].rules[0].resources: Invalid value: [\"*/*\",\"pods\"]: if '*/*' is present, must not specify other resources",
            "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[:port]/path",
            "webhooks[0].clientConfig.url: Invalid value: \"y\": query parameters are not permitted in the URL",
        ];
        assert_eq!(create_errors(&MutatingWebhooks, yaml), expected);
        let twice = format!("{{metadata: {{name: x}}, webhooks: [{{{HOOK}}}, {{{HOOK}}}]}}");
        let found = create_errors(&ValidatingWebhooks, &twice);
        assert_eq!(found, ["webhooks[1].name: Duplicate value: \"a.b.c\""]);
    }
}
