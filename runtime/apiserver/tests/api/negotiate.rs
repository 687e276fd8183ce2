//! Media types, tables, discovery, OpenAPI, health and TLS.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::definitions::{CRDS, definition};
use crate::harness::{Answer, MAPS, PODS, Server, map, pod};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

#[tokio::test]
async fn tables_have_upstreams_columns() {
    let server = Server::new().await;
    server.post(PODS, pod("p")).await.ok();
    let table = server.get_as(PODS, TABLE).await.ok();
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    let heads: Vec<&str> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(heads[..5], ["Name", "Ready", "Status", "Restarts", "Age"]);
    assert_eq!(
        table["rows"][0]["cells"].as_array().unwrap()[..4],
        [json!("p"), json!("0/1"), json!("Pending"), json!("0")]
    );
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let bare = server.get_as(&format!("{PODS}/p?includeObject=None"), TABLE).await.ok();
    assert!(bare["rows"][0]["object"].is_null());
    let whole = server.get_as(&format!("{PODS}?includeObject=Object"), TABLE).await.ok();
    assert_eq!(whole["rows"][0]["object"]["kind"], "Pod");
}

#[tokio::test]
async fn metadata_alone_is_served_and_what_is_not_is_refused() {
    let server = Server::new().await;
    server.post(MAPS, map("a", json!({}))).await.ok();
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    let list = server.get_as(MAPS, accept).await.ok();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert!(list["items"][0].get("data").is_none());
    assert_eq!(list["items"][0]["metadata"]["name"], "a");
    server.get_as(MAPS, "text/html").await.refused(406, "NotAcceptable", "application/json");
    let list = server.get_as(MAPS, "application/yaml;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1").await;
    assert_eq!(list.headers["content-type"], "application/yaml");
}

