//! The audit log.

use std::path::PathBuf;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{MAPS, Server, map};
use crate::webhooks::{Hook, MUTATING, VALIDATING, change};

const SECRETS: &str = "/api/v1/namespaces/default/secrets";
/// What no log may tell of a Secret: as it is sent, and what it says.
const HIDDEN: [&str; 2] = ["aHVudGVyMg==", "hunter2"];

struct Audited {
    server: Server,
    path: PathBuf,
    _dir: TempDir,
}

impl Audited {
    /// A server whose log tells of nothing but what the test asks: the server asks itself, too.
    async fn new(rules: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let own = "- {level: None, users: [\"system:apiserver\"]}";
        let policy = format!("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n{own}\n{rules}");
        Self { server: Server::audited(&policy, &path).await, path, _dir: dir }
    }

    /// Ends the server. All that it logged.
    async fn lines(self) -> Vec<Value> {
        self.server.api.shutdown().await;
        let text = std::fs::read_to_string(&self.path).unwrap();
        assert!(!HIDDEN.iter().any(|hidden| text.contains(hidden)), "{text}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[tokio::test]
async fn what_webhooks_do_is_noted() {
    let audited =
        Audited::new("- {level: Request, omitStages: [RequestReceived], resources: [{resources: [configmaps]}]}").await;
    let server = &audited.server;
    let patch = json!([{"op": "add", "path": "/data/a", "value": "b"}]);
    let changes = Hook::new({
        let patch = patch.clone();
        move |_| change(&patch)
    })
    .await;
    let notes = Hook::new(|_| json!({"allowed": true, "auditAnnotations": {"why": "because"}})).await;
    server.post(MUTATING, changes.configuration("changes", &["configmaps"], json!({}))).await.ok();
    server.post(VALIDATING, notes.configuration("notes", &["configmaps"], json!({}))).await.ok();
    let nobody = json!({"clientConfig": {"url": "https://localhost:1/"}, "failurePolicy": "Ignore"});
    server.post(VALIDATING, notes.configuration("open", &["configmaps"], nobody)).await.ok();
    server.post(MAPS, map("a", json!({}))).await.ok();
    let lines = audited.lines().await;
    let annotations = &lines[0]["annotations"];
    let note = |key: &str| -> Value { serde_json::from_str(annotations[key].as_str().unwrap()).unwrap() };
    let who = json!({"configuration": "changes", "webhook": "changes.trimtab.test"});
    let with = |more: Value| {
        let mut all = who.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    assert_eq!(note("mutation.webhook.admission.k8s.io/round_0_index_0"), with(json!({"mutated": true})));
    let change = json!({"patch": patch, "patchType": "JSONPatch"});
    assert_eq!(note("patch.webhook.admission.k8s.io/round_0_index_0"), with(change));
    assert_eq!(annotations["notes.trimtab.test/why"], "because");
    assert_eq!(annotations["failed-open.validating.webhook.admission.k8s.io/round_0_index_1"], "open.trimtab.test");
}

fn stages(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["stage"].as_str().unwrap()).collect()
}

fn secret() -> Value {
    json!({"metadata": {"name": "s"}, "data": {"password": HIDDEN[0]}})
}

#[tokio::test]
async fn each_stage_is_a_line_and_says_what_its_level_asks_for() {
    let audited = Audited::new(
        "- {level: Metadata, resources: [{resources: [secrets]}]}\n\
         - {level: RequestResponse, omitManagedFields: true, resources: [{resources: [configmaps]}]}\n\
         - {level: Request, omitStages: [RequestReceived], resources: [{resources: [services]}]}",
    )
    .await;
    let server = &audited.server;
    server.post(SECRETS, secret()).await.ok();
    let body = Bytes::from(map("a", json!({})).to_string());
    let headers = [("content-type", "application/json"), ("audit-id", "mine"), ("user-agent", "test/1")];
    let headers = [&headers[..], &[("x-forwarded-for", "192.0.2.1, 192.0.2.2")]].concat();
    let made = server.ask(Method::POST, &format!("{MAPS}?pretty=true"), &headers, body).await;
    assert_eq!((made.code, made.headers["audit-id"].to_str().unwrap()), (201, "mine"));
    server.get_as(&format!("{MAPS}/a"), "application/vnd.kubernetes.protobuf").await;
    server.patch("/api/v1/namespaces/default/services/none", "merge", json!({"spec": {"a": 1}})).await;
    let gone = server.ask(Method::DELETE, &format!("{MAPS}/a"), &[], Bytes::new()).await;
    assert_eq!(gone.headers["audit-id"].len(), 36);
    server.get("/livez").await;
    let lines = audited.lines().await;
    let both = ["RequestReceived", "ResponseComplete"];
    assert_eq!(stages(&lines), [&both[..], &both, &both, &["ResponseComplete"], &both].concat());
    let secret = &lines[1];
    assert_eq!(
        (&secret["level"], &secret["objectRef"]),
        (&json!("Metadata"), &json!({"resource": "secrets", "namespace": "default", "name": "s", "apiVersion": "v1"}))
    );
    assert!(secret.get("requestObject").is_none() && secret.get("responseObject").is_none());
    assert_eq!(lines[0]["auditID"], secret["auditID"]);
    let made = &lines[3];
    for (field, expected) in [
        ("kind", json!("Event")),
        ("apiVersion", json!("audit.k8s.io/v1")),
        ("auditID", json!("mine")),
        ("requestURI", json!(format!("{MAPS}?pretty=true"))),
        ("verb", json!("create")),
        ("user", json!({"username": "tester", "groups": ["system:masters", "system:authenticated"]})),
        ("sourceIPs", json!(["192.0.2.1", "192.0.2.2"])),
        ("userAgent", json!("test/1")),
        ("responseStatus", json!({"metadata": {}, "code": 201})),
        ("annotations", json!({"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""})),
    ] {
        assert_eq!(made[field], expected, "{field}");
    }
    assert!(made["requestReceivedTimestamp"].as_str().unwrap().starts_with("2026-01-01T00:00:"), "{made}");
    assert_eq!(made["stageTimestamp"].as_str().unwrap().len(), "2026-01-01T00:00:00.000000Z".len());
    assert_eq!(made["requestObject"]["data"], made["responseObject"]["data"]);
    assert!(made["responseObject"]["metadata"]["uid"].is_string());
    assert!(made["responseObject"]["metadata"].get("managedFields").is_none());
    // What is sent as a message is logged as JSON.
    assert_eq!(lines[5]["responseObject"]["kind"], "ConfigMap");
    assert_eq!(lines[5]["responseObject"]["data"], made["requestObject"]["data"]);
    let refused = &lines[6];
    assert_eq!(refused["verb"], "patch");
    let status = &refused["responseStatus"];
    assert_eq!(
        (&status["code"], &status["reason"], &status["status"]),
        (&json!(404), &json!("NotFound"), &json!("Failure"))
    );
    assert!(refused.get("responseObject").is_none());
    assert_eq!(refused["requestObject"], json!({"spec": {"a": 1}}));
    assert_eq!((&lines[8]["verb"], &lines[8]["responseStatus"]["status"]), (&json!("delete"), &json!("Success")));
}

#[tokio::test]
async fn who_asks_as_whom_and_whether_it_may() {
    let audited = Audited::new("- {level: Metadata, omitStages: [RequestReceived]}").await;
    let open = audited.server.open();
    open.get_with(MAPS, "nobodys").await.refused(401, "Unauthorized", "");
    let jane = audited.server.by("jane", &[]);
    jane.get(MAPS).await.refused(403, "Forbidden", "");
    jane.get("/livez").await;
    let headers = [("impersonate-user", "jane"), ("impersonate-group", "system:masters")];
    audited.server.ask(Method::GET, MAPS, &headers, Bytes::new()).await.ok();
    let lines = audited.lines().await;
    assert_eq!(stages(&lines), ["ResponseStarted", "ResponseComplete", "ResponseComplete", "ResponseComplete"]);
    let [unknown, forbidden, allowed, acting] = &lines[..] else { unreachable!("four lines, as above") };
    assert_eq!(unknown["user"], json!({}));
    let status = json!({"metadata": {}, "code": 401, "message": "Authentication failed, attempted: bearer"});
    assert_eq!(unknown["responseStatus"], status);
    assert_eq!(forbidden["annotations"]["authorization.k8s.io/decision"], "forbid");
    assert_eq!(forbidden["responseStatus"]["reason"], "Forbidden");
    assert_eq!(allowed["annotations"]["authorization.k8s.io/decision"], "allow");
    let reason = allowed["annotations"]["authorization.k8s.io/reason"].as_str().unwrap();
    assert!(reason.starts_with("RBAC: allowed by ClusterRoleBinding"), "{reason}");
    assert!(allowed.get("objectRef").is_none() && allowed["verb"] == "get");
    assert_eq!(
        (&acting["user"]["username"], &acting["impersonatedUser"]["username"]),
        (&json!("tester"), &json!("jane"))
    );
}

#[tokio::test]
async fn a_watch_is_logged_when_it_begins_and_when_it_ends() {
    let audited = Audited::new("- {level: RequestResponse}").await;
    let watch = Request::builder().uri(format!("{MAPS}?watch=true")).body(Bytes::new()).unwrap();
    let mut watch = audited.server.send(watch).await.into_body();
    audited.server.post(MAPS, map("a", json!({}))).await.ok();
    watch.frame().await.unwrap().unwrap();
    drop(watch);
    let lines = audited.lines().await;
    let of_watch: Vec<Value> = lines.into_iter().filter(|line| line["verb"] == "watch").collect();
    assert_eq!(stages(&of_watch), ["RequestReceived", "ResponseStarted", "ResponseComplete"]);
    assert!(of_watch.iter().all(|line| line.get("responseObject").is_none()));
    assert_eq!(of_watch[1]["responseStatus"], json!({"metadata": {}, "code": 200}));
}

#[tokio::test]
async fn a_policy_says_what_is_noted() {
    const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";
    let audited =
        Audited::new("- {level: Metadata, omitStages: [RequestReceived], resources: [{resources: [configmaps]}]}")
            .await;
    let server = &audited.server;
    let rule = json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]});
    let spec = json!({"matchConstraints": {"resourceRules": [rule]},
        "auditAnnotations": [{"key": "name", "valueExpression": "'called ' + object.metadata.name"}],
        "validations": [{"expression": "true"}, {"expression": "object.metadata.name != 'bad'", "message": "a bad name"}]});
    let policy = json!({"metadata": {"name": "guard"}, "spec": spec});
    server.post(&format!("{GROUP}/validatingadmissionpolicies"), policy).await.ok();
    let binding = json!({"metadata": {"name": "all"}, "spec": {"policyName": "guard", "validationActions": ["Audit"]}});
    server.post(&format!("{GROUP}/validatingadmissionpolicybindings"), binding).await.ok();
    server.post(MAPS, map("bad", json!({}))).await.ok();
    let lines = audited.lines().await;
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(line["annotations"]["guard/name"], "called bad");
    let failures = line["annotations"]["validation.policy.admission.k8s.io/validation_failure"].as_str().unwrap();
    let failures: Value = serde_json::from_str(failures).unwrap();
    let expected = json!([{"message": "a bad name", "policy": "guard", "binding": "all", "expressionIndex": 1,
        "validationActions": ["Audit"]}]);
    assert_eq!(failures, expected);
}
