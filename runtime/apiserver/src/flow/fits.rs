//! Which requests are of a FlowSchema.

use k8s_openapi::api::flowcontrol::v1::{FlowSchemaSpec, NonResourcePolicyRule, ResourcePolicyRule, Subject};
use trimtab_api::rbac::{Attributes, User, service_account};

const ANY: &str = "*";

/// Whether what `user` asks is of the schema.
pub(super) fn fits(spec: &FlowSchemaSpec, user: User<'_>, asked: &Attributes<'_>) -> bool {
    spec.rules.iter().flatten().any(|rule| {
        rule.subjects.iter().any(|subject| is(subject, user))
            && match asked {
                Attributes::Resource { .. } => {
                    rule.resource_rules.iter().flatten().any(|rule| covers_resource(rule, asked))
                }
                Attributes::Path { verb, path } => {
                    rule.non_resource_rules.iter().flatten().any(|rule| covers_path(rule, verb, path))
                }
            }
    })
}

fn is(subject: &Subject, user: User<'_>) -> bool {
    match (subject.kind.as_str(), &subject.user, &subject.group, &subject.service_account) {
        ("User", Some(known), _, _) => known.name == ANY || known.name == user.name,
        ("Group", _, Some(known), _) => known.name == ANY || user.groups.contains(&known.name),
        ("ServiceAccount", _, _, Some(known)) => service_account(user.name)
            .is_some_and(|(namespace, name)| known.namespace == namespace && (known.name == ANY || known.name == name)),
        _ => false,
    }
}

fn one_of(list: &[String], value: &str) -> bool {
    list.iter().any(|item| item == ANY || item == value)
}

fn covers_resource(rule: &ResourcePolicyRule, asked: &Attributes<'_>) -> bool {
    let Attributes::Resource { verb, namespace, group, resource, subresource, .. } = *asked else { return false };
    let resource = if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
    let is_placed = if namespace.is_empty() {
        rule.cluster_scope == Some(true)
    } else {
        one_of(rule.namespaces.as_deref().unwrap_or_default(), namespace)
    };
    is_placed && one_of(&rule.verbs, verb) && one_of(&rule.api_groups, group) && one_of(&rule.resources, &resource)
}

fn covers_path(rule: &NonResourcePolicyRule, verb: &str, path: &str) -> bool {
    one_of(&rule.verbs, verb)
        && rule.non_resource_urls.iter().any(|url| match url.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == url,
        })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_request_is_of_the_schema_that_it_fits() {
        let check = |rule: Value, user: &str, asked: Attributes<'_>, expected: bool| {
            let spec = json!({"priorityLevelConfiguration": {"name": "l"}, "rules": [rule]});
            let groups = ["system:authenticated".to_owned()];
            let found = fits(&serde_json::from_value(spec).unwrap(), User { name: user, groups: &groups }, &asked);
            assert_eq!(found, expected, "{rule} {user} {asked:?}");
        };
        let pods = |namespace, subresource| Attributes::Resource {
            verb: "list",
            namespace,
            group: "",
            version: "v1",
            resource: "pods",
            subresource,
            name: "",
        };
        let resources = json!([{"verbs": ["list"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["shop"]}]);
        let of = |subject: Value| json!({"subjects": [subject], "resourceRules": resources});
        let anna = json!({"kind": "User", "user": {"name": "anna"}});
        check(of(anna.clone()), "anna", pods("shop", ""), true);
        check(of(anna.clone()), "bert", pods("shop", ""), false);
        check(of(anna.clone()), "anna", pods("other", ""), false);
        check(of(anna.clone()), "anna", pods("", ""), false);
        check(of(anna.clone()), "anna", pods("shop", "status"), false);
        check(of(anna.clone()), "anna", Attributes::Path { verb: "get", path: "/api" }, false);
        check(of(json!({"kind": "Group", "group": {"name": "system:authenticated"}})), "x", pods("shop", ""), true);
        let account = json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "*"}});
        check(of(account.clone()), "system:serviceaccount:a:b", pods("shop", ""), true);
        check(of(account), "system:serviceaccount:b:b", pods("shop", ""), false);
        let paths = json!({"subjects": [anna], "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["/api/*"]}]});
        check(paths.clone(), "anna", Attributes::Path { verb: "get", path: "/api/v1" }, true);
        check(paths, "anna", Attributes::Path { verb: "get", path: "/apis" }, false);
    }
}
