//! Admission webhooks, asked over TLS.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use trimtab_env::Tasks;
use trimtab_store::{Precondition, Write};

use crate::authority::Authority;
use crate::conversion::{CRDS, convert, definition, site};
use crate::harness::{MAPS, PODS, RCS, Server, map, pod};

pub(crate) const MUTATING: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
pub(crate) const VALIDATING: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

/// A webhook that answers as `think` says, and remembers what it was asked.
pub(crate) struct Hook {
    port: u16,
    ca: String,
    asked: Arc<Mutex<Vec<Value>>>,
    _tasks: Tasks,
}

impl Hook {
    /// Answers each request of a review with a response without its `uid`.
    pub(crate) async fn new(think: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Self {
        let authority = Authority::new();
        let acceptor = TlsAcceptor::from(Arc::new(authority.server()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, tasks, think) = (Arc::new(Mutex::default()), Tasks::new(), Arc::new(think));
        let seen: Arc<Mutex<Vec<Value>>> = Arc::clone(&asked);
        tasks.spawn_cancellable("webhook", async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let service = service_fn(|request: Request<Incoming>| {
                    let (seen, think) = (Arc::clone(&seen), Arc::clone(&think));
                    async move {
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        let review: Value = serde_json::from_slice(&body).unwrap();
                        let mut response = think(&review["request"]);
                        response["uid"] = review["request"]["uid"].clone();
                        seen.lock().unwrap().push(review["request"].clone());
                        let answer =
                            json!({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response});
                        Ok::<_, std::convert::Infallible>(Response::new(Full::<bytes::Bytes>::from(answer.to_string())))
                    }
                });
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            }
        });
        Self { port, ca: STANDARD.encode(authority.ca_pem()), asked, _tasks: tasks }
    }

    /// How it is reached.
    pub(crate) fn client_config(&self) -> Value {
        json!({"url": format!("https://localhost:{}/review", self.port), "caBundle": self.ca})
    }

    /// A configuration of this webhook, for what `rule` and `more` say.
    pub(crate) fn configuration(&self, name: &str, resources: &[&str], more: Value) -> Value {
        let mut hook = json!({
            "name": format!("{name}.trimtab.test"), "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": self.client_config(),
            "rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": resources}],
        });
        if let (Some(hook), Value::Object(more)) = (hook.as_object_mut(), more) {
            hook.extend(more);
        }
        json!({"metadata": {"name": name}, "webhooks": [hook]})
    }

    pub(crate) fn asked(&self) -> Vec<Value> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn bad(name: &str) -> Value {
    let mut map = map(name, json!({}));
    map["data"]["k"] = "bad".into();
    map
}

pub(crate) fn yes() -> Value {
    json!({"allowed": true})
}

pub(crate) fn change(patch: &Value) -> Value {
    json!({"allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(patch.to_string())})
}

#[tokio::test]
async fn what_a_webhook_changes_is_stored_and_what_it_refuses_is_not() {
    let server = Server::new().await;
    let labels = Hook::new(|request| match request["operation"].as_str() {
        Some("CREATE" | "UPDATE") => change(&json!([
            {"op": "add", "path": "/metadata/labels", "value": {"seen": request["operation"]}},
            {"op": "add", "path": "/nonsense", "value": 1},
        ])),
        _ => yes(),
    })
    .await;
    server.post(MUTATING, labels.configuration("labels", &["configmaps"], json!({}))).await.ok();
    let guard = Hook::new(|request| {
        let is_bad = request["object"]["data"]["k"] == "bad" || request["operation"] == "DELETE";
        match is_bad {
            true => json!({"allowed": false, "status": {"code": 403, "message": "not that"}, "warnings": ["beware"]}),
            false => yes(),
        }
    })
    .await;
    server.post(VALIDATING, guard.configuration("guard", &["configmaps"], json!({}))).await.ok();

    let made = server.post(MAPS, map("a", json!({}))).await.ok();
    assert_eq!(made["metadata"]["labels"], json!({"seen": "CREATE"}));
    assert!(made.get("nonsense").is_none(), "unknown fields go");
    let review = guard.asked().remove(0);
    assert_eq!(review["object"]["metadata"]["labels"]["seen"], "CREATE", "it sees what the others made of it");
    assert_eq!(review["userInfo"], json!({"username": "tester", "groups": ["system:masters", "system:authenticated"]}));
    assert_eq!(review["resource"], json!({"group": "", "version": "v1", "resource": "configmaps"}));
    assert_eq!(
        (&review["name"], &review["namespace"], &review["oldObject"]),
        (&json!("a"), &json!("default"), &Value::Null)
    );
    assert_eq!(review["options"]["kind"], "CreateOptions");

    let refused = server.post(MAPS, bad("b")).await;
    let why = "admission webhook \"guard.trimtab.test\" denied the request: not that";
    assert_eq!((refused.code, &refused.body["message"]), (403, &json!(why)));
    assert_eq!(refused.headers["warning"], "299 - \"beware\"");
    let path = format!("{MAPS}/a");
    let patched = server.patch(&path, "merge", json!({"data": {"k": "bad"}})).await;
    assert_eq!((patched.code, &patched.body["message"]), (403, &json!(why)));
    let patched = server.patch(&path, "merge", json!({"data": {"k": "w"}})).await.ok();
    assert_eq!(patched["metadata"]["labels"], json!({"seen": "UPDATE"}));
    assert_eq!(guard.asked().pop().unwrap()["oldObject"]["data"]["k"], "v");
    assert_eq!(server.delete(&path, json!({})).await.code, 403);
    server.delete(&format!("{VALIDATING}/guard"), json!({})).await.ok();
    server.delete(&path, json!({})).await.ok();
}

#[tokio::test]
async fn only_what_rules_and_selectors_name_is_asked_about() {
    let server = Server::new().await;
    let hook = Hook::new(|_| yes()).await;
    let selector = json!({"objectSelector": {"matchLabels": {"look": "here"}}});
    server.post(VALIDATING, hook.configuration("some", &["configmaps", "*/scale"], selector)).await.ok();
    let elsewhere = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}});
    server.post(VALIDATING, hook.configuration("none", &["*"], elsewhere)).await.ok();
    server.post(MAPS, map("a", json!({}))).await.ok();
    assert_eq!(hook.asked(), [] as [Value; 0]);
    let mut looked_at = map("b", json!({}));
    looked_at["metadata"]["labels"] = json!({"look": "here"});
    server.post(MAPS, looked_at).await.ok();
    assert_eq!(hook.asked().len(), 1);
    // A label that goes away is still what was there.
    server.patch(&format!("{MAPS}/b"), "merge", json!({"metadata": {"labels": null}})).await.ok();
    assert_eq!(hook.asked().len(), 1);
}

