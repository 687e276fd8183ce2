//! A declared kind, as a user would write it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate as trimtab_api;
use crate::table::{IncludeObject, columns, row};
use crate::{Object, Operation, Resource};

/// A website.
#[derive(Resource, Serialize, Deserialize, JsonSchema, Clone, Debug)]
#[resource(
    group = "demo.io", version = "v1", kind = "Website", short = "web", status = WebsiteStatus, crate = "trimtab_api",
    scale(replicas = ".spec.replicas"), column("Ready", ".status.ready"), column("Since", ".status.since", priority = 1)
)]
#[serde(rename_all = "camelCase")]
struct WebsiteSpec {
    /// What to run.
    #[schemars(length(min = 1))]
    image: String,
    #[resource(default = 1)]
    #[schemars(range(max = 100))]
    replicas: i32,
    #[resource(default = "Recreate")]
    update_strategy: String,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default)]
struct WebsiteStatus {
    ready: i32,
    #[schemars(extend("format" = "date-time"))]
    since: Option<String>,
}

fn website() -> Website {
    Website::new("a", WebsiteSpec { image: "x".to_owned(), replicas: 2, update_strategy: "Recreate".to_owned() })
}

#[test]
fn on_the_wire_an_object_says_its_kind() {
    let value = serde_json::to_value(website()).unwrap();
    let expected = json!({"apiVersion": "demo.io/v1", "kind": "Website", "metadata": {"name": "a"},
        "spec": {"image": "x", "replicas": 2, "updateStrategy": "Recreate"}});
    assert_eq!(value, expected);
    let read: Website = serde_json::from_value(expected).unwrap();
    assert_eq!((read.metadata.name.as_deref(), read.spec.replicas, read.status.is_none()), (Some("a"), 2, true));
    let other = json!({"apiVersion": "demo.io/v1", "kind": "Blog", "metadata": {}, "spec": value["spec"]});
    let error = serde_json::from_value::<Website>(other).unwrap_err().to_string();
    assert_eq!(error, "invalid value: string \"Blog\", expected Website");
}

#[test]
fn the_definition_is_one_that_kubernetes_takes() {
    let definition = Website::crd();
    assert_eq!(definition["metadata"]["name"], "websites.demo.io");
    assert_eq!(
        definition["spec"]["names"],
        json!({"kind": "Website", "listKind": "WebsiteList", "plural": "websites", "singular": "website", "shortNames": ["web"]})
    );
    let version = &definition["spec"]["versions"][0];
    assert_eq!(
        version["subresources"],
        json!({"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}})
    );
    assert_eq!(
        version["additionalPrinterColumns"],
        json!([
            {"name": "Ready", "type": "integer", "jsonPath": ".status.ready"},
            {"name": "Since", "type": "date", "jsonPath": ".status.since", "priority": 1},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ])
    );
    let schema = &version["schema"]["openAPIV3Schema"];
    assert_eq!(schema["description"], "A website.");
    let spec = &schema["properties"]["spec"];
    assert_eq!(spec["required"], json!(["image"]));
    assert_eq!(spec["properties"]["updateStrategy"], json!({"type": "string", "default": "Recreate"}));
    assert_eq!(spec["properties"]["image"], json!({"type": "string", "minLength": 1, "description": "What to run."}));
    // It is of the type that Kubernetes itself has for definitions.
    serde_json::from_value::<
        k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    >(definition.clone())
    .unwrap();
    assert_eq!(serde_yaml::from_str::<Value>(&Website::crd_yaml()).unwrap(), definition);
}

#[test]
fn documents_find_the_kind_by_upstream_s_name() {
    let definitions = (Website::kind().definitions)();
    let properties = &definitions["io.demo.v1.Website"]["properties"];
    let reference = json!({"$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"});
    assert_eq!(properties["metadata"]["allOf"][0], reference);
    assert!(definitions.contains_key("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"));
}

#[test]
fn a_write_is_defaulted_and_held_to_the_schema() {
    let kind = Website::kind();
    let admit = |spec: Value| {
        let mut object: Object = serde_json::from_value(
            json!({"apiVersion": "demo.io/v1", "kind": "Website", "metadata": {"name": "a"}, "spec": spec}),
        )
        .unwrap();
        kind.schema.get().check(&mut object.0).unwrap();
        let admission = kind.strategy.admit(Operation::Create, &mut object);
        (object.0["spec"].clone(), admission.errors.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let (spec, errors) = admit(json!({"image": "x"}));
    assert_eq!((spec, errors), (json!({"image": "x", "replicas": 1, "updateStrategy": "Recreate"}), vec![]));
    let (_, errors) = admit(json!({"image": "", "replicas": 101}));
    assert_eq!(
        errors,
        [
            r#"spec.image: Invalid value: "": spec.image in body should be at least 1 chars long"#,
            "spec.replicas: Invalid value: 101: spec.replicas in body should be less than or equal to 100",
        ]
    );
    assert_eq!(admit(json!({})).1, ["spec.image: Required value"]);
}

#[test]
fn its_rows_are_printed_from_its_columns() {
    let kind = Website::kind();
    let headings: Vec<_> = columns(&kind).as_array().unwrap().iter().map(|column| column["name"].clone()).collect();
    assert_eq!(headings, ["Name", "Ready", "Since", "Age"]);
    let mut website = website();
    website.status = Some(WebsiteStatus { ready: 2, since: Some("2026-01-01T00:00:00Z".to_owned()) });
    let object = Object::from_typed(&website).unwrap();
    let row = row(&kind, &object, IncludeObject::None, 1_767_225_660);
    assert_eq!(row["cells"], json!(["a", 2, "60s", "<unknown>"]));
}
