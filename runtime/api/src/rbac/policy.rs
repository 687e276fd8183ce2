//! All roles and bindings of a cluster, and what they give to whom
//! (`plugin/pkg/auth/authorizer/rbac`).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef, Subject};

use super::{Attributes, User, allows, service_account};

/// Who has which role.
#[derive(Clone, Debug, Default)]
pub struct Binding {
    /// The role.
    pub role: RoleRef,
    /// Who has it.
    pub subjects: Vec<Subject>,
}

/// Why somebody may do something: a role, and by what it was given.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The binding's namespace; `""` for a ClusterRoleBinding.
    namespace: &'a str,
    /// The binding's name.
    name: &'a str,
    role: &'a RoleRef,
    subject: &'a Subject,
}

/// In upstream's words.
impl fmt::Display for Grant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, name, role, subject } = self;
        match *namespace {
            "" => write!(f, "RBAC: allowed by ClusterRoleBinding {name:?}")?,
            namespace => write!(f, "RBAC: allowed by RoleBinding {:?}", format!("{name}/{namespace}"))?,
        }
        let of = match &*subject.kind {
            "ServiceAccount" => format!("{}/{}", subject.name, account_namespace(subject, namespace)),
            _ => subject.name.clone(),
        };
        write!(f, " of {} {:?} to {} {of:?}", role.kind, role.name, subject.kind)
    }
}

/// All roles and bindings.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// By namespace (`""` for ClusterRoles), then by name.
    roles: HashMap<String, HashMap<String, Arc<[PolicyRule]>>>,
    /// By namespace (`""` for ClusterRoleBindings), then by name.
    bindings: HashMap<String, BTreeMap<String, Binding>>,
}

/// What a user may do in a namespace.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// The rules.
    pub rules: Vec<PolicyRule>,
    /// Roles that are bound to the user but not there, in upstream's words.
    pub missing: Vec<String>,
}

impl Policy {
    /// Puts or (by `None`) takes away the rules of a role.
    pub fn set_role(&mut self, namespace: &str, name: &str, rules: Option<Vec<PolicyRule>>) {
        let of_namespace = self.roles.entry(namespace.to_owned()).or_default();
        match rules {
            Some(rules) => drop(of_namespace.insert(name.to_owned(), rules.into())),
            None => drop(of_namespace.remove(name)),
        }
        if of_namespace.is_empty() {
            self.roles.remove(namespace);
        }
    }

    /// Puts or (by `None`) takes away a binding.
    pub fn set_binding(&mut self, namespace: &str, name: &str, binding: Option<Binding>) {
        let of_namespace = self.bindings.entry(namespace.to_owned()).or_default();
        match binding {
            Some(binding) => drop(of_namespace.insert(name.to_owned(), binding)),
            None => drop(of_namespace.remove(name)),
        }
        if of_namespace.is_empty() {
            self.bindings.remove(namespace);
        }
    }

    /// The rules of the role that `role` names in a binding in `namespace`.
    pub fn rules_of(&self, role: &RoleRef, namespace: &str) -> Option<&[PolicyRule]> {
        let namespace = if role.kind == "ClusterRole" { "" } else { namespace };
        self.roles.get(namespace)?.get(&role.name).map(|rules| &**rules)
    }

    /// Whether `user` may do what `asked` describes.
    ///
    /// # Errors
    /// When it may not. The text says which roles are missing that it was given; `""` for none.
    pub fn decide<'a>(&'a self, user: User<'a>, asked: &Attributes<'a>) -> Result<Grant<'a>, String> {
        let namespace = match asked {
            Attributes::Resource { namespace, .. } => namespace,
            Attributes::Path { .. } => "",
        };
        let mut missing = Vec::new();
        for (rules, grant) in self.of(user, namespace) {
            match rules {
                Some(rules) if rules.iter().any(|rule| allows(rule, asked)) => return Ok(grant),
                Some(_) => {}
                None => missing.push(grant.role),
            }
        }
        let missing: Vec<String> = missing.into_iter().map(not_found).collect();
        Err(match missing.as_slice() {
            [] => String::new(),
            [one] => format!("RBAC: {one}"),
            many => format!("RBAC: [{}]", many.join(", ")),
        })
    }

    /// All that `user` may do in `namespace` (`""`: in all of them).
    pub fn held(&self, user: User<'_>, namespace: &str) -> Held {
        let mut held = Held::default();
        for (rules, grant) in self.of(user, namespace) {
            match rules {
                Some(rules) => held.rules.extend(rules.iter().cloned()),
                None => held.missing.push(not_found(grant.role)),
            }
        }
        held
    }

    /// The rules of each binding that applies: those of the cluster first, as upstream.
    fn of<'a>(
        &'a self,
        user: User<'a>,
        namespace: &'a str,
    ) -> impl Iterator<Item = (Option<&'a [PolicyRule]>, Grant<'a>)> {
        let namespaces = std::iter::once("").chain((!namespace.is_empty()).then_some(namespace));
        let bindings = namespaces
            .filter_map(|namespace| self.bindings.get(namespace).map(|bindings| (namespace, bindings)))
            .flat_map(|(namespace, bindings)| bindings.iter().map(move |binding| (namespace, binding)));
        bindings.filter_map(move |(namespace, (name, binding))| {
            let subject = binding.subjects.iter().find(|subject| is(subject, user, namespace))?;
            let role = &binding.role;
            Some((self.rules_of(role, namespace), Grant { namespace, name, role, subject }))
        })
    }
}

