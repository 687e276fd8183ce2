//! CustomResourceDefinitions: their objects are served from the moment that they are written.

use std::sync::Arc;

use serde_json::{Value, json};
use trimtab_store::{Memory, Store};

use crate::harness::{Server, version};

pub(crate) const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
pub(crate) const SITES: &str = "/apis/demo.io/v1/namespaces/default/sites";

pub(crate) fn definition() -> Value {
    let spec = json!({"type": "object", "required": ["image"], "properties": {
        "image": {"type": "string"},
        "replicas": {"type": "integer", "maximum": 10, "default": 1},
        "mode": {"type": "string", "enum": ["Fast", "Slow"]},
        "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "port": {"type": "integer"}}}},
    }});
    let status =
        json!({"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}});
    let schema = json!({"type": "object", "properties": {"spec": spec, "status": status}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "sites.demo.io"},
        "spec": {
            "group": "demo.io", "scope": "Namespaced",
            "names": {"plural": "sites", "kind": "Site", "shortNames": ["st"], "categories": ["all"]},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}},
                "selectableFields": [{"jsonPath": ".spec.mode"}],
                "additionalPrinterColumns": [{"name": "Image", "type": "string", "jsonPath": ".spec.image"}, {"name": "Mode", "type": "string", "jsonPath": ".spec.mode"}]}],
        },
    })
}

pub(crate) fn site(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "demo.io/v1", "kind": "Site", "metadata": {"name": name}, "spec": spec})
}

async fn server() -> Server {
    let server = Server::new().await;
    server.post(CRDS, definition()).await.ok();
    server
}

fn condition<'a>(definition: &'a Value, type_: &str) -> &'a Value {
    let conditions = definition["status"]["conditions"].as_array().unwrap();
    conditions.iter().find(|condition| condition["type"] == type_).unwrap_or(&Value::Null)
}

/// Waits until the definition is gone; its last condition is none of the test's business.
async fn gone(server: &Server) {
    let mut watch = server.watch(&format!("{CRDS}?watch=true&fieldSelector=metadata.name%3Dsites.demo.io")).await;
    loop {
        if server.get(&format!("{CRDS}/sites.demo.io")).await.code == 404 {
            return;
        }
        watch.next().await.unwrap();
    }
}

/// A watcher once heard of a definition before its kinds were served, looked for them, and never again.
#[tokio::test]
async fn whoever_hears_of_a_definition_finds_its_kinds_served() {
    let server = Server::new().await;
    let (told, heard) = std::sync::mpsc::channel();
    let api = server.api.clone();
    server.store.observe(Box::new(move |event| {
        let is_served = api.kinds().by_resource("demo.io", "v1", "sites").is_some();
        told.send((event.entry.is_some(), is_served)).unwrap();
        true
    }));
    server.post(CRDS, definition()).await.ok();
    server.delete(&format!("{CRDS}/sites.demo.io"), json!({})).await.ok();
    let all: Vec<_> = heard.try_iter().collect();
    assert_eq!(all[0], (true, true));
    assert!(all.iter().all(|(is_there, is_served)| is_there == is_served), "{all:?}");
}

#[tokio::test]
async fn what_is_defined_is_served_and_discovered_at_once() {
    let server = Server::new().await;
    server.get(SITES).await.refused(404, "NotFound", "could not find the requested resource");
    let made = server.post(CRDS, definition()).await.ok();
    assert_eq!(
        (&condition(&made, "Established")["status"], &condition(&made, "NamesAccepted")["status"]),
        (&json!("True"), &json!("True"))
    );
    assert_eq!(made["status"]["acceptedNames"], made["spec"]["names"]);
    assert_eq!(made["status"]["storedVersions"], json!(["v1"]));
    let made = server.post(SITES, site("a", json!({"image": "x"}))).await.ok();
    assert_eq!(made["spec"], json!({"image": "x", "replicas": 1}));
    assert_eq!(made["metadata"]["generation"], 1);

    let resources = server.get("/apis/demo.io/v1").await.ok();
    let own = &resources["resources"][0];
    assert_eq!(
        (&own["name"], &own["shortNames"], &own["categories"]),
        (&json!("sites"), &json!(["st"]), &json!(["all"]))
    );
    let names: Vec<_> = resources["resources"].as_array().unwrap().iter().map(|r| r["name"].clone()).collect();
    assert_eq!(names, ["sites", "sites/status", "sites/scale"]);
    let groups =
        server.get_as("/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList").await.ok();
    assert!(groups["items"].as_array().unwrap().iter().any(|group| group["metadata"]["name"] == "demo.io"));
    let index = server.get("/openapi/v3").await.ok();
    assert!(index["paths"]["apis/demo.io/v1"]["serverRelativeURL"].is_string());
    let document = server.get("/openapi/v3/apis/demo.io/v1").await.ok();
    let schema = &document["components"]["schemas"]["io.demo.v1.Site"];
    assert_eq!(
        schema["x-kubernetes-group-version-kind"],
        json!([{"group": "demo.io", "version": "v1", "kind": "Site"}])
    );
    assert_eq!(schema["properties"]["spec"]["properties"]["image"]["type"], "string");
}

