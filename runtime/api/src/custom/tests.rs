//! A declared kind, as a user would write it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate as trimtab_api;
use crate::table::{IncludeObject, columns, row};
use crate::{Object, Operation, Resource, Schema};

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
    #[resource(default = 1, rule("self <= 100", message = "at most 100"))]
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
            r#"spec.replicas: Invalid value: "integer": at most 100"#,
        ]
    );
    let unchecked = "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
    assert_eq!(admit(json!({})).1, ["spec.image: Required value", unchecked]);
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

/// A shop.
#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[resource(
    group = "demo.io", version = "v1", kind = "Shop", cluster, categories = ["all", "shops"], status = ShopStatus,
    versions(ShopV1Beta1Spec), selectable = [".spec.owner"], derive(PartialEq), crate = "trimtab_api",
    rule("self.least <= self.most", message_expression = "'least is above %d'.format([self.most])", field_path = ".least"),
    rule("!oldSelf.hasValue() || self.owner == oldSelf.value().owner", message = "the owner stays", optional_old_self),
    object_rule("self.metadata.name.size() < 10", reason = "FieldValueForbidden", message = "the name is long")
)]
#[serde(rename_all = "camelCase")]
struct ShopSpec {
    owner: String,
    least: u8,
    most: u8,
    /// Where it is open.
    #[resource(map_keys = "name")]
    doors: Vec<Door>,
    #[resource(list_type = "set")]
    tags: Option<Vec<String>>,
    #[resource(map_type = "atomic")]
    labels: Option<std::collections::BTreeMap<String, String>>,
    #[resource(embedded_resource)]
    template: Option<Value>,
    goods: Option<Goods>,
}

/// A door.
#[derive(Schema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[resource(rule = "self.name != 'wall'", atomic, crate = "trimtab_api")]
#[serde(rename_all = "camelCase")]
struct Door {
    name: String,
    #[resource(default = 80, rule = "self > 0")]
    port_number: u16,
}

#[derive(Schema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[resource(crate = "trimtab_api")]
#[serde(rename_all = "camelCase")]
enum Goods {
    Books {
        #[resource(default = 10)]
        count: u32,
    },
    Food(String),
}

#[derive(Schema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
#[resource(crate = "trimtab_api")]
struct ShopStatus {
    open: bool,
}

/// A shop, as it was.
#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[resource(
    version = "v1beta1", converts = ShopSpec, deprecated, status = OldStatus, column("Owner", ".spec.name"),
    crate = "trimtab_api", derive(PartialEq)
)]
struct ShopV1Beta1Spec {
    name: String,
    doors: Vec<String>,
}

#[derive(Schema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[resource(crate = "trimtab_api")]
struct OldStatus {
    closed: bool,
}

impl From<ShopV1Beta1Spec> for ShopSpec {
    fn from(old: ShopV1Beta1Spec) -> Self {
        let doors = old.doors.into_iter().map(|name| Door { name, port_number: 80 }).collect();
        Self { owner: old.name, least: 0, most: 1, doors, tags: None, labels: None, template: None, goods: None }
    }
}

impl From<ShopSpec> for ShopV1Beta1Spec {
    fn from(shop: ShopSpec) -> Self {
        Self { name: shop.owner, doors: shop.doors.into_iter().map(|door| door.name).collect() }
    }
}

impl From<OldStatus> for ShopStatus {
    fn from(old: OldStatus) -> Self {
        Self { open: !old.closed }
    }
}

impl From<ShopStatus> for OldStatus {
    fn from(status: ShopStatus) -> Self {
        Self { closed: !status.open }
    }
}

