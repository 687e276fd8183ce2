//! The protobuf form: bodies, answers, lists, streams and errors.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use trimtab_api::protobuf::{self, CONTENT_TYPE as PROTOBUF, Message};

use crate::definitions::{CRDS, SITES, definition, site};
use crate::harness::{MAPS, PODS, RCS, Server, map, pod, version};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

/// An object in its envelope.
fn encode(object: &Value) -> Bytes {
    let (api_version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
    let mut message = Vec::new();
    Message::of(api_version, kind).unwrap().encode(object.to_string().as_bytes(), &mut message).unwrap();
    let (before, after) = protobuf::close(api_version, kind, message.len());
    [&before, &*message, after].concat().into()
}

/// What an envelope says.
fn decode(bytes: &[u8]) -> Value {
    let unknown = protobuf::open(bytes).unwrap();
    let mut object = Message::of(unknown.api_version, unknown.kind).unwrap().decode(unknown.raw).unwrap();
    object.insert("apiVersion".to_owned(), unknown.api_version.into());
    object.insert("kind".to_owned(), unknown.kind.into());
    object.into()
}

/// The kind of a list, its resourceVersion and its items.
fn decode_list(bytes: &[u8], item: (&str, &str)) -> (String, String, Vec<Value>) {
    let unknown = protobuf::open(bytes).unwrap();
    let (mut raw, mut version, mut items) = (unknown.raw, String::new(), Vec::new());
    while let Some((tag, rest)) = raw.split_first() {
        let (length, rest) = varint(rest);
        let (content, rest) = rest.split_at(length);
        match tag {
            0x0a => {
                let metadata = Message::of("meta.k8s.io/v1", "ListMeta").unwrap().decode(content).unwrap();
                version = metadata["resourceVersion"].as_str().unwrap_or_default().to_owned();
            }
            0x12 => items.push(Message::of(item.0, item.1).unwrap().decode(content).unwrap().into()),
            other => panic!("a list has no field of tag {other}"),
        }
        raw = rest;
    }
    (format!("{} {}", unknown.api_version, unknown.kind), version, items)
}

fn varint(bytes: &[u8]) -> (usize, &[u8]) {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap();
    let value = bytes[..=end].iter().rev().fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f));
    (value, &bytes[end + 1..])
}

struct Answer {
    code: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    #[track_caller]
    fn ok(self) -> Value {
        let found = decode(&self.body);
        assert!((200..300).contains(&self.code), "{}: {found}", self.code);
        assert_eq!(self.headers[CONTENT_TYPE], PROTOBUF);
        found
    }
}

async fn ask(server: &Server, method: Method, path: &str, accept: &str, body: Bytes) -> Answer {
    let request = Request::builder().method(method).uri(path).header(ACCEPT, accept).header(CONTENT_TYPE, PROTOBUF);
    let (parts, body) = server.send(request.body(body).unwrap()).await.into_parts();
    Answer { code: parts.status.as_u16(), headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
}

async fn get(server: &Server, path: &str) -> Answer {
    ask(server, Method::GET, path, PROTOBUF, Bytes::new()).await
}

/// Without what a message leaves out: what is null, and what is empty where that says nothing.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_nulls(v))).collect()
        }
        Value::Array(list) => list.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// A deployment with something of everything that has a form of its own.
fn deployment(name: &str) -> impl Strategy<Value = Value> + use<> {
    let name = name.to_owned();
    let text = || "[a-z]([a-z0-9]{0,6}[a-z0-9])?";
    let port = prop_oneof![(1..65536_i32).prop_map(Value::from), Just(json!("http"))];
    let quantity = prop_oneof![Just("100m"), Just("2"), Just("1500m")];
    let surge = prop_oneof![(1..5_i32).prop_map(Value::from), Just(json!("25%"))];
    let labels = proptest::collection::btree_map(text(), text(), 1..3);
    (0..9_i32, port, quantity, surge, labels, any::<bool>(), "\\PC{0,20}").prop_map(
        move |(replicas, port, cpu, surge, labels, paused, note)| {
            json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": name, "labels": labels, "annotations": {"note": note}},
                "spec": {"replicas": replicas, "paused": paused, "selector": {"matchLabels": {"app": "x"}},
                    "strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": 1}},
                    "template": {"metadata": {"labels": {"app": "x"}}, "spec": {
                        "volumes": [{"name": "v", "emptyDir": {}}],
                        "containers": [{"name": "c", "image": "i", "env": [{"name": "NOTE", "value": note}],
                            "ports": [{"name": "http", "containerPort": 80}],
                            "resources": {"requests": {"cpu": cpu}},
                            "livenessProbe": {"httpGet": {"port": port}}}]}}}})
        },
    )
}

