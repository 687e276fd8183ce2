//! FlowSchemas: which requests are of which priority level (`pkg/apis/flowcontrol/validation`).

use crate::at::At;
use crate::cells;
use crate::check::Checks;
use crate::kinds::flow_control::check_mandatory;
use crate::kinds::ruled::{Ruled, default};
use crate::names;
use crate::object::Object;

/// FlowSchemas.
pub const FLOW_SCHEMA: Ruled = Ruled::printed(cells::flow_schema)
    .filled(|schema| default(schema, &["spec", "matchingPrecedence"], 1000))
    .checked(check)
    .status(|new, _, checks| check_conditions(new, checks));

const MAX_PRECEDENCE: i64 = 10_000;
const VERBS: [&str; 9] = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];
/// The kinds of subjects, and where each is told.
const SUBJECTS: [(&str, &str); 3] = [("Group", "group"), ("ServiceAccount", "serviceAccount"), ("User", "user")];

fn check(schema: &Object, checks: &mut Checks) {
    let spec = At::of(schema, "spec");
    let precedence = spec.get("matchingPrecedence");
    match precedence.int().unwrap_or(0) {
        ..=0 => precedence.invalid("must be a positive value", checks),
        1 if schema.name() != "exempt" => {
            precedence.invalid("only the schema named 'exempt' may have matchingPrecedence 1", checks);
        }
        value if value > MAX_PRECEDENCE => {
            precedence.invalid(&format!("must not be greater than {MAX_PRECEDENCE}"), checks);
        }
        _ => {}
    }
    spec.get("distinguisherMethod").get("type").maybe_one_of(&["ByNamespace", "ByUser"], checks);
    let level = spec.get("priorityLevelConfiguration").get("name");
    if level.is_empty() {
        level.required("must reference a priority level", checks);
    }
    level.maybe_named(names::dns1123_subdomain, checks);
    spec.get("rules").items().for_each(|rule| check_rule(&rule, checks));
    check_mandatory(schema, None, checks);
}

fn check_rule(rule: &At<'_>, checks: &mut Checks) {
    let subjects = rule.get("subjects");
    if subjects.is_empty() {
        subjects.required("subjects must contain at least one value", checks);
    }
    subjects.items().for_each(|subject| check_subject(&subject, checks));
    let (resources, others) = (rule.get("resourceRules"), rule.get("nonResourceRules"));
    if resources.is_empty() && others.is_empty() {
        rule.required("at least one of resourceRules and nonResourceRules has to be non-empty", checks);
    }
    for rule in resources.items() {
        check_verbs(&rule.get("verbs"), checks);
        for (field, one, many) in [("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")] {
            let at = rule.get(field);
            if at.is_empty() {
                at.required(&format!("resource rules must supply at least one {one}"), checks);
            }
            check_wildcard(&at, many, checks);
        }
        check_namespaces(&rule, checks);
    }
    for rule in others.items() {
        check_verbs(&rule.get("verbs"), checks);
        let urls = rule.get("nonResourceURLs");
        if urls.is_empty() {
            urls.required("nonResourceURLs must contain at least one value", checks);
        }
        if !check_wildcard(&urls, "non-resource URLs", checks) {
            urls.items().for_each(|url| check_url(&url, checks));
        }
    }
}

fn check_subject(subject: &At<'_>, checks: &mut Checks) {
    let kind = subject.get("kind");
    if !SUBJECTS.iter().any(|(known, _)| *known == kind.text()) {
        return checks.push(crate::field::Error::not_supported(
            &kind.path,
            kind.text(),
            &SUBJECTS.map(|(known, _)| known),
        ));
    }
    for (known, field) in SUBJECTS {
        let at = subject.get(field);
        if known != kind.text() {
            if at.is_set() {
                at.forbidden(&format!("{field} is forbidden when subject kind is not '{known}'"), checks);
            }
            continue;
        }
        if !at.is_set() {
            at.required(&format!("{field} is required when subject kind is '{known}'"), checks);
            continue;
        }
        let name = at.get("name");
        name.present(checks);
        if known == "ServiceAccount" {
            if name.text() != "*" {
                name.maybe_named(names::dns1123_subdomain, checks);
            }
            let namespace = at.get("namespace");
            if namespace.is_empty() {
                namespace.required("must specify namespace for service account", checks);
            }
            namespace.maybe_named(names::dns1123_label, checks);
        }
    }
}

/// Whether everything is meant; nothing else is then.
fn check_wildcard(at: &At<'_>, what: &str, checks: &mut Checks) -> bool {
    if at.has("*") && at.len() > 1 {
        at.invalid(&format!("if '*' is present, must not specify other {what}"), checks);
    }
    at.has("*")
}

