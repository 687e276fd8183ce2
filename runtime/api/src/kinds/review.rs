//! Questions about what somebody may do: never stored, answered in their status
//! (`pkg/apis/authorization/validation`).

use serde_json::Value;

use crate::check::Checks;
use crate::field::Path;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// Whether a user may do something.
#[derive(Clone, Copy, Debug, Default)]
pub struct SubjectAccessReview;

impl Strategy for SubjectAccessReview {
    fn admit(&self, _: Operation<'_>, object: &mut Object) -> Admission {
        checked(object, |object, checks| {
            check_attributes(object, checks);
            check_user(object, checks);
        })
    }
}

/// Whether the caller may do something.
#[derive(Clone, Copy, Debug, Default)]
pub struct SelfSubjectAccessReview;

impl Strategy for SelfSubjectAccessReview {
    fn admit(&self, _: Operation<'_>, object: &mut Object) -> Admission {
        checked(object, check_attributes)
    }
}

/// Whether a user may do something in the review's namespace.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalSubjectAccessReview;

impl Strategy for LocalSubjectAccessReview {
    fn admit(&self, _: Operation<'_>, object: &mut Object) -> Admission {
        checked(object, |object, checks| {
            check_attributes(object, checks);
            check_user(object, checks);
            let spec = Path::new("spec");
            let namespace = object.str_at(&["spec", "resourceAttributes", "namespace"]);
            if is_set(object, "resourceAttributes") && namespace != object.namespace() {
                let path = spec.child("resourceAttributes").child("namespace");
                checks.invalid(&path, namespace, "must match metadata.namespace");
            }
            if let Some(other) = object.at(&["spec", "nonResourceAttributes"]) {
                checks.invalid(&spec.child("nonResourceAttributes"), other, "disallowed on this kind of request");
            }
        })
    }
}

fn checked(object: &Object, check: impl FnOnce(&Object, &mut Checks)) -> Admission {
    let mut checks = Checks::default();
    check(object, &mut checks);
    checks.into()
}

fn is_set(object: &Object, field: &str) -> bool {
    object.at(&["spec", field]).is_some_and(|value| !value.is_null())
}

fn check_attributes(object: &Object, checks: &mut Checks) {
    let spec = Path::new("spec");
    let other = object.at(&["spec", "nonResourceAttributes"]);
    match (is_set(object, "resourceAttributes"), is_set(object, "nonResourceAttributes")) {
        (true, true) => {
            let detail = "cannot be specified in combination with resourceAttributes";
            checks.invalid(&spec.child("nonResourceAttributes"), other, detail);
        }
        (false, false) => {
            let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            checks.invalid(&spec.child("resourceAttributes"), Value::Null, detail);
        }
        _ => {}
    }
}

fn check_user(object: &Object, checks: &mut Checks) {
    let groups = object.at(&["spec", "groups"]).and_then(Value::as_array);
    if object.str_at(&["spec", "user"]).is_empty() && groups.is_none_or(Vec::is_empty) {
        checks.invalid(&Path::new("spec").child("user"), "", "at least one of user or group must be specified");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::create_errors;

    #[test]
    fn what_is_wrong_with_a_question() {
        let check = |strategy: &dyn Strategy, spec: &str, expected: &[&str]| {
            let yaml = format!("{{metadata: {{namespace: d}}, spec: {spec}}}");
            assert_eq!(create_errors(strategy, &yaml), expected, "{spec}");
        };
        check(&SelfSubjectAccessReview, "{resourceAttributes: {verb: get}}", &[]);
        check(
            &SelfSubjectAccessReview,
            "{}",
            &[
                "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified",
            ],
        );
        check(
            &SubjectAccessReview,
            "{resourceAttributes: {verb: get}, nonResourceAttributes: {path: /x}}",
            &[
                "spec.nonResourceAttributes: Invalid value: {\"path\":\"/x\"}: cannot be specified in combination with resourceAttributes",
                "spec.user: Invalid value: \"\": at least one of user or group must be specified",
            ],
        );
        check(&SubjectAccessReview, "{nonResourceAttributes: {path: /x}, groups: [g]}", &[]);
        check(&LocalSubjectAccessReview, "{resourceAttributes: {namespace: d}, user: u}", &[]);
        check(
            &LocalSubjectAccessReview,
            "{resourceAttributes: {namespace: e}, user: u}",
            &["spec.resourceAttributes.namespace: Invalid value: \"e\": must match metadata.namespace"],
        );
        check(
            &LocalSubjectAccessReview,
            "{nonResourceAttributes: {path: /x}, user: u}",
            &["spec.nonResourceAttributes: Invalid value: {\"path\":\"/x\"}: disallowed on this kind of request"],
        );
    }
}
