//! What listens in a pod, asked through the API.

use http::header::{AUTHORIZATION, LOCATION};
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use trimtab_env::Tasks;

use crate::harness::{Server, pod};

const POD: &str = "/api/v1/namespaces/default/pods";

/// Answers each request with what it was; below `/away`, with a redirect.
async fn echo() -> (u16, Tasks) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tasks, answers) = (Tasks::new(), Tasks::new());
    tasks.spawn_cancellable("echo", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            answers.spawn_cancellable("answer", async move {
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") && !asked.ends_with(b"sent") {
                    match stream.read_buf(&mut asked).await {
                        Ok(0) | Err(_) => return,
                        Ok(_) => {}
                    }
                }
                let away = asked.starts_with(b"GET /away");
                let head = if away { "302 Found\r\nLocation: /there" } else { "200 OK" };
                let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", asked.len());
                let _ = stream.write_all(&[head.as_bytes(), &asked].concat()).await;
            });
        }
    });
    (port, tasks)
}

/// A server with the running pod `p` on its node's network, whose port `web` is `port`.
async fn server(port: u16) -> Server {
    let server = Server::new().await;
    let mut asked = pod("p");
    asked["spec"]["hostNetwork"] = true.into();
    asked["spec"]["containers"][0]["ports"] = json!([{"name": "web", "containerPort": port}]);
    server.post(POD, asked).await.ok();
    let status = json!({"status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}], "phase": "Running"}});
    server.patch(&format!("{POD}/p/status"), "merge", status).await.ok();
    server
}

async fn text(server: &Server, method: Method, path: &str, body: &str) -> (u16, String, Option<String>) {
    let request = Request::builder().method(method).uri(path).header(AUTHORIZATION, "Bearer x");
    let response = server.send(request.body(body.to_owned().into()).unwrap()).await;
    let location = response.headers().get(LOCATION).map(|location| location.to_str().unwrap().to_owned());
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, String::from_utf8(body.to_vec()).unwrap(), location)
}

#[tokio::test]
async fn a_pod_is_asked_by_port_and_by_name() {
    let (port, _echo) = echo().await;
    let server = server(port).await;
    for name in ["p", "p:web", &format!("p:{port}"), "http:p:web"] {
        let (code, asked, _) = text(&server, Method::GET, &format!("{POD}/{name}/proxy/a/b/?c=d%20e"), "").await;
        assert_eq!(code, 200, "{name}: {asked}");
        assert!(asked.starts_with("GET /a/b/?c=d%20e HTTP/1.1\r\n"), "{asked}");
        let lower = asked.to_lowercase();
        assert!(!lower.contains("authorization"), "whom it is from is not told: {asked}");
        assert!(lower.contains(&format!("x-forwarded-uri: {POD}/{name}/proxy/a/b/\r\n")), "{asked}");
    }
    let (_, asked, _) = text(&server, Method::PUT, &format!("{POD}/p/proxy/x"), "sent").await;
    assert!(asked.starts_with("PUT /x HTTP/1.1") && asked.ends_with("sent"), "{asked}");
}

#[tokio::test]
async fn links_and_redirects_stay_behind_the_proxy() {
    let (port, _echo) = echo().await;
    let server = server(port).await;
    let (code, _, location) = text(&server, Method::GET, &format!("{POD}/p/proxy?a=b"), "").await;
    assert_eq!((code, location), (301, Some(format!("{POD}/p/proxy/?a=b"))));
    let (code, _, location) = text(&server, Method::GET, &format!("{POD}/p/proxy/away"), "").await;
    assert_eq!((code, location), (302, Some(format!("{POD}/p/proxy/there"))));
}

#[tokio::test]
async fn what_cannot_be_asked_is_told() {
    let server = server(1).await;
    server.get(&format!("{POD}/p:other/proxy/")).await.refused(400, "BadRequest", "pod p has no port \"other\"");
    server.get(&format!("{POD}/q/proxy/")).await.refused(404, "NotFound", "pods \"q\" not found");
    server.get(&format!("{POD}/ftp:p:web/proxy/")).await.refused(400, "BadRequest", "invalid pod request");
    let away = server.get(&format!("{POD}/p/proxy/")).await;
    away.refused(503, "ServiceUnavailable", "error trying to reach service: ");
    server.post(POD, pod("own")).await.ok();
    server.get(&format!("{POD}/own/proxy/")).await.refused(400, "BadRequest", "pod own has no address yet");
    let status = json!({"status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}});
    server.patch(&format!("{POD}/own/status"), "merge", status).await.ok();
    server.get(&format!("{POD}/own/proxy/")).await.refused(400, "BadRequest", "address not allowed");
    let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "name": "web"}]}});
    server.post("/api/v1/namespaces/default/services", service).await.ok();
    let path = |name: &str| format!("/api/v1/namespaces/default/services/{name}/proxy/");
    let none = "no endpoints available for service \"s\"";
    server.get(&path("s:web")).await.refused(503, "ServiceUnavailable", none);
    server.get(&path("s:80")).await.refused(503, "ServiceUnavailable", none);
    let unknown = "no service port \"81\" found for service \"s\"";
    server.get(&path("s:81")).await.refused(503, "ServiceUnavailable", unknown);
    let jane = server.by("jane", &[]);
    assert_eq!(jane.get(&path("s:web")).await.code, 403);
}
