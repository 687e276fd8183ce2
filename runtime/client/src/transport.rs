//! How a request reaches the server.

use bytes::Bytes;
use futures::future::BoxFuture;
use http::HeaderMap;
use http::header::AsHeaderName;
use http_body_util::{BodyExt, Empty};
use tokio::io::{AsyncRead, AsyncWrite};

/// Any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A streamed response body.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// A body of no bytes.
pub fn empty_body() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// The members of a header that is a comma-separated list, in one line or several (RFC 9110, section 5.6.1).
pub fn header_list(headers: &HeaderMap, name: impl AsHeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|member| !member.is_empty())
}

/// A two-way byte stream, as after an HTTP upgrade.
pub trait AsyncReadWrite: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> AsyncReadWrite for T {}

/// An upgraded connection.
pub type Upgraded = Box<dyn AsyncReadWrite>;

/// The answer to a request for an upgrade, and the stream when the server switched protocols.
pub type Switched = (http::Response<Body>, Option<Upgraded>);

/// The request did not reach a server, or its answer did not come back.
#[derive(Debug, thiserror::Error)]
#[error("could not reach {server}")]
pub struct TransportError {
    /// Who was asked.
    pub server: String,
    /// Why it failed.
    #[source]
    pub source: BoxError,
}

/// Carries requests to one API server. URIs are relative: `/api/v1/pods?limit=500`.
pub trait Transport: Send + Sync + 'static {
    /// Sends a request; the answer's body is streamed.
    fn send(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>>;

    /// Sends a request that asks for an upgrade (`Connection: Upgrade`). The stream is there when
    /// the server switched protocols; otherwise the response says why not.
    fn upgrade(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<Switched, TransportError>>;

    /// Where the server is, for people: `https://127.0.0.1:6443`.
    fn server(&self) -> &str;
}