#[tokio::test]
async fn discovery_is_plain_and_aggregated_on_both_roots() {
    let server = Server::new().await;
    for (root, group, resource) in [("/api", Value::Null, "pods"), ("/apis", json!("coordination.k8s.io"), "leases")] {
        let found = server.get_as(root, AGGREGATED).await;
        let content_type = found.headers["content-type"].to_str().unwrap().to_owned();
        assert_eq!(content_type, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
        let items = found.ok();
        let item = items["items"].as_array().unwrap().iter().find(|item| item["metadata"]["name"] == group).unwrap();
        let resources = item["versions"][0]["resources"].as_array().unwrap();
        assert!(resources.iter().any(|found| found["resource"] == resource), "{root}");
    }
    let plain = server.get("/api/v1").await.ok();
    let eviction = plain["resources"].as_array().unwrap().iter().find(|r| r["name"] == "pods/eviction").unwrap();
    assert_eq!(
        (&eviction["group"], &eviction["version"], &eviction["kind"]),
        (&json!("policy"), &json!("v1"), &json!("Eviction"))
    );
    let hash = |name: &str| {
        let found = plain["resources"].as_array().unwrap().iter().find(|resource| resource["name"] == name).unwrap();
        found["storageVersionHash"].clone()
    };
    assert_eq!(hash("pods").as_str().unwrap().len(), 12);
    assert!(hash("pods") != hash("configmaps") && hash("pods/eviction").is_null() && hash("bindings").is_null());
    assert_eq!(server.get("/apis").await.ok()["kind"], "APIGroupList");
    assert_eq!(server.get("/apis/coordination.k8s.io").await.ok()["preferredVersion"]["version"], "v1");
    server.get("/apis/none").await.refused(404, "NotFound", "");
    assert!(server.get("/version").await.ok()["gitVersion"].as_str().unwrap().starts_with("v1.36.0+trimtab"));
}

#[tokio::test]
async fn documents_describe_every_kind_and_refer_to_nothing_missing() {
    let server = Server::new().await;
    let index = server.get("/openapi/v3").await.ok();
    for (_, place) in index["paths"].as_object().unwrap() {
        let document = server.get(place["serverRelativeURL"].as_str().unwrap()).await.ok();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for reference in references(&document) {
            let name = reference.strip_prefix("#/components/schemas/").unwrap();
            assert!(schemas.contains_key(name), "{name} is missing");
        }
    }
    let core = server.get("/openapi/v3/api/v1").await.ok();
    let schema = &core["components"]["schemas"]["io.k8s.api.core.v1.Pod"];
    assert_eq!(schema["x-kubernetes-group-version-kind"], json!([{"group": "", "version": "v1", "kind": "Pod"}]));
    let patch = &core["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]["parameters"];
    assert!(patch.as_array().unwrap().iter().any(|parameter| parameter["name"] == "fieldValidation"));
}

#[tokio::test]
async fn documents_that_are_known_are_not_sent_again() {
    const PATH: &str = "/openapi/v2";
    const MESSAGE: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let server = Server::new().await;
    let ask = async |path: &str, accept: &str, tag: &str| {
        server.ask(Method::GET, path, &[("accept", accept), ("if-none-match", tag)], Bytes::new()).await
    };
    let tag_of = |answer: &Answer| answer.headers["etag"].to_str().unwrap().to_owned();
    let first = ask(PATH, "application/json", "\"old\"").await;
    let tag = tag_of(&first);
    assert_eq!((first.code, &first.headers["vary"]), (200, &"Accept".parse::<http::HeaderValue>().unwrap()));
    let again = ask(PATH, "application/json", &format!("\"x\", W/{tag}")).await;
    assert_eq!((again.code, &again.body, tag_of(&again)), (304, &json!(""), tag.clone()));
    assert_eq!(ask(PATH, MESSAGE, &tag).await.code, 200, "as a message it is another");
    server.post(CRDS, definition()).await.ok();
    assert_eq!(ask(PATH, "application/json", &tag).await.code, 200, "another kind is served");

    let index = server.get("/openapi/v3").await.ok();
    let place = index["paths"]["apis/demo.io/v1"]["serverRelativeURL"].as_str().unwrap();
    let document = server.get(place).await;
    assert_eq!((document.code, document.headers["cache-control"].to_str().unwrap()), (200, "public, immutable"));
    let other = server.get("/openapi/v3/apis/demo.io/v1?hash=0").await;
    assert_eq!((other.code, other.headers["location"].to_str().unwrap()), (301, place));
    let plain = server.get("/openapi/v3/apis/demo.io/v1").await;
    assert!(plain.headers.get("cache-control").is_none());
    assert_eq!(ask("/openapi/v3/apis/demo.io/v1", "application/json", &tag_of(&plain)).await.code, 304);
}

#[tokio::test]
async fn version_2_is_one_document_as_json_and_as_a_message() {
    let server = Server::new().await;
    let document = server.get("/openapi/v2").await.ok();
    let definitions = document["definitions"].as_object().unwrap();
    for reference in references(&document) {
        let name = reference.strip_prefix("#/definitions/").unwrap();
        assert!(definitions.contains_key(name), "{name} is missing");
    }
    let pod = &definitions["io.k8s.api.core.v1.Pod"];
    assert_eq!(pod["x-kubernetes-group-version-kind"], json!([{"group": "", "version": "v1", "kind": "Pod"}]));
    assert_eq!(pod["properties"]["spec"]["$ref"], "#/definitions/io.k8s.api.core.v1.PodSpec");
    assert!(definitions.values().all(|schema| schema.get("oneOf").is_none()));
    let all = trimtab_api::builtin();
    for kind in all.iter() {
        let gvk = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        let known = definitions.values().any(|schema| schema["x-kubernetes-group-version-kind"][0] == gvk);
        assert!(known, "{kind:?}");
    }
    let media = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let message = server.get_as("/openapi/v2", &format!("{media},application/json")).await;
    assert_eq!(message.headers["content-type"], "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
    assert!(message.body.as_str().unwrap().starts_with("\n\u{3}2.0"));
    server.get_as("/openapi/v2", "text/html").await.refused(406, "NotAcceptable", media);
}

// Clients are made from documents: each thing that is served is there, with what it takes, is sent and answers.
#[tokio::test]
async fn documents_tell_what_can_be_asked_at_which_path() {
    let server = Server::new().await;
    server.post(CRDS, definition()).await.ok();
    let core = server.get("/openapi/v3/api/v1").await.ok();
    let demo = server.get("/openapi/v3/apis/demo.io/v1").await.ok();
    let old = server.get("/openapi/v2").await.ok();
    const OBJECT: &str = "/api/v1/namespaces/{namespace}/pods/{name}";
    for (path, method, id, action, answer) in [
        ("/api/v1/pods", "get", "listCoreV1PodForAllNamespaces", "list", "core.v1.PodList"),
        ("/api/v1/namespaces/{namespace}/pods", "get", "listCoreV1NamespacedPod", "list", "core.v1.PodList"),
        ("/api/v1/namespaces/{namespace}/pods", "post", "createCoreV1NamespacedPod", "post", "core.v1.Pod"),
        (
            "/api/v1/namespaces/{namespace}/pods",
            "delete",
            "deleteCoreV1CollectionNamespacedPod",
            "deletecollection",
            "meta.v1.Status",
        ),
        (OBJECT, "get", "readCoreV1NamespacedPod", "get", "core.v1.Pod"),
        (OBJECT, "delete", "deleteCoreV1NamespacedPod", "delete", "core.v1.Pod"),
        ("/api/v1/nodes/{name}", "delete", "deleteCoreV1Node", "delete", "meta.v1.Status"),
        (&format!("{OBJECT}/status"), "patch", "patchCoreV1NamespacedPodStatus", "patch", "core.v1.Pod"),
        (&format!("{OBJECT}/eviction"), "post", "createCoreV1NamespacedPodEviction", "post", "policy.v1.Eviction"),
        (&format!("{OBJECT}/exec"), "get", "connectCoreV1GetNamespacedPodExec", "connect", ""),
        (&format!("{OBJECT}/log"), "get", "readCoreV1NamespacedPodLog", "get", ""),
        (
            "/api/v1/namespaces/{namespace}/replicationcontrollers/{name}/scale",
            "put",
            "replaceCoreV1NamespacedReplicationControllerScale",
            "put",
            "autoscaling.v1.Scale",
        ),
        ("/apis/demo.io/v1/sites", "get", "listDemoIoV1SiteForAllNamespaces", "list", "demo.v1.SiteList"),
    ] {
        let document = if path.contains("demo.io") { &demo } else { &core };
        for operation in [&document["paths"][path][method], &old["paths"][path][method]] {
            assert_eq!((&operation["operationId"], &operation["x-kubernetes-action"]), (&json!(id), &json!(action)));
            let response = &operation["responses"]["200"];
            let schema = response.get("schema").unwrap_or(&response["content"]["application/json"]["schema"]);
            match answer {
                "" => assert_eq!(schema["type"], "string", "{path}"),
                _ => assert!(schema["$ref"].as_str().unwrap().ends_with(answer), "{path}: {schema}"),
            }
        }
    }
    let list = &old["definitions"]["io.k8s.api.core.v1.ServiceList"];
    assert_eq!(list["properties"]["items"]["items"]["$ref"], "#/definitions/io.k8s.api.core.v1.Service");
    assert_eq!(list["x-kubernetes-group-version-kind"], json!([{"group": "", "version": "v1", "kind": "ServiceList"}]));
    let text = old.to_string();
    for told in ["list of returned", "List of services", "Watch for changes to the described resources"] {
        assert!(text.contains(told), "{told}");
    }
}

fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(name, value)| match value.as_str() {
                Some(reference) if name == "$ref" => vec![reference],
                _ => references(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn health_is_told() {
    let server = Server::new().await;
    for path in ["/livez", "/readyz", "/healthz", "/livez/ping"] {
        assert_eq!(server.get(path).await.ok(), "ok", "{path}");
    }
    let verbose = server.get("/readyz?verbose").await.ok();
    assert!(verbose.as_str().unwrap().contains("[+]ping ok"), "{verbose}");
    server.get("/livez/none").await.refused(404, "NotFound", "");
    server.ask(Method::POST, "/livez", &[], "".into()).await.refused(405, "MethodNotAllowed", "");
}
