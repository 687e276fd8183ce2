//! One request on its way: what is noted of it, and a line at each stage.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use trimtab_api::ApiError;
use trimtab_api::protobuf::{self, Message};
use trimtab_api::rbac::Attributes;
use trimtab_client::{Body, BoxError};
use trimtab_env::{Env, lock};

use super::Audit;
use super::event::{self, Event, ObjectRef};
use super::log::Log;
use super::policy::{Level, Stage, Verdict};
use crate::auth::Identity;

/// Subresources whose requests last: upstream's list.
const STREAMS: [&str; 5] = ["attach", "exec", "portforward", "proxy", "log"];

/// A request, as it came.
pub(crate) struct Subject<'a> {
    pub id: &'a HeaderValue,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
    pub address: Option<IpAddr>,
    /// Who asks; `None` when what it shows is not good.
    pub identity: Option<&'a Identity>,
    pub asked: Attributes<'a>,
}

/// What is noted of a request. Its last line is logged when the last who holds it lets go.
pub(crate) struct Record {
    log: Arc<Log>,
    env: Env,
    verdict: Verdict,
    /// Whether its answer comes bit by bit.
    lasts: bool,
    event: Mutex<Option<Event>>,
    /// Of whom nobody knows, one line is all there is, as upstream.
    last: Stage,
}

impl Audit {
    /// Begins the record of a request, if the policy wants one.
    pub(crate) async fn begin(&self, env: &Env, subject: Subject<'_>) -> Option<Arc<Record>> {
        let user = subject.identity.map(Identity::as_user);
        let verdict = self.policy.judge(user, &subject.asked)?;
        let (verb, subresource) = match subject.asked {
            Attributes::Resource { verb, subresource, .. } => (verb, subresource),
            Attributes::Path { verb, .. } => (verb, ""),
        };
        let now = event::micros(env.now());
        let mut event = Event {
            kind: "Event",
            api_version: "audit.k8s.io/v1",
            level: verdict.level,
            audit_id: String::from_utf8_lossy(subject.id.as_bytes()).into_owned(),
            stage: Stage::RequestReceived,
            request_uri: subject.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            verb: verb.to_owned(),
            user: subject.identity.map_or_else(|| json!({}), Identity::to_user_info),
            impersonated_user: None,
            source_ips: event::sources(subject.headers, subject.address),
            user_agent: event::agent(subject.headers),
            object_ref: ObjectRef::of(&subject.asked),
            response_status: None,
            request_object: None,
            response_object: None,
            request_received_timestamp: now.clone(),
            stage_timestamp: now,
            annotations: BTreeMap::new(),
        };
        let known = subject.identity.is_some();
        if !known {
            let tried = if subject.headers.contains_key(AUTHORIZATION) { ", attempted: bearer" } else { "" };
            event.response_status = Some(json!({"metadata": {}, "message": format!("Authentication failed{tried}")}));
        }
        let record = Record {
            log: Arc::clone(&self.log),
            env: env.clone(),
            verdict,
            lasts: known && (verb == "watch" || STREAMS.contains(&subresource)),
            event: Mutex::new(Some(event)),
            last: if known { Stage::ResponseComplete } else { Stage::ResponseStarted },
        };
        if known {
            record.tell(Stage::RequestReceived).await;
        }
        Some(Arc::new(record))
    }
}

impl Record {
    fn event(&self) -> MutexGuard<'_, Option<Event>> {
        lock(&self.event)
    }

    fn note(&self, change: impl FnOnce(&mut Event)) {
        if let Some(event) = &mut *self.event() {
            change(event);
        }
    }

    /// As whom the request is made.
    pub(crate) fn acts_as(&self, identity: &Identity) {
        self.note(|event| event.impersonated_user = Some(identity.to_user_info()));
    }

    /// What the authorizer says; why it says no, or by what role it says yes.
    pub(crate) fn decided(&self, decision: Result<&str, &str>) {
        let (word, why) = match decision {
            Ok(why) => ("allow", why),
            Err(why) => ("forbid", why),
        };
        self.annotate("authorization.k8s.io/decision", word.to_owned());
        self.annotate("authorization.k8s.io/reason", why.to_owned());
    }

    /// Whether what is sent is logged as well.
    pub(crate) fn keeps_objects(&self) -> bool {
        self.verdict.level >= Level::Request
    }

    /// Notes `value` under `key`; what is there first, stays.
    pub(crate) fn annotate(&self, key: impl Into<Cow<'static, str>>, value: String) {
        self.note(|event| {
            event.annotations.entry(key.into()).or_insert(value);
        });
    }

    /// The object, or the options, that the request sends.
    pub(crate) fn sent(&self, value: &Value) {
        self.note(|event| {
            if let Some(object_ref) = &mut event.object_ref {
                object_ref.complete(value);
            }
        });
        self.patched(value);
    }

    /// The patch that the request sends.
    pub(crate) fn patched(&self, value: &Value) {
        if self.keeps_objects() {
            let value = self.trimmed(value.clone());
            self.note(|event| event.request_object = Some(value));
        }
    }

    /// The error that the request is answered with.
    pub(crate) fn refused(&self, error: &ApiError) {
        self.note(|event| {
            // Why nobody is known is said already.
            if event.response_status.is_none() {
                event.response_status = serde_json::to_value(error.status()).ok().map(bare);
            }
        });
    }

    fn trimmed(&self, mut value: Value) -> Value {
        if self.verdict.omits_managed_fields {
            event::without_managed_fields(&mut value);
        }
        value
    }

    /// What is answered.
    fn answered(&self, value: Value) {
        if value["kind"] == "Status" && value["apiVersion"] == "v1" {
            let status = bare(value.clone());
            self.note(|event| event.response_status = Some(status));
        }
        if self.verdict.level >= Level::RequestResponse {
            let value = self.trimmed(value);
            self.note(|event| event.response_object = Some(value));
        }
    }

    fn line(&self, stage: Stage) -> Option<Vec<u8>> {
        if self.verdict.omits(stage) {
            return None;
        }
        let mut event = self.event();
        let event = event.as_mut()?;
        event.stage = stage;
        event.stage_timestamp = event::micros(self.env.now());
        let mut line = serde_json::to_vec(event).ok()?;
        line.push(b'\n');
        Some(line)
    }

    async fn tell(&self, stage: Stage) {
        if let Some(line) = self.line(stage) {
            self.log.send(line).await;
        }
    }

    /// Logs the last line.
    async fn end(&self) {
        self.tell(self.last).await;
        *self.event() = None;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let mut last = self.last;
        if std::thread::panicking() {
            last = Stage::Panic;
            self.note(|event| {
                event.response_status = Some(json!({"metadata": {}, "status": "Failure", "reason": "InternalError",
                    "message": "APIServer panic'd", "code": 500}));
            });
        }
        if let Some(line) = self.line(last) {
            self.log.try_send(line);
        }
    }
}