// The kind was not served any more, until the next write of the definition itself.
#[tokio::test]
async fn who_writes_the_status_of_a_definition_does_not_take_its_names_away() {
    let server = server().await;
    let at = format!("{CRDS}/sites.demo.io/status");
    let condition = json!({"type": "Seen", "status": "True", "reason": "Test", "message": "of a test"});
    let told = server.patch(&at, "merge", json!({"status": {"conditions": [condition]}})).await.ok();
    let types: Vec<_> = told["status"]["conditions"].as_array().unwrap().iter().map(|c| c["type"].clone()).collect();
    assert_eq!(types, ["Seen", "NamesAccepted", "Established"]);
    server.get(SITES).await.ok();
}

#[tokio::test]
async fn objects_are_held_to_the_schema_in_upstreams_words() {
    let server = server().await;
    let refused = |spec: Value| server.post_owned(SITES, site("a", spec));
    refused(json!({"image": "x", "replicas": 11})).await.refused(
        422,
        "Invalid",
        "Site.demo.io \"a\" is invalid: spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10",
    );
    refused(json!({})).await.refused(422, "Invalid", "spec.image: Required value");
    refused(json!({"image": 1})).await.refused(
        422,
        "Invalid",
        "spec.image: Invalid value: \"integer\": spec.image in body must be of type string: \"integer\"",
    );
    refused(json!({"image": "x", "mode": "M"})).await.refused(
        422,
        "Invalid",
        "spec.mode: Unsupported value: \"M\": supported values: \"Fast\", \"Slow\"",
    );
    refused(json!({"image": "x", "ports": [{"name": "a"}, {"name": "a"}]})).await.refused(
        422,
        "Invalid",
        "spec.ports[1]: Duplicate value: {\"name\":\"a\"}",
    );

    let unknown = site("a", json!({"image": "x", "imag": "y"}));
    let strict = server.post(&format!("{SITES}?fieldValidation=Strict"), unknown.clone()).await;
    strict.refused(400, "BadRequest", "strict decoding error: unknown field \"spec.imag\"");
    let made = server.post(SITES, unknown).await;
    assert_eq!(made.headers["warning"], "299 - \"unknown field \\\"spec.imag\\\"\"");
    assert_eq!(made.ok()["spec"], json!({"image": "x", "replicas": 1}));
}

#[tokio::test]
async fn status_scale_and_columns_are_as_declared() {
    let server = server().await;
    let mut body = site("a", json!({"image": "x", "mode": "Fast"}));
    body["status"] = json!({"replicas": 7});
    let made = server.post(SITES, body).await.ok();
    assert!(made.get("status").is_none(), "{made}");
    let at = format!("{SITES}/a");
    let patched = server
        .patch(
            &format!("{at}/status"),
            "merge",
            json!({"status": {"replicas": 3, "selector": "a=b"}, "spec": {"image": "y"}}),
        )
        .await
        .ok();
    assert_eq!(
        (&patched["status"]["replicas"], &patched["spec"]["image"], &patched["metadata"]["generation"]),
        (&json!(3), &json!("x"), &json!(1))
    );
    let scale = server.get(&format!("{at}/scale")).await.ok();
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]), (&json!(1), &json!({"replicas": 3, "selector": "a=b"})));
    server.patch(&format!("{at}/scale"), "merge", json!({"spec": {"replicas": 4}})).await.ok();
    assert_eq!(server.get(&at).await.ok()["spec"]["replicas"], 4);
    let table = server.get_as(SITES, "application/json;as=Table;v=v1;g=meta.k8s.io").await.ok();
    assert_eq!(table["rows"][0]["cells"], json!(["a", "x", "Fast"]));
    server.post(SITES, site("b", json!({"image": "x"}))).await.ok();
    let list = server.get(&format!("{SITES}?fieldSelector=spec.mode%3DFast")).await.ok();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    server.patch(&at, "strategic", json!({})).await.refused(415, "UnsupportedMediaType", "");
}