#[test]
fn attributes_are_told_in_the_schema() {
    Shop::check().unwrap();
    let definition = Shop::crd();
    assert_eq!(definition["spec"]["names"]["categories"], json!(["all", "shops"]));
    let version = &definition["spec"]["versions"][0];
    assert_eq!(version["selectableFields"], json!([{"jsonPath": ".spec.owner"}]));
    let object = &version["schema"]["openAPIV3Schema"];
    assert_eq!(
        object["x-kubernetes-validations"],
        json!([{"rule": "self.metadata.name.size() < 10", "message": "the name is long", "reason": "FieldValueForbidden"}])
    );
    let spec = &object["properties"]["spec"];
    assert_eq!(
        spec["x-kubernetes-validations"],
        json!([
            {"rule": "self.least <= self.most", "messageExpression": "'least is above %d'.format([self.most])", "fieldPath": ".least"},
            {"rule": "!oldSelf.hasValue() || self.owner == oldSelf.value().owner", "message": "the owner stays", "optionalOldSelf": true},
        ])
    );
    let door = json!({
        "type": "object", "description": "A door.", "required": ["name"], "x-kubernetes-map-type": "atomic",
        "x-kubernetes-validations": [{"rule": "self.name != 'wall'"}],
        "properties": {"name": {"type": "string"}, "portNumber": {
            "type": "integer", "minimum": 0, "maximum": 65535, "default": 80, "x-kubernetes-validations": [{"rule": "self > 0"}]}},
    });
    assert_eq!(
        spec["properties"]["doors"],
        json!({"type": "array", "items": door, "description": "Where it is open.",
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]})
    );
    let nullable = |mut schema: Value| {
        schema["nullable"] = true.into();
        schema
    };
    let text = json!({"type": "string"});
    for (field, expected) in [
        ("tags", json!({"type": "array", "items": text, "x-kubernetes-list-type": "set"})),
        ("labels", json!({"type": "object", "additionalProperties": text, "x-kubernetes-map-type": "atomic"})),
        (
            "template",
            json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}),
        ),
        (
            "goods",
            json!({"type": "object", "oneOf": [{"required": ["books"]}, {"required": ["food"]}], "properties": {
                "food": text, "books": {"type": "object", "properties": {"count": {"type": "integer", "minimum": 0, "default": 10}}}}}),
        ),
    ] {
        assert_eq!(spec["properties"][field], nullable(expected), "{field}");
    }
    assert_eq!(spec["required"], json!(["owner", "least", "most", "doors"]));
}

#[test]
fn a_definition_has_all_versions() {
    let definition = Shop::crd();
    assert_eq!(ShopV1Beta1::crd(), definition);
    let old = &definition["spec"]["versions"][1];
    let stored: Vec<_> =
        definition["spec"]["versions"].as_array().unwrap().iter().map(|v| (&v["name"], &v["storage"])).collect();
    assert_eq!(stored, [(&json!("v1"), &json!(true)), (&json!("v1beta1"), &json!(false))]);
    assert_eq!(
        (&old["deprecated"], old["additionalPrinterColumns"][0]["name"].as_str()),
        (&json!(true), Some("Owner"))
    );
    use k8s_openapi::{ListableResource, Resource};
    assert_eq!(
        (ShopV1Beta1::API_VERSION, ShopV1Beta1::KIND, ShopV1Beta1::URL_PATH_SEGMENT, ShopV1Beta1::LIST_KIND),
        ("demo.io/v1beta1", "Shop", "shops", "ShopList")
    );
    let kind = ShopV1Beta1::kind();
    assert_eq!(kind.deprecation.as_deref(), Some("demo.io/v1beta1 Shop is deprecated"));
    assert_eq!((&*kind.plural, kind.scope), ("shops", crate::Scope::Cluster));
    let webhook = serde_json::from_value(json!({"url": "https://a.b/convert"})).unwrap();
    let definition = Shop::crd_converted_by(&webhook);
    assert_eq!(
        definition["spec"]["conversion"],
        json!({"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://a.b/convert"}, "conversionReviewVersions": ["v1"]}})
    );
    assert!(crate::crd::check(&definition).is_empty());
}