#[tokio::test]
async fn a_scale_is_seen_as_a_scale() {
    let server = Server::new().await;
    let hook = Hook::new(|request| {
        let replicas = request["object"]["spec"]["replicas"].as_i64().unwrap_or(0);
        json!({"allowed": replicas < 5, "status": {"message": "too many", "code": 422}})
    })
    .await;
    server.post(VALIDATING, hook.configuration("scales", &["*/scale"], json!({}))).await.ok();
    let rc = json!({"metadata": {"name": "a"}, "spec": {"replicas": 0, "selector": {"a": "b"}, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    server.post(RCS, rc).await.ok();
    let scale = |replicas: i64| json!({"spec": {"replicas": replicas}});
    let path = format!("{RCS}/a/scale");
    server.patch(&path, "merge", scale(4)).await.ok();
    assert_eq!(server.patch(&path, "merge", scale(5)).await.code, 422);
    let review = hook.asked().remove(0);
    assert_eq!(review["kind"], json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}));
    assert_eq!((&review["subResource"], &review["oldObject"]["spec"]["replicas"]), (&json!("scale"), &json!(0)));
}

#[tokio::test]
async fn a_webhook_that_fails_refuses_or_is_ignored_as_configured() {
    let server = Server::new().await;
    let hook = Hook::new(|_| json!({"allowed": true, "patch": "e30="})).await;
    server.post(VALIDATING, hook.configuration("broken", &["configmaps"], json!({}))).await.ok();
    let refused = server.post(MAPS, map("a", json!({}))).await;
    let why = "Internal error occurred: failed calling webhook \"broken.trimtab.test\": received invalid webhook response: webhook returned response.patch but not response.patchType";
    assert_eq!((refused.code, &refused.body["message"]), (500, &json!(why)));
    let ignore = json!([{"op": "add", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]);
    server.patch(&format!("{VALIDATING}/broken"), "json", ignore).await.ok();
    server.post(MAPS, map("a", json!({}))).await.ok();
    // Nobody there, and somebody who is not to be trusted.
    let nobody = json!({"clientConfig": {"url": "https://localhost:1/"}});
    server.post(VALIDATING, hook.configuration("nobody", &["configmaps"], nobody)).await.ok();
    server.post(MAPS, map("b", json!({}))).await.refused(
        500,
        "InternalError",
        "Post \"https://localhost:1/?timeout=10s\"",
    );
    server.delete(&format!("{VALIDATING}/nobody"), json!({})).await.ok();
    let other = Hook::new(|_| yes()).await;
    let stranger = json!({"clientConfig": {"url": format!("https://localhost:{}/", other.port), "caBundle": hook.ca}});
    server.post(VALIDATING, hook.configuration("stranger", &["configmaps"], stranger)).await.ok();
    server.post(MAPS, map("b", json!({}))).await.refused(500, "InternalError", "certificate");
}

#[tokio::test]
async fn a_dry_run_asks_those_without_side_effects_alone() {
    let server = Server::new().await;
    let hook = Hook::new(|_| yes()).await;
    server.post(VALIDATING, hook.configuration("pure", &["configmaps"], json!({}))).await.ok();
    let path = format!("{MAPS}?dryRun=All");
    server.post(&path, map("a", json!({}))).await.ok();
    let review = hook.asked().remove(0);
    assert_eq!((&review["dryRun"], &review["options"]["dryRun"]), (&json!(true), &json!(["All"])));
}

#[tokio::test]
async fn who_wants_to_is_asked_again_after_a_later_change() {
    let server = Server::new().await;
    let first = Hook::new(|request| {
        let count = request["object"]["data"]["other"].as_str().map_or("nothing", |_| "the other");
        change(&json!([{"op": "add", "path": "/data/first-saw", "value": count}]))
    })
    .await;
    let other = Hook::new(|_| change(&json!([{"op": "add", "path": "/data/other", "value": "x"}]))).await;
    let again = json!({"reinvocationPolicy": "IfNeeded"});
    server.post(MUTATING, first.configuration("a-first", &["configmaps"], again)).await.ok();
    server.post(MUTATING, other.configuration("b-other", &["configmaps"], json!({}))).await.ok();
    let made = server.post(MAPS, map("a", json!({}))).await.ok();
    assert_eq!(made["data"], json!({"k": "v", "first-saw": "the other", "other": "x"}));
    assert_eq!((first.asked().len(), other.asked().len()), (2, 1));
}

/// A container that a webhook adds gets what all containers get, and is judged with it.
#[tokio::test]
async fn what_a_webhook_adds_is_given_what_the_cluster_gives() {
    let server = Server::new().await;
    let limits = json!({"metadata": {"name": "l"}, "spec": {"limits": [
        {"type": "Container", "default": {"memory": "64Mi"}, "max": {"memory": "64Mi"}}]}});
    server.post("/api/v1/namespaces/default/limitranges", limits).await.ok();
    let sidecar = json!([{"op": "add", "path": "/spec/containers/-", "value": {"name": "sidecar", "image": "s"}}]);
    let hook = Hook::new(move |_| change(&sidecar)).await;
    server.post(MUTATING, hook.configuration("sidecars", &["pods"], json!({}))).await.ok();
    let made = server.post(PODS, pod("p")).await.ok();
    assert_eq!(made["spec"]["containers"][1]["resources"]["limits"], json!({"memory": "64Mi"}), "{made}");
}

#[tokio::test]
async fn each_is_judged_by_what_those_before_have_left() {
    let server = Server::new().await;
    let label = json!([{"op": "add", "path": "/metadata/labels", "value": {"look": "here"}}]);
    let first = Hook::new(move |_| change(&label)).await;
    let labelled = Hook::new(|_| yes()).await;
    let none = Hook::new(|_| yes()).await;
    server.post(MUTATING, first.configuration("a-first", &["configmaps"], json!({}))).await.ok();
    let selector = json!({"objectSelector": {"matchLabels": {"look": "here"}}});
    server.post(MUTATING, labelled.configuration("b-labelled", &["configmaps"], selector)).await.ok();
    let conditions = json!({"matchConditions": [{"name": "none", "expression": "!has(object.metadata.labels)"}]});
    server.post(MUTATING, none.configuration("c-none", &["configmaps"], conditions)).await.ok();
    server.post(MAPS, map("a", Value::Null)).await.ok();
    assert_eq!((labelled.asked().len(), none.asked().len()), (1, 0));
}

#[tokio::test]
async fn what_is_sent_to_a_subresource_may_be_changed() {
    let server = Server::new().await;
    let hook = Hook::new(|request| match (request["subResource"].as_str(), request["operation"].as_str()) {
        (Some("binding"), _) => {
            change(&json!([{"op": "add", "path": "/metadata/annotations", "value": {"by": "hook"}}]))
        }
        (Some("eviction"), _) => {
            change(&json!([{"op": "add", "path": "/deleteOptions", "value": {"dryRun": ["All"]}}]))
        }
        (Some("scale"), _) => change(&json!([{"op": "replace", "path": "/spec/replicas", "value": 2}])),
        (None, Some("DELETE")) => json!({"allowed": false}),
        _ => yes(),
    })
    .await;
    server.post(PODS, pod("p")).await.ok();
    let rc = json!({"metadata": {"name": "a"}, "spec": {"replicas": 0, "selector": {"a": "b"}, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    server.post(RCS, rc).await.ok();
    let resources = ["pods", "pods/*", "*/scale"];
    server.post(MUTATING, hook.configuration("changes", &resources, json!({}))).await.ok();
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}});
    server.post(&format!("{PODS}/p/binding"), binding).await.ok();
    let pod = server.get(&format!("{PODS}/p")).await.ok();
    assert_eq!(pod["metadata"]["annotations"], json!({"by": "hook"}));
    let scaled = server.patch(&format!("{RCS}/a/scale"), "merge", json!({"spec": {"replicas": 5}})).await.ok();
    assert_eq!(scaled["spec"]["replicas"], 2);
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}});
    server.post(&format!("{PODS}/p/eviction"), eviction.clone()).await.ok();
    server.get(&format!("{PODS}/p")).await.ok();
    server.delete(&format!("{MUTATING}/changes"), json!({})).await.ok();
    // Whoever refuses deletes is not asked about evictions.
    server.post(VALIDATING, hook.configuration("deletes", &["pods"], json!({}))).await.ok();
    assert_eq!(server.delete(&format!("{PODS}/p"), json!({})).await.code, 400);
    server.post(&format!("{PODS}/p/eviction"), eviction).await.ok();
}