#[tokio::test]
async fn server_side_apply_knows_the_lists() {
    let server = server().await;
    let at = format!("{SITES}/a");
    let apply = |manager: &str, ports: Value| {
        let path = format!("{at}?fieldManager={manager}");
        let body = site("a", json!({"image": "x", "ports": ports}));
        let server = &server;
        async move { server.patch(&path, "apply", body).await }
    };
    apply("one", json!([{"name": "a", "port": 1}])).await.ok();
    apply("two", json!([{"name": "b", "port": 2}])).await.ok();
    let both = server.get(&at).await.ok();
    assert_eq!(both["spec"]["ports"], json!([{"name": "a", "port": 1}, {"name": "b", "port": 2}]));
    apply("two", json!([{"name": "a", "port": 3}])).await.refused(
        409,
        "Conflict",
        "conflict with \"one\": .spec.ports[name=\"a\"].port",
    );
    let again = apply("one", json!([{"name": "a", "port": 1}])).await.ok();
    assert_eq!(version(&again), version(&both), "applied twice, nothing changes");
}

#[tokio::test]
async fn a_deleted_definition_takes_its_objects_with_it() {
    let server = server().await;
    let mut held = site("held", json!({"image": "x"}));
    held["metadata"]["finalizers"] = json!(["demo.io/hold"]);
    server.post(SITES, held).await.ok();
    server.post(SITES, site("free", json!({"image": "x"}))).await.ok();
    let mut objects = server.watch(&format!("{SITES}?watch=true")).await;
    assert_eq!(objects.named().await.0, "ADDED");
    assert_eq!(objects.named().await.0, "ADDED");
    let going = server.delete(&format!("{CRDS}/sites.demo.io"), json!({})).await.ok();
    assert_eq!(going["metadata"]["finalizers"], json!(["customresourcecleanup.apiextensions.k8s.io"]));
    assert_eq!(condition(&going, "Terminating")["reason"], "InstanceDeletionPending");
    server.post(SITES, site("late", json!({"image": "x"}))).await.refused(
        405,
        "MethodNotAllowed",
        "create not allowed while custom resource definition is terminating",
    );
    let (mut freed, mut marked) = (false, false);
    while !(freed && marked) {
        match objects.named().await {
            (type_, name) if type_ == "DELETED" && name == "free" => freed = true,
            (type_, name) if type_ == "MODIFIED" && name == "held" => marked = true,
            other => panic!("{other:?}"),
        }
    }
    // It waits for the one that is held.
    assert_eq!(server.get(&format!("{SITES}/held")).await.code, 200);
    server.patch(&format!("{SITES}/held"), "merge", json!({"metadata": {"finalizers": null}})).await.ok();
    assert_eq!(objects.named().await, ("DELETED".to_owned(), "held".to_owned()));
    gone(&server).await;
    assert!(objects.next().await.is_none(), "the watch ends with what it watches");
    server.get(SITES).await.refused(404, "NotFound", "");
    server.get("/apis/demo.io/v1").await.refused(404, "NotFound", "");
    // It can come back.
    server.post(CRDS, definition()).await.ok();
    assert_eq!(server.get(SITES).await.ok()["items"], json!([]));
}

