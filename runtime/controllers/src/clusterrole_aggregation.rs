//! ClusterRoles that are gathered from others: their rules are those of the roles that carry the
//! labels their `aggregationRule` names (`pkg/controller/clusterroleaggregation`).

use std::sync::Arc;

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use trimtab_api::{ObjectRef, Selector};
use trimtab_reconcile::{Context, Next, Result, Setup, controller};

/// Gathers the rules of ClusterRoles.
#[derive(Debug, Default)]
pub struct ClusterRoleAggregation;

#[controller(
    for = ClusterRole,
    name = "clusterrole-aggregation-controller",
    crate = "trimtab_reconcile"
)]
impl ClusterRoleAggregation {
    fn setup(&self, setup: &mut Setup<'_, Self>) {
        let roles = setup.manager().cache::<ClusterRole>();
        // A role may be gathered by any other, as long as it has labels.
        setup.watches::<ClusterRole>(move |role| {
            if role.metadata.labels.as_ref().is_none_or(|labels| labels.is_empty()) {
                return Vec::new();
            }
            let gathering = |other: &&Arc<ClusterRole>| gathers(other, role);
            roles.list().iter().filter(gathering).map(|other| ObjectRef::of(&**other)).collect()
        });
    }

    async fn reconcile(&self, role: &ClusterRole, cx: &Context<ClusterRole>) -> Result<Next> {
        if role.aggregation_rule.is_none() {
            return Ok(Next::on_change());
        }
        let mut others = cx.cache::<ClusterRole>().list();
        others.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        let rules = gathered(role, others.iter().map(|other| &**other));
        if rules != role.rules.clone().unwrap_or_default() {
            let metadata = ObjectMeta { name: role.metadata.name.clone(), ..ObjectMeta::default() };
            cx.apply_unowned(&ClusterRole { metadata, rules: Some(rules), aggregation_rule: None }).await?;
        }
        Ok(Next::on_change())
    }
}

/// Whether `role` takes the rules of `other`.
fn gathers(role: &ClusterRole, other: &ClusterRole) -> bool {
    let selectors = role.aggregation_rule.iter().flat_map(|rule| rule.cluster_role_selectors.iter().flatten());
    other.metadata.name != role.metadata.name
        && selectors
            .filter_map(|selector| Selector::try_from(selector).ok())
            .any(|selector| selector.matches_map(other.metadata.labels.as_ref()))
}

/// The rules of all of `others` that `role` gathers, each once.
fn gathered<'a>(role: &ClusterRole, others: impl Iterator<Item = &'a ClusterRole>) -> Vec<PolicyRule> {
    let mut all = Vec::new();
    for rule in others.filter(|other| gathers(role, other)).flat_map(|other| other.rules.iter().flatten()) {
        if !all.contains(rule) {
            all.push(rule.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn role(name: &str, labels: serde_json::Value, verbs: &[&str]) -> ClusterRole {
        let rules: Vec<_> = verbs.iter().map(|verb| json!({"verbs": [verb]})).collect();
        serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}, "rules": rules})).unwrap()
    }

    #[test]
    fn rules_are_gathered_by_label_each_once() {
        let mut all = role("all", json!({"to": "all"}), &["own"]);
        let selectors = json!({"clusterRoleSelectors": [
            {"matchLabels": {"to": "all"}}, {"matchExpressions": [{"key": "too", "operator": "Exists"}]},
        ]});
        all.aggregation_rule = serde_json::from_value(selectors).unwrap();
        let others = [
            all.clone(),
            role("a", json!({"to": "all"}), &["get", "list"]),
            role("b", json!({"too": ""}), &["list", "watch"]),
            role("c", json!({"to": "none"}), &["delete"]),
        ];
        let verbs: Vec<String> = gathered(&all, others.iter()).into_iter().flat_map(|rule| rule.verbs).collect();
        assert_eq!(verbs, ["get", "list", "watch"]);
    }
}
