//! What of a policy's expressions does not fit the kinds that it is about: the `typeChecking` of its status
//! (<https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/#type-checking>). It changes
//! nothing of what the policy does.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::env::{Offers, environment};
use super::read::{list, text};
use crate::cel::{Declared, Type, declared};
use crate::field::Path;
use crate::kind::{Kind, Kinds};
use crate::schema::expanded;

/// More kinds than these are not looked at.
const MOST_KINDS: usize = 10;

/// An expression that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionWarning {
    /// Where it stands, such as `spec.validations[0].expression`.
    pub field_ref: String,
    /// What is wrong with it, for each of the kinds that it does not fit.
    pub warning: String,
}

/// The group, version and plural of each resource that the rules of a policy's `spec` name one by one, those first that
/// come first by their names. Where anything goes, nothing is known.
pub fn named_resources(spec: &Value) -> BTreeSet<(String, String, String)> {
    let mut found = BTreeSet::new();
    for (_, rule) in list(&spec["matchConstraints"]["resourceRules"]) {
        let texts = |field: &str| rule[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        if texts("apiGroups").chain(texts("apiVersions")).any(|text| text.contains('*')) {
            continue;
        }
        for group in texts("apiGroups") {
            for version in texts("apiVersions") {
                // Of subresources nothing is known, either.
                let resources = texts("resources").filter(|resource| !resource.contains(['*', '/']));
                found.extend(resources.map(|resource| (group.to_owned(), version.to_owned(), resource.to_owned())));
            }
        }
    }
    found
}

/// What does not fit in the validations of a policy's `spec`.
pub fn expression_warnings(spec: &Value, kinds: &Kinds) -> Vec<ExpressionWarning> {
    let resources = named_resources(spec);
    let named = resources.iter().filter_map(|(group, version, plural)| kinds.by_resource(group, version, plural));
    let mut named: Vec<&Arc<Kind>> = named.collect();
    named.sort_by_key(|kind| (kind.group.clone(), kind.version.clone(), kind.kind.clone()));
    named.truncate(MOST_KINDS);
    let known = |kind: &Kind| expanded(kind).and_then(|schema| declared(&schema, true));
    let objects: Vec<_> = named.into_iter().filter_map(|kind| Some((kind, known(kind)?))).collect();
    let params = &spec["paramKind"];
    let params = kinds.by_kind(text(params, "apiVersion"), text(params, "kind")).and_then(|kind| known(kind));
    let mut warnings = Vec::new();
    let mut check = |path: &Path, source: &str| {
        let wrong = |(kind, object): &(&Arc<Kind>, Arc<Declared>)| {
            let why = mistakes(spec, source, object, params.as_ref())?;
            Some(format!("{}/{}, Kind={}: {why}\n", kind.group, kind.version, kind.kind))
        };
        let wrong: Vec<String> = objects.iter().filter_map(wrong).collect();
        if !wrong.is_empty() {
            warnings.push(ExpressionWarning { field_ref: path.to_string(), warning: wrong.join("\n") });
        }
    };
    for (index, validation) in list(&spec["validations"]) {
        let path = Path::new("spec").child("validations").index(index);
        check(&path.child("expression"), text(validation, "expression"));
        let message = text(validation, "messageExpression");
        if !message.is_empty() {
            check(&path.child("messageExpression"), message);
        }
    }
    warnings
}

fn mistakes(spec: &Value, source: &str, object: &Arc<Declared>, params: Option<&Arc<Declared>>) -> Option<String> {
    let offers = Offers { params: params.is_some(), authorizer: true, mutates: false };
    let mut variables: Vec<(String, Type)> = Vec::new();
    let env = |variables: &[(String, Type)]| {
        let env = environment(offers, variables).declaring("object", object).declaring("oldObject", object);
        params.map_or_else(|| env.clone(), |params| env.clone().declaring("params", params))
    };
    for (_, variable) in list(&spec["variables"]) {
        // One that is wrong is of any type to those that look at it.
        let compiled = env(&variables).compile(text(variable, "expression"));
        let type_ = compiled.map_or(Type::Dyn, |compiled| compiled.result);
        variables.push((text(variable, "name").to_owned(), type_));
    }
    env(&variables).compile(source).err()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_does_not_fit_is_told_for_each_kind() {
        let kinds = crate::builtin();
        let rule = |group: &str, resources: &[&str]| json!({"apiGroups": [group], "apiVersions": ["v1"], "operations": ["*"], "resources": resources});
        let spec = |rules: Value, expression: &str| {
            json!({"matchConstraints": {"resourceRules": rules},
                "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
                "variables": [{"name": "labels", "expression": "object.metadata.labels"}],
                "validations": [{"expression": "true"}, {"expression": expression, "messageExpression": "'is ' + params.data.x"}]})
        };
        let apps = || rule("apps", &["deployments", "deployments/scale"]);
        let found =
            expression_warnings(&spec(json!([apps(), rule("", &["pods"])]), "object.spec.replicas > 1"), &kinds);
        let expected = "/v1, Kind=Pod: ERROR: <input>:1:12: undefined field 'replicas'\n | object.spec.replicas > 1\n | ...........^\n";
        let expected =
            ExpressionWarning { field_ref: "spec.validations[1].expression".to_owned(), warning: expected.to_owned() };
        assert_eq!(found, [expected]);
        let both = expression_warnings(&spec(json!([apps(), rule("", &["pods"])]), "object.x == 'a'"), &kinds);
        assert!(both[0].warning.contains("\n\napps/v1, Kind=Deployment: ERROR"), "{both:?}");
        for fine in [
            "object.spec.template.spec.containers.all(c, quantity(c.resources.limits['cpu']).isGreaterThan(quantity('1')))",
            "variables.labels['a'] == oldObject.metadata.name",
            "object.spec.strategy.rollingUpdate.maxSurge == 1",
            "authorizer.requestResource.check('get').allowed()",
        ] {
            assert_eq!(expression_warnings(&spec(json!([apps()]), fine), &kinds), [], "{fine}");
        }
        // Of what anything may be, nothing is known.
        assert_eq!(expression_warnings(&spec(json!([rule("*", &["pods"])]), "object.x"), &kinds), []);
        assert_eq!(expression_warnings(&spec(json!([rule("", &["*"])]), "object.x"), &kinds), []);
    }
}
