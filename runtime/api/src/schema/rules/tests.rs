use serde_json::json;

use super::*;
use crate::cel::RUNTIME_BUDGET;

fn check(schema: &Value, object: Value, old: Option<Value>) -> (Vec<String>, Vec<String>) {
    let rules = Rules::of(schema).unwrap();
    let found = rules.validate(&object, old.as_ref(), RUNTIME_BUDGET);
    (found.errors.iter().map(ToString::to_string).collect(), found.warnings)
}

fn schema(rules: Value) -> Value {
    json!({"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-validations": rules, "properties": {
        "min": {"type": "integer"}, "max": {"type": "integer"}, "name": {"type": "string"},
        "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {
            "type": "object", "properties": {"name": {"type": "string"}, "port": {"type": "integer"}},
            "x-kubernetes-validations": [{"rule": "self.port >= oldSelf.port", "message": "ports only grow"}, {"rule": "self.port < 100"}]}},
        "labels": {"type": "object", "additionalProperties": {"type": "string", "x-kubernetes-validations": [{"rule": "self != 'x'"}]}},
    }}}})
}

#[test]
fn broken_rules_are_told_in_upstreams_words() {
    let of = |rule: Value| schema(json!([rule]));
    let spec = json!({"spec": {"min": 3, "max": 2, "name": "a"}});
    let cases = [
        (
            json!({"rule": "self.min <= self.max"}),
            r#"spec: Invalid value: "object": failed rule: self.min <= self.max"#,
        ),
        (json!({"rule": "self.min <= self.max", "message": " no "}), r#"spec: Invalid value: "object": no"#),
        (
            json!({"rule": "self.min <= self.max", "messageExpression": "'%d > %d'.format([self.min, self.max])", "message": "x"}),
            r#"spec: Invalid value: "object": 3 > 2"#,
        ),
        (
            json!({"rule": "self.min <= self.max", "messageExpression": "'a\\nb'", "message": "plain"}),
            r#"spec: Invalid value: "object": plain"#,
        ),
        (
            json!({"rule": "self.min <= self.max", "reason": "FieldValueForbidden", "fieldPath": ".min", "message": "no"}),
            "spec.min: Forbidden: no",
        ),
        (
            json!({"rule": "self.ports.size() > 0"}),
            r#"spec: Invalid value: "object": no such key: ports evaluating rule: self.ports.size() > 0"#,
        ),
    ];
    for (rule, expected) in cases {
        assert_eq!(check(&of(rule.clone()), spec.clone(), None).0, [expected], "{rule}");
    }
    let labels = json!({"spec": {"labels": {"a": "x"}}});
    assert_eq!(
        check(&schema(json!([])), labels, None).0,
        [r#"spec.labels[a]: Invalid value: "string": failed rule: self != 'x'"#]
    );
}

#[test]
fn transitions_are_judged_where_there_is_a_before() {
    let old = json!({"spec": {"ports": [{"name": "a", "port": 5}, {"name": "b", "port": 6}]}});
    let new =
        json!({"spec": {"ports": [{"name": "b", "port": 1}, {"name": "c", "port": 1}, {"name": "a", "port": 5}]}});
    let all = schema(json!([]));
    assert_eq!(check(&all, new.clone(), None).0, [""; 0]);
    assert_eq!(check(&all, new, Some(old)).0, [r#"spec.ports[0]: Invalid value: "object": ports only grow"#]);
    let rule = json!([{"rule": "!oldSelf.hasValue() || oldSelf.value().name == self.name", "optionalOldSelf": true, "message": "fixed"}]);
    let (old, new) = (json!({"spec": {"name": "a"}}), json!({"spec": {"name": "b"}}));
    assert_eq!(check(&schema(rule.clone()), new.clone(), None).0, [""; 0]);
    assert_eq!(check(&schema(rule), new, Some(old)).0, [r#"spec: Invalid value: "object": fixed"#]);
}

#[test]
fn what_has_not_changed_is_let_be() {
    let old = json!({"spec": {"ports": [{"name": "a", "port": 500}], "min": 1}});
    let mut new = old.clone();
    new["spec"]["min"] = 2.into();
    let (errors, warnings) = check(&schema(json!([])), new.clone(), Some(old.clone()));
    assert_eq!(errors, [""; 0]);
    assert_eq!(warnings, [r#"spec.ports[0]: Invalid value: "object": failed rule: self.port < 100"#]);
    new["spec"]["ports"][0]["port"] = 501.into();
    assert_eq!(check(&schema(json!([])), new, Some(old)).0.len(), 1);
}

#[test]
fn the_budget_ends() {
    let all = schema(json!([{"rule": "self.min < 0"}, {"rule": "self.max < 0"}]));
    let object = json!({"spec": {"min": 1, "max": 1}});
    let found = Rules::of(&all).unwrap().validate(&object, None, 3);
    let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            r#"spec: Invalid value: "object": failed rule: self.min < 0"#,
            r#"spec: Invalid value: "object": validation failed due to running out of cost budget, no further validation rules will be run"#
        ]
    );
}

#[test]
fn paths_are_of_the_schema() {
    let schema =
        json!({"properties": {"a": {"properties": {"b.c": {}}}, "m": {"additionalProperties": {"type": "string"}}}});
    assert_eq!(field_path(".a['b.c']", &schema).as_deref(), Ok("a.b.c"));
    assert_eq!(field_path(".m['k']", &schema).as_deref(), Ok("m[k]"));
    for wrong in ["a", ".x", ".a[b]", ".a['b.c'", ".", ".m.k.l"] {
        assert!(field_path(wrong, &schema).is_err(), "{wrong}");
    }
}
