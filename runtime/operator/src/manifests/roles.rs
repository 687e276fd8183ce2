//! What the program may do: what follows from its controllers, and no more.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::{Value, json};
use trimtab_api::Scope;
use trimtab_client::ApiResource;

use super::{labels, namespace};
use crate::arguments::Rbac;
use crate::operator::{Operator, definition_name, definitions};

const API: &str = "rbac.authorization.k8s.io";
/// Where events about what lives in no namespace are.
const DEFAULT: &str = "default";

/// The service account, its roles and their bindings.
pub(super) fn all(operator: &Operator, args: &Rbac) -> Vec<Value> {
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(operator, operator.name, Some(&namespace(operator, args))),
    });
    let needs = operator.needs();
    let (namespaced, mut cluster) =
        if args.namespaces.is_empty() { (Vec::new(), needs.rules()) } else { needs.rules_by_scope() };
    if args.install_crds {
        cluster.extend(install(operator));
    }
    let mut objects = vec![account];
    objects.extend(election(operator, args));
    if !cluster.is_empty() {
        objects.extend(role(operator, args, operator.name, None, &cluster));
    }
    for namespace in &args.namespaces {
        objects.extend(role(operator, args, operator.name, Some(namespace), &namespaced));
    }
    let tells_of_cluster = operator.definitions.iter().any(|known| known.names.scope == Scope::Cluster);
    if !args.namespaces.is_empty() && tells_of_cluster && !args.namespaces.iter().any(|name| name == DEFAULT) {
        let events = namespaced.iter().filter(|rule| rule.resources.iter().flatten().any(|name| name == "events"));
        let events = events.map(|rule| PolicyRule { resources: Some(vec!["events".to_owned()]), ..rule.clone() });
        objects.extend(role(operator, args, operator.name, Some(DEFAULT), &events.collect::<Vec<_>>()));
    }
    objects
}

/// What `run --leader-elect` does, where the program runs.
fn election(operator: &Operator, args: &Rbac) -> [Value; 2] {
    let (leases, name) = (ApiResource::of::<Lease>(), vec![operator.name.to_owned()]);
    let own = PolicyRule { resource_names: Some(name), ..rule(&leases, &["get", "update"]) };
    let rules = [rule(&leases, &["create"]), own];
    // One that it looks after may have a role of its name already.
    let name = format!("{}-leader-election", operator.name);
    role(operator, args, &name, Some(&namespace(operator, args)), &rules)
}

fn rule(resource: &ApiResource, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![resource.group.to_string()]),
        resources: Some(vec![resource.plural.to_string()]),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    }
}

/// What `run --install-crds` does. What is not there yet has no name to be allowed by.
fn install(operator: &Operator) -> [PolicyRule; 2] {
    let resource = definitions();
    let names = operator.definitions.iter().map(|declaration| definition_name(declaration)).collect();
    [rule(&resource, &["create"]), PolicyRule { resource_names: Some(names), ..rule(&resource, &["get", "patch"]) }]
}

/// A role in a namespace, or in the whole cluster, and its binding.
fn role(operator: &Operator, args: &Rbac, name: &str, namespace: Option<&str>, rules: &[PolicyRule]) -> [Value; 2] {
    let kind = if namespace.is_some() { "Role" } else { "ClusterRole" };
    let home = super::namespace(operator, args);
    [
        json!({
            "apiVersion": format!("{API}/v1"),
            "kind": kind,
            "metadata": metadata(operator, name, namespace),
            "rules": rules,
        }),
        json!({
            "apiVersion": format!("{API}/v1"),
            "kind": format!("{kind}Binding"),
            "metadata": metadata(operator, name, namespace),
            "roleRef": {"apiGroup": API, "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": operator.name, "namespace": home}],
        }),
    ]
}

fn metadata(operator: &Operator, name: &str, namespace: Option<&str>) -> Value {
    let mut metadata = json!({"name": name, "labels": labels(operator)});
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    metadata
}
