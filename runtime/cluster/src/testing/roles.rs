//! What a controller under test may do: what its role allows, which follows from what it declares.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use trimtab_api::Kinds;
use trimtab_client::{Api, Client};
use trimtab_env::lock;
use trimtab_reconcile::{Needs, Relation, Tie};

use crate::identity::Identity;

const NAMESPACE: &str = "default";
const RBAC: &str = "rbac.authorization.k8s.io";
/// What is done with children.
const WRITES: [&str; 4] = ["create", "update", "patch", "delete"];

/// Whom a controller asks as: a service account of its own name.
pub(super) fn identity(controller: &'static str) -> Identity {
    let user = format!("system:serviceaccount:{NAMESPACE}:{controller}");
    let groups = &["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"];
    Identity { user, groups, agent: controller }
}

/// Lets the controller do what it needs.
pub(super) async fn grant(client: &Client, controller: &str, needs: &Needs) {
    let metadata = ObjectMeta { name: Some(format!("controller:{controller}")), ..ObjectMeta::default() };
    let account = Subject {
        kind: "ServiceAccount".to_owned(),
        name: controller.to_owned(),
        namespace: Some(NAMESPACE.to_owned()),
        ..Subject::default()
    };
    let role_ref = RoleRef {
        api_group: Some(RBAC.to_owned()),
        kind: "ClusterRole".to_owned(),
        name: metadata.name.clone().unwrap_or_default(),
    };
    let binding = ClusterRoleBinding { metadata: metadata.clone(), role_ref, subjects: Some(vec![account]) };
    let role = ClusterRole { metadata, rules: Some(needs.rules()), aggregation_rule: None };
    Api::all(client).apply(&role, "test", true).await.expect("the role can be made");
    Api::all(client).apply(&binding, "test", true).await.expect("the role can be given");
}

/// What a program was denied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Denial {
    program: String,
    verb: String,
    /// With the subresource, as `pods/status`.
    resource: String,
    group: String,
}

impl Denial {
    /// What the API server's refusal says, if it is for want of a rule: admission refuses with the same code.
    fn read(program: &str, message: &str) -> Option<Self> {
        let (_, rest) = message.split_once("\" cannot ")?;
        let (verb, rest) = rest.split_once(" resource \"")?;
        let (resource, rest) = rest.split_once("\" in API group \"")?;
        let (group, _) = rest.split_once('"')?;
        let owned = str::to_owned;
        Some(Self { program: owned(program), verb: owned(verb), resource: owned(resource), group: owned(group) })
    }

    /// What is to be added where the controller is declared.
    fn declaration(&self, kinds: &Kinds) -> String {
        let (plural, subresource) = self.resource.split_once('/').unwrap_or((&self.resource, ""));
        let kind = kinds.group(&self.group).find(|kind| kind.plural == plural);
        let kind = kind.map_or_else(|| plural.to_owned(), |kind| kind.kind.to_string());
        match (self.verb.as_str(), subresource) {
            ("list" | "watch", "") => format!("reads({kind})"),
            (verb, "") => format!("uses({kind}: {verb})"),
            (verb, subresource) => format!("uses({kind}/{subresource}: {verb})"),
        }
    }

    fn told<'a>(&'a self, kinds: &'a Kinds) -> impl fmt::Display + 'a {
        struct Told<'a>(&'a Denial, &'a Kinds);
        impl fmt::Display for Told<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Denial { program, verb, resource, group } = self.0;
                writeln!(f, "{program} may not {verb} {resource}: its role follows from what it declares.")?;
                writeln!(f, "Add to #[controller]: {}", self.0.declaration(self.1))?;
                writeln!(f, "The rule is:")?;
                writeln!(f, "- apiGroups: [{group:?}]\n  resources: [{resource:?}]\n  verbs: [{verb:?}]")
            }
        }
        Told(self, kinds)
    }
}

/// A resource, with the subresource as in `pods/status`, and a verb.
type Right = (String, String, &'static str);

/// The programs that run by a role of what they need, what they did by it, and what they were denied.
#[derive(Debug, Default)]
pub(super) struct Roles {
    granted: Mutex<BTreeMap<&'static str, Needs>>,
    used: Mutex<BTreeMap<String, BTreeSet<Right>>>,
    denied: Mutex<BTreeSet<Denial>>,
}

impl Roles {
    /// From now on it counts what this program does, and is denied.
    pub(super) fn enforce(&self, program: &'static str, needs: Needs) {
        lock(&self.granted).insert(program, needs);
    }

    fn is_enforced(&self, program: &str) -> bool {
        lock(&self.granted).contains_key(program)
    }

    /// Notes what a program did.
    pub(super) fn used(&self, program: &str, group: &str, resource: &str, verb: &'static str) {
        if self.is_enforced(program) {
            let right = (group.to_owned(), resource.to_owned(), verb);
            lock(&self.used).entry(program.to_owned()).or_default().insert(right);
        }
    }

    /// Notes a refusal, if it is for want of a rule.
    pub(super) fn denied(&self, program: &str, message: &str) {
        let denial = Denial::read(program, message).filter(|_| self.is_enforced(program));
        lock(&self.denied).extend(denial);
    }

    /// What is declared, in the words of `#[controller]`, and was never done.
    pub(super) fn unused(&self) -> Vec<String> {
        let (granted, used) = (lock(&self.granted), lock(&self.used));
        let none = BTreeSet::new();
        let of = |relation: &Relation| {
            let (resource, kind) = (&relation.resource, &relation.resource.kind);
            let used = used.get(relation.controller).unwrap_or(&none);
            let is_used = |subresource: &str, verb: &str| {
                let slash = if subresource.is_empty() { "" } else { "/" };
                let name = format!("{}{slash}{subresource}", resource.plural);
                used.iter().any(|(group, used, by)| *group == *resource.group && *used == name && *by == verb)
            };
            let declared = match &relation.tie {
                Tie::Owns if WRITES.iter().all(|verb| !is_used("", verb)) => format!("owns({kind})"),
                Tie::Uses { subresource, verbs } => {
                    let slash = if subresource.is_empty() { "" } else { "/" };
                    let unused = verbs.iter().filter(|verb| !is_used(subresource, verb));
                    let unused: Vec<_> = unused.map(String::as_str).collect();
                    (!unused.is_empty()).then(|| format!("uses({kind}{slash}{subresource}: {})", unused.join(" | ")))?
                }
                _ => return None,
            };
            Some(format!("{}: {declared}", relation.controller))
        };
        granted.values().flat_map(|needs| needs.relations().iter().filter_map(of).collect::<Vec<_>>()).collect()
    }

    /// # Panics
    /// If anything was denied: then it says which rules are missing.
    pub(super) fn check(&self, kinds: &Kinds) {
        let denied: Vec<_> = lock(&self.denied).iter().map(|denial| denial.told(kinds).to_string()).collect();
        assert!(denied.is_empty(), "{}", denied.join("\n"));
    }
}
