//! Who has a role, in a namespace and in the cluster (`pkg/apis/rbac/validation`).

use k8s_openapi::api::rbac::v1::{ClusterRoleBinding as TypedClusterRoleBinding, RoleBinding as TypedRoleBinding};
use k8s_openapi::api::rbac::v1::{RoleRef, Subject};
use serde_json::Value;

use crate::cells;
use crate::check::{Checks, text};
use crate::field::{Error, Path};
use crate::kinds::{stored, typed};
use crate::names;
use crate::object::Object;
use crate::rbac::GROUP;
use crate::strategy::{Admission, Operation, Strategy};

/// Bindings of a namespace.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoleBinding;

impl Strategy for RoleBinding {
    fn check_name(&self, name: &str) -> Vec<String> {
        names::path_segment(name)
    }

    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |binding: &mut TypedRoleBinding, checks| {
            set_defaults(&mut binding.role_ref, binding.subjects.as_deref_mut().unwrap_or_default());
            check_role(&binding.role_ref, &["Role", "ClusterRole"], checks);
            for (path, subject) in with_paths(binding.subjects.as_deref()) {
                check_subject(&path, subject, checks);
            }
            if let Operation::Update { old } = operation
                && let Some(old) = stored::<TypedRoleBinding>(old, checks)
            {
                check_same_role(&binding.role_ref, &old.role_ref, checks);
            }
        })
    }

    fn cell(&self, name: &str, object: &Object, _now: i64) -> Value {
        cells::role_binding(name, object)
    }
}

/// Bindings of the cluster.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClusterRoleBinding;

impl Strategy for ClusterRoleBinding {
    fn check_name(&self, name: &str) -> Vec<String> {
        names::path_segment(name)
    }

    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |binding: &mut TypedClusterRoleBinding, checks| {
            set_defaults(&mut binding.role_ref, binding.subjects.as_deref_mut().unwrap_or_default());
            check_role(&binding.role_ref, &["ClusterRole"], checks);
            for (path, subject) in with_paths(binding.subjects.as_deref()) {
                check_subject(&path, subject, checks);
                if subject.kind == "ServiceAccount" && text(&subject.namespace).is_empty() {
                    checks.required(&path.child("namespace"));
                }
            }
            if let Operation::Update { old } = operation
                && let Some(old) = stored::<TypedClusterRoleBinding>(old, checks)
            {
                check_same_role(&binding.role_ref, &old.role_ref, checks);
            }
        })
    }

    fn cell(&self, name: &str, object: &Object, _now: i64) -> Value {
        cells::role_binding(name, object)
    }
}

fn set_defaults(role: &mut RoleRef, subjects: &mut [Subject]) {
    let group = |field: &mut Option<String>| {
        if text(field).is_empty() {
            *field = Some(GROUP.to_owned());
        }
    };
    group(&mut role.api_group);
    for subject in subjects.iter_mut().filter(|subject| matches!(&*subject.kind, "User" | "Group")) {
        group(&mut subject.api_group);
    }
}

fn with_paths(subjects: Option<&[Subject]>) -> impl Iterator<Item = (Path, &Subject)> {
    let subjects = subjects.unwrap_or_default();
    subjects.iter().enumerate().map(|(index, subject)| (Path::new("subjects").index(index), subject))
}

fn check_role(role: &RoleRef, kinds: &[&str], checks: &mut Checks) {
    let path = Path::new("roleRef");
    if text(&role.api_group) != GROUP {
        checks.push(Error::not_supported(&path.child("apiGroup"), text(&role.api_group), &[GROUP]));
    }
    if !kinds.contains(&&*role.kind) {
        checks.push(Error::not_supported(&path.child("kind"), &role.kind, kinds));
    }
    checks.named(&path.child("name"), &role.name, names::path_segment);
}

fn check_same_role(new: &RoleRef, old: &RoleRef, checks: &mut Checks) {
    if new != old {
        checks.invalid(&Path::new("roleRef"), new, "cannot change roleRef");
    }
}

fn check_subject(path: &Path, subject: &Subject, checks: &mut Checks) {
    if subject.name.is_empty() {
        checks.required(&path.child("name"));
    }
    let group = text(&subject.api_group);
    let wanted = match &*subject.kind {
        "ServiceAccount" => {
            checks.maybe_named(&path.child("name"), &subject.name, names::dns1123_subdomain);
            ""
        }
        "User" | "Group" => GROUP,
        kind => {
            let supported = ["ServiceAccount", "User", "Group"];
            return checks.push(Error::not_supported(&path.child("kind"), kind, &supported));
        }
    };
    if group != wanted {
        checks.push(Error::not_supported(&path.child("apiGroup"), group, &[wanted]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created, update_errors};

    const ROLE: &str = "roleRef: {kind: ClusterRole, name: view}";

    #[test]
    fn groups_are_filled_in() {
        let yaml = format!(
            "{{metadata: {{name: b, namespace: d}}, {ROLE}, subjects: [{{kind: User, name: u}}, {{kind: ServiceAccount, name: s}}]}}"
        );
        let binding = created(&RoleBinding, &yaml);
        assert_eq!(binding.str_at(&["roleRef", "apiGroup"]), GROUP);
        let groups = binding.0["subjects"].as_array().unwrap().iter().map(|s| s["apiGroup"].as_str());
        assert_eq!(groups.collect::<Vec<_>>(), [Some(GROUP), None]);
    }

    #[test]
    fn what_is_wrong_with_a_binding() {
        let check = |strategy: &dyn Strategy, fields: &str, expected: &[&str]| {
            let yaml = format!("{{metadata: {{name: b, namespace: d}}, {fields}}}");
            assert_eq!(create_errors(strategy, &yaml), expected, "{fields}");
        };
        check(
            &ClusterRoleBinding,
            "roleRef: {kind: Role, name: r}",
            &["roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\""],
        );
        check(
            &RoleBinding,
            "roleRef: {apiGroup: x, kind: Role, name: ''}",
            &[
                "roleRef.apiGroup: Unsupported value: \"x\": supported values: \"rbac.authorization.k8s.io\"",
                "roleRef.name: Required value",
            ],
        );
        check(
            &ClusterRoleBinding,
            &format!("{ROLE}, subjects: [{{kind: ServiceAccount, name: s}}, {{kind: X, name: x}}, {{kind: User}}]"),
            &[
                "subjects[0].namespace: Required value",
                "subjects[1].kind: Unsupported value: \"X\": supported values: \"ServiceAccount\", \"User\", \"Group\"",
                "subjects[2].name: Required value",
            ],
        );
        check(&RoleBinding, &format!("{ROLE}, subjects: [{{kind: ServiceAccount, name: s}}]"), &[]);
    }

    #[test]
    fn the_role_stays() {
        let yaml = format!("{{metadata: {{name: b}}, {ROLE}}}");
        let errors = update_errors(&ClusterRoleBinding, &yaml, |binding| binding.set(&["roleRef", "name"], "edit"));
        let expected = "roleRef: Invalid value: {\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\",\"name\":\"edit\"}: cannot change roleRef";
        assert_eq!(errors, [expected]);
    }
}
