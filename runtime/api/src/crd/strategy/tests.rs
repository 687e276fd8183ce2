//! Definitions, as somebody would write them.

use serde_json::{Value, json};

use super::*;

fn definition() -> Value {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}, "mode": {"type": "string"}}}, "status": {"type": "object", "properties": {"size": {"type": "integer"}}}}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "sites.demo.io"},
        "spec": {"group": "demo.io", "scope": "Namespaced", "names": {"plural": "sites", "kind": "Site"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]},
    })
}

fn object(value: Value) -> Object {
    serde_json::from_value(value).unwrap()
}

fn created(value: Value) -> (Object, Vec<String>) {
    let mut object = object(value);
    let admission = CustomResourceDefinition.admit(Operation::Create, &mut object);
    (object, admission.errors.iter().map(ToString::to_string).collect())
}

#[test]
fn names_and_conversion_are_filled_in() {
    let (made, errors) = created(definition());
    assert_eq!(errors, [""; 0]);
    assert_eq!(made.str_at(&["spec", "names", "singular"]), "site");
    assert_eq!(made.str_at(&["spec", "names", "listKind"]), "SiteList");
    assert_eq!(made.str_at(&["spec", "conversion", "strategy"]), "None");
    assert_eq!(made.at(&["status", "storedVersions"]), Some(&json!(["v1"])));
}

#[test]
fn what_does_not_fit_is_named_as_upstream_names_it() {
    let check = |pointer: &str, value: Value, expected: &[&str]| {
        let mut definition = definition();
        let (parent, last) = pointer.rsplit_once('/').unwrap();
        definition.pointer_mut(parent).unwrap()[last] = value;
        assert_eq!(created(definition).1, expected, "{pointer}");
    };
    check(
        "/metadata/name",
        json!("x"),
        &["metadata.name: Invalid value: \"x\": must be spec.names.plural+\".\"+spec.group"],
    );
    check(
        "/spec/group",
        json!("demo"),
        &[
            "metadata.name: Invalid value: \"sites.demo.io\": must be spec.names.plural+\".\"+spec.group",
            "spec.group: Invalid value: \"demo\": should be a domain with at least one dot",
        ],
    );
    check(
        "/spec/scope",
        json!("Everywhere"),
        &["spec.scope: Unsupported value: \"Everywhere\": supported values: \"Cluster\", \"Namespaced\""],
    );
    check(
        "/spec/names/listKind",
        json!("Site"),
        &["spec.names.listKind: Invalid value: \"Site\": kind and listKind may not be the same"],
    );
    check(
        "/spec/names/shortNames",
        json!(["S"]),
        &[
            "spec.names.shortNames[0]: Invalid value: \"S\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
        ],
    );
    check(
        "/spec/preserveUnknownFields",
        json!(true),
        &[
            "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
        ],
    );
    check(
        "/spec/versions/0/schema",
        json!({}),
        &["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"],
    );
    check(
        "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size",
        json!({}),
        &[
            "spec.validation.openAPIV3Schema.properties[spec].properties[size].type: Required value: must not be empty for specified object fields",
        ],
    );
    check(
        "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size",
        json!({"type": "integer", "default": "x"}),
        &[
            "spec.validation.openAPIV3Schema.properties[spec].properties[size].default: Invalid value: \"string\": spec.validation.openAPIV3Schema.properties[spec].properties[size].default in body must be of type integer: \"string\"",
        ],
    );
    check(
        "/spec/versions/0/schema/openAPIV3Schema/properties/list",
        json!({"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"]}),
        &[
            "spec.validation.openAPIV3Schema.properties[list].items.properties[a].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
        ],
    );
    check(
        "/spec/versions/0/subresources",
        json!({"scale": {"specReplicasPath": ".status.x"}}),
        &[
            "spec.subresources.scale.specReplicasPath: Invalid value: \".status.x\": should be a json path under .spec",
            "spec.subresources.scale.statusReplicasPath: Required value",
        ],
    );
    check(
        "/spec/versions/0/additionalPrinterColumns",
        json!([{"name": "A", "type": "text", "jsonPath": "x"}]),
        &[
            "spec.additionalPrinterColumns[0].type: Invalid value: \"text\": must be one of boolean,date,integer,number,string",
            "spec.additionalPrinterColumns[0].JSONPath: Invalid value: \"x\": must be a simple json path starting with .",
        ],
    );
    check(
        "/spec/versions/0/selectableFields",
        json!([{"jsonPath": ".spec.mode"}, {"jsonPath": ".spec.none"}, {"jsonPath": ".spec"}]),
        &[
            "spec.selectableFields[1].jsonPath: Invalid value: \".spec.none\": is an invalid path: does not refer to a valid field",
            "spec.selectableFields[2].jsonPath: Invalid value: \".spec\": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
        ],
    );
    check(
        "/spec/versions/0/deprecationWarning",
        json!("old"),
        &["spec.versions[0].deprecationWarning: Invalid value: \"old\": can only be set for deprecated versions"],
    );
    let mut none = definition();
    none["spec"]["versions"][0]["storage"] = json!(false);
    let errors = created(none).1;
    assert!(errors[0].ends_with("must have exactly one version marked as storage version"), "{errors:?}");
}