#[tokio::test]
async fn a_custom_object_is_scaled_by_messages() {
    let server = Server::new().await;
    server.post(CRDS, definition()).await.ok();
    server.post(SITES, site("a", json!({"image": "x"}))).await.ok();
    let path = format!("{SITES}/a/scale");
    let mut scale = get(&server, &path).await.ok();
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(1)));
    scale["spec"]["replicas"] = json!(3);
    let tried = ask(&server, Method::PUT, &format!("{path}?dryRun=All"), PROTOBUF, encode(&scale)).await.ok();
    assert_eq!(tried["spec"]["replicas"], 3);
    assert_eq!(get(&server, &path).await.ok()["spec"]["replicas"], 1, "that was a dry run");
    let scaled = ask(&server, Method::PUT, &path, PROTOBUF, encode(&scale)).await.ok();
    assert_eq!(scaled["spec"]["replicas"], 3);
    let stale = ask(&server, Method::PUT, &path, PROTOBUF, encode(&scale)).await;
    assert_eq!((stale.code, &decode(&stale.body)["reason"]), (409, &json!("Conflict")));
    // The object itself has no such form.
    assert_eq!(get(&server, &format!("{SITES}/a")).await.code, 406);
}

#[tokio::test]
async fn what_is_written_as_one_is_read_as_the_other() {
    let (server, mut runner) = (Server::new().await, TestRunner::deterministic());
    for index in 0..24 {
        let name = format!("d{index}");
        let object = deployment(&name).new_tree(&mut runner).unwrap().current();
        let at = format!("{DEPLOYMENTS}/{name}");
        let made = ask(&server, Method::POST, DEPLOYMENTS, PROTOBUF, encode(&object)).await.ok();
        let json = server.get(&at).await.ok();
        assert_eq!(without_nulls(json.clone()), without_nulls(made.clone()));
        assert_eq!(without_nulls(get(&server, &at).await.ok()), without_nulls(json.clone()));
        // The same by the other way is the same, but for who and when it was.
        let other = format!("o{index}");
        let mut twin = object.clone();
        twin["metadata"]["name"] = other.as_str().into();
        let twin = server.post(DEPLOYMENTS, twin).await.ok();
        let twin = decode(&encode(&twin));
        assert_eq!((&twin["spec"], &twin["metadata"]["labels"]), (&json["spec"], &json["metadata"]["labels"]));
        // And what was read, written back, changes nothing.
        let again = ask(&server, Method::PUT, &at, PROTOBUF, encode(&made)).await.ok();
        assert_eq!(version(&again), version(&made));
    }
}

#[tokio::test]
async fn all_that_is_there_from_the_start_is_read_alike() {
    let server = Server::new().await;
    server.post(PODS, pod("p")).await.ok();
    // Served in two forms, of which one is stored.
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
    let autoscaler = json!({"metadata": {"name": "a"}, "spec": {"scaleTargetRef": target, "maxReplicas": 3,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}});
    server.post("/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", autoscaler).await.ok();
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "reason": "Started", "message": "m", "type": "Normal", "count": 2});
    server.post("/api/v1/namespaces/default/events", event).await.ok();
    for kind in trimtab_api::builtin().iter().filter(|kind| kind.can("list")) {
        let root = if kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", kind.group) };
        let path = format!("{root}/{}/{}", kind.version, kind.plural);
        let json = server.get(&path).await.ok();
        let answer = get(&server, &path).await;
        assert_eq!(answer.headers[CONTENT_TYPE], PROTOBUF);
        let api_version = kind.api_version();
        let (list_kind, at, items) = decode_list(&answer.body, (&api_version, &kind.kind));
        assert_eq!((list_kind, &*at), (format!("{api_version} {}", kind.list_kind), version(&json)));
        let mut expected = json["items"].as_array().unwrap().clone();
        for item in &mut expected {
            let map = item.as_object_mut().unwrap();
            map.remove("apiVersion");
            map.remove("kind");
        }
        assert_eq!(without_nulls(items.into()), without_nulls(expected.into()), "{path}");
    }
}

