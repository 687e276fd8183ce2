//! What the server's own log says of a request.
//!
//! In a process of its own: where other tests log to nobody, what they come by first may be found to be of interest
//! to nobody.

#![expect(dead_code, reason = "the other tests use the rest of their harness")]

#[path = "api/harness.rs"]
mod harness;

use std::io::Write;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Method;
use serde_json::json;

use harness::Server;

const SECRETS: &str = "/api/v1/namespaces/default/secrets";
/// What no log may tell of a Secret: as it is sent, and what it says.
const HIDDEN: [&str; 2] = ["aHVudGVyMg==", "hunter2"];

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// The subscriber is this thread's alone, on which the whole test runs.
#[tokio::test]
async fn each_line_of_the_log_names_its_request_and_none_tells_a_secret() {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt().with_env_filter("trace").with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.with_ansi(false).finish());
    let server = Server::new().await;
    let secret = json!({"metadata": {"name": "s"}, "data": {"password": HIDDEN[0]}});
    server.post(SECRETS, secret.clone()).await.ok();
    server.post(SECRETS, secret).await.refused(409, "AlreadyExists", "");
    let wrong = json!({"metadata": {"name": "wrong"}, "data": {"password": HIDDEN[1]}, "stringData": HIDDEN[1]});
    assert_eq!(server.post(SECRETS, wrong).await.code, 400);
    let test = json!([{"op": "test", "path": "/data/password", "value": HIDDEN[1]}]);
    assert_eq!(server.patch(&format!("{SECRETS}/s"), "json", test).await.code, 422);
    server.patch(&format!("{SECRETS}/s"), "merge", json!({"stringData": {"more": HIDDEN[1]}})).await.ok();
    let headers = [("authorization", "Bearer hunter2"), ("audit-id", "the-request")];
    assert_eq!(server.open().ask(Method::GET, SECRETS, &headers, Bytes::new()).await.code, 401);
    let headers = [("impersonate-user", "jane"), ("audit-id", "another")];
    assert_eq!(server.ask(Method::GET, SECRETS, &headers, Bytes::new()).await.code, 403);
    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(!HIDDEN.iter().any(|hidden| text.contains(hidden)), "{text}");
    let line = text.lines().find(|line| line.contains("impersonated")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("audit_id=\"another\"") && line.contains(SECRETS), "{line}");
}
