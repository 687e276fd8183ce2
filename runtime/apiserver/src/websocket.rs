//! Watches and logs over a WebSocket, which is all that a browser's page can stream with.
//!
//! [`streamed`] sends an answer's body in messages. What else opens WebSockets, such as exec, is
//! passed on as it is (`pass`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use http::header::{
    CONTENT_TYPE, HOST, HeaderName, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use trimtab_api::{ApiError, protobuf};
use trimtab_client::{Body, header_list};

use crate::handler::{Answer, Call};
use crate::server::ApiServer;

const BYTES: &str = "binary.k8s.io";
const BASE64: &str = "base64.binary.k8s.io";
/// The longest message that is read, in bytes: clients have nothing to say but that they live and leave.
const MAX_MESSAGE: usize = 4 << 10;
/// How long a client that has been told goodbye may take to hang up.
const GOODBYE: std::time::Duration = std::time::Duration::from_secs(10);

/// Whether the client asks for a WebSocket.
pub(crate) fn is_asked(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Lets pages of other sites open WebSockets with a token alone.
///
/// A browser shows a client certificate to a server whichever site's page connects to it, and unlike
/// other requests a WebSocket is not stopped by the missing CORS headers; a token only its own page
/// knows. So, without a token, the `Origin` that browsers send must be this server itself, as it is
/// called in `Host` (RFC 6455, sections 4.2.2 and 10.2). Upstream reads the header and lets all in.
/// Clients that are no browsers send none, or the server's own.
///
/// # Errors
/// 403 for a page of another site that shows no token.
pub(crate) fn check_origin(headers: &HeaderMap, by_token: bool) -> Result<(), ApiError> {
    let Some(origin) = headers.get(ORIGIN).filter(|_| is_asked(headers) && !by_token) else { return Ok(()) };
    let authority = origin.to_str().ok().and_then(|origin| Some(origin.split_once("://")?.1.as_bytes()));
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    if authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host)) {
        return Ok(());
    }
    let message = format!("the origin {origin:?} is not this server: a page of another site must show a bearer token");
    Err(ApiError::new(403, "Forbidden", message))
}

/// What one message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// A line, as text.
    Line,
    /// What is framed by its length, without that.
    Framed,
    /// Whatever has come.
    Bytes,
    /// Whatever has come, as text.
    Base64,
}

/// Sends a watch's events over a WebSocket, each in a message: as text in JSON, as bytes in protobuf.
/// The first subprotocol that the client offers is taken; it changes nothing, as upstream.
///
/// # Errors
/// 400 when the handshake is not one.
pub(crate) fn events(server: &ApiServer, call: &Call<'_>, watch: Response<Body>, upgrade: OnUpgrade) -> Answer {
    let in_protobuf = watch
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|type_| type_.as_bytes().starts_with(protobuf::CONTENT_TYPE.as_bytes()));
    let framing = if in_protobuf { Framing::Framed } else { Framing::Line };
    let protocol = offered(call.headers).next().and_then(|protocol| HeaderValue::from_str(protocol).ok());
    streamed(server, call, watch, upgrade, (protocol, framing))
}

/// Sends a log over a WebSocket, in pieces: as bytes (`binary.k8s.io`, or no subprotocol), or as text
/// (`base64.binary.k8s.io`). A refusal stays an answer.
///
/// # Errors
/// 400 when the handshake is not one, or offers other subprotocols alone.
pub(crate) fn log(server: &ApiServer, call: &Call<'_>, log: Response<Body>, upgrade: OnUpgrade) -> Answer {
    if log.status() != StatusCode::OK {
        return Ok(log);
    }
    let chosen = match offered(call.headers).find(|protocol| matches!(*protocol, BYTES | BASE64)) {
        Some(BASE64) => (Some(HeaderValue::from_static(BASE64)), Framing::Base64),
        Some(_) => (Some(HeaderValue::from_static(BYTES)), Framing::Bytes),
        None if offered(call.headers).next().is_none() => (None, Framing::Bytes),
        None => {
            let protocols: Vec<&str> = offered(call.headers).collect();
            let message =
                format!("requested protocol(s) are not supported: {protocols:?}; supports [{BYTES} {BASE64}]");
            return Err(ApiError::bad_request(message));
        }
    };
    streamed(server, call, log, upgrade, chosen)
}

fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    header_list(headers, SEC_WEBSOCKET_PROTOCOL)
}

