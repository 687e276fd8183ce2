//! Whether one rule allows what is asked (`pkg/apis/rbac/v1/evaluation_helpers.go`).

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::Attributes;

/// Whether `rule` allows what `asked` describes.
pub fn allows(rule: &PolicyRule, asked: &Attributes<'_>) -> bool {
    match *asked {
        Attributes::Resource { verb, group, resource, subresource, name, .. } => {
            one_of(&rule.verbs, verb)
                && one_of(list(&rule.api_groups), group)
                && list(&rule.resources).iter().any(|rule| is_resource(rule, resource, subresource))
                && is_name(list(&rule.resource_names), name)
        }
        Attributes::Path { verb, path } => {
            one_of(&rule.verbs, verb) && list(&rule.non_resource_urls).iter().any(|rule| is_path(rule, path))
        }
    }
}

pub(super) fn list(values: &Option<Vec<String>>) -> &[String] {
    values.as_deref().unwrap_or_default()
}

pub(super) fn one_of(rule: &[String], asked: &str) -> bool {
    rule.iter().any(|rule| rule == "*" || rule == asked)
}

fn is_resource(rule: &str, resource: &str, subresource: &str) -> bool {
    if rule == "*" {
        return true;
    }
    match rule.split_once('/') {
        Some((of, below)) if !subresource.is_empty() => below == subresource && (of == "*" || of == resource),
        Some(_) => false,
        None => subresource.is_empty() && rule == resource,
    }
}

// No names at all are all names.
fn is_name(rule: &[String], name: &str) -> bool {
    rule.is_empty() || rule.iter().any(|rule| rule == name)
}

pub(super) fn is_path(rule: &str, path: &str) -> bool {
    rule == path || rule.ends_with('*') && path.starts_with(rule.trim_end_matches('*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: &str, asked: &str, expected: bool) {
        let parsed: PolicyRule = serde_yaml::from_str(rule).unwrap();
        let words: Vec<&str> = asked.split(' ').collect();
        let attributes = match words.as_slice() {
            [verb, path] => Attributes::Path { verb, path },
            [verb, group, resource, name] => {
                let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                let group = if *group == "core" { "" } else { group };
                let name = if *name == "-" { "" } else { name };
                Attributes::Resource { verb, namespace: "n", group, version: "v1", resource, subresource, name }
            }
            _ => panic!("{asked}"),
        };
        assert_eq!(allows(&parsed, &attributes), expected, "{rule}: {asked}");
    }

    #[test]
    fn resources() {
        let pods = "{verbs: [get, list], apiGroups: [''], resources: [pods]}";
        check(pods, "get core pods p", true);
        check(pods, "list core pods -", true);
        check(pods, "watch core pods -", false);
        check(pods, "get apps pods p", false);
        check(pods, "get core services p", false);
        check(pods, "get core pods/log p", false);
        check(pods, "get /pods", false);
        let everything = "{verbs: ['*'], apiGroups: ['*'], resources: ['*']}";
        check(everything, "escalate apps deployments/scale p", true);
        check(everything, "get /healthz", false);
    }

    #[test]
    fn subresources() {
        let log = "{verbs: [get], apiGroups: [''], resources: [pods/log]}";
        check(log, "get core pods/log p", true);
        check(log, "get core pods p", false);
        check(log, "get core nodes/log p", false);
        let scale = "{verbs: [get], apiGroups: ['*'], resources: ['*/scale']}";
        check(scale, "get apps deployments/scale d", true);
        check(scale, "get apps deployments d", false);
        check(scale, "get apps deployments/status d", false);
        check("{verbs: [get], apiGroups: [''], resources: ['pods/*']}", "get core pods/log p", false);
    }

    #[test]
    fn names() {
        let named = "{verbs: [get, list], apiGroups: [''], resources: [pods], resourceNames: [a, b]}";
        check(named, "get core pods a", true);
        check(named, "get core pods c", false);
        check(named, "list core pods -", false);
        check(named, "list core pods b", true);
    }

    #[test]
    fn paths() {
        let rule = "{verbs: [get], nonResourceURLs: [/healthz, /logs/*]}";
        check(rule, "get /healthz", true);
        check(rule, "get /healthz/", false);
        check(rule, "post /healthz", false);
        check(rule, "get /logs/", true);
        check(rule, "get /logs/a/b", true);
        check(rule, "get /logs", false);
        check("{verbs: ['*'], nonResourceURLs: ['*']}", "delete /anything", true);
        check("{verbs: [get], nonResourceURLs: ['*/x']}", "get /a/x", false);
    }
}
