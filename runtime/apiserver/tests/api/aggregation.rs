//! Groups that another server serves, behind a Service.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use trimtab_env::Tasks;
use trimtab_store::{Precondition, Write};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::authority::Authority;
use crate::harness::{Server, Watch};

const APISERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const PATH: &str = "/apis/metrics.demo.io/v1beta1";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// A request that came to the backend: what for, and by whom.
type Seen = (Method, String, HeaderMap);

/// Among the headers seen, the common name of the certificate that came with the request.
const SHOWN: &str = "test-shown";

/// A server of one group, on the loopback.
struct Backend {
    port: u16,
    ca: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// What its watches tell.
    events: mpsc::UnboundedSender<String>,
    tasks: Tasks,
}

impl Backend {
    async fn new() -> Self {
        Self::of(&Authority::new()).await
    }

    async fn of(authority: &Authority) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(authority.server()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (events, told) = mpsc::unbounded_channel::<String>();
        let (seen, told) = (Arc::new(Mutex::default()), Arc::new(Mutex::new(Some(told))));
        let all: Arc<Mutex<Vec<Seen>>> = Arc::clone(&seen);
        let tasks = Tasks::new();
        let connections = Tasks::under(tasks.token());
        tasks.spawn_cancellable("backend", async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, all, told) = (acceptor.clone(), Arc::clone(&all), Arc::clone(&told));
                connections.spawn_cancellable("backend connection", async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let shown = shown(&stream);
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (all, told, shown) = (Arc::clone(&all), Arc::clone(&told), shown.clone());
                        async move {
                            let path = request.uri().path_and_query().unwrap().as_str().to_owned();
                            let mut headers = request.headers().clone();
                            headers.extend(shown.map(|name| (HeaderName::from_static(SHOWN), name)));
                            all.lock().unwrap().push((request.method().clone(), path.clone(), headers));
                            let told = path.contains("watch=true").then(|| told.lock().unwrap().take()).flatten();
                            Ok::<_, std::convert::Infallible>(answer(&path, told))
                        }
                    });
                    let _ =
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { port, ca: STANDARD.encode(authority.ca_pem()), seen, events, tasks }
    }

    fn service(&self) -> Value {
        json!({"metadata": {"name": "v1beta1.metrics.demo.io"}, "spec": {
            "group": "metrics.demo.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "caBundle": self.ca, "service": {"name": "hooks", "namespace": "default"}}})
    }

    /// What came for `path`, beside what is asked to find out whether it is there.
    fn seen(&self, path: &str) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|(_, seen, _)| seen.starts_with(path)).cloned().collect()
    }
}

fn shown(stream: &TlsStream<TcpStream>) -> Option<HeaderValue> {
    let (_, certificate) = X509Certificate::from_der(stream.get_ref().1.peer_certificates()?.first()?).ok()?;
    let name = certificate.subject().iter_common_name().next()?.as_str().ok()?;
    HeaderValue::from_str(name).ok()
}

fn answer(path: &str, told: Option<mpsc::UnboundedReceiver<String>>) -> Response<trimtab_client::Body> {
    let resources = json!([
        {"name": "loads", "singularName": "load", "namespaced": true, "kind": "Load", "verbs": ["get", "list"], "shortNames": ["ld"]},
        {"name": "loads/scale", "singularName": "", "namespaced": true, "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": ["get"]},
    ]);
    let value = match path {
        PATH => {
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "metrics.demo.io/v1beta1", "resources": resources})
        }
        "/openapi/v3" => {
            json!({"paths": {"apis/metrics.demo.io/v1beta1": {"serverRelativeURL": "/openapi/v3/apis/metrics.demo.io/v1beta1?hash=7"}}})
        }
        _ if path.starts_with("/openapi/v3/apis/metrics.demo.io/v1beta1") => json!({"openapi": "3.0.0"}),
        _ if path.starts_with(&format!("{PATH}/loads")) => {
            json!({"kind": "LoadList", "apiVersion": "metrics.demo.io/v1beta1", "items": []})
        }
        _ => {
            let mut response = Response::new(trimtab_client::empty_body());
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        }
    };
    let Some(told) = told else {
        return Response::new(http_body_util::Full::from(value.to_string()).map_err(Into::into).boxed_unsync());
    };
    let stream = futures::stream::unfold(told, |mut told| async move {
        let event = told.recv().await?;
        Some((Ok(Frame::data(Bytes::from(event))), told))
    });
    Response::new(StreamBody::new(stream).boxed_unsync())
}

