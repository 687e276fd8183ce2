//! Whole requests to the API server: paths, queries, `Accept` and other headers, tokens, bodies.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use rcgen::KeyPair;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use trimtab_apiserver::{ApiServer, Config, Identity, ServiceAccounts, SigningKey};
use trimtab_client::{Body, Transport};
use trimtab_env::Env;
use trimtab_store::{Memory, Store};

/// Of an answer that does not end, so much time is waited for more. Time is virtual.
const PATIENCE: Duration = Duration::from_millis(1);
/// After so long a server has done what it does of its own accord. Time is virtual.
const SETTLED: Duration = Duration::from_secs(1);
/// What is there before each request, beside what is always there.
const OBJECTS: [(&str, &str); 5] = [
    ("/api/v1/namespaces/default/serviceaccounts", r#"{"metadata":{"name":"default"}}"#),
    ("/api/v1/namespaces/default/configmaps", r#"{"metadata":{"name":"a","labels":{"l":"x"}},"data":{"k":"v"}}"#),
    ("/api/v1/namespaces/default/configmaps", r#"{"metadata":{"name":"b"},"data":{"k":"v"}}"#),
    (
        "/api/v1/namespaces/default/pods",
        r#"{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":80}]}]}}"#,
    ),
    (
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        r#"{"metadata":{"name":"things.fuzz.example"},"spec":{"group":"fuzz.example","scope":"Namespaced","names":{"plural":"things","kind":"Thing"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","properties":{"n":{"type":"integer","default":1},"l":{"type":"array","items":{"type":"string"},"x-kubernetes-list-type":"set"}}}}}}}]}}"#,
    ),
];

struct Running {
    runtime: Runtime,
    /// What every server begins with.
    template: Memory,
    server: RefCell<Server>,
}

struct Server {
    store: Arc<Memory>,
    revision: u64,
    /// As somebody who may do anything.
    trusted: Arc<dyn Transport>,
    /// As whoever the headers say.
    open: Arc<dyn Transport>,
    api: ApiServer,
}

thread_local! {
    // It lasts as long as the process: a runtime cannot end among what ends with its thread.
    static RUNNING: &'static Running = Box::leak(Box::new(start()));
}

fn start() -> Running {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.expect("a runtime is made");
    let (template, server) = runtime.block_on(async {
        let template = template().await;
        let server = server(template.fork(), 8).await;
        (template, RefCell::new(server))
    });
    Running { runtime, template, server }
}

async fn template() -> Memory {
    let server = server(Memory::new(), 7).await;
    for (path, body) in OBJECTS {
        let request =
            Request::post(path).header(CONTENT_TYPE, "application/json").body(Bytes::from_static(body.as_bytes()));
        let answer = server.trusted.send(request.expect("a request")).await.expect("it is in process");
        assert_eq!(answer.status(), StatusCode::CREATED, "{path}");
    }
    tokio::time::sleep(SETTLED).await;
    let template = server.store.fork();
    server.api.shutdown().await;
    template
}

/// A server over `store`, once it is at rest. What it makes up comes of `seed`.
async fn server(store: Memory, seed: u64) -> Server {
    static KEY: LazyLock<Vec<u8>> = LazyLock::new(|| KeyPair::generate().expect("a key is made").serialize_der());
    let store = Arc::new(store);
    let env = Env::seeded(seed, "2026-01-01T00:00:00Z".parse().expect("a time"));
    let address = "10.96.0.0".parse().expect("an address");
    let service_accounts = ServiceAccounts {
        key: SigningKey::from_pkcs8(&KEY).expect("the key is one"),
        issuer: "https://kubernetes.default.svc.cluster.local".to_owned(),
        jwks_uri: "https://127.0.0.1/openid/v1/jwks".to_owned(),
    };
    let config = Config::new(crate::KINDS.clone(), Arc::clone(&store) as Arc<dyn Store>, env, (address, 24));
    let config = Config { service_accounts: Some(service_accounts), ..config };
    let api = ApiServer::new(config).await.expect("memory can be read");
    let trusted = api.transport(Identity::new("fuzzer", &["system:masters"]));
    let open = api.open_transport();
    tokio::time::sleep(SETTLED).await;
    let revision = store.revision();
    Server { store, revision, trusted, open, api }
}

/// `METHOD target`, headers and a body, each as HTTP/1.1 has it. Who begins with `anonymous ` comes
/// without a certificate. Whatever is asked is answered, never with an internal error, and every
/// failure is a `Status`.
pub fn request(bytes: &[u8]) {
    let (bytes, is_open) = match bytes.strip_prefix(b"anonymous ") {
        Some(rest) => (rest, true),
        None => (bytes, false),
    };
    let Some(request) = read(bytes) else { return };
    RUNNING.with(|running| {
        running.runtime.block_on(async {
            let shown = format!("{} {}", request.method(), request.uri());
            let transport = {
                let server = running.server.borrow();
                Arc::clone(if is_open { &server.open } else { &server.trusted })
            };
            let answer = transport.send(request).await.expect("it is in process");
            check(&shown, answer).await;
            let changed = {
                let server = running.server.borrow();
                server.store.revision() != server.revision
            };
            if changed {
                // Every request finds the same.
                let fresh = server(running.template.fork(), 8).await;
                let old = running.server.replace(fresh);
                old.api.shutdown().await;
            }
        });
    });
}

fn read(bytes: &[u8]) -> Option<Request<Bytes>> {
    let text_end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
    let body = bytes.get(text_end + 2..).unwrap_or_default();
    let mut lines = bytes[..text_end].split(|byte| *byte == b'\n');
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let (method, target) = first.split_once(' ')?;
    // Over a connection, a target is a path.
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).ok()?);
    request = request.uri(target.starts_with('/').then_some(target)?);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        request = request.header(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
    }
    request.body(Bytes::copy_from_slice(body)).ok()
}

async fn check(asked: &str, answer: Response<Body>) {
    let (parts, mut body) = answer.into_parts();
    let (mut bytes, mut ends) = (Vec::new(), true);
    loop {
        match tokio::time::timeout(PATIENCE, body.frame()).await {
            Ok(Some(frame)) => {
                bytes.extend_from_slice(&frame.expect("a body is whole").into_data().unwrap_or_default())
            }
            Ok(None) => break,
            Err(_) => {
                ends = false;
                break;
            }
        }
    }
    let code = parts.status.as_u16();
    let text = String::from_utf8_lossy(&bytes);
    // Upstream answers so whoever impersonates the groups of nobody.
    assert!(code != 500 || text.contains("without impersonating a user"), "{asked}: {text}");
    let is_json = parts.headers.get(CONTENT_TYPE).is_some_and(|type_| type_ == "application/json");
    if !is_json || !ends || bytes.is_empty() {
        return;
    }
    let mut values = serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>();
    let first =
        values.next().expect("something is answered").unwrap_or_else(|error| panic!("{asked}: {error}: {text}"));
    assert!(values.all(|more| more.is_ok()), "{asked}: {text}");
    if code >= 400 && first["kind"] == "Status" {
        assert_eq!(first["code"], json!(code), "{asked}: {text}");
        assert!(first["message"].is_string() && first["status"] == "Failure", "{asked}: {text}");
    }
}
