//! Versions of a custom kind that a webhook converts between.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use trimtab_api::{Resource, Schema};

use crate::harness::Server;
use crate::webhooks::Hook;

pub(crate) const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const V1: &str = "/apis/demo.io/v1/namespaces/default/sites";
const V2: &str = "/apis/demo.io/v2/namespaces/default/sites";

pub(crate) fn definition(hook: &Hook) -> Value {
    let version = |name: &str, field: &str| {
        let spec = json!({"type": "object", "properties": {field: {"type": "string"}}});
        json!({"name": name, "served": true, "storage": name == "v1",
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
            "selectableFields": [{"jsonPath": format!(".spec.{field}")}]})
    };
    json!({"metadata": {"name": "sites.demo.io"}, "spec": {
        "group": "demo.io", "scope": "Namespaced", "names": {"plural": "sites", "kind": "Site"},
        "versions": [version("v1", "image"), version("v2", "picture")],
        "conversion": {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": hook.client_config()}}}})
}

/// `image` in v1 is `picture` in v2.
pub(crate) fn convert(request: &Value) -> Value {
    let wanted = &request["desiredAPIVersion"];
    let rename = |object: &Value| {
        let mut object = object.clone();
        let spec = object["spec"].as_object_mut().unwrap();
        let (from, to) = if wanted == "demo.io/v2" { ("image", "picture") } else { ("picture", "image") };
        if let Some(value) = spec.remove(from) {
            spec.insert(to.to_owned(), value);
        }
        object["apiVersion"] = wanted.clone();
        object["metadata"]["finalizers"] = json!(["of/converter"]);
        object
    };
    let objects: Vec<Value> = request["objects"].as_array().unwrap().iter().map(rename).collect();
    json!({"convertedObjects": objects, "result": {"status": "Success"}})
}

pub(crate) fn site(version: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": format!("demo.io/{version}"), "kind": "Site", "metadata": {"name": name}, "spec": spec})
}

#[tokio::test]
async fn objects_are_served_in_every_version() {
    let server = Server::new().await;
    let hook = Hook::new(convert).await;
    server.post(CRDS, definition(&hook)).await.ok();
    let made = server.post(V2, site("v2", "a", json!({"picture": "x"}))).await.ok();
    assert_eq!((&made["apiVersion"], &made["spec"]), (&json!("demo.io/v2"), &json!({"picture": "x"})));
    assert!(made["metadata"].get("finalizers").is_none(), "of the metadata only labels and annotations are converted");
    let stored = server.get(&format!("{V1}/a")).await.ok();
    assert_eq!((&stored["apiVersion"], &stored["spec"]), (&json!("demo.io/v1"), &json!({"image": "x"})));
    assert_eq!(server.get(&format!("{V2}/a")).await.ok()["spec"], json!({"picture": "x"}));
    server.post(V1, site("v1", "b", json!({"image": "y"}))).await.ok();
    let list = server.get(&format!("{V2}?fieldSelector=spec.picture%3Dy")).await.ok();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["spec"], json!({"picture": "y"}));

    let patched = server.patch(&format!("{V2}/b"), "merge", json!({"spec": {"picture": "z"}})).await.ok();
    assert_eq!(patched["spec"], json!({"picture": "z"}));
    let version = patched["metadata"]["resourceVersion"].clone();
    let again = server.patch(&format!("{V2}/b"), "merge", json!({"spec": {"picture": "z"}})).await.ok();
    assert_eq!(again["metadata"]["resourceVersion"], version, "what does not change is not written");
    assert_eq!(server.get(&format!("{V1}/b")).await.ok()["spec"], json!({"image": "z"}));

    let mut watch = server.watch(&format!("{V2}?watch=true&resourceVersion={}", version.as_str().unwrap())).await;
    server.patch(&format!("{V1}/b"), "merge", json!({"spec": {"image": "w"}})).await.ok();
    let event = watch.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["spec"]), (&json!("MODIFIED"), &json!({"picture": "w"})));
    server.delete(&format!("{V2}/b"), json!({})).await.ok();
    assert_eq!(server.get(&format!("{V1}/b")).await.code, 404);
}

#[tokio::test]
async fn a_webhook_that_fails_fails_the_request() {
    let server = Server::new().await;
    let hook = Hook::new(|request| match request["desiredAPIVersion"].as_str() {
        Some("demo.io/v2") => json!({"result": {"status": "Failed", "message": "not today"}, "convertedObjects": null}),
        _ => convert(request),
    })
    .await;
    server.post(CRDS, definition(&hook)).await.ok();
    server.post(V1, site("v1", "a", json!({"image": "x"}))).await.ok();
    let why = "Internal error occurred: conversion webhook for demo.io/v2, Kind=Site failed: not today";
    let refused = server.get(&format!("{V2}/a")).await;
    assert_eq!((refused.code, &refused.body["message"]), (500, &json!(why)));
    assert_eq!(server.get(V2).await.code, 500);
    server.get(&format!("{V1}/a")).await.ok();
}

/// A page, of which the newer version names its parts.
#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(
    group = "typed.demo.io",
    version = "v1",
    kind = "Page",
    versions(PageV1Beta1Spec),
    crate = "trimtab_api",
    rule("self.title != self.body", message = "a title of its own")
)]
struct PageSpec {
    title: String,
    body: String,
}