#[test]
fn objects_come_from_one_version_to_another() {
    let old = json!({"apiVersion": "demo.io/v1beta1", "kind": "Shop", "metadata": {"name": "a", "labels": {"b": "c"}},
        "spec": {"name": "me", "doors": ["front"]}, "status": {"closed": true}});
    let new = json!({"apiVersion": "demo.io/v1", "kind": "Shop", "metadata": {"name": "a", "labels": {"b": "c"}},
        "spec": {"owner": "me", "least": 0, "most": 1, "doors": [{"name": "front", "portNumber": 80}],
            "tags": null, "labels": null, "template": null, "goods": null}, "status": {"open": false}});
    let typed: ShopV1Beta1 = serde_json::from_value(old.clone()).unwrap();
    assert_eq!(serde_json::to_value(Shop::from(typed.clone())).unwrap(), new);
    assert_eq!(ShopV1Beta1::from(Shop::from(typed.clone())), typed);

    let review = |wanted: &str, objects: Value| {
        let request = json!({"uid": "u", "desiredAPIVersion": wanted, "objects": objects});
        let answer = Shop::convert(
            &json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": request}),
        );
        assert_eq!((&answer["kind"], &answer["response"]["uid"]), (&json!("ConversionReview"), &json!("u")));
        (answer["response"]["convertedObjects"].clone(), answer["response"]["result"].clone())
    };
    let success = json!({"status": "Success"});
    assert_eq!(review("demo.io/v1", json!([old, new])), (json!([new, new]), success.clone()));
    assert_eq!(review("demo.io/v1beta1", json!([new])), (json!([old]), success));
    let failed = |message: &str| (json!([]), json!({"status": "Failure", "message": message}));
    assert_eq!(review("demo.io/v2", json!([old])), failed("Shop \"a\": there is no version \"demo.io/v2\""));
    let broken =
        json!({"apiVersion": "demo.io/v1beta1", "kind": "Shop", "metadata": {"name": "a"}, "spec": {"name": "me"}});
    assert_eq!(review("demo.io/v1", json!([old, broken])), failed("Shop \"a\": missing field `doors`"));
}

#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(
    group = "demo.io",
    version = "v1",
    kind = "WrongRule",
    crate = "trimtab_api",
    rule = "self.mist > 1",
    selectable = ".spec.none"
)]
struct WrongRuleSpec {
    most: u8,
}

#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(group = "demo.io", version = "v1", kind = "WrongDefault", crate = "trimtab_api")]
struct WrongDefaultSpec {
    #[resource(default = "text")]
    most: u8,
}

#[test]
fn a_definition_that_would_be_refused_says_why() {
    let told = |wrong: &str, expected: &[&str]| {
        for expected in expected {
            assert!(wrong.contains(expected), "{expected} is not in {wrong}");
        }
    };
    let rule = WrongRule::check().unwrap_err().to_string();
    told(
        &rule,
        &[
            "the definition of WrongRule is wrong: ",
            "undefined field 'mist'",
            "selectableFields[0].jsonPath: Invalid value: \".spec.none\": is an invalid path: does not refer to a valid field",
        ],
    );
    let panicked = std::panic::catch_unwind(WrongRule::kind).err().unwrap();
    assert_eq!(*panicked.downcast::<String>().unwrap(), rule);
    let default = WrongDefault::check().unwrap_err().to_string();
    told(&default, &["properties[spec].properties[most].default in body must be of type integer: \"string\""]);
}

/// A kind of which no schema says what its field is: `derive(JsonSchema)` cannot know.
#[derive(Resource, Serialize, Deserialize, JsonSchema, Clone, Debug)]
#[resource(group = "demo.io", version = "v1", kind = "Blog", crate = "trimtab_api")]
struct BlogSpec {
    feeds: Vec<Feed>,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug)]
#[serde(untagged)]
enum Feed {
    Here(String),
    There { url: String },
}

#[test]
fn what_no_schema_says_is_told_and_refused() {
    let told = Blog::check().unwrap_err().errors.iter().map(ToString::to_string).collect::<Vec<_>>();
    let at = "spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[feeds].items.type";
    let why = "Required value: its variants are of the types string and object, and a field has one type: write a variant \
               without fields as `Name {}`, tag the enum, as with `#[serde(tag = \"type\", content = \"value\")]`, or take \
               anything, with `#[resource(preserve_unknown_fields)]` of `derive(Schema)`, or \
               `#[schemars(extend(\"x-kubernetes-preserve-unknown-fields\" = true))]` of `derive(JsonSchema)`";
    assert_eq!(told, [format!("{at}: {why}")]);
    // Nor does any other API server take it.
    let refused = crate::crd::check(&Blog::crd());
    assert_eq!(refused[0].path.to_string(), at.replace("versions[0].schema", "validation"));
}
