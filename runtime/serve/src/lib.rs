//! A small HTTP/1.1 server, over TLS or without: for what a program is asked about itself. The API server has its
//! own, which is made for load.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use trimtab_env::Tasks;

/// What is answered.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// How long a client may take for its part of the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Where is listened, and how.
pub struct Server {
    /// Where.
    pub listener: TcpListener,
    /// Without it, whoever asks is believed anything and told it in plain text.
    pub tls: Option<Arc<ServerConfig>>,
    /// How long requests that are being answered may go on when the server ends.
    pub grace: Duration,
}

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// The certificate that it showed, if it was asked for one.
    pub certificate: Option<CertificateDer<'static>>,
}

impl Server {
    /// Serves until `tasks` are cancelled.
    pub fn start<F, A>(self, tasks: &Tasks, answer: F)
    where
        F: Fn(Request<Incoming>, Arc<Peer>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let Self { listener, tls, grace } = self;
        let acceptor = tls.map(TlsAcceptor::from);
        let connections = tasks.clone();
        tasks.spawn_cancellable("server", async move {
            loop {
                let (stream, _) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of file descriptors, most likely: others may be closed soon.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                };
                let (acceptor, tasks, answer) = (acceptor.clone(), connections.clone(), answer.clone());
                connections.spawn("connection", async move {
                    let Some(acceptor) = acceptor else {
                        return serve(stream, Peer::default(), answer, grace, &tasks).await;
                    };
                    let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream));
                    match tasks.token().run_until_cancelled(shaken).await {
                        Some(Ok(Ok(stream))) => {
                            let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                            let peer = Peer { certificate: shown.map(|shown| shown.clone().into_owned()) };
                            serve(stream, peer, answer, grace, &tasks).await;
                        }
                        Some(Ok(Err(error))) => tracing::debug!(%error, "a TLS handshake failed"),
                        Some(Err(_)) | None => {}
                    }
                });
            }
        });
    }
}

async fn serve<F, A>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    answer: F,
    grace: Duration,
    tasks: &Tasks,
) where
    F: Fn(Request<Incoming>, Arc<Peer>) -> A + Send + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let peer = Arc::new(peer);
    let service = service_fn(move |request| {
        let answered = answer(request, Arc::clone(&peer));
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let connection = Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let connection = connection.with_upgrades();
    tokio::pin!(connection);
    let served = tokio::select! {
        biased;
        served = connection.as_mut() => served,
        () = tasks.token().cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(grace, connection).await {
                Ok(served) => served,
                Err(_) => return tracing::debug!("a connection is cut: its client goes on"),
            }
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke");
    }
}

/// An answer of one piece.
pub fn response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A body of one piece.
pub fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_request_that_is_being_answered_is_finished_and_the_next_is_not_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, tasks) = (listener.local_addr().unwrap(), Tasks::new());
        let (ending, begun) = (tasks.token().clone(), Arc::new(tokio::sync::Notify::new()));
        let begins = Arc::clone(&begun);
        Server { listener, tls: None, grace: Duration::from_secs(60) }.start(&tasks, move |_, peer| {
            let (ending, begins) = (ending.clone(), Arc::clone(&begins));
            async move {
                assert!(peer.certificate.is_none());
                begins.notify_one();
                ending.cancelled().await;
                response(StatusCode::OK, "text/plain", "finished")
            }
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        begun.notified().await;
        tasks.shutdown().await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nfinished"), "{answer}");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }
}
