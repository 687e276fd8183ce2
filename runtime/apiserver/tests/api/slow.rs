//! Clients that take their time, over real connections and in real time: what they do not say in time they need not
//! say any more, and everybody else is served meanwhile.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use trimtab_apiserver::Patience;

use crate::authority::Authority;
use crate::harness::{MAPS, Server};
use crate::tls::{Served, get};

/// Far longer than any of the patience that is tested, and far shorter than any that is not.
const SHORT: Duration = Duration::from_millis(300);
/// So long nothing here takes unless it is never to end.
const NEVER: Duration = Duration::from_secs(30);

async fn served(shorten: impl FnOnce(&mut Patience)) -> Served {
    let mut patience =
        Patience { head: NEVER * 9, idle: NEVER * 9, body: NEVER * 9, unread: NEVER * 9, ..Patience::default() };
    shorten(&mut patience);
    Served::with(Server::new().await, Authority::new(), patience).await
}

/// What comes until the server ends the connection.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let ended = tokio::time::timeout(NEVER, stream.read_to_end(&mut bytes)).await;
    assert!(ended.is_ok(), "the connection is still there, after {:?}", String::from_utf8_lossy(&bytes));
    String::from_utf8(bytes).unwrap()
}

/// The head and the body of an answer whose length is told.
async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// Says `text` letter by letter until it is cut off.
async fn drip(stream: &mut (impl AsyncWrite + Unpin), text: &str) {
    for letter in text.bytes().cycle() {
        if stream.write_all(&[letter]).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        tokio::time::sleep(SHORT / 50).await;
    }
}

#[tokio::test]
async fn who_shakes_no_hand_is_let_go() {
    let served = served(|patience| patience.head = SHORT).await;
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    let mut half = TcpStream::connect(served.address).await.unwrap();
    // The beginning of a TLS record that says it is longer.
    half.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let mut quiet = served.connection("http/1.1").await;
    let mut preface = served.connection("h2").await;
    preface.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    assert_eq!(get(&served.admin(), MAPS).await.status(), 200);
    assert_eq!((rest(&mut silent).await, rest(&mut half).await), (String::new(), String::new()));
    let (mut quiet, mut preface) = (Ended(&mut quiet), Ended(&mut preface));
    assert_eq!(rest(&mut quiet).await, "");
    rest(&mut preface).await;
    served.end().await;
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let served = served(|patience| patience.idle = SHORT).await;
    let mut half = served.connection("http/1.1").await;
    half.write_all(format!("GET {MAPS} HTTP/1.1\r\nHost: a\r\nX-Half").as_bytes()).await.unwrap();
    let slow = served.connection("http/1.1").await;
    let (mut slow, mut saying) = tokio::io::split(slow);
    let head = format!("GET {MAPS} HTTP/1.1\r\nHost: a\r\n{}", "X-Slow: x\r\n".repeat(100));
    let mut ended = Ended(&mut slow);
    // That it goes on saying something makes no difference.
    let told = tokio::select! {
        told = rest(&mut ended) => told,
        () = drip(&mut saying, &head) => String::new(),
    };
    assert_eq!(told, "");
    assert_eq!(rest(&mut Ended(&mut half)).await, "");
    assert_eq!(get(&served.admin(), MAPS).await.status(), 200);
    served.end().await;
}

#[tokio::test]
async fn a_silent_connection_is_kept_and_then_ended() {
    let served = served(|patience| patience.idle = SHORT).await;
    let mut idle = served.connection("http/1.1").await;
    let request = format!("GET {MAPS} HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..2 {
        idle.write_all(request.as_bytes()).await.unwrap();
        assert!(answer(&mut idle).await.0.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(rest(&mut Ended(&mut idle)).await, "");
    served.end().await;
}

#[tokio::test]
async fn half_a_body_is_told_to_be_late() {
    let served = served(|patience| patience.body = SHORT).await;
    let mut half = served.connection("http/1.1").await;
    let head =
        format!("POST {MAPS} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n");
    half.write_all(format!("{head}{{\"metadata\"").as_bytes()).await.unwrap();
    let (head, body) = answer(&mut half).await;
    assert!(head.starts_with("HTTP/1.1 504"), "{head}");
    assert!(body.contains("Timeout: request did not complete within the allotted timeout"), "{body}");
    // What comes now would be taken for another request.
    rest(&mut Ended(&mut half)).await;
    assert_eq!(get(&served.admin(), MAPS).await.status(), 200);
    served.end().await;
}

#[tokio::test]
async fn a_head_has_as_many_headers_as_it_has_room_for() {
    let served = served(|_| ()).await;
    let mut stream = served.connection("http/1.1").await;
    let asked = |headers: &str| format!("GET {MAPS} HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    let many: String = (0..1_000).map(|n| format!("X-Many-{n}: {}\r\n", "x".repeat(900))).collect();
    for headers in ["X-One: 1\r\n", &many, "X-One: 1\r\n"] {
        stream.write_all(asked(headers).as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.0.starts_with("HTTP/1.1 200"), "{} bytes", headers.len());
    }
    // Not a byte more than the server reads: whoever is still talking when it hangs up does not hear why.
    let mut large = asked(&format!("X-Large: {}", "x".repeat(2 << 20)));
    large.truncate((1 << 20) + (4 << 10));
    stream.write_all(large.as_bytes()).await.unwrap();
    let told = rest(&mut Ended(&mut stream)).await;
    assert!(told.starts_with("HTTP/1.1 431"), "{told}");
    served.end().await;
}

/// A TLS stream whose other end may go without a word.
struct Ended<'a, S>(&'a mut S);

impl<S: AsyncRead + Unpin> AsyncRead for Ended<'_, S> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut *self.0).poll_read(context, buffer).map(|_| Ok(()))
    }
}