#[tokio::test]
async fn a_name_to_be_generated_is_not_known_yet_and_a_delete_tells_its_options() {
    let server = Server::new().await;
    let hook = Hook::new(|_| yes()).await;
    server.post(MUTATING, hook.configuration("looks", &["configmaps"], json!({}))).await.ok();
    let mut body = map("", json!({}));
    body["metadata"] = json!({"generateName": "a".repeat(80)});
    let made = server.post(MAPS, body).await.ok();
    let name = made["metadata"]["name"].as_str().unwrap();
    assert_eq!((name.len(), &name[..58]), (63, &*"a".repeat(58)));
    let review = hook.asked().remove(0);
    assert!(review.get("name").is_none() && review["object"]["metadata"].get("name").is_none(), "{review}");
    let options = json!({"gracePeriodSeconds": 7, "propagationPolicy": "Background"});
    server.delete(&format!("{MAPS}/{name}"), options).await.ok();
    let told = json!({"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", "gracePeriodSeconds": 7,
        "propagationPolicy": "Background"});
    assert_eq!(hook.asked()[0]["options"], told);
}

/// Of a defined kind a wrong type is wrong, whoever wrote it; of a built-in one the webhook has failed.
#[tokio::test]
async fn a_wrong_type_in_a_patch_of_a_webhook_is_told() {
    let server = Server::new().await;
    let hook = Hook::new(|request| match request["kind"]["kind"] == "ConfigMap" {
        true => change(&json!([{"op": "replace", "path": "/data", "value": 7}])),
        false => change(&json!([{"op": "replace", "path": "/spec/image", "value": 7}])),
    })
    .await;
    let other = Hook::new(convert).await;
    server.post(CRDS, definition(&other)).await.ok();
    server.post(MUTATING, hook.configuration("wrong", &["configmaps", "sites"], json!({}))).await.ok();
    server.post(MAPS, map("a", json!({}))).await.refused(500, "InternalError", "wrong.trimtab.test");
    let refused =
        server.post("/apis/demo.io/v1/namespaces/default/sites", site("v1", "a", json!({"image": "x"}))).await;
    refused.refused(422, "Invalid", "spec.image: Invalid value: \"integer\"");
}