#[test]
fn a_group_of_kubernetes_own_needs_leave() {
    let mut definition = definition();
    definition["spec"]["group"] = json!("demo.k8s.io");
    definition["metadata"]["name"] = json!("sites.demo.k8s.io");
    let (_, errors) = created(definition.clone());
    assert_eq!(
        errors,
        [
            "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111"
        ]
    );
    definition["metadata"]["annotations"] = json!({"api-approved.kubernetes.io": "unapproved, experimental"});
    assert_eq!(created(definition).1, [""; 0]);
}

#[test]
fn what_is_established_keeps_its_scope_and_a_stored_version_stays() {
    let (mut old, _) = created(definition());
    crate::crd::accept(&mut old, &crate::crd::Taken::default(), "now");
    let mut new = old.clone();
    new.set(&["spec", "scope"], "Cluster");
    let mut second = new.at(&["spec", "versions"]).unwrap()[0].clone();
    second["name"] = json!("v2");
    new.set(&["spec", "versions"], json!([second]));
    let admission = CustomResourceDefinition.admit(Operation::Update { old: &old }, &mut new);
    assert_eq!(new.at(&["status", "storedVersions"]), Some(&json!(["v1", "v2"])));
    let errors: Vec<_> = admission.errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors[0], "spec.scope: Invalid value: \"Cluster\": field is immutable");
    assert!(
        errors[1].starts_with(
            "status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions; v1 was previously"
        )
    );
}

#[test]
fn a_deleted_definition_waits_for_its_objects() {
    let (mut definition, _) = created(definition());
    definition.set(&["metadata", "deletionTimestamp"], "then");
    CustomResourceDefinition.mark_deleted(&mut definition);
    assert_eq!(definition.at(&["metadata", "finalizers"]), Some(&json!([FINALIZER])));
    let condition = &definition.at(&["status", "conditions"]).unwrap()[0];
    assert_eq!((&condition["type"], &condition["lastTransitionTime"]), (&json!("Terminating"), &json!("then")));
}

/// A definition whose webhook is to be known by what is in `bundle`.
fn converted(bundle: &str) -> Value {
    let bundle = k8s_openapi::ByteString(bundle.as_bytes().to_vec());
    let config = json!({"url": "https://demo.io/convert", "caBundle": bundle});
    let mut definition = definition();
    definition["spec"]["conversion"] =
        json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": config}});
    definition
}

#[test]
fn a_webhook_that_cannot_be_trusted_is_not_established() {
    let taken = crate::crd::Taken::default();
    let updated = |old: &Object, bundle: &str| {
        let mut new = object(converted(bundle));
        new.set(&["status"], old.at(&["status"]).cloned().unwrap());
        let admission = CustomResourceDefinition.admit(Operation::Update { old }, &mut new);
        crate::crd::accept(&mut new, &taken, "now");
        let errors: Vec<_> = admission.errors.iter().map(ToString::to_string).collect();
        (new, errors, admission.warnings)
    };
    let why = "unable to load root certificates: unable to parse bytes as PEM block";
    let (mut made, errors) = created(converted("\n"));
    assert_eq!(errors, [""; 0], "somebody may put it right");
    crate::crd::accept(&mut made, &taken, "now");
    assert!(is_true(&made, "NamesAccepted") && !is_true(&made, "Established"));
    let (still, errors, warnings) = updated(&made, "\n");
    assert_eq!((errors, is_true(&still, "Established")), (Vec::new(), false));
    let field = "spec.conversion.webhook.clientConfig.caBundle";
    assert_eq!(warnings, [format!("{field}: {why}; nothing is served until it is put right")]);

    let (good, errors, warnings) = updated(&made, crate::pem::tests::CERTIFICATE);
    assert_eq!((errors, warnings, is_true(&good, "Established")), (Vec::new(), Vec::new(), true));
    let (_, errors, _) = updated(&good, "\n");
    let refused = format!("spec.conversion.webhookClientConfig.caBundle: Invalid value: \"Cg==\": {why}");
    assert_eq!(errors, [refused]);
    let (_, errors, _) = updated(&good, "");
    assert_eq!(errors, [""; 0], "then it is known as any server is");
}
