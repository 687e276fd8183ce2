//! The few requests that tests make of the Docker Engine, over its socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;

const SOCKET: &str = "/var/run/docker.sock";

/// Whether an engine answers. Prints the one line that says what is left out when none does.
pub(crate) fn answers(test: &str) -> bool {
    let there = request("GET", "/_ping", None).is_some_and(|(status, _)| status == 200);
    if !there {
        println!("left out: {test} (no Docker Engine answers on {SOCKET})");
    }
    there
}

/// The containers that carry `label`, as the engine lists them; all, or only those that run.
pub(crate) fn containers(label: &str, all: bool) -> Vec<Value> {
    let filters = format!("%7B%22label%22%3A%5B%22{}%22%5D%7D", label.replace('=', "%3D"));
    let path = format!("/containers/json?all={all}&filters={filters}");
    let (status, body) = request("GET", &path, None).expect("it answers");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Vec<Value>>(&body).unwrap()
}

/// `docker rm -f`. A container that is gone already is fine.
pub(crate) fn remove(id: &str) {
    let path = format!("/containers/{id}?force=true&v=true");
    let (status, body) = request("DELETE", &path, None).expect("it answers");
    assert!(matches!(status, 204 | 404 | 409), "{status}: {body}");
}

/// The status and body of an answer; `None` when no engine answers.
pub(crate) fn request(method: &str, path: &str, body: Option<&Value>) -> Option<(u16, String)> {
    let mut stream = UnixStream::connect(SOCKET).ok()?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let length = body.len();
    // HTTP/1.0, so that the answer comes whole and unchunked.
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
}
