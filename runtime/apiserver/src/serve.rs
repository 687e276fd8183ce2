//! Connections: TLS, HTTP/1.1 and HTTP/2, and requests from within the process.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::either::Either;
use trimtab_api::ApiError;
use trimtab_client::{Body, Transport, TransportError, Upgraded};
use trimtab_env::{CancellationToken, Tasks};

use crate::auth::Identity;
use crate::body;
use crate::corked::Corked;
use crate::gzip;
use crate::handler::Origin;
use crate::path::Query;
use crate::patience::{Hurry, PREFACE, Patience, Patient};
use crate::server::ApiServer;

/// The largest request, in bytes, as upstream.
const MAX_BODY: usize = 3 << 20;
/// The largest head of a request, in bytes, as upstream: Go's `http.DefaultMaxHeaderBytes`.
const MAX_HEAD: u32 = 1 << 20;
/// By how much Go lets a head over HTTP/1.1 go beyond that, in bytes.
const SLACK: usize = 4 << 10;
/// How many headers such a head may have. Upstream counts bytes alone; here room for so many is set aside, but not
/// touched, for each request. For these it is 32 KiB twice, which the allocator has at hand (a fifth of a microsecond);
/// for more it has to look (seven times as long).
const MAX_HEADERS: usize = 1 << 10;
/// How much may be asked at a time over one connection of HTTP/2, as upstream: an agent may watch hundreds of objects.
const MAX_STREAMS: u32 = 1_000;

/// Why the server stopped listening.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The listener failed.
    #[error("could not accept connections")]
    Accept(#[source] std::io::Error),
}

impl ApiServer {
    /// Serves `listener` until `shutdown`, then ends the watches and waits for the connections.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        &self,
        listener: TcpListener,
        tls: ServerConfig,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        self.serve_with(listener, tls, Patience::default(), shutdown).await
    }

    /// As [`serve`](Self::serve), with another patience than upstream's.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve_with(
        &self,
        listener: TcpListener,
        tls: ServerConfig,
        patience: Patience,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let connections = Tasks::new();
        let result = loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break Ok(()),
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let (server, acceptor, token) = (self.clone(), acceptor.clone(), connections.token().clone());
                    let served = async move { server.connection((stream, peer.ip()), acceptor, patience, token).await };
                    connections.spawn("connection", served);
                }
                // The process is out of file descriptors; one connection ending makes room.
                Err(error) if matches!(error.raw_os_error(), Some(23 | 24)) => {
                    self.inner.env.sleep(Duration::from_millis(50)).await
                }
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
                Err(error) => break Err(ServeError::Accept(error)),
            }
        };
        self.shutdown().await;
        connections.shutdown().await;
        self.flush().await;
        result
    }

    async fn connection(
        &self,
        (stream, from): (TcpStream, IpAddr),
        acceptor: TlsAcceptor,
        patience: Patience,
        shutdown: CancellationToken,
    ) {
        // Without this, small answers wait for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
        let Ok(Ok(stream)) = tokio::time::timeout(patience.head, acceptor.accept(stream)).await else { return };
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let identity = certificate.and_then(|certificate| Identity::from_certificate(certificate)).map(Arc::new);
        let hurry = Hurry::default();
        let service = service_fn(|request: Request<Incoming>| {
            let (server, identity) = (self.clone(), identity.clone());
            if Query::of(request.uri()).flag("watch") {
                hurry.begin();
            }
            async move {
                let origin = Origin { identity: identity.as_deref(), address: Some(from) };
                Ok::<_, Infallible>(server.incoming(request, origin, patience.body).await)
            }
        });
        // TLS has settled which of the two it is: not to look for it leaves no time that is not measured.
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let builder = Builder::new(TokioExecutor::new());
        let mut builder = if is_h2 { builder.http2_only() } else { builder.http1_only() };
        // Of HTTP/1.1 the whole head is measured by itself, with the silence before it.
        let head = if is_h2 { PREFACE } else { 1 };
        let stream = Patient::new(stream, (head, patience.head), hurry.clone(), patience.unread);
        builder.http1().timer(TokioTimer::new()).header_read_timeout(patience.idle);
        builder.http1().max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD as usize + SLACK);
        builder.http2().timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS).max_header_list_size(MAX_HEAD);
        builder.http2().keep_alive_interval(patience.ping).keep_alive_timeout(patience.pong);
        // A connection of HTTP/1.1 writes a whole answer at once, and may become something else.
        let stream = if is_h2 { Either::Left(Corked::new(stream)) } else { Either::Right(stream) };
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                match tokio::time::timeout(patience.grace, connection).await {
                    Ok(result) => result,
                    Err(_) => return tracing::debug!("a connection is cut: its client goes on"),
                }
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a connection broke");
        }
    }

    async fn incoming(
        &self,
        mut request: Request<Incoming>,
        origin: Origin<'_>,
        body_patience: Duration,
    ) -> Response<Body> {
        let upgrade = request.headers().contains_key(http::header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
        let (parts, incoming) = request.into_parts();
        let compress = gzip::is_accepted(&parts.headers);
        // Who may not ask at all is not told that it asks too much.
        let received = tokio::time::timeout(body_patience, Limited::new(incoming, MAX_BODY).collect()).await;
        let received = match received {
            Err(_) => {
                Err(ApiError::new(504, "Timeout", "Timeout: request did not complete within the allotted timeout"))
            }
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::too_large(MAX_BODY)),
            Ok(Err(error)) => Err(ApiError::bad_request(format!("the body cannot be read: {error}"))),
        };
        let response = self.handle(Request::from_parts(parts, received), origin, upgrade).await;
        if compress { gzip::compressed(response).await } else { response }
    }

    /// A way in for components of the same process, as `identity`.
    pub fn transport(&self, identity: Identity) -> Arc<dyn Transport> {
        Arc::new(InProcess { server: self.clone(), identity: Some(identity) })
    }

    /// A way in for whoever says in its requests' headers who it is, as over a connection without a
    /// certificate.
    pub fn open_transport(&self) -> Arc<dyn Transport> {
        Arc::new(InProcess { server: self.clone(), identity: None })
    }
}

struct InProcess {
    server: ApiServer,
    identity: Option<Identity>,
}

impl Transport for InProcess {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        let origin = Origin { identity: self.identity.as_ref(), address: None };
        Box::pin(async move { Ok(self.server.handle(request.map(Ok), origin, None).await) })
    }

    fn upgrade(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<(Response<Body>, Option<Upgraded>), TransportError>> {
        let refusal = ApiError::bad_request("streams need a connection; none of the built-in components asks for one");
        Box::pin(async move { Ok((body::error(&refusal, request.headers()), None)) })
    }

    fn server(&self) -> &str {
        "the API server in this process"
    }
}