#[tokio::test]
async fn a_service_is_reached_at_its_pods_under_its_own_name() {
    let server = Server::new().await;
    let hook = Hook::new(|_| yes()).await;
    let service = json!({"clientConfig": {"caBundle": hook.ca, "service": {"name": "hooks", "namespace": "default", "path": "/x"}}});
    server.post(VALIDATING, hook.configuration("service", &["configmaps"], service)).await.ok();
    server.post(MAPS, map("a", json!({}))).await.refused(500, "InternalError", "services \"hooks\" not found");
    let service = json!({"metadata": {"name": "hooks"}, "spec": {"ports": [{"port": 443, "targetPort": hook.port}]}});
    server.post("/api/v1/namespaces/default/services", service).await.ok();
    server.post(MAPS, map("a", json!({}))).await.refused(
        500,
        "InternalError",
        "no endpoints available for service \"hooks\"",
    );
    // The API refuses endpoints on the loopback, which is where a test's are.
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "hooks-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "hooks"}},
        "addressType": "IPv4", "ports": [{"name": "", "port": hook.port}], "endpoints": [{"addresses": ["127.0.0.1"]}]});
    let write = Write {
        key: "/registry/discovery.k8s.io/endpointslices/default/hooks-1".to_owned(),
        value: Some(slice.to_string().into()),
        precondition: Precondition::Absent,
    };
    server.store.commit(write).await.unwrap();
    server.post(MAPS, map("a", json!({}))).await.ok();
    assert_eq!(hook.asked().len(), 1);
}
