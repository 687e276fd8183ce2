//! Nobody may grant what it does not hold: the check before a role or a binding is written
//! (`pkg/registry/rbac/*/policybased`).

use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef};
use serde::Deserialize;
use serde_json::Value;
use trimtab_api::rbac::{Attributes, GROUP, describe, uncovered};
use trimtab_api::{ApiError, Kind, Object};

use super::Authorizer;
use crate::handler::Call;

/// What an owner or the garbage collector may write: it grants nothing.
const OF_THE_COLLECTOR: [&str; 2] = ["finalizers", "ownerReferences"];
/// What differs between any two versions.
const OF_THE_SERVER: [&str; 3] = ["generation", "managedFields", "resourceVersion"];

/// Checks a write of `new` over `old`, if it is of a role or a binding.
///
/// # Errors
/// 403 when it grants what the caller does not hold, 404 when a binding names a role that is not
/// there.
pub(crate) fn check(
    authorizer: &Authorizer,
    call: &Call<'_>,
    old: Option<&Object>,
    new: &Object,
) -> Result<(), ApiError> {
    if call.kind.group != GROUP || call.identity.is_master() || old.is_some_and(|old| grants_the_same(old, new)) {
        return Ok(());
    }
    let guard = Guard { authorizer, call, name: new.name() };
    match &*call.kind.plural {
        "roles" => guard.role(&rules(new)?),
        "clusterroles" => guard.cluster_role(old, new),
        _ => guard.binding(new),
    }
}

fn grants_the_same(old: &Object, new: &Object) -> bool {
    let granting = |object: &Object| {
        let mut object = object.clone();
        for field in OF_THE_COLLECTOR.into_iter().chain(OF_THE_SERVER) {
            object.remove(&["metadata", field]);
        }
        object
    };
    granting(old) == granting(new)
}

fn rules(role: &Object) -> Result<Vec<PolicyRule>, ApiError> {
    let rules = role.0.get("rules").filter(|rules| !rules.is_null());
    rules.map_or_else(
        || Ok(Vec::new()),
        |rules| Vec::deserialize(rules).map_err(|e| ApiError::bad_request(e.to_string())),
    )
}

fn everything() -> [PolicyRule; 2] {
    let star = || vec!["*".to_owned()];
    [
        PolicyRule { verbs: star(), api_groups: Some(star()), resources: Some(star()), ..PolicyRule::default() },
        PolicyRule { verbs: star(), non_resource_urls: Some(star()), ..PolicyRule::default() },
    ]
}

struct Guard<'a> {
    authorizer: &'a Authorizer,
    call: &'a Call<'a>,
    name: &'a str,
}

impl Guard<'_> {
    fn role(&self, rules: &[PolicyRule]) -> Result<(), ApiError> {
        let path = &self.call.path;
        if self.may("escalate", path.namespace, &self.call.kind.plural, path.name) { Ok(()) } else { self.holds(rules) }
    }

    fn cluster_role(&self, old: Option<&Object>, new: &Object) -> Result<(), ApiError> {
        if self.may("escalate", "", "clusterroles", self.call.path.name) {
            return Ok(());
        }
        self.holds(&rules(new)?)?;
        // It gathers whatever there will be.
        let gathers = |role: &Object| {
            let selectors = role.at(&["aggregationRule", "clusterRoleSelectors"]).and_then(Value::as_array);
            selectors.is_some_and(|selectors| !selectors.is_empty())
        };
        if (gathers(new) || old.is_some_and(gathers)) && self.holds(&everything()).is_err() {
            return Err(self.refused("must have cluster-admin privileges to use the aggregationRule"));
        }
        Ok(())
    }

    fn binding(&self, new: &Object) -> Result<(), ApiError> {
        let role = new.0.get("roleRef").cloned().unwrap_or_default();
        let role = RoleRef::deserialize(&role).map_err(|error| ApiError::bad_request(error.to_string()))?;
        let plural = if role.kind == "ClusterRole" { "clusterroles" } else { "roles" };
        let namespace = self.call.path.namespace;
        if self.may("bind", namespace, plural, &role.name) {
            return Ok(());
        }
        let rules = self.authorizer.policy.read().rules_of(&role, namespace).map(<[_]>::to_vec);
        self.holds(&rules.ok_or_else(|| missing(plural, &role.name))?)
    }

    fn may(&self, verb: &str, namespace: &str, resource: &str, name: &str) -> bool {
        let asked =
            Attributes::Resource { verb, namespace, group: GROUP, version: "*", resource, subresource: "", name };
        self.authorizer.decide(self.call.identity.as_user(), &asked).is_ok()
    }

    fn holds(&self, wanted: &[PolicyRule]) -> Result<(), ApiError> {
        let identity = self.call.identity;
        let held = self.authorizer.policy.read().held(identity.as_user(), self.call.path.namespace);
        let lacking = uncovered(&held.rules, wanted);
        if lacking.is_empty() {
            return Ok(());
        }
        let groups: Vec<String> = identity.groups.iter().map(|group| format!("{group:?}")).collect();
        let mut detail = format!(
            "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
            identity.user,
            groups.join(" "),
            describe(&lacking)
        );
        if !held.missing.is_empty() {
            detail += &format!("; resolution errors: [{}]", held.missing.join(", "));
        }
        Err(self.refused(&detail))
    }

    fn refused(&self, detail: &str) -> ApiError {
        let kind: &Kind = &self.call.kind;
        ApiError::forbidden(kind, self.name, detail)
    }
}

fn missing(plural: &str, name: &str) -> ApiError {
    ApiError::new(404, "NotFound", format!("{plural}.{GROUP} {name:?} not found")).with_details(|details| {
        details.group = Some(GROUP.to_owned());
        details.kind = Some(plural.to_owned());
        details.name = Some(name.to_owned());
    })
}