fn streamed(
    server: &ApiServer,
    call: &Call<'_>,
    answer: Response<Body>,
    upgrade: OnUpgrade,
    (protocol, framing): (Option<HeaderValue>, Framing),
) -> Answer {
    let key = call.headers.get(SEC_WEBSOCKET_KEY);
    let key = key.ok_or_else(|| ApiError::bad_request("Sec-WebSocket-Key is missing"))?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(ApiError::internal)?;
    // The request lasts as long as its stream.
    let (record, body) = (call.record.cloned(), answer.into_body());
    server.tunnel(async move {
        let _record = record;
        match upgrade.await {
            Ok(stream) => {
                let config =
                    WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
                let socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, Some(config)).await;
                serve(socket, body, framing).await;
            }
            Err(error) => tracing::debug!(%error, "an upgrade to WebSocket failed"),
        }
    });
    let mut response = Response::new(trimtab_client::empty_body());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let mut add = |name: HeaderName, value| response.headers_mut().insert(name, value);
    add(UPGRADE, HeaderValue::from_static("websocket"));
    add(http::header::CONNECTION, HeaderValue::from_static("Upgrade"));
    add(SEC_WEBSOCKET_ACCEPT, accept);
    protocol.map(|protocol| add(SEC_WEBSOCKET_PROTOCOL, protocol));
    Ok(response)
}

async fn serve(socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>, body: Body, framing: Framing) {
    let (mut sink, mut stream) = socket.split();
    // Reading answers pings, and tells when the client leaves.
    let listening = async { while let Some(Ok(_)) = stream.next().await {} };
    tokio::pin!(listening);
    let told = tokio::select! {
        () = &mut listening => return,
        told = tell(&mut sink, body, framing) => told,
    };
    match told {
        // What was sent may still be on its way: hanging up first could take it back.
        Ok(()) => drop(tokio::time::timeout(GOODBYE, listening).await),
        Err(error) => tracing::debug!(%error, "a WebSocket broke"),
    }
}

async fn tell(
    sink: &mut (impl SinkExt<Message, Error = Error> + Unpin),
    mut body: Body,
    framing: Framing,
) -> Result<(), Error> {
    let mut code = CloseCode::Normal;
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            code = CloseCode::Error;
            break;
        };
        let Ok(data) = frame.into_data() else { continue };
        read.extend_from_slice(&data);
        while let Some(message) = next(&mut read, data.len(), framing) {
            sink.send(message?).await?;
        }
    }
    sink.send(Message::Close(Some(CloseFrame { code, reason: "".into() }))).await
}

/// The next whole message of what is read, of which the last `new` bytes have not been looked at.
fn next(read: &mut BytesMut, new: usize, framing: Framing) -> Option<Result<Message, Error>> {
    let rest = match framing {
        Framing::Line => {
            let seen = read.len().saturating_sub(new);
            let end = seen + memchr::memchr(b'\n', &read[seen..])?;
            let line = read.split_to(end).freeze();
            read.advance(1);
            return Some(
                line.try_into().map(Message::Text).map_err(|error: std::str::Utf8Error| Error::Utf8(error.to_string())),
            );
        }
        Framing::Framed => {
            let (length, _) = read.split_first_chunk()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            if read.len() - 4 < length {
                return None;
            }
            read.advance(4);
            read.split_to(length)
        }
        Framing::Bytes | Framing::Base64 => read.split(),
    };
    match framing {
        _ if rest.is_empty() => None,
        Framing::Base64 => Some(Ok(Message::text(STANDARD.encode(&rest)))),
        _ => Some(Ok(Message::Binary(Bytes::from(rest)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&[u8]], framing: Framing) -> Vec<Message> {
        let (mut read, mut messages) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            read.extend_from_slice(piece);
            while let Some(message) = next(&mut read, piece.len(), framing) {
                messages.push(message.unwrap());
            }
        }
        messages
    }

    #[test]
    fn bodies_are_cut_into_messages() {
        let lines = all(&[b"{\"a\":1}\n{\"b\"", b":2}", b"\n"], Framing::Line);
        assert_eq!(lines, [Message::text("{\"a\":1}"), Message::text("{\"b\":2}")]);
        let framed = all(&[&[0, 0, 0, 2, 7], &[8, 0, 0, 0, 1, 9]], Framing::Framed);
        assert_eq!(framed, [Message::binary([7, 8].to_vec()), Message::binary([9].to_vec())]);
        assert_eq!(all(&[b"log", b""], Framing::Bytes), [Message::binary(&b"log"[..])]);
        assert_eq!(all(&[b"log"], Framing::Base64), [Message::text("bG9n")]);
    }

    #[test]
    fn a_page_of_another_site_needs_a_token() {
        let check = |origin: Option<&'static str>, by_token| {
            let mut headers = HeaderMap::new();
            headers.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
            headers.insert(HOST, HeaderValue::from_static("cluster.example:6443"));
            headers.extend(origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin))));
            check_origin(&headers, by_token).is_ok()
        };
        for allowed in [None, Some("https://cluster.example:6443"), Some("https://Cluster.Example:6443")] {
            assert!(check(allowed, false), "{allowed:?}");
        }
        for other in ["https://other.example", "https://cluster.example", "https://x.cluster.example:6443", "null"] {
            assert!(!check(Some(other), false), "{other}");
            assert!(check(Some(other), true), "{other}");
        }
    }
}