#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(version = "v1beta1", converts = PageSpec, crate = "trimtab_api")]
struct PageV1Beta1Spec {
    text: String,
}

impl From<PageV1Beta1Spec> for PageSpec {
    fn from(old: PageV1Beta1Spec) -> Self {
        let (title, body) = old.text.split_once('|').unwrap_or((&old.text, ""));
        Self { title: title.to_owned(), body: body.to_owned() }
    }
}

impl From<PageSpec> for PageV1Beta1Spec {
    fn from(page: PageSpec) -> Self {
        Self { text: format!("{}|{}", page.title, page.body) }
    }
}

#[tokio::test]
async fn versions_declared_in_rust_convert_as_they_say() {
    let server = Server::new().await;
    let hook = Hook::new(|request| Page::convert(&json!({"request": request}))["response"].clone()).await;
    let webhook = serde_json::from_value(hook.client_config()).unwrap();
    server.post(CRDS, Page::crd_converted_by(&webhook)).await.ok();
    let of = |version: &str| format!("/apis/typed.demo.io/{version}/namespaces/default/pages");
    let page = |version: &str, spec: Value| json!({"apiVersion": format!("typed.demo.io/{version}"), "kind": "Page", "metadata": {"name": "a", "labels": {"b": "c"}}, "spec": spec});
    let made = server.post(&of("v1beta1"), page("v1beta1", json!({"text": "t|b"}))).await.ok();
    assert_eq!((&made["spec"], &made["metadata"]["labels"]), (&json!({"text": "t|b"}), &json!({"b": "c"})));
    let stored = server.get(&format!("{}/a", of("v1"))).await.ok();
    assert_eq!(stored["spec"], json!({"title": "t", "body": "b"}));
    let changed = server.patch(&format!("{}/a", of("v1")), "merge", json!({"spec": {"body": "c"}})).await.ok();
    assert_eq!(changed["spec"], json!({"title": "t", "body": "c"}));
    assert_eq!(server.get(&format!("{}/a", of("v1beta1"))).await.ok()["spec"], json!({"text": "t|c"}));
    let refused = server.patch(&format!("{}/a", of("v1")), "merge", json!({"spec": {"title": "c"}})).await;
    assert_eq!(
        (refused.code, &refused.body["message"]),
        (422, &json!(r#"Page.typed.demo.io "a" is invalid: spec: Invalid value: "object": a title of its own"#))
    );
}
