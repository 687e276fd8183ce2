//! Which protocol a client and this server stream in: a WebSocket's subprotocol, or SPDY/3.1 with a stream protocol.

use std::pin::Pin;

use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use trimtab_api::ApiError;
use trimtab_client::header_list;
use trimtab_env::Tasks;
use trimtab_serve::{Body, full};

use super::websocket::{self, Socket};
use super::{Answer, refusal};

/// Channels of a command, which the client can close one by one.
pub(super) const V5: &str = "v5.channel.k8s.io";
/// Channels of a command or of ports, or the streams of a command over SPDY.
pub(super) const V4: &str = "v4.channel.k8s.io";
/// The streams of ports over SPDY.
pub(super) const PORTS: &str = "portforward.k8s.io";

const SPDY: &str = "SPDY/3.1";
/// What stands before a protocol over SPDY that a WebSocket tunnels (KEP-4006).
const TUNNELLED: &str = "SPDY/3.1+";
const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const ACCEPTED: HeaderName = HeaderName::from_static("x-accepted-stream-protocol-versions");

/// What is served, the best first.
#[derive(Clone, Copy)]
pub(super) struct Protocols {
    /// Subprotocols of a WebSocket.
    pub(super) websocket: &'static [&'static str],
    /// Stream protocols over SPDY.
    pub(super) spdy: &'static [&'static str],
}

/// An upgraded connection.
pub(super) enum Connection {
    /// A WebSocket with channels.
    WebSocket(Box<Socket>),
    /// SPDY, on the connection itself or through a WebSocket.
    Spdy(Pin<Box<dyn Duplex>>),
}

/// A stream of bytes both ways.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// Accepts the upgrade, and gives the connection to `serve`.
///
/// # Errors
/// If the client asks for another protocol: that is named, and what to use instead.
pub(super) fn accept<F>(
    mut request: Request<Incoming>,
    protocols: Protocols,
    tasks: &Tasks,
    serve: impl FnOnce(Connection) -> F + Send + 'static,
) -> Answer
where
    F: Future<Output = ()> + Send + 'static,
{
    let chosen = match choose(request.headers(), protocols) {
        Ok(chosen) => chosen,
        Err(Refused(error, accepted)) => return Ok(refused(&error, accepted)),
    };
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    match &chosen {
        Chosen::WebSocket { accept, protocol } => {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept.clone());
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        Chosen::Spdy { protocol } => {
            headers.insert(UPGRADE, HeaderValue::from_static(SPDY));
            headers.insert(STREAM_PROTOCOL, HeaderValue::from_static(protocol));
        }
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tasks.spawn_cancellable("node stream", async move {
        match upgrade.await {
            Ok(stream) => serve(chosen.connection(stream).await).await,
            Err(error) => tracing::debug!(%error, "an upgrade failed"),
        }
    });
    Ok(response)
}

#[derive(Debug, PartialEq)]
enum Chosen {
    WebSocket { accept: HeaderValue, protocol: &'static str },
    Spdy { protocol: &'static str },
}

impl Chosen {
    async fn connection(self, stream: Upgraded) -> Connection {
        match self {
            Self::WebSocket { protocol, .. } if protocol.starts_with(TUNNELLED) => {
                Connection::Spdy(Box::pin(websocket::tunnel(websocket::socket(stream).await)))
            }
            Self::WebSocket { .. } => Connection::WebSocket(Box::new(websocket::socket(stream).await)),
            Self::Spdy { .. } => Connection::Spdy(Box::pin(TokioIo::new(stream))),
        }
    }
}

/// Why there is no upgrade, and which stream protocols the client could have asked for.
#[derive(Debug)]
struct Refused(ApiError, &'static [&'static str]);

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self(error, &[])
    }
}

