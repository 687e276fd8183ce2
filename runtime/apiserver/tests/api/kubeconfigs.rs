//! Our own client, by kubeconfigs that say more than where and with which certificate.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use trimtab_client::{Client, Kubeconfig, root_cause};

use crate::authority::Authority;
use crate::harness::MAPS;
use crate::tls::Served;

/// A client of `authority`'s server at `port`, with more about the cluster and the user.
fn client(authority: &Authority, port: u16, cluster: Value, user: Value) -> Client {
    let mut config = json!({
        "clusters": [{"name": "c", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority-data": STANDARD.encode(authority.ca_pem()),
        }}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    });
    if let Value::Object(more) = cluster {
        config["clusters"][0]["cluster"].as_object_mut().unwrap().extend(more);
    }
    serde_json::from_value::<Kubeconfig>(config).unwrap().client(None).unwrap()
}

#[tokio::test]
async fn a_server_is_asked_for_by_the_name_that_its_certificate_is_for() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(authority.server()));
    let named = |name: &str| client(&authority, port, json!({"tls-server-name": name}), json!({}));

    let serve = async {
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let name = stream.get_ref().1.server_name().map(str::to_owned);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        stream.flush().await.unwrap();
        (name, String::from_utf8(head).unwrap().to_lowercase())
    };
    let right = named("hooks.default.svc");
    let (text, (name, head)) = tokio::join!(right.text("/a"), serve);
    assert_eq!((text.unwrap().as_str(), name.as_deref()), ("ok", Some("hooks.default.svc")));
    assert!(head.starts_with("get /a http/1.1"), "{head}");
    assert!(head.contains(&format!("\r\nhost: 127.0.0.1:{port}\r\n")), "the server is called as ever: {head}");

    let wrong = named("other.default.svc");
    let serve = async { acceptor.accept(listener.accept().await.unwrap().0).await };
    let (text, accepted) = tokio::join!(wrong.text("/a"), serve);
    let error = root_cause(&text.unwrap_err());
    assert!(error.contains("not valid for name") && accepted.is_err(), "{error}");
}

#[tokio::test]
async fn a_plugin_gives_out_a_certificate() {
    let served = Served::new().await;
    let dir = tempfile::tempdir().unwrap();
    let exec = |name: &str, organisation: &str| {
        let (certificate, key) = served.authority.pem_leaf(name, organisation);
        let file = dir.path().join(name);
        let credential = json!({
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "kind": "ExecCredential",
            "status": {"clientCertificateData": certificate, "clientKeyData": key},
        });
        std::fs::write(&file, credential.to_string()).unwrap();
        json!({"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "cat", "args": [file]})
    };
    let by = |user: Value| client(&served.authority, served.address.port(), json!({}), user);
    let admin = exec("admin", "system:masters");
    assert!(by(json!({"exec": admin})).text(MAPS).await.is_ok());
    let error = by(json!({"exec": exec("jane", "test")})).text(MAPS).await.unwrap_err();
    assert!(error.to_string().contains("User \"jane\" cannot list"), "{error}");
    // The file's own certificate goes before, and whoever may do so acts as another.
    let (certificate, key) = served.authority.pem_leaf("john", "test");
    let own = json!({
        "client-certificate-data": STANDARD.encode(certificate), "client-key-data": STANDARD.encode(key), "exec": admin,
    });
    let error = by(own).text(MAPS).await.unwrap_err();
    assert!(error.to_string().contains("User \"john\" cannot list"), "{error}");
    let error = by(json!({"exec": admin, "as": "jill", "as-groups": ["g"]})).text(MAPS).await.unwrap_err();
    assert!(error.to_string().contains("User \"jill\" cannot list"), "{error}");
    served.end().await;
}
