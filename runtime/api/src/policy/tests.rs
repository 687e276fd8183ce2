use serde_json::json;

use super::*;
use crate::cel::{Authorizer, Check};
use crate::field::Path;

struct Only;

impl Authorizer for Only {
    fn check(&self, asked: &Check<'_>, verb: &str) -> Result<String, String> {
        match (asked.resource.as_str(), verb) {
            ("pods", "get") => Ok("because".to_owned()),
            _ => Err("no role".to_owned()),
        }
    }
}

fn policy(spec: &Value) -> Policy {
    let (policy, errors) = Policy::read(spec, &Path::new("spec"));
    assert_eq!(errors, [], "{spec}");
    policy
}

fn with<T>(look: impl FnOnce(&Input<'_>) -> T) -> T {
    let object = json!({"metadata": {"name": "a"}, "spec": {"replicas": 7}});
    let request = json!({"operation": "CREATE", "userInfo": {"username": "u", "groups": ["g"]}, "dryRun": false, "options": {"kind": "CreateOptions"}});
    let (params, namespace) = (json!({"max": 5}), json!({"metadata": {"name": "n", "labels": {"env": "test"}}}));
    let resource = Check { resource: "pods".to_owned(), ..Check::of(&Only) };
    let (object, request, params, namespace, old) = (&object, &request, &params, &namespace, &Value::Null);
    look(&Input { object, old, request, params, namespace, authorizer: Check::of(&Only), resource })
}

#[test]
fn validations_refuse_in_the_policys_words() {
    let spec = json!({"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "variables": [{"name": "replicas", "expression": "object.spec.replicas"}, {"name": "over", "expression": "variables.replicas > params.max"}],
        "validations": [
            {"expression": "!variables.over", "messageExpression": "'%d is more than %d'.format([variables.replicas, params.max])", "reason": "Forbidden"},
            {"expression": "object.spec.replicas <= 5"},
            {"expression": "object.spec.replicas <= 5", "message": "too many"},
            {"expression": "object.spec.none == 1"},
            {"expression": "namespaceObject.metadata.labels['env'] == 'test' && request.operation == 'CREATE' && 'g' in request.userInfo.groups && oldObject == null"},
            {"expression": "authorizer.requestResource.check('get').allowed() && !authorizer.group('').resource('nodes').check('get').allowed()"},
        ],
        "auditAnnotations": [{"key": "replicas", "valueExpression": "'%d'.format([variables.replicas])"}, {"key": "none", "valueExpression": "null"}]});
    let policy = policy(&spec);
    let refusals = with(|input| {
        assert_eq!(policy.annotations(input).unwrap(), [("replicas".to_owned(), "7".to_owned())]);
        policy.refusals(input)
    });
    let found: Vec<_> =
        refusals.iter().map(|refusal| (refusal.message.as_str(), refusal.reason.as_str(), refusal.failed)).collect();
    assert_eq!(
        found,
        [
            ("7 is more than 5", "Forbidden", false),
            ("failed expression: object.spec.replicas <= 5", "", false),
            ("too many", "", false),
            ("expression 'object.spec.none == 1' resulted in error: no such key: none", "", true),
        ]
    );
}

#[test]
fn a_condition_that_does_not_hold_decides() {
    let check = |expressions: &[&str], expected: Result<bool, &str>| {
        let conditions: Vec<_> =
            expressions.iter().enumerate().map(|(n, e)| json!({"name": format!("c{n}"), "expression": e})).collect();
        let policy = policy(&json!({"matchConditions": conditions}));
        assert_eq!(
            with(|input| policy.matches(input)).as_ref().map_err(String::as_str),
            expected.as_ref().map_err(|e| *e),
            "{expressions:?}"
        );
    };
    check(&[], Ok(true));
    check(&["object.spec.replicas > 1"], Ok(true));
    check(
        &["object.nothing", "request.operation == 'DELETE'"]
            .map(|e| if e == "object.nothing" { "object.nothing == 1" } else { e }),
        Ok(false),
    );
    check(&["object.nothing == 1"], Err("expression 'object.nothing == 1' resulted in error: no such key: nothing"));
}

#[test]
fn mutations_are_objects_and_patches() {
    let policy = policy(&json!({"mutations": [
        {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{spec: Object.spec{replicas: object.spec.replicas + 1}}"}},
        {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b'), value: 'c'}]"}},
    ]}));
    with(|input| {
        assert_eq!(policy.change(0, input), Ok(Change::Apply(json!({"spec": {"replicas": 8}}))));
        let patch = json!([{"op": "add", "path": "/metadata/labels/a~1b", "value": "c"}]);
        assert_eq!(policy.change(1, input), Ok(Change::JsonPatch(patch)));
    });
}

#[test]
fn mistakes_are_told_with_their_field() {
    let spec = json!({"validations": [{"expression": "params.x == 1"}, {"expression": "1"}, {"expression": " ", "reason": "No"}],
        "matchConditions": [{"name": "a b", "expression": "true"}], "variables": [{"name": "1", "expression": "1"}]});
    let (_, errors) = Policy::read(&spec, &Path::new("spec"));
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors[0], r#"spec.variables[0].name: Invalid value: "1": name is not a valid CEL identifier"#);
    assert!(errors[1].starts_with(r#"spec.matchConditions[0].name: Invalid value: "a b""#), "{errors:?}");
    assert!(errors[2].starts_with(r#"spec.validations[0].expression: Invalid value: "params.x == 1": compilation failed: ERROR: <input>:1:1: undeclared reference to 'params' (in container '')"#), "{errors:?}");
    assert_eq!(errors[3], r#"spec.validations[1].expression: Invalid value: "1": must evaluate to bool"#);
    assert_eq!(errors[4], "spec.validations[2].expression: Required value: expression is not specified");
    assert_eq!(errors.len(), 6);
}
