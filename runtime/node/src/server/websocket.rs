//! WebSocket with channels: `v5.channel.k8s.io` and `v4.channel.k8s.io`.
//!
//! The first byte of a message is its channel. In version 5 the message `255, N` closes channel N.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};
use trimtab_api::ApiError;
use trimtab_env::Tasks;

use super::{Answer, full};

/// A connection with channels.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

pub(super) const V5: &str = "v5.channel.k8s.io";
pub(super) const V4: &str = "v4.channel.k8s.io";
/// What closes a channel, in version 5.
const CLOSE: u8 = 255;

/// Accepts the upgrade, and gives the connection to `serve`.
///
/// # Errors
/// If the client asks for another protocol: that is named, and what to use instead.
pub(super) fn accept<F>(
    mut request: Request<Incoming>,
    protocols: &[&'static str],
    tasks: &Tasks,
    serve: impl FnOnce(Socket) -> F + Send + 'static,
) -> Answer
where
    F: Future<Output = ()> + Send + 'static,
{
    let (key, protocol) = negotiate(request.headers(), protocols)?;
    let upgrade = hyper::upgrade::on(&mut request);
    tasks.spawn_cancellable("node stream", async move {
        match upgrade.await {
            Ok(stream) => serve(WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await).await,
            Err(error) => tracing::debug!(%error, "an upgrade to WebSocket failed"),
        }
    });
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, key);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    Ok(response)
}

fn negotiate(headers: &HeaderMap, protocols: &[&'static str]) -> Result<(HeaderValue, &'static str), ApiError> {
    let upgrade = headers.get(UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let supported = protocols.join(", ");
    if !upgrade.eq_ignore_ascii_case("websocket") {
        let asked = if upgrade.is_empty() { "no upgrade".to_owned() } else { upgrade.to_owned() };
        return Err(ApiError::bad_request(format!(
            "this node streams over WebSocket ({supported}), and the client asked for {asked}"
        )));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or_else(|| ApiError::bad_request("Sec-WebSocket-Key is missing"))?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(ApiError::internal)?;
    let offered: Vec<&str> = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
        .collect();
    let chosen = offered.iter().find_map(|name| protocols.iter().find(|protocol| *protocol == name));
    let chosen = chosen.ok_or_else(|| {
        ApiError::bad_request(format!("none of the subprotocols {offered:?} is supported, only {supported}"))
    })?;
    Ok((accept, chosen))
}

/// A message from the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Bytes on a channel.
    Data(u8, Bytes),
    /// The client closed a channel.
    Closed(u8),
    /// Nothing that carries data.
    Other,
}

/// Reads a message. Some clients send text where others send bytes.
pub(super) fn received(message: Message) -> Received {
    let mut bytes = match message {
        Message::Binary(bytes) => bytes,
        Message::Text(text) => Bytes::from(text),
        _ => return Received::Other,
    };
    match bytes.first().copied() {
        None => Received::Other,
        Some(CLOSE) => bytes.get(1).map_or(Received::Other, |channel| Received::Closed(*channel)),
        Some(channel) => Received::Data(channel, bytes.split_off(1)),
    }
}

/// A message on a channel.
pub(super) fn message(channel: u8, data: &[u8]) -> Message {
    let mut bytes = BytesMut::with_capacity(data.len() + 1);
    bytes.put_u8(channel);
    bytes.put_slice(data);
    Message::Binary(bytes.freeze())
}

/// Whether the other side simply left.
pub(super) fn is_hangup(error: &Error) -> bool {
    matches!(error, Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(_) | Error::Io(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(upgrade: &str, protocols: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, upgrade.parse().unwrap());
        headers.insert(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==".parse().unwrap());
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocols.parse().unwrap());
        headers
    }

    #[test]
    fn the_clients_first_choice_that_is_supported_wins() {
        let (accept, protocol) =
            negotiate(&headers("websocket", "v9, v4.channel.k8s.io, v5.channel.k8s.io"), &[V5, V4]).unwrap();
        assert_eq!((accept.to_str().unwrap(), protocol), ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", V4));
    }

    #[test]
    fn other_protocols_are_refused_by_name() {
        let spdy = negotiate(&headers("SPDY/3.1", V4), &[V4]).unwrap_err();
        assert!(spdy.to_string().contains("SPDY/3.1"), "{spdy}");
        let tunnel = negotiate(&headers("websocket", "SPDY/3.1+portforward.k8s.io"), &[V4]).unwrap_err();
        assert!(tunnel.to_string().contains("portforward.k8s.io"), "{tunnel}");
    }

    #[test]
    fn messages_carry_their_channel() {
        assert_eq!(received(message(1, b"hi")), Received::Data(1, Bytes::from("hi")));
        assert_eq!(received(Message::Text("\0ls".into())), Received::Data(0, Bytes::from("ls")));
        assert_eq!(received(Message::Binary(Bytes::from_static(&[255, 0]))), Received::Closed(0));
    }
}