#[tokio::test]
async fn a_name_that_becomes_free_is_given() {
    let server = server().await;
    let mut second = definition();
    second["metadata"]["name"] = json!("pages.demo.io");
    second["spec"]["names"] = json!({"plural": "pages", "kind": "Page", "shortNames": ["st"]});
    let made = server.post(CRDS, second).await.ok();
    assert_eq!(condition(&made, "NamesAccepted")["reason"], "ShortNamesConflict");
    assert_eq!(condition(&made, "Established")["status"], "False");
    server.get("/apis/demo.io/v1/namespaces/default/pages").await.refused(404, "NotFound", "");
    let mut watch = server.watch(&format!("{CRDS}/pages.demo.io?watch=true&resourceVersion={}", version(&made))).await;
    server.delete(&format!("{CRDS}/sites.demo.io"), json!({})).await.ok();
    let event = watch.next().await.unwrap();
    assert_eq!(condition(&event["object"], "Established")["status"], "True");
    server.get("/apis/demo.io/v1/namespaces/default/pages").await.ok();
}

#[tokio::test]
async fn a_restarted_server_serves_what_is_stored() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let server = Server::over(Arc::clone(&store)).await;
    server.post(CRDS, definition()).await.ok();
    server.post(SITES, site("a", json!({"image": "x"}))).await.ok();
    let later = Server::over(store).await;
    assert_eq!(later.get(&format!("{SITES}/a")).await.ok()["spec"]["image"], "x");
    later.post(CRDS, definition()).await.refused(409, "AlreadyExists", "");
}

#[tokio::test]
async fn objects_of_earlier_definitions_are_brought_up() {
    let server = server().await;
    let made = server.post(SITES, site("a", json!({"image": "x", "mode": "Fast"}))).await.ok();
    // A new default, a field that is gone, a new version.
    let mut second = definition()["spec"]["versions"][0].clone();
    second["name"] = json!("v2");
    second["storage"] = json!(false);
    second["deprecated"] = json!(true);
    let mut first = definition()["spec"]["versions"][0].clone();
    let properties = &mut first["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    properties["color"] = json!({"type": "string", "default": "red"});
    properties.as_object_mut().unwrap().remove("mode");
    first.as_object_mut().unwrap().remove("selectableFields");
    let versions = json!({"spec": {"versions": [first, second]}});
    server.patch(&format!("{CRDS}/sites.demo.io"), "merge", versions).await.ok();

    let now = server.get(&format!("{SITES}/a")).await.ok();
    assert_eq!(now["spec"], json!({"image": "x", "replicas": 1, "color": "red"}));
    assert_eq!(version(&now), version(&made), "reading writes nothing");
    let other = server.get("/apis/demo.io/v2/namespaces/default/sites/a").await;
    assert_eq!(other.headers["warning"], "299 - \"demo.io/v2 Site is deprecated\"");
    let other = other.ok();
    assert_eq!((&other["apiVersion"], &other["spec"]["mode"]), (&json!("demo.io/v2"), &json!("Fast")));
    let list = server.get("/apis/demo.io/v2/namespaces/default/sites").await.ok();
    assert_eq!(list["items"][0]["apiVersion"], "demo.io/v2");
    let group = server.get("/apis/demo.io").await.ok();
    assert_eq!(group["preferredVersion"]["version"], "v2");

    // The other version becomes the one that is stored; a write that changes nothing moves an object.
    let stored = json!([{"op": "replace", "path": "/spec/versions/0/storage", "value": false}, {"op": "replace", "path": "/spec/versions/1/storage", "value": true}]);
    let changed = server.patch(&format!("{CRDS}/sites.demo.io"), "json", stored).await.ok();
    assert_eq!(changed["status"]["storedVersions"], json!(["v1", "v2"]));
    let moved = server.put(&format!("{SITES}/a"), &server.get(&format!("{SITES}/a")).await.ok()).await.ok();
    assert_ne!(version(&moved), version(&now));
    assert_eq!(moved["apiVersion"], "demo.io/v1");
    let again = server.put(&format!("{SITES}/a"), &moved).await.ok();
    assert_eq!(version(&again), version(&moved), "it is there already");
    let gone = json!({"spec": {"versions": [changed["spec"]["versions"][1]]}});
    server.patch(&format!("{CRDS}/sites.demo.io"), "merge", gone.clone()).await.refused(
        422,
        "Invalid",
        "missing from spec.versions",
    );
    let status = json!({"status": {"storedVersions": ["v2"]}});
    server.patch(&format!("{CRDS}/sites.demo.io/status"), "merge", status).await.ok();
    server.patch(&format!("{CRDS}/sites.demo.io"), "merge", gone).await.ok();
    server.get(&format!("{SITES}/a")).await.refused(404, "NotFound", "");
}
