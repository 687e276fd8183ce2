//! Whether some rules grant all that others do: nobody may grant what it does not hold
//! (`k8s.io/component-helpers/auth/rbac/validation/policy_comparator.go`).

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::rule::{is_path, list, one_of};

/// What of `wanted` is not granted by `held`, each of one verb on one thing.
pub fn uncovered(held: &[PolicyRule], wanted: &[PolicyRule]) -> Vec<PolicyRule> {
    let single = wanted.iter().flat_map(broken_down);
    single.filter(|single| !held.iter().any(|held| covers(held, single))).collect()
}

/// What `missing` grants, as upstream's refusals list it: a line for each thing, with all its verbs.
pub fn describe(missing: &[PolicyRule]) -> String {
    let mut compact: Vec<PolicyRule> = Vec::new();
    for rule in missing {
        let is_same = |other: &&mut PolicyRule| {
            rule.non_resource_urls.is_none() && PolicyRule { verbs: rule.verbs.clone(), ..(**other).clone() } == *rule
        };
        match compact.iter_mut().find(is_same) {
            Some(same) => same.verbs.extend(rule.verbs.iter().cloned()),
            None => compact.push(rule.clone()),
        }
    }
    let lines: BTreeSet<String> = compact.iter().map(line).collect();
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

fn line(rule: &PolicyRule) -> String {
    let fields = [
        ("APIGroups", list(&rule.api_groups)),
        ("Resources", list(&rule.resources)),
        ("NonResourceURLs", list(&rule.non_resource_urls)),
        ("ResourceNames", list(&rule.resource_names)),
        ("Verbs", &rule.verbs),
    ];
    let parts = fields.iter().filter(|(_, values)| !values.is_empty()).map(|(name, values)| {
        let values: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
        format!("{name}:[{}]", values.join(" "))
    });
    format!("{{{}}}", parts.collect::<Vec<_>>().join(", "))
}

fn broken_down(rule: &PolicyRule) -> Vec<PolicyRule> {
    let one = |text: &String| Some(vec![text.clone()]);
    let mut found = Vec::new();
    for group in list(&rule.api_groups) {
        for resource in list(&rule.resources) {
            for verb in &rule.verbs {
                let single = PolicyRule {
                    api_groups: one(group),
                    resources: one(resource),
                    verbs: vec![verb.clone()],
                    ..PolicyRule::default()
                };
                match list(&rule.resource_names) {
                    [] => found.push(single),
                    names => found
                        .extend(names.iter().map(|name| PolicyRule { resource_names: one(name), ..single.clone() })),
                }
            }
        }
    }
    for path in list(&rule.non_resource_urls) {
        for verb in &rule.verbs {
            let single = PolicyRule { non_resource_urls: one(path), ..PolicyRule::default() };
            found.push(PolicyRule { verbs: vec![verb.clone()], ..single });
        }
    }
    found
}

/// Whether `held` grants `single`, which is of one verb on one thing.
fn covers(held: &PolicyRule, single: &PolicyRule) -> bool {
    let names = list(&held.resource_names);
    all(&single.verbs, |verb| one_of(&held.verbs, verb))
        && all(list(&single.api_groups), |group| one_of(list(&held.api_groups), group))
        && all(list(&single.resources), |resource| covers_resource(list(&held.resources), resource))
        && all(list(&single.non_resource_urls), |path| {
            list(&held.non_resource_urls).iter().any(|held| is_path(held, path))
        })
        && (names.is_empty()
            || single.resource_names.is_some() && all(list(&single.resource_names), |name| names.contains(name)))
}

fn all(values: &[String], holds: impl Fn(&String) -> bool) -> bool {
    values.iter().all(holds)
}

fn covers_resource(held: &[String], resource: &str) -> bool {
    let below = resource.split_once('/').map(|(_, below)| below);
    one_of(held, resource) || below.is_some_and(|below| held.iter().any(|held| held.strip_prefix("*/") == Some(below)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(held: &str, wanted: &str, expected: &str) {
        let parse = |yaml: &str| -> Vec<PolicyRule> { serde_yaml::from_str(yaml).unwrap() };
        let missing = uncovered(&parse(held), &parse(wanted));
        assert_eq!(describe(&missing), expected, "{held} of {wanted}");
    }

    #[test]
    fn what_is_not_held_is_listed() {
        let pods = "[{verbs: [get, list], apiGroups: [''], resources: [pods]}]";
        check(pods, pods, "");
        check(pods, "[{verbs: [get], apiGroups: [''], resources: [pods], resourceNames: [a]}]", "");
        check("[{verbs: ['*'], apiGroups: ['*'], resources: ['*']}]", pods, "");
        check("[]", pods, r#"{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}"#);
        check(
            "[{verbs: [get], apiGroups: [''], resources: [pods], resourceNames: [a]}]",
            "[{verbs: [get], apiGroups: [''], resources: [pods]}]",
            r#"{APIGroups:[""], Resources:["pods"], Verbs:["get"]}"#,
        );
        check(
            pods,
            "[{verbs: ['*'], apiGroups: ['', apps], resources: [pods, secrets]}]",
            "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"*\"]}\n{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"*\"]}\n{APIGroups:[\"apps\"], Resources:[\"pods\"], Verbs:[\"*\"]}\n{APIGroups:[\"apps\"], Resources:[\"secrets\"], Verbs:[\"*\"]}",
        );
    }

    #[test]
    fn subresources_and_paths_are_covered_by_stars() {
        let scale = "[{verbs: [get], apiGroups: [''], resources: ['*/scale']}]";
        check(scale, "[{verbs: [get], apiGroups: [''], resources: [pods/scale]}]", "");
        check(
            scale,
            "[{verbs: [get], apiGroups: [''], resources: [pods/log]}]",
            r#"{APIGroups:[""], Resources:["pods/log"], Verbs:["get"]}"#,
        );
        let logs = "[{verbs: [get], nonResourceURLs: ['/logs/*']}]";
        check(logs, "[{verbs: [get], nonResourceURLs: [/logs/a, '/logs/a/*']}]", "");
        check(
            logs,
            "[{verbs: [get, post], nonResourceURLs: [/logs/a, '*']}]",
            "{NonResourceURLs:[\"*\"], Verbs:[\"get\"]}\n{NonResourceURLs:[\"*\"], Verbs:[\"post\"]}\n{NonResourceURLs:[\"/logs/a\"], Verbs:[\"post\"]}",
        );
    }
}