/// The events of a stream of length-prefixed frames.
struct Frames {
    body: trimtab_client::Body,
    read: Vec<u8>,
}

impl Frames {
    async fn next(&mut self) -> (String, Value) {
        loop {
            let length = self.read.get(..4).map(|head| u32::from_be_bytes(head.try_into().unwrap()) as usize);
            if let Some(length) = length.filter(|length| self.read.len() >= 4 + length) {
                let frame: Vec<u8> = self.read.drain(..4 + length).skip(4).collect();
                // type, then object, in which raw is the envelope.
                let (size, rest) = varint(&frame[1..]);
                let (type_, rest) = rest.split_at(size);
                let (_, raw) = varint(&rest[1..]);
                let (size, envelope) = varint(&raw[1..]);
                assert_eq!((rest[0], raw[0], size), (0x12, 0x0a, envelope.len()));
                return (String::from_utf8(type_.to_vec()).unwrap(), decode(envelope));
            }
            let frame = self.body.frame().await.expect("the watch goes on").unwrap();
            self.read.extend_from_slice(&frame.into_data().unwrap());
        }
    }
}

#[tokio::test]
async fn a_watch_is_a_stream_of_frames() {
    let server = Server::new().await;
    server.post(MAPS, map("a", json!({}))).await.ok();
    let query = "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    for (accept, kind) in [
        ("application/vnd.kubernetes.protobuf,application/json", "ConfigMap"),
        ("application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", "PartialObjectMetadata"),
    ] {
        let request = Request::builder().uri(format!("{MAPS}?{query}")).header(ACCEPT, accept);
        let response = server.send(request.body(Bytes::new()).unwrap()).await;
        assert_eq!(response.headers()[CONTENT_TYPE], "application/vnd.kubernetes.protobuf;stream=watch");
        let mut frames = Frames { body: response.into_body(), read: Vec::new() };
        let (type_, object) = frames.next().await;
        assert_eq!((&*type_, &object["kind"], &object["metadata"]["name"]), ("ADDED", &json!(kind), &json!("a")));
        assert_eq!(object.get("data").is_some(), kind == "ConfigMap");
        let (type_, object) = frames.next().await;
        assert_eq!((&*type_, &object["kind"]), ("BOOKMARK", &json!(kind)));
        assert_eq!(object["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
        server.post(MAPS, map("b", json!({}))).await.ok();
        server.delete(&format!("{MAPS}/b"), json!({})).await.ok();
        assert_eq!(frames.next().await.0, "ADDED");
        let (type_, object) = frames.next().await;
        assert_eq!((&*type_, version(&object)), ("DELETED", &*server.store.revision().to_string()));
    }
    let yaml = server.get_as(&format!("{MAPS}?watch=true"), "application/yaml").await;
    let streams = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
    assert!(yaml.code == 406 && yaml.body.as_str().unwrap().contains(streams), "{}", yaml.body);
}

#[tokio::test]
async fn options_and_subresources_are_read() {
    let server = Server::new().await;
    for name in ["p", "q"] {
        ask(&server, Method::POST, PODS, PROTOBUF, encode(&pod(name))).await.ok();
    }
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    let bound = ask(&server, Method::POST, &format!("{PODS}/p/binding"), PROTOBUF, encode(&binding)).await.ok();
    assert_eq!((&bound["kind"], &bound["status"]), (&json!("Status"), &json!("Success")));
    assert_eq!(server.get(&format!("{PODS}/p")).await.ok()["spec"]["nodeName"], "n");
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "q"}, "deleteOptions": {"gracePeriodSeconds": 0}});
    ask(&server, Method::POST, &format!("{PODS}/q/eviction"), PROTOBUF, encode(&eviction)).await.ok();
    server.get(&format!("{PODS}/q")).await.refused(404, "NotFound", "");

    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    server.post(RCS, json!({"metadata": {"name": "rc"}, "spec": {"replicas": 2, "template": template}})).await.ok();
    let mut scale = get(&server, &format!("{RCS}/rc/scale")).await.ok();
    scale["spec"]["replicas"] = json!(3);
    let scaled = ask(&server, Method::PUT, &format!("{RCS}/rc/scale"), PROTOBUF, encode(&scale)).await.ok();
    assert_eq!(scaled["spec"]["replicas"], 3);

    let wrong = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "other"}});
    let refused = ask(&server, Method::DELETE, &format!("{RCS}/rc"), PROTOBUF, encode(&wrong)).await;
    assert_eq!((refused.code, &decode(&refused.body)["reason"]), (409, &json!("Conflict")));
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"});
    let marked = ask(&server, Method::DELETE, &format!("{RCS}/rc"), PROTOBUF, encode(&options)).await.ok();
    assert_eq!(marked["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    assert_eq!(ask(&server, Method::POST, path, PROTOBUF, encode(&review)).await.ok()["status"]["allowed"], true);
}

#[tokio::test]
async fn errors_are_messages_too_and_say_what_is_wrong() {
    let server = Server::new().await;
    let missing = get(&server, &format!("{MAPS}/none")).await;
    assert_eq!((missing.code, missing.headers[CONTENT_TYPE].to_str().unwrap()), (404, PROTOBUF));
    let status = decode(&missing.body);
    assert_eq!((&status["kind"], &status["reason"]), (&json!("Status"), &json!("NotFound")));
    assert_eq!((&status["details"]["name"], &status["code"]), (&json!("none"), &json!(404)));

    let check = async |body: &[u8], message: &str| {
        let headers = [(CONTENT_TYPE.as_str(), PROTOBUF)];
        let answer = server.ask(Method::POST, MAPS, &headers, Bytes::copy_from_slice(body)).await;
        answer.refused(400, "BadRequest", message);
    };
    check(b"", "the object provided is unrecognized (must be of type ConfigMap): empty data (<empty>)").await;
    check(b"{\"kind\": 1}", "expected prefix [107 56 115 0] ({\"kind\": 1})").await;
    check(b"\x01\x02", "(0102)").await;
    check(
        b"k8s\0\x12\x02\x0a\x05",
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: metadata: unexpected EOF",
    )
    .await;
    let of_another = encode(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}));
    check(&of_another, "does not match the expected kind").await;
    let of_none = b"k8s\0\x0a\x0a\x0a\x02v1\x12\x04Nine\x12\x00";
    check(of_none, "Nine in version \"v1\" cannot be handled as a ConfigMap: no kind \"Nine\" is registered").await;
    // A schema in a schema, deeper than anything that is declared.
    let mut deep: Vec<u8> = Vec::new();
    for _ in 0..200 {
        let mut length = deep.len();
        let mut outer = vec![0xe2, 0x01];
        while length >= 0x80 {
            outer.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        deep = [outer, deep].concat();
    }
    let message = Message::of_definition("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps");
    assert!(message.unwrap().decode(&deep).unwrap_err().to_string().contains("nested deeper than"));
}