fn not_found(role: &RoleRef) -> String {
    format!("{}.{} {:?} not found", role.kind.to_lowercase(), super::GROUP, role.name)
}

/// Whether `subject`, of a binding in `namespace`, is `user`.
fn is(subject: &Subject, user: User<'_>, namespace: &str) -> bool {
    match &*subject.kind {
        "User" => subject.name == user.name,
        "Group" => user.groups.contains(&subject.name),
        "ServiceAccount" => {
            let named = account_namespace(subject, namespace);
            service_account(user.name).is_some_and(|(namespace, name)| namespace == named && name == subject.name)
        }
        _ => false,
    }
}

/// The namespace of a service account that a binding in `namespace` names.
fn account_namespace<'a>(subject: &'a Subject, namespace: &'a str) -> &'a str {
    subject.namespace.as_deref().filter(|named| !named.is_empty()).unwrap_or(namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        let mut policy = Policy::default();
        let rules = |yaml: &str| Some(serde_yaml::from_str(yaml).unwrap());
        policy.set_role("", "reader", rules("[{verbs: [get], apiGroups: [''], resources: [pods]}]"));
        policy.set_role("", "health", rules("[{verbs: [get], nonResourceURLs: ['/healthz']}]"));
        policy.set_role("a", "writer", rules("[{verbs: [create], apiGroups: [''], resources: [pods]}]"));
        let mut bind = |namespace: &str, kind: &str, role: &str, subject: &str| {
            let role = RoleRef { kind: kind.into(), name: role.into(), api_group: None };
            let subjects = vec![serde_yaml::from_str(subject).unwrap()];
            policy.set_binding(namespace, &format!("{}-{subject}", role.name), Some(Binding { role, subjects }));
        };
        bind("", "ClusterRole", "reader", "{kind: Group, name: readers}");
        bind("", "ClusterRole", "gone", "{kind: User, name: lost}");
        bind("a", "ClusterRole", "reader", "{kind: User, name: jane}");
        bind("a", "ClusterRole", "health", "{kind: User, name: jane}");
        bind("a", "Role", "writer", "{kind: ServiceAccount, name: bot}");
        bind("b", "ClusterRole", "reader", "{kind: ServiceAccount, name: bot, namespace: a}");
        policy
    }

    fn pods<'a>(verb: &'a str, namespace: &'a str) -> Attributes<'a> {
        Attributes::Resource { verb, namespace, group: "", version: "v1", resource: "pods", subresource: "", name: "" }
    }

    #[test]
    fn bindings_reach_as_far_as_they_say() {
        let policy = policy();
        let check = |name: &str, groups: &[&str], asked: Attributes<'_>, expected: Result<(), &str>| {
            let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
            let found = policy.decide(User { name, groups: &groups }, &asked);
            assert_eq!(found.map(drop), expected.map_err(str::to_owned), "{name} {asked:?}");
        };
        let no = Err("");
        check("x", &["readers"], pods("get", ""), Ok(()));
        check("x", &["readers"], pods("get", "b"), Ok(()));
        check("readers", &[], pods("get", "b"), no);
        check("jane", &[], pods("get", "a"), Ok(()));
        check("jane", &[], pods("get", "b"), no);
        check("jane", &[], pods("get", ""), no);
        // A path is not in a namespace, so that no binding of one gives it.
        check("jane", &[], Attributes::Path { verb: "get", path: "/healthz" }, no);
        check("system:serviceaccount:a:bot", &[], pods("create", "a"), Ok(()));
        check("system:serviceaccount:b:bot", &[], pods("create", "a"), no);
        check("system:serviceaccount:a:bot", &[], pods("get", "b"), Ok(()));
        let lost = "RBAC: clusterrole.rbac.authorization.k8s.io \"gone\" not found";
        check("lost", &[], pods("get", "a"), Err(lost));
    }

    #[test]
    fn a_grant_says_where_it_comes_from() {
        let policy = policy();
        let check = |name: &str, asked: Attributes<'_>, expected: &str| {
            let groups = ["readers".to_owned()];
            let groups = if name == "x" { &groups[..] } else { &[] };
            assert_eq!(policy.decide(User { name, groups }, &asked).unwrap().to_string(), expected);
        };
        check(
            "x",
            pods("get", ""),
            r#"RBAC: allowed by ClusterRoleBinding "reader-{kind: Group, name: readers}" of ClusterRole "reader" to Group "readers""#,
        );
        check(
            "system:serviceaccount:a:bot",
            pods("create", "a"),
            r#"RBAC: allowed by RoleBinding "writer-{kind: ServiceAccount, name: bot}/a" of Role "writer" to ServiceAccount "bot/a""#,
        );
    }

    #[test]
    fn what_is_taken_away_is_gone() {
        let mut policy = policy();
        policy.set_role("", "reader", None);
        let groups = ["readers".to_owned()];
        let user = User { name: "x", groups: &groups };
        let held = policy.held(user, "b");
        assert_eq!((held.rules.len(), held.missing.len()), (0, 1));
        policy.set_binding("", "reader-{kind: Group, name: readers}", None);
        assert_eq!(policy.held(user, "b").missing, [""; 0]);
    }

    #[test]
    fn service_accounts_are_known_by_their_names() {
        assert_eq!(service_account("system:serviceaccount:a:b"), Some(("a", "b")));
        for other in ["a", "system:serviceaccount:a", "system:serviceaccount::b", "system:serviceaccount:a:b:c"] {
            assert_eq!(service_account(other), None, "{other}");
        }
    }
}
