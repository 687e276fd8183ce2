//! The few requests that tests make of the Docker Engine, over its socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;

const SOCKET: &str = "/var/run/docker.sock";

/// Whether an engine answers. Prints the one line that says what is left out when none does.
pub(crate) fn answers(test: &str) -> bool {
    let there = request("GET", "/_ping").is_some_and(|(status, _)| status == 200);
    if !there {
        println!("left out: {test} (no Docker Engine answers on {SOCKET})");
    }
    there
}

/// The containers that carry `label`, as the engine lists them; all, or only those that run.
pub(crate) fn containers(label: &str, all: bool) -> Vec<Value> {
    let filters = format!("%7B%22label%22%3A%5B%22{}%22%5D%7D", label.replace('=', "%3D"));
    let (status, body) = request("GET", &format!("/containers/json?all={all}&filters={filters}")).expect("it answers");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Vec<Value>>(&body).unwrap()
}

/// `docker rm -f`. A container that is gone already is fine.
pub(crate) fn remove(id: &str) {
    let (status, body) = request("DELETE", &format!("/containers/{id}?force=true&v=true")).expect("it answers");
    assert!(matches!(status, 204 | 404 | 409), "{status}: {body}");
}

fn request(method: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = UnixStream::connect(SOCKET).ok()?;
    // HTTP/1.0, so that the answer comes whole and unchunked.
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: docker\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
}
