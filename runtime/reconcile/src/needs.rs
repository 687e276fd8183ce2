//! What controllers ask the API server for: why, and as the rules of a role.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::PolicyRule;
use trimtab_client::ApiResource;

/// In the order in which people write them.
const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    group: String,
    /// With the subresource, as `pods/status`.
    resource: String,
    namespaced: bool,
}

/// What a kind is to a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tie {
    /// It looks after its objects.
    For,
    /// It makes objects of it.
    Owns,
    /// A change of one wakes objects of the controller's own kind.
    Watches,
    /// Objects of the controller's own kind name some.
    References,
    /// It reads them.
    Reads,
    /// It does this by way of the client.
    Uses {
        /// Of which subresource; `""` for the objects themselves.
        subresource: String,
        /// The verbs.
        verbs: Vec<String>,
    },
}

/// A kind that a controller deals with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The controller's name.
    pub controller: &'static str,
    /// What the kind is to it.
    pub tie: Tie,
    /// The kind.
    pub resource: ApiResource,
}

/// What may be done, and with what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    rights: BTreeMap<Target, BTreeSet<String>>,
    relations: Vec<Relation>,
}

impl Needs {
    /// Adds `verbs` on a resource, or on its `subresource` if that is not empty.
    pub fn add<'a>(&mut self, resource: &ApiResource, subresource: &str, verbs: impl IntoIterator<Item = &'a str>) {
        let slash = if subresource.is_empty() { "" } else { "/" };
        let target = Target {
            group: resource.group.to_string(),
            resource: format!("{}{slash}{subresource}", resource.plural),
            namespaced: resource.namespaced,
        };
        self.rights.entry(target).or_default().extend(verbs.into_iter().map(str::to_owned));
    }

    /// Adds all that another needs.
    pub fn extend(&mut self, other: &Self) {
        for (target, verbs) in &other.rights {
            self.rights.entry(target.clone()).or_default().extend(verbs.iter().cloned());
        }
        self.relations.extend(other.relations.iter().cloned());
    }

    pub(crate) fn relate(&mut self, controller: &'static str, tie: Tie, resource: ApiResource) {
        self.relations.push(Relation { controller, tie, resource });
    }

    /// Which kinds the controllers deal with, and why.
    pub fn relations(&self) -> &[Relation] {
        &self.relations
    }

    /// The rules (`rbac.authorization.k8s.io/v1`): one for all resources of a group with the same verbs.
    pub fn rules(&self) -> Vec<PolicyRule> {
        rules(self.rights.iter())
    }

    /// The rules for what lives in namespaces, and for what does not.
    pub fn rules_by_scope(&self) -> (Vec<PolicyRule>, Vec<PolicyRule>) {
        (
            rules(self.rights.iter().filter(|(target, _)| target.namespaced)),
            rules(self.rights.iter().filter(|(target, _)| !target.namespaced)),
        )
    }
}

fn rules<'a>(needs: impl Iterator<Item = (&'a Target, &'a BTreeSet<String>)>) -> Vec<PolicyRule> {
    let mut rules: BTreeMap<(&str, &BTreeSet<String>), Vec<String>> = BTreeMap::new();
    for (target, verbs) in needs {
        rules.entry((&target.group, verbs)).or_default().push(target.resource.clone());
    }
    let rule = |((group, verbs), resources): ((&str, &BTreeSet<String>), Vec<String>)| PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(resources),
        verbs: in_order(verbs),
        ..PolicyRule::default()
    };
    let mut rules: Vec<_> = rules.into_iter().map(rule).collect();
    rules.sort_by(|a, b| (&a.api_groups, &a.resources).cmp(&(&b.api_groups, &b.resources)));
    rules
}

fn in_order(verbs: &BTreeSet<String>) -> Vec<String> {
    let known = VERBS.iter().filter(|verb| verbs.contains(**verb)).map(|verb| (*verb).to_owned());
    known.chain(verbs.iter().filter(|verb| !VERBS.contains(&verb.as_str())).cloned()).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Node, Pod, Service};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_done_with_several_resources_of_a_group_is_one_rule() {
        let mut needs = Needs::default();
        needs.add(&ApiResource::of::<Service>(), "", ["watch", "list"]);
        needs.add(&ApiResource::of::<Pod>(), "", ["list"]);
        needs.add(&ApiResource::of::<Pod>(), "", ["watch"]);
        needs.add(&ApiResource::of::<Pod>(), "eviction", ["create"]);
        needs.add(&ApiResource::of::<Node>(), "", ["approve", "get"]);
        let nodes = json!({"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "approve"]});
        let evictions = json!({"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]});
        let both = json!({"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["list", "watch"]});
        assert_eq!(serde_json::to_value(needs.rules()).unwrap(), json!([nodes, both, evictions]));
        let by_scope = serde_json::to_value(needs.rules_by_scope()).unwrap();
        assert_eq!(by_scope, json!([[both, evictions], [nodes]]));
    }
}