/// Makes the Service of `backend`, and says that it is where the backend is.
async fn route(server: &Server, backend: &Backend) {
    let service =
        json!({"metadata": {"name": "hooks"}, "spec": {"ports": [{"port": 443, "targetPort": backend.port}]}});
    server.post("/api/v1/namespaces/default/services", service).await.ok();
    // The API refuses endpoints on the loopback, which is where a test's are.
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "hooks-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "hooks"}},
        "addressType": "IPv4", "ports": [{"name": "", "port": backend.port}], "endpoints": [{"addresses": ["127.0.0.1"]}]});
    let write = Write {
        key: "/registry/discovery.k8s.io/endpointslices/default/hooks-1".to_owned(),
        value: Some(slice.to_string().into()),
        precondition: Precondition::Absent,
    };
    server.store.commit(write).await.unwrap();
}

/// Waits until the APIService's condition has this reason, and answers with the condition.
async fn until(server: &Server, reason: &str) -> Value {
    let path = format!("{APISERVICES}?watch=true&fieldSelector=metadata.name=v1beta1.metrics.demo.io");
    let mut watch = server.watch(&path).await;
    let found = async {
        loop {
            let event = watch.next().await.expect("the watch goes on");
            let condition = &event["object"]["status"]["conditions"][0];
            if condition["reason"] == reason {
                return condition.clone();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), found).await.unwrap_or_else(|_| panic!("never {reason}"))
}

/// A server with a group of `backend`, which is available.
async fn served() -> (Server, Backend) {
    let (server, backend) = (Server::new().await, Backend::new().await);
    route(&server, &backend).await;
    server.post(APISERVICES, backend.service()).await.ok();
    let condition = until(&server, "Passed").await;
    assert_eq!((&condition["status"], &condition["message"]), (&json!("True"), &json!("all checks passed")));
    (server, backend)
}

#[tokio::test]
async fn what_is_served_here_has_apiservices() {
    let server = Server::new().await;
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let table = server.get_as(APISERVICES, accept).await.ok();
    let columns: Vec<&Value> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|column| &column["name"]).collect();
    assert_eq!(columns, ["Name", "Service", "Available", "Age"]);
    let rows = table["rows"].as_array().unwrap();
    let row = |name: &str| rows.iter().find(|row| row["cells"][0] == name).unwrap_or_else(|| panic!("no {name}"));
    for name in ["v1.", "v1.apps", "v2.autoscaling", "v1.apiextensions.k8s.io"] {
        assert_eq!((&row(name)["cells"][1], &row(name)["cells"][2]), (&json!("Local"), &json!("True")));
    }
    assert!(rows.iter().all(|row| row["cells"][0] != "v1.apiregistration.k8s.io"));
    let apps = server.get(&format!("{APISERVICES}/v1.apps")).await.ok();
    assert_eq!(
        apps["spec"],
        json!({"group": "apps", "version": "v1", "groupPriorityMinimum": 17_800, "versionPriority": 15})
    );
    assert_eq!(apps["metadata"]["labels"], json!({"kube-aggregator.kubernetes.io/automanaged": "onstart"}));
    assert_eq!(apps["status"]["conditions"][0]["reason"], "Local");
}

