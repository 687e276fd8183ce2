//! create, update and patch.

use std::sync::Arc;

use http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use trimtab_client::{Api, Client};

use crate::harness::{MAPS, PODS, RCS, SERVICES, Server, map, pod, version};

#[tokio::test]
async fn what_is_created_is_there_with_its_metadata() {
    let server = Server::new().await;
    let made = server.post(MAPS, map("a", json!({"x": "y"}))).await;
    assert_eq!(made.code, 201);
    let metadata = &made.body["metadata"];
    assert_eq!(
        (&metadata["namespace"], &metadata["creationTimestamp"]),
        (&json!("default"), &json!("2026-01-01T00:00:00Z"))
    );
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert_eq!(metadata["managedFields"][0]["operation"], "Update");
    assert_eq!(server.get(&format!("{MAPS}/a")).await.ok(), made.body);
    // Who sets nothing owns nothing, and is in no list.
    let bare = server.post(MAPS, json!({"metadata": {"name": "bare"}})).await.ok();
    assert!(bare["metadata"].get("managedFields").is_none(), "{bare}");
}

#[tokio::test]
async fn a_write_is_recorded_as_its_programs() {
    let server = Server::new().await;
    let client = Client::new(Arc::clone(&server.transport)).with_user_agent("robot/1.0 (linux)");
    let made: ConfigMap = serde_json::from_value(map("a", json!({}))).unwrap();
    let made = Api::<ConfigMap>::namespaced(&client, "default").create(&made).await.unwrap();
    assert_eq!(made.metadata.managed_fields.unwrap()[0].manager.as_deref(), Some("robot"));
}