fn refused(error: &ApiError, accepted: &[&'static str]) -> Response<Body> {
    let mut response = refusal(error);
    for protocol in accepted {
        response.headers_mut().append(ACCEPTED, HeaderValue::from_static(protocol));
    }
    response
}

fn choose(headers: &HeaderMap, protocols: Protocols) -> Result<Chosen, Refused> {
    let upgrade = headers.get(UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if upgrade.eq_ignore_ascii_case("websocket") {
        return Ok(over_websocket(headers, protocols.websocket)?);
    }
    if upgrade.eq_ignore_ascii_case(SPDY) {
        return over_spdy(headers, protocols.spdy);
    }
    let asked = if upgrade.is_empty() { "no upgrade" } else { upgrade };
    let message = format!("this node streams over WebSocket and {SPDY}, and the client asked for {asked}");
    Err(ApiError::bad_request(message).into())
}

fn over_websocket(headers: &HeaderMap, supported: &[&'static str]) -> Result<Chosen, ApiError> {
    if headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|version| version != "13") {
        return Err(ApiError::bad_request("Sec-WebSocket-Version must be 13"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or_else(|| ApiError::bad_request("Sec-WebSocket-Key is missing"))?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(ApiError::internal)?;
    let offered: Vec<_> = header_list(headers, SEC_WEBSOCKET_PROTOCOL).collect();
    let protocol = first_of(&offered, supported).ok_or_else(|| {
        let supported = supported.join(", ");
        ApiError::bad_request(format!("none of the subprotocols {offered:?} is supported, only {supported}"))
    })?;
    Ok(Chosen::WebSocket { accept, protocol })
}

fn over_spdy(headers: &HeaderMap, supported: &'static [&'static str]) -> Result<Chosen, Refused> {
    let offered: Vec<_> = header_list(headers, STREAM_PROTOCOL).collect();
    if offered.is_empty() {
        return Err(ApiError::bad_request("unable to upgrade: X-Stream-Protocol-Version is required").into());
    }
    let protocol = first_of(&offered, supported).ok_or_else(|| {
        let (offered, accepted) = (offered.join(" "), supported.join(" "));
        let message = format!(
            "unable to upgrade: unable to negotiate protocol: client supports [{offered}], server accepts [{accepted}]"
        );
        Refused(ApiError::new(403, "Forbidden", message), supported)
    })?;
    Ok(Chosen::Spdy { protocol })
}

/// The client's first choice that is supported.
fn first_of(offered: &[&str], supported: &[&'static str]) -> Option<&'static str> {
    offered.iter().find_map(|name| supported.iter().find(|protocol| *protocol == name).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVED: Protocols = Protocols { websocket: &[V5, V4], spdy: &[V4] };

    fn chosen(upgrade: &str, name: HeaderName, protocols: &[&str]) -> Result<Chosen, Refused> {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, upgrade.parse().unwrap());
        headers.insert(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==".parse().unwrap());
        for list in protocols {
            headers.append(&name, list.parse().unwrap());
        }
        choose(&headers, SERVED)
    }

    #[test]
    fn the_clients_first_choice_that_is_supported_wins() {
        let websocket =
            chosen("websocket", SEC_WEBSOCKET_PROTOCOL, &["v9, v4.channel.k8s.io, v5.channel.k8s.io"]).unwrap();
        let accept = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(websocket, Chosen::WebSocket { accept, protocol: V4 });
        let spdy = chosen("SPDY/3.1", STREAM_PROTOCOL, &[V5, V4, "channel.k8s.io"]).unwrap();
        assert_eq!(spdy, Chosen::Spdy { protocol: V4 });
    }

    #[test]
    fn other_protocols_are_refused_by_name() {
        let message = |refused: Result<Chosen, Refused>| refused.unwrap_err().0.to_string();
        let tunnel = message(chosen("websocket", SEC_WEBSOCKET_PROTOCOL, &["SPDY/3.1+portforward.k8s.io"]));
        assert!(tunnel.contains("portforward.k8s.io"), "{tunnel}");
        let other = message(chosen("SPDY/2", STREAM_PROTOCOL, &[V4]));
        assert!(other.contains("SPDY/2"), "{other}");
        let none = message(chosen("SPDY/3.1", STREAM_PROTOCOL, &[]));
        assert!(none.contains("X-Stream-Protocol-Version is required"), "{none}");
        let Refused(error, accepted) = chosen("SPDY/3.1", STREAM_PROTOCOL, &["v1", "v2"]).unwrap_err();
        let expected = "unable to negotiate protocol: client supports [v1 v2], server accepts [v4.channel.k8s.io]";
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!((error.code(), refused(&error, accepted).headers()[ACCEPTED].as_bytes()), (403, V4.as_bytes()));
    }
}