#[tokio::test]
async fn custom_kinds_have_none() {
    let server = Server::new().await;
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "sites.demo.io"},
        "spec": {"group": "demo.io", "scope": "Namespaced", "names": {"plural": "sites", "kind": "Site"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}});
    let at = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    ask(&server, Method::POST, at, PROTOBUF, encode(&definition)).await.ok();
    let sites = "/apis/demo.io/v1/namespaces/default/sites";
    let site = json!({"apiVersion": "demo.io/v1", "kind": "Site", "metadata": {"name": "a"}});
    server.post(sites, site.clone()).await.ok();
    let only = get(&server, sites).await;
    assert_eq!((only.code, &decode(&only.body)["reason"]), (406, &json!("NotAcceptable")));
    let or_json = server.get_as(sites, &format!("{PROTOBUF},application/json")).await;
    assert_eq!(or_json.headers[CONTENT_TYPE], "application/json");
    assert_eq!(or_json.ok()["items"][0]["metadata"]["name"], "a");
    let partial = format!("{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
    let partial = ask(&server, Method::GET, sites, &partial, Bytes::new()).await;
    let (kind, _, items) = decode_list(&partial.body, ("meta.k8s.io/v1", "PartialObjectMetadata"));
    assert_eq!((&*kind, &items[0]["metadata"]["name"]), ("meta.k8s.io/v1 PartialObjectMetadataList", &json!("a")));
    let headers = [(CONTENT_TYPE.as_str(), PROTOBUF)];
    let sent = server.ask(Method::POST, sites, &headers, Bytes::from_static(b"k8s\0")).await;
    sent.refused(415, "UnsupportedMediaType", "accepted media types include: application/json, application/yaml (");
}