#[tokio::test]
async fn what_nothing_acts_on_yet_is_kept_with_a_warning() {
    let server = Server::new().await;
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let spec = json!({"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template});
    let made = server.post(deployments, json!({"metadata": {"name": "web"}, "spec": spec})).await;
    assert_eq!(
        made.headers["warning"],
        "299 - \"deployments.apps are kept, but nothing in this cluster acts on them yet\""
    );
    assert_eq!(made.ok()["spec"]["strategy"]["type"], "RollingUpdate");
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = server.ask(Method::GET, deployments, &table, "".into()).await.ok();
    assert_eq!(table["rows"][0]["cells"].as_array().unwrap()[..4], json!(["web", "0/2", 0, 0]).as_array().unwrap()[..]);
    let scaled = server.patch(&format!("{deployments}/web/scale"), "merge", json!({"spec": {"replicas": 5}})).await;
    assert_eq!(scaled.ok()["status"]["selector"], "a=b");
}

#[tokio::test]
async fn refusals_say_why_in_upstreams_words() {
    let server = Server::new().await;
    server.post(MAPS, map("a", json!({}))).await.ok();
    let at = |name: &str| format!("{MAPS}/{name}");
    server.post(MAPS, map("a", json!({}))).await.refused(409, "AlreadyExists", "configmaps \"a\" already exists");
    server.get(&at("b")).await.refused(404, "NotFound", "configmaps \"b\" not found");
    server.put(&at("b"), &map("b", json!({}))).await.refused(404, "NotFound", "configmaps \"b\" not found");
    server.put(&at("a"), &map("b", json!({}))).await.refused(
        400,
        "BadRequest",
        "does not match the name on the URL (a)",
    );
    server.post(MAPS, pod("a")).await.refused(400, "BadRequest", "Pod");
    server.post(MAPS, map("A", json!({}))).await.refused(422, "Invalid", "metadata.name: Invalid value: \"A\"");
    server.post(MAPS, map("c", json!({"x": "-"}))).await.refused(
        422,
        "Invalid",
        "metadata.labels: Invalid value: \"-\"",
    );
    server.post(MAPS, json!({"metadata": {}})).await.refused(422, "Invalid", "name or generateName is required");
    server.post(MAPS, json!([])).await.refused(400, "BadRequest", "");
    let other = json!({"metadata": {"name": "c", "namespace": "other"}});
    server.post(MAPS, other).await.refused(400, "BadRequest", "does not match the namespace sent on the request");
    let missing = server.post("/api/v1/namespaces/gone/configmaps", map("a", json!({}))).await;
    missing.refused(404, "NotFound", "namespaces \"gone\" not found");
    server.get("/api/v1/nonsense").await.refused(404, "NotFound", "could not find the requested resource");
    server.ask(Method::PUT, MAPS, &[], "{}".into()).await.refused(405, "MethodNotAllowed", "");
    let cbor = [("content-type", "application/cbor")];
    server.ask(Method::POST, MAPS, &cbor, "{}".into()).await.refused(415, "UnsupportedMediaType", "protobuf");
}

#[tokio::test]
async fn generated_names_start_as_asked() {
    let server = Server::new().await;
    let body = json!({"metadata": {"generateName": "web-"}});
    let (one, two) = (server.post(MAPS, body.clone()).await.ok(), server.post(MAPS, body).await.ok());
    let name = one["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("web-") && name.len() == 9, "{name}");
    assert_ne!(one["metadata"]["name"], two["metadata"]["name"]);
}

#[tokio::test]
async fn unknown_fields_are_refused_told_or_dropped_as_asked() {
    let server = Server::new().await;
    let mut body = pod("p");
    body["spec"]["contaners"] = json!([]);
    let strict = server.post(&format!("{PODS}?fieldValidation=Strict"), body.clone()).await;
    strict.refused(400, "BadRequest", "strict decoding error: unknown field \"spec.contaners\"");
    let warned = server.post(&format!("{PODS}?dryRun=All"), body.clone()).await;
    assert_eq!(warned.headers["warning"], "299 - \"unknown field \\\"spec.contaners\\\"\"");
    let ignored = server.post(&format!("{PODS}?fieldValidation=Ignore"), body.clone()).await;
    assert!(!ignored.headers.contains_key("warning"));
    assert!(ignored.ok()["spec"].get("contaners").is_none());
    body["spec"]["containers"] = json!("none");
    server.post(PODS, body).await.refused(400, "BadRequest", "spec.containers");
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let server = Server::new().await;
    let before = server.store.revision();
    assert_eq!(server.post(&format!("{MAPS}?dryRun=All"), map("a", json!({}))).await.code, 201);
    assert_eq!(server.store.revision(), before);
    server.get(&format!("{MAPS}/a")).await.refused(404, "NotFound", "");
    server.post(MAPS, map("a", json!({}))).await.ok();
    let before = server.store.revision();
    let patched = server.patch(&format!("{MAPS}/a?dryRun=All"), "merge", json!({"data": {"k": "w"}})).await.ok();
    assert_eq!(patched["data"]["k"], "w");
    server.delete(&format!("{MAPS}/a?dryRun=All"), json!({})).await.ok();
    assert_eq!(server.store.revision(), before);
}

#[tokio::test]
async fn an_update_is_for_the_version_it_was_made_from() {
    let server = Server::new().await;
    let first = server.post(MAPS, map("a", json!({}))).await.ok();
    let mut second = first.clone();
    second["data"]["k"] = json!("2");
    let second = server.put(&format!("{MAPS}/a"), &second).await.ok();
    assert_ne!(version(&first), version(&second));
    let stale = server.put(&format!("{MAPS}/a"), &first).await;
    stale.refused(409, "Conflict", "the object has been modified; please apply your changes to the latest version");
    let revision = server.store.revision();
    assert_eq!(server.put(&format!("{MAPS}/a"), &second).await.ok(), second, "nothing changed");
    assert_eq!(server.store.revision(), revision, "so nothing was written");
    let mut other = second.clone();
    other["metadata"]["uid"] = json!("another");
    server.put(&format!("{MAPS}/a"), &other).await.refused(409, "Conflict", "Precondition failed: UID in precondition");
}

/// Of some kinds whoever replaces an object has to have read it.
#[tokio::test]
async fn of_some_kinds_an_update_says_what_it_replaces() {
    const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
    let server = Server::new().await;
    let account = |version: &str| json!({"metadata": {"name": "a", "resourceVersion": version}});
    server.put(&format!("{ACCOUNTS}/a"), &account("")).await.refused(
        404,
        "NotFound",
        "serviceaccounts \"a\" not found",
    );
    let made = server.post(ACCOUNTS, account("")).await.ok();
    for none in ["", "0"] {
        let why = "metadata.resourceVersion: Invalid value: 0: must be specified for an update";
        server.put(&format!("{ACCOUNTS}/a"), &account(none)).await.refused(422, "Invalid", why);
    }
    server.put(&format!("{ACCOUNTS}/a"), &account(version(&made))).await.ok();
    server.post(MAPS, map("a", json!({}))).await.ok();
    let mut any = map("a", json!({"new": "yes"}));
    any["metadata"]["resourceVersion"] = "0".into();
    assert_eq!(server.put(&format!("{MAPS}/a"), &any).await.ok()["metadata"]["labels"], json!({"new": "yes"}));
}

#[tokio::test]
async fn an_owner_that_is_named_twice_is_kept_once() {
    let server = Server::new().await;
    let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"});
    let mut body = map("a", json!({}));
    body["metadata"]["ownerReferences"] = json!([owner, owner]);
    let made = server.post(MAPS, body).await;
    let warning = made.headers["warning"].to_str().unwrap().to_owned();
    assert!(warning.contains("duplicate UID(s) observed: u"), "{warning}");
    assert_eq!(made.ok()["metadata"]["ownerReferences"], json!([owner]));
}

#[tokio::test]
async fn the_name_is_not_patched() {
    let server = Server::new().await;
    server.post(MAPS, map("a", json!({}))).await.ok();
    let renamed = server.patch(&format!("{MAPS}/a"), "merge", json!({"metadata": {"name": "b"}})).await;
    renamed.refused(400, "BadRequest", "the name of the object (b) does not match the name on the URL (a)");
    let moved = server.patch(&format!("{MAPS}/a"), "merge", json!({"metadata": {"namespace": "b"}})).await;
    moved.refused(
        400,
        "BadRequest",
        "the namespace of the object (b) does not match the namespace on the request (default)",
    );
    server.get(&format!("{MAPS}/a")).await.ok();
}

#[tokio::test]
async fn every_patch_patches() {
    let server = Server::new().await;
    let mut body = pod("p");
    body["spec"]["containers"] = json!([{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]);
    server.post(PODS, body).await.ok();
    let at = format!("{PODS}/p");
    let image = json!({"spec": {"containers": [{"name": "b", "image": "3"}]}});
    let merged = server.patch(&at, "strategic", image).await.ok();
    assert_eq!(merged["spec"]["containers"][0]["image"], "1");
    assert_eq!(merged["spec"]["containers"][1]["image"], "3");
    let operation = json!([{"op": "add", "path": "/metadata/labels", "value": {"x": "y"}}]);
    // What the server itself wrote into managedFields was once taken for unknown fields.
    let labelled = server.patch(&format!("{at}?fieldValidation=Strict"), "json", operation).await.ok();
    assert_eq!(labelled["metadata"]["labels"]["x"], "y");
    assert!(labelled["metadata"]["managedFields"][0]["fieldsV1"].get("f:spec").is_some(), "{labelled}");
    let merged = server.patch(&at, "merge", json!({"metadata": {"labels": {"x": null, "z": "1"}}})).await.ok();
    assert_eq!(merged["metadata"]["labels"], json!({"z": "1"}));
    let test = json!([{"op": "test", "path": "/metadata/name", "value": "q"}]);
    server.patch(&at, "json", test).await.refused(422, "Invalid", "");
    // As clients add the first of a list's entries: what is not there tests as null.
    let add = json!({"op": "add", "path": "/metadata/finalizers", "value": ["demo.io/held"]});
    let first = json!([{"op": "test", "path": "/metadata/finalizers", "value": null}, add]);
    let held = server.patch(&at, "json", first.clone()).await.ok();
    assert_eq!(held["metadata"]["finalizers"], json!(["demo.io/held"]));
    server.patch(&at, "json", first).await.refused(422, "Invalid", "");
    let nowhere = json!([{"op": "test", "path": "/metadata/no/where", "value": null}]);
    server.patch(&at, "json", nowhere).await.refused(422, "Invalid", "");
    let typed = [("content-type", "application/x-patch")];
    server.ask(Method::PATCH, &at, &typed, "{}".into()).await.refused(415, "UnsupportedMediaType", "merge-patch+json");
}

#[tokio::test]
async fn apply_owns_what_it_sets() {
    let server = Server::new().await;
    let at = |manager: &str| format!("{MAPS}/a?fieldManager={manager}");
    let body =
        |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": value}});
    let made = server.patch(&at("one"), "apply", body("1")).await;
    assert_eq!(made.code, 201);
    let revision = server.store.revision();
    server.patch(&at("one"), "apply", body("1")).await.ok();
    assert_eq!(server.store.revision(), revision, "the same again writes nothing");
    let contested = server.patch(&at("two"), "apply", body("2")).await;
    contested.refused(409, "Conflict", "Apply failed with 1 conflict: conflict with \"one\": .data.k");
    assert_eq!(contested.body["details"]["causes"][0]["reason"], "FieldManagerConflict");
    server.patch(&format!("{MAPS}/a?fieldManager=three"), "merge", json!({"data": {"l": "1", "m": "1"}})).await.ok();
    let mut all = body("2");
    all["data"] = json!({"k": "2", "l": "2", "m": "2"});
    let expected = "Apply failed with 3 conflicts: conflicts with \"one\":\n- .data.k\nconflicts with \"three\" using v1:\n- .data.l\n- .data.m";
    server.patch(&at("two"), "apply", all).await.refused(409, "Conflict", expected);
    let forced = server.patch(&format!("{}&force=true", at("two")), "apply", body("2")).await.ok();
    assert_eq!(forced["data"]["k"], "2");
    let nobody = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
    server.patch(&format!("{MAPS}/a"), "apply", body("1")).await.refused(422, "Invalid", nobody);
}

#[tokio::test]
async fn a_write_has_only_options_that_there_are() {
    let server = Server::new().await;
    let made = |options: &str, expected: &'static str| {
        let (path, server) = (format!("{MAPS}?{options}"), &server);
        async move { server.post(&path, map("a", json!({}))).await.refused(422, "Invalid", expected) }
    };
    made("dryRun=Some", "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: \"Some\"").await;
    made("fieldValidation=Odd", "fieldValidation: Unsupported value: \"Odd\"").await;
    made(&format!("fieldManager={}", "m".repeat(129)), "fieldManager: Too long").await;
    made("fieldManager=a%0Ab", "should only contain printable characters").await;
    server.post(MAPS, map("a", json!({}))).await.ok();
    let forced = server.patch(&format!("{MAPS}/a?force=true"), "merge", json!({})).await;
    forced.refused(422, "Invalid", "force: Forbidden: may not be specified for non-apply patch");
    let gone = server.delete(&format!("{MAPS}/a"), json!({"dryRun": ["Some"]})).await;
    gone.refused(422, "Invalid", "DeleteOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: \"Some\"");
    server.get(&format!("{MAPS}/a")).await.ok();
}

// Go's clients write a time that nobody set as `null`, or leave it out; of a Service it was refused, and other kinds'
// controllers could not read the object any more.
#[tokio::test]
async fn a_condition_need_not_say_since_when_it_holds() {
    let server = Server::new().await;
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let ranges = "/apis/networking.k8s.io/v1/servicecidrs";
    for (path, spec) in [
        (SERVICES, json!({"ports": [{"port": 80}]})),
        (budgets, json!({"minAvailable": 1})),
        (ranges, json!({"cidrs": ["10.97.0.0/24"]})),
    ] {
        server.post(path, json!({"metadata": {"name": "a"}, "spec": spec})).await.ok();
        let at = format!("{path}/a/status");
        for since in [json!({"lastTransitionTime": null}), json!({})] {
            let mut asked = server.get(&at).await.ok();
            let mut condition = json!({"type": "Seen", "status": "True", "reason": "Test", "message": "of a test"});
            condition.as_object_mut().unwrap().extend(since.as_object().unwrap().clone());
            asked["status"]["conditions"] = json!([condition]);
            let written = server.put(&at, &asked).await.ok();
            assert_eq!(written["status"]["conditions"][0]["lastTransitionTime"], "0001-01-01T00:00:00Z", "{path}");
        }
    }
}

#[tokio::test]
async fn status_and_the_rest_are_written_apart() {
    let server = Server::new().await;
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let rc =
        json!({"metadata": {"name": "rc"}, "spec": {"replicas": 2, "template": template}, "status": {"replicas": 9}});
    let made = server.post(RCS, rc).await.ok();
    assert_eq!((&made["status"]["replicas"], &made["metadata"]["generation"]), (&json!(0), &json!(1)));
    let mut both = made.clone();
    both["spec"]["replicas"] = json!(5);
    both["status"]["replicas"] = json!(7);
    let status = server.put(&format!("{RCS}/rc/status"), &both).await.ok();
    assert_eq!((&status["spec"]["replicas"], &status["status"]["replicas"]), (&json!(2), &json!(7)));
    assert_eq!(status["metadata"]["generation"], 1);
    both["metadata"]["resourceVersion"] = status["metadata"]["resourceVersion"].clone();
    both["status"]["replicas"] = json!(8);
    let spec = server.put(&format!("{RCS}/rc"), &both).await.ok();
    assert_eq!((&spec["spec"]["replicas"], &spec["status"]["replicas"]), (&json!(5), &json!(7)));
    assert_eq!(spec["metadata"]["generation"], 2);
}

#[tokio::test]
async fn patches_made_at_once_all_land() {
    let server = Server::new().await;
    server.post(MAPS, map("a", json!({}))).await.ok();
    let paths: Vec<String> = (0..6).map(|_| format!("{MAPS}/a")).collect();
    let all = paths.iter().enumerate().map(|(index, path)| {
        let patch = json!({"data": {format!("k{index}"): "v"}});
        server.patch(path, "merge", patch)
    });
    for answer in futures::future::join_all(all).await {
        answer.ok();
    }
    let found = server.get(&format!("{MAPS}/a")).await.ok();
    assert_eq!(found["data"].as_object().unwrap().len(), 7);
}

#[tokio::test]
async fn of_some_kinds_a_put_makes_what_is_not_there() {
    let server = Server::new().await;
    let lease = json!({"metadata": {"name": "l", "namespace": "default"}, "spec": {"holderIdentity": "a"}});
    let at = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l";
    assert_eq!(server.put(at, &lease).await.code, 201);
    server.put(at, &lease).await.refused(422, "Invalid", "must be specified for an update");
    let missing = "configmaps \"none\" not found";
    server.put(&format!("{MAPS}/none"), &map("none", json!({}))).await.refused(404, "NotFound", missing);
}