/// A status as an event has it: without saying that it is one.
fn bare(mut status: Value) -> Value {
    if let Some(map) = status.as_object_mut() {
        map.remove("kind");
        map.remove("apiVersion");
    }
    status
}

/// Notes the answer, and logs what there is to say of it. What lasts is logged once more in the end.
pub(crate) async fn told(record: Arc<Record>, response: Response<Body>) -> Response<Body> {
    let code = response.status().as_u16();
    record.note(|event| {
        event.response_status.get_or_insert_with(|| event::status(code))["code"] = code.into();
    });
    if record.lasts {
        record.tell(Stage::ResponseStarted).await;
        return response.map(|body| Followed { body, _record: record }.boxed_unsync());
    }
    let asks =
        record.event().as_ref().is_some_and(|event| event.object_ref.is_some() && event.verb.starts_with("delete"));
    if !asks && record.verdict.level < Level::RequestResponse {
        record.end().await;
        return response;
    }
    let (parts, body) = response.into_parts();
    // What does not last is in memory as it is.
    let Ok(collected) = body.collect().await else { return Response::from_parts(parts, trimtab_client::empty_body()) };
    let bytes = collected.to_bytes();
    if record.event().as_ref().is_some_and(|event| event.object_ref.is_some())
        && let Some(value) = read(&parts.headers, &bytes)
    {
        record.answered(value);
        record.note(|event| {
            event.response_status.get_or_insert_with(|| event::status(code))["code"] = code.into();
        });
    }
    record.end().await;
    Response::from_parts(parts, Full::new(bytes).map_err(|never| match never {}).boxed_unsync())
}

/// An answer as a value, whatever it is encoded in.
fn read(headers: &HeaderMap, bytes: &[u8]) -> Option<Value> {
    let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    match content_type.split(';').next().unwrap_or_default().trim() {
        "application/json" => serde_json::from_slice(bytes).ok(),
        "application/yaml" => serde_yaml::from_slice(bytes).ok(),
        protobuf::CONTENT_TYPE => {
            let unknown = protobuf::open(bytes).ok()?;
            let mut object = Message::of(unknown.api_version, unknown.kind)?.decode(unknown.raw).ok()?;
            object.insert("apiVersion".to_owned(), unknown.api_version.into());
            object.insert("kind".to_owned(), unknown.kind.into());
            Some(Value::Object(object))
        }
        _ => None,
    }
}

/// A body that holds on to its request's record.
struct Followed {
    body: Body,
    _record: Arc<Record>,
}

impl HttpBody for Followed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{AuditPolicy, Destination, Rotation};

    #[tokio::test]
    async fn a_request_that_ends_in_a_panic_is_logged_as_such() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let text = "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}";
        let destination = Destination::File(path.clone(), Rotation::default());
        let audit = Audit::open(AuditPolicy::parse(text).unwrap(), destination).unwrap();
        let env = Env::seeded(1, "2026-01-01T00:00:00Z".parse().unwrap());
        let (uri, headers, id) = (Uri::from_static("/x"), HeaderMap::new(), HeaderValue::from_static("id"));
        let record = audit.begin(
            &env,
            Subject {
                id: &id,
                uri: &uri,
                headers: &headers,
                address: None,
                identity: Some(Identity::anonymous()),
                asked: Attributes::Path { verb: "get", path: "/x" },
            },
        );
        let record = record.await.unwrap();
        let panics = move || {
            let _record = record;
            panic!("on purpose");
        };
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).unwrap_err();
        audit.flush().await;
        let text = std::fs::read_to_string(path).unwrap();
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(
            (text.lines().count(), &last["stage"], &last["responseStatus"]["code"]),
            (2, &json!("Panic"), &json!(500))
        );
    }
}
