//! A server of its own for each test, and short ways to ask it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use rcgen::KeyPair;
use serde_json::{Value, json};
use trimtab_apiserver::{
    ApiServer, Audit, AuditPolicy, Config, Destination, Identity, NodeTls, Rotation, ServiceAccounts, SigningKey,
};
use trimtab_client::{Body, Transport};
use trimtab_env::Env;
use trimtab_store::{Memory, Store};

pub(crate) const MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(crate) const RCS: &str = "/api/v1/namespaces/default/replicationcontrollers";
pub(crate) const SERVICES: &str = "/api/v1/namespaces/default/services";

/// Who makes the tokens of a server that has them.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

pub(crate) struct Server {
    pub api: ApiServer,
    pub store: Arc<dyn Store>,
    pub transport: Arc<dyn Transport>,
}

pub(crate) struct Answer {
    pub code: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The answer's body, which must be a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.code), "{}: {}", self.code, self.body);
        self.body
    }

    /// Checks that the answer is a `Status` with this code, reason and part of its message.
    #[track_caller]
    pub(crate) fn refused(&self, code: u16, reason: &str, message: &str) {
        assert_eq!((self.code, self.body["reason"].as_str().unwrap_or_default()), (code, reason), "{}", self.body);
        assert_eq!((&self.body["kind"], &self.body["code"]), (&json!("Status"), &json!(code)));
        let found = self.body["message"].as_str().unwrap_or_default();
        assert!(found.contains(message), "{found:?} does not contain {message:?}");
    }
}

impl Server {
    /// A server with nothing in it but the namespaces that are always there.
    pub(crate) async fn new() -> Self {
        Self::over(Arc::new(Memory::new())).await
    }

    pub(crate) async fn over(store: Arc<dyn Store>) -> Self {
        Self::with(store, None).await
    }

    pub(crate) async fn with(store: Arc<dyn Store>, node_tls: Option<NodeTls>) -> Self {
        Self::of(Config { node_tls, ..config(store) }).await
    }

    /// A server on the machine `hostname`.
    pub(crate) async fn called(hostname: &str, store: Arc<dyn Store>) -> Self {
        Self::of(Config { hostname: Some(hostname.to_owned()), ..config(store) }).await
    }

    /// A server that shows others `identity`, a certificate and its key in PEM.
    pub(crate) async fn showing(identity: String) -> Self {
        Self::of(Config { front_proxy: Some(identity), ..config(Arc::new(Memory::new())) }).await
    }

    /// A server whose service accounts have tokens, and its clock, which the test moves.
    pub(crate) async fn with_tokens() -> Self {
        Self::with_key(&KeyPair::generate().unwrap()).await
    }

    /// As [`Server::with_tokens`], which are signed with `key`.
    pub(crate) async fn with_key(key: &KeyPair) -> Self {
        let service_accounts = ServiceAccounts {
            key: SigningKey::from_pkcs8(&key.serialize_der()).unwrap(),
            issuer: ISSUER.to_owned(),
            jwks_uri: "https://127.0.0.1/openid/v1/jwks".to_owned(),
        };
        Self::of(Config { service_accounts: Some(service_accounts), ..config(Arc::new(Memory::new())) }).await
    }

    /// A server that logs to `path` what `policy` says.
    pub(crate) async fn audited(policy: &str, path: &Path) -> Self {
        let policy = AuditPolicy::parse(policy).unwrap();
        let destination = Destination::File(path.to_owned(), Rotation::default());
        let audit = Audit::open(policy, destination).unwrap();
        Self::of(Config { audit: Some(audit), ..config(Arc::new(Memory::new())) }).await
    }

    async fn of(config: Config) -> Self {
        let store = Arc::clone(&config.store);
        let api = ApiServer::new(config).await.unwrap();
        let transport = api.transport(Identity::new("tester", &["system:masters"]));
        Self { api, store, transport }
    }

    /// The same server, asked by whoever the requests' headers say.
    pub(crate) fn open(&self) -> Self {
        Self { api: self.api.clone(), store: Arc::clone(&self.store), transport: self.api.open_transport() }
    }

    /// A GET with a bearer token.
    pub(crate) async fn get_with(&self, path: &str, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.open().ask(Method::GET, path, &[("authorization", &bearer)], Bytes::new()).await
    }

    /// The same server, asked by somebody else.
    pub(crate) fn by(&self, user: &str, groups: &[&str]) -> Self {
        let transport = self.api.transport(Identity::new(user, groups));
        Self { api: self.api.clone(), store: Arc::clone(&self.store), transport }
    }

    pub(crate) async fn send(&self, request: Request<Bytes>) -> Response<Body> {
        self.transport.send(request).await.unwrap()
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, body) = self.send(request.body(body).unwrap()).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into());
        Answer { code: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], Bytes::new()).await
    }

    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.ask(Method::GET, path, &[(ACCEPT.as_str(), accept)], Bytes::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, "application/json", &body).await
    }

    /// As [`Server::post`], of a body that the future keeps.
    pub(crate) async fn post_owned(&self, path: &'static str, body: Value) -> Answer {
        self.json(Method::POST, path, "application/json", &body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.json(Method::PUT, path, "application/json", body).await
    }

    pub(crate) async fn delete(&self, path: &str, options: Value) -> Answer {
        self.json(Method::DELETE, path, "application/json", &options).await
    }

    /// `type_` is `json`, `merge`, `strategic` or `apply`.
    pub(crate) async fn patch(&self, path: &str, type_: &str, body: Value) -> Answer {
        let content_type = match type_ {
            "json" => "application/json-patch+json",
            "merge" => "application/merge-patch+json",
            "strategic" => "application/strategic-merge-patch+json",
            _ => "application/apply-patch+yaml",
        };
        self.json(Method::PATCH, path, content_type, &body).await
    }

    async fn json(&self, method: Method, path: &str, content_type: &str, body: &Value) -> Answer {
        self.ask(method, path, &[(CONTENT_TYPE.as_str(), content_type)], body.to_string().into()).await
    }

    /// Begins a watch.
    pub(crate) async fn watch(&self, path: &str) -> Watch {
        let response = self.send(Request::builder().uri(path).body(Bytes::new()).unwrap()).await;
        assert_eq!(response.status(), 200, "{path}");
        Watch::of(response.into_body())
    }
}

fn config(store: Arc<dyn Store>) -> Config {
    let env = Env::seeded(7, "2026-01-01T00:00:00Z".parse().unwrap());
    Config::new(trimtab_api::builtin(), store, env, ("10.96.0.0".parse().unwrap(), 24))
}

/// A watch's events, one by one.
pub(crate) struct Watch {
    body: Body,
    read: Vec<u8>,
}

impl Watch {
    pub(crate) fn of(body: Body) -> Self {
        Self { body, read: Vec::new() }
    }

    /// The next event; `None` when the watch has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = self.body.frame().await?.unwrap();
            self.read.extend_from_slice(&frame.into_data().unwrap());
        }
    }

    /// The next event's type and its object's name.
    pub(crate) async fn named(&mut self) -> (String, String) {
        let event = self.next().await.expect("the watch goes on");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
    }
}

pub(crate) fn map(name: &str, labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"k": "v"}})
}

pub(crate) fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

pub(crate) fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap_or_default()
}