fn check_verbs(verbs: &At<'_>, checks: &mut Checks) {
    if verbs.is_empty() {
        verbs.required("verbs must contain at least one value", checks);
    }
    if !check_wildcard(verbs, "verbs", checks) && verbs.items().any(|verb| !VERBS.contains(&verb.text())) {
        verbs.unsupported(&VERBS, checks);
    }
}

fn check_namespaces(rule: &At<'_>, checks: &mut Checks) {
    let namespaces = rule.get("namespaces");
    if namespaces.is_empty() && !rule.get("clusterScope").flag() {
        let detail = "resource rules that are not cluster scoped must supply at least one namespace";
        namespaces.required(detail, checks);
    }
    if !check_wildcard(&namespaces, "namespaces", checks) {
        for namespace in namespaces.items() {
            for problem in names::dns1123_label(namespace.text()) {
                let detail = format!("each member of this list must be '*' or a DNS-1123 label; {problem}");
                namespace.invalid(&detail, checks);
            }
        }
    }
}

fn check_url(url: &At<'_>, checks: &mut Checks) {
    let text = url.text();
    let stars = text.matches('*').count();
    let wrong = [
        (text.is_empty(), "must not be empty"),
        (!text.starts_with('/'), "must start with slash"),
        (text.contains(' '), "must not contain white-space"),
        (text.contains("//"), "must not contain double slash"),
        (stars > 1 || stars == 1 && !text.ends_with("/*"), "wildcard can only do suffix matching"),
    ];
    if let Some((_, detail)) = wrong.iter().find(|(is_wrong, _)| *is_wrong) {
        url.invalid(detail, checks);
    }
}

/// Conditions have a type, each another.
pub(super) fn check_conditions(object: &Object, checks: &mut Checks) {
    let conditions = At::of(object, "status").get("conditions");
    for (index, condition) in conditions.items().enumerate() {
        let type_ = condition.get("type");
        if conditions.items().take(index).any(|earlier| earlier.get("type").value == type_.value) {
            type_.duplicate(checks);
        }
        if type_.is_empty() {
            type_.required("must not be empty", checks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created, status_errors};

    #[test]
    fn what_does_not_fit_is_named() {
        const SUBJECT: &str = "subjects: [{kind: User, user: {name: u}}]";
        const RULE: &str = "resourceRules: [{verbs: [get], apiGroups: [''], resources: [pods], namespaces: ['*']}]";
        let schema = |rest: &str| {
            format!("{{metadata: {{name: s}}, spec: {{priorityLevelConfiguration: {{name: l}}, {rest}}}}}")
        };
        let rule = |rule: &str| schema(&format!("rules: [{{{rule}}}]"));
        created(&FLOW_SCHEMA, &rule(&format!("{SUBJECT}, {RULE}")));
        for (yaml, expected) in [
            (
                schema("matchingPrecedence: 1"),
                "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
            ),
            (
                schema("matchingPrecedence: 10001"),
                "spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000",
            ),
            (
                "{metadata: {name: s}}".to_owned(),
                "spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
            ),
            (rule(RULE), "spec.rules[0].subjects: Required value: subjects must contain at least one value"),
            (
                rule(SUBJECT),
                "spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
            ),
            (
                rule(&format!("subjects: [{{kind: User, group: {{name: g}}, user: {{name: u}}}}], {RULE}")),
                "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'",
            ),
            (
                rule(&format!("subjects: [{{kind: Robot}}], {RULE}")),
                "spec.rules[0].subjects[0].kind: Unsupported value: \"Robot\": supported values: \"Group\", \"ServiceAccount\", \"User\"",
            ),
            (
                rule(&format!("{SUBJECT}, {}", RULE.replace("[get]", "[get, '*']"))),
                "spec.rules[0].resourceRules[0].verbs: Invalid value: [\"get\",\"*\"]: if '*' is present, must not specify other verbs",
            ),
            (
                rule(&format!("{SUBJECT}, {}", RULE.replace(", namespaces: ['*']", ""))),
                "spec.rules[0].resourceRules[0].namespaces: Required value: resource rules that are not cluster scoped must supply at least one namespace",
            ),
            (
                rule(&format!("{SUBJECT}, nonResourceRules: [{{verbs: [get], nonResourceURLs: [/a*]}}]")),
                "spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"/a*\": wildcard can only do suffix matching",
            ),
        ] {
            assert_eq!(create_errors(&FLOW_SCHEMA, &yaml), [expected], "{yaml}");
        }
        let status = serde_json::json!({"conditions": [{"type": "A"}, {"type": "A"}]});
        let found = status_errors(&FLOW_SCHEMA, &schema("matchingPrecedence: 5"), status);
        assert_eq!(found, ["status.conditions[1].type: Duplicate value: \"A\""]);
    }
}