#[tokio::test]
async fn definitions_have_apiservices_as_long_as_they_are_there() {
    let server = Server::new().await;
    let mut watch =
        server.watch(&format!("{APISERVICES}?watch=true&resourceVersion={}", server.store.revision())).await;
    let definition = json!({"metadata": {"name": "sites.demo.io"}, "spec": {
        "group": "demo.io", "scope": "Namespaced", "names": {"plural": "sites", "kind": "Site"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]}});
    server.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition).await.ok();
    let added = watch.next().await.unwrap();
    assert_eq!((&added["type"], &added["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("v1.demo.io")));
    assert_eq!(added["object"]["metadata"]["labels"]["kube-aggregator.kubernetes.io/automanaged"], "true");
    assert_eq!(added["object"]["spec"]["groupPriorityMinimum"], 1_000);
    // It comes back as long as the definition is there.
    server.delete(&format!("{APISERVICES}/v1.demo.io"), json!({})).await.ok();
    assert_eq!(watch.named().await, ("DELETED".to_owned(), "v1.demo.io".to_owned()));
    assert_eq!(watch.named().await, ("ADDED".to_owned(), "v1.demo.io".to_owned()));
    server.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/sites.demo.io", json!({})).await.ok();
    assert_eq!(watch.named().await, ("DELETED".to_owned(), "v1.demo.io".to_owned()));
}

#[tokio::test]
async fn requests_are_passed_on_with_who_asks() {
    let (server, backend) = served().await;
    let path = format!("{PATH}/namespaces/default/loads");
    // That is not among the paths that the backend knows.
    let missing = server.get(&path).await;
    assert_eq!(missing.code, 404);
    let path = format!("{PATH}/loads?limit=5&x=a%20b");
    let headers = [
        ("x-remote-user", "admin"),
        ("x-remote-extra-scopes", "all"),
        ("authorization", "Bearer x"),
        ("x-other", "kept"),
    ];
    let jane = server.by("jane", &["dev", "system:masters"]);
    assert_eq!(jane.ask(Method::GET, &path, &headers, Bytes::new()).await.ok()["kind"], "LoadList");
    let (method, seen, headers) = backend.seen(&format!("{PATH}/loads")).remove(0);
    assert_eq!((method, seen), (Method::GET, path));
    let all =
        |name: &str| headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(all("x-remote-user"), ["jane"]);
    assert_eq!(all("x-remote-group"), ["dev", "system:masters", "system:authenticated"]);
    assert_eq!(all("x-other"), ["kept"]);
    assert!(all("x-remote-extra-scopes").is_empty() && all("authorization").is_empty(), "{headers:?}");
    // Who may not ask is not passed on.
    let refused = server.by("joe", &[]).get(&format!("{PATH}/loads")).await;
    refused.refused(403, "Forbidden", "loads.metrics.demo.io is forbidden: User \"joe\" cannot list resource \"loads\" in API group \"metrics.demo.io\" at the cluster scope");
    assert_eq!(backend.seen(&format!("{PATH}/loads")).len(), 1);
}

#[tokio::test]
async fn a_watch_streams() {
    let (server, backend) = served().await;
    let request = Request::builder().uri(format!("{PATH}/loads?watch=true")).body(Bytes::new()).unwrap();
    let response = server.send(request).await;
    assert_eq!(response.status(), 200);
    let mut watch = Watch::of(response.into_body());
    for number in 0..3 {
        backend.events.send(format!("{}\n", json!({"type": "ADDED", "object": {"number": number}}))).unwrap();
        assert_eq!(watch.next().await.unwrap()["object"]["number"], number);
    }
}

#[tokio::test]
async fn discovery_tells_of_it() {
    let (server, _backend) = served().await;
    let groups = server.get("/apis").await.ok();
    let names: Vec<&Value> = groups["groups"].as_array().unwrap().iter().map(|group| &group["name"]).collect();
    assert_eq!(
        (names[0], names[1], names[names.len() - 1]),
        (&json!("apiregistration.k8s.io"), &json!("apps"), &json!("metrics.demo.io"))
    );
    let group = server.get("/apis/metrics.demo.io").await.ok();
    assert_eq!(group["preferredVersion"]["groupVersion"], "metrics.demo.io/v1beta1");
    assert_eq!(server.get(PATH).await.ok()["resources"][0]["name"], "loads");
    let all = server.get_as("/apis", AGGREGATED).await.ok();
    let group = all["items"].as_array().unwrap().last().unwrap();
    let load = json!({
        "resource": "loads", "responseKind": {"group": "metrics.demo.io", "version": "v1beta1", "kind": "Load"},
        "scope": "Namespaced", "singularResource": "load", "verbs": ["get", "list"], "shortNames": ["ld"],
        "subresources": [{"subresource": "scale", "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"}, "verbs": ["get"]}],
    });
    assert_eq!(group["versions"], json!([{"version": "v1beta1", "freshness": "Current", "resources": [load]}]));
    let index = server.get("/openapi/v3").await.ok();
    let url = index["paths"]["apis/metrics.demo.io/v1beta1"]["serverRelativeURL"].as_str().unwrap();
    assert_eq!(url, "/openapi/v3/apis/metrics.demo.io/v1beta1?hash=7");
    assert_eq!(server.get(url).await.ok(), json!({"openapi": "3.0.0"}));
    assert!(server.get("/").await.ok()["paths"].as_array().unwrap().contains(&json!(PATH)));
}

#[tokio::test]
async fn what_is_not_there_says_why_and_comes_when_it_can() {
    let (server, backend) = (Server::new().await, Backend::new().await);
    server.post(APISERVICES, backend.service()).await.ok();
    let condition = until(&server, "ServiceNotFound").await;
    assert_eq!(
        (&condition["status"], &condition["message"]),
        (&json!("False"), &json!("service/hooks in \"default\" is not present"))
    );
    let unavailable = server.get(&format!("{PATH}/loads")).await;
    assert_eq!((unavailable.code, &unavailable.body), (503, &json!("service unavailable\n")));
    let all = server.get_as("/apis", AGGREGATED).await.ok();
    let group = all["items"].as_array().unwrap().last().unwrap();
    assert_eq!(group["versions"], json!([{"version": "v1beta1", "freshness": "Stale", "resources": []}]));
    route(&server, &backend).await;
    until(&server, "Passed").await;
    server.get(&format!("{PATH}/loads")).await.ok();

    // When it goes, the first who asks finds out.
    backend.tasks.shutdown().await;
    server.get(&format!("{PATH}/loads")).await.refused(503, "ServiceUnavailable", "error trying to reach service: ");
    let condition = until(&server, "FailedDiscoveryCheck").await;
    let message = condition["message"].as_str().unwrap();
    let expected = "failing or missing response from https://hooks.default.svc:443/apis/metrics.demo.io/v1beta1: ";
    assert!(message.starts_with(expected), "{message}");
    assert_eq!(server.get(&format!("{PATH}/loads")).await.code, 503);
    let all = server.get_as("/apis", AGGREGATED).await.ok();
    let version = &all["items"].as_array().unwrap().last().unwrap()["versions"][0];
    assert_eq!((&version["freshness"], &version["resources"][0]["resource"]), (&json!("Stale"), &json!("loads")));

    server.delete(&format!("{APISERVICES}/v1beta1.metrics.demo.io"), json!({})).await.ok();
    server.get(&format!("{PATH}/loads")).await.refused(404, "NotFound", "");
    assert_eq!(server.get("/apis/metrics.demo.io").await.code, 404);
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_alone() {
    let (server, backend) = (Server::new().await, Backend::new().await);
    route(&server, &backend).await;
    let mut service = backend.service();
    service["spec"]["caBundle"] = STANDARD.encode(Authority::new().ca_pem()).into();
    server.post(APISERVICES, service).await.ok();
    let condition = until(&server, "FailedDiscoveryCheck").await;
    assert!(condition["message"].as_str().unwrap().contains("certificate"), "{condition}");
    let anybody = json!({"spec": {"caBundle": null, "insecureSkipTLSVerify": true}});
    server.patch(&format!("{APISERVICES}/v1beta1.metrics.demo.io"), "merge", anybody).await.ok();
    until(&server, "Passed").await;
    let row = server
        .get_as(&format!("{APISERVICES}/v1beta1.metrics.demo.io"), "application/json;as=Table;v=v1;g=meta.k8s.io")
        .await
        .ok();
    assert_eq!(row["rows"][0]["cells"][1], "default/hooks");
}

#[tokio::test]
async fn the_front_proxys_certificate_is_shown() {
    let authority = Authority::new();
    let (server, backend) =
        (Server::showing(authority.pem_of("front-proxy-client")).await, Backend::of(&authority).await);
    route(&server, &backend).await;
    server.post(APISERVICES, backend.service()).await.ok();
    until(&server, "Passed").await;
    server.get(&format!("{PATH}/loads")).await.ok();
    for (_, path, headers) in backend.seen("/") {
        assert_eq!(headers[SHOWN], "front-proxy-client", "{path}");
    }
    let (_, _, checked) = backend.seen(PATH).remove(0);
    assert_eq!(checked["x-remote-user"], "system:kube-aggregator");
    assert_eq!(checked["x-remote-group"], "system:masters");
}
