//! Roles, of a namespace and of the cluster (`pkg/apis/rbac/validation`).

use k8s_openapi::api::rbac::v1::{ClusterRole as TypedClusterRole, PolicyRule, Role as TypedRole};

use crate::check::Checks;
use crate::field::{Error, Path};
use crate::kinds::typed;
use crate::names;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// Roles of a namespace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Role;

impl Strategy for Role {
    fn check_name(&self, name: &str) -> Vec<String> {
        names::path_segment(name)
    }

    fn admit(&self, _: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |role: &mut TypedRole, checks| {
            check_rules(role.rules.as_deref().unwrap_or_default(), Scope::Namespace, checks);
        })
    }
}

/// Roles of the cluster.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClusterRole;

impl Strategy for ClusterRole {
    fn check_name(&self, name: &str) -> Vec<String> {
        names::path_segment(name)
    }

    fn admit(&self, _: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |role: &mut TypedClusterRole, checks| {
            check_rules(role.rules.as_deref().unwrap_or_default(), Scope::Cluster, checks);
            let Some(aggregation) = &role.aggregation_rule else { return };
            let path = Path::new("aggregationRule").child("clusterRoleSelectors");
            let selectors = aggregation.cluster_role_selectors.as_deref().unwrap_or_default();
            if selectors.is_empty() {
                let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
                checks.push(Error::required(&path, detail));
            }
            for (index, selector) in selectors.iter().enumerate() {
                checks.label_selector(&path.index(index), selector);
            }
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Namespace,
    Cluster,
}

fn check_rules(rules: &[PolicyRule], scope: Scope, checks: &mut Checks) {
    for (index, rule) in rules.iter().enumerate() {
        check_rule(&Path::new("rules").index(index), rule, scope, checks);
    }
}

fn check_rule(path: &Path, rule: &PolicyRule, scope: Scope, checks: &mut Checks) {
    let is_empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
    if rule.verbs.is_empty() {
        checks.push(Error::required(&path.child("verbs"), "verbs must contain at least one value"));
    }
    if !is_empty(&rule.non_resource_urls) {
        let path = path.child("nonResourceURLs");
        if scope == Scope::Namespace {
            checks.invalid(&path, &rule.non_resource_urls, "namespaced rules cannot apply to non-resource URLs");
        }
        if [&rule.api_groups, &rule.resources, &rule.resource_names].into_iter().any(|list| !is_empty(list)) {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            checks.invalid(&path, &rule.non_resource_urls, detail);
        }
        return;
    }
    if is_empty(&rule.api_groups) {
        let detail = "resource rules must supply at least one api group";
        checks.push(Error::required(&path.child("apiGroups"), detail));
    }
    if is_empty(&rule.resources) {
        let detail = "resource rules must supply at least one resource";
        checks.push(Error::required(&path.child("resources"), detail));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::create_errors;

    #[test]
    fn what_is_wrong_with_a_rule() {
        let check = |strategy: &dyn Strategy, rule: &str, expected: &[&str]| {
            let yaml = format!("{{metadata: {{name: 'a:b', namespace: d}}, rules: [{rule}]}}");
            assert_eq!(create_errors(strategy, &yaml), expected, "{rule}");
        };
        check(&Role, "{verbs: [get], apiGroups: [''], resources: [pods]}", &[]);
        check(&ClusterRole, "{verbs: [get], nonResourceURLs: [/healthz]}", &[]);
        check(
            &Role,
            "{verbs: []}",
            &[
                "rules[0].verbs: Required value: verbs must contain at least one value",
                "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                "rules[0].resources: Required value: resource rules must supply at least one resource",
            ],
        );
        check(
            &Role,
            "{verbs: [get], nonResourceURLs: [/x], resources: [pods]}",
            &[
                "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
                "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: rules cannot apply to both regular resources and non-resource URLs",
            ],
        );
    }

    #[test]
    fn an_aggregation_selects_something() {
        let role = |selectors: &str| {
            format!("{{metadata: {{name: r}}, aggregationRule: {{clusterRoleSelectors: [{selectors}]}}}}")
        };
        assert_eq!(create_errors(&ClusterRole, &role("{matchLabels: {a: b}}")), [""; 0]);
        let expected = "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil";
        assert_eq!(create_errors(&ClusterRole, &role("")), [expected]);
    }

    #[test]
    fn a_name_is_one_segment_of_a_path() {
        assert_eq!(Role.check_name("system:a"), [""; 0]);
        assert_eq!(ClusterRole.check_name("a/b"), ["may not contain '/'"]);
    }
}
