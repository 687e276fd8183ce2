//! What goes wrong between a program and the API server.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::{self, BoxFuture};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::sync::watch;
use trimtab_api::ApiError;
use trimtab_client::{Body, Switched, Transport, TransportError};

/// What goes wrong with one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The program dies before it has asked.
    CrashBefore,
    /// The program dies when the write is made, before it has heard so.
    CrashAfter,
    /// The write is made, and the answer lost.
    ReplyLost,
    /// The server refuses with this code, as it does when somebody else has written (409), when it is asked too
    /// much (429) and when something failed (500).
    Refused(u16),
}

/// One program's way to the server, on which its `nth` write meets a fault.
pub(super) struct Line {
    inner: Arc<dyn Transport>,
    /// Which write, counted from 0, and what happens to it.
    fault: Mutex<Option<(u64, Fault)>>,
    /// Of all who were this program.
    all: Arc<AtomicU64>,
    own: AtomicU64,
    dead: watch::Sender<bool>,
}

impl Line {
    pub(super) fn new(inner: Arc<dyn Transport>, fault: Option<(u64, Fault)>, all: Arc<AtomicU64>) -> Self {
        Self { inner, fault: Mutex::new(fault), all, own: AtomicU64::new(0), dead: watch::Sender::new(false) }
    }

    /// Returns once the program is dead.
    pub(super) async fn died(&self) {
        // The sender is at hand.
        let _ = self.dead.subscribe().wait_for(|dead| *dead).await;
    }

    fn fault_of(&self, request: &Request<Bytes>) -> Option<Fault> {
        if !is_write(request) {
            return None;
        }
        self.all.fetch_add(1, Ordering::Relaxed);
        let number = self.own.fetch_add(1, Ordering::Relaxed);
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.take_if(|(at, _)| *at == number).map(|(_, fault)| fault)
    }

    /// A dead program asks nothing, and hears nothing.
    async fn die<T>(&self) -> T {
        self.dead.send_replace(true);
        future::pending().await
    }
}

/// Events are told once, and reviews change nothing.
fn is_write(request: &Request<Bytes>) -> bool {
    let path = request.uri().path();
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    !reads && !path.contains("/events") && !path.ends_with("reviews")
}

impl Transport for Line {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        Box::pin(async move {
            let fault = self.fault_of(&request);
            if *self.dead.borrow() || fault == Some(Fault::CrashBefore) {
                return self.die().await;
            }
            if let Some(Fault::Refused(code)) = fault {
                return Ok(refusal(code));
            }
            let answer = self.inner.send(request).await;
            match fault {
                Some(Fault::CrashAfter) => self.die().await,
                Some(Fault::ReplyLost) => Err(lost(self.server())),
                _ if *self.dead.borrow() => self.die().await,
                _ => answer,
            }
        })
    }

    fn upgrade(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Switched, TransportError>> {
        self.inner.upgrade(request)
    }

    fn server(&self) -> &str {
        self.inner.server()
    }
}

fn lost(server: &str) -> TransportError {
    TransportError { server: server.to_owned(), source: Box::new(io::Error::from(io::ErrorKind::ConnectionReset)) }
}

fn refusal(code: u16) -> Response<Body> {
    let (reason, message) = match code {
        409 => {
            ("Conflict", "the object has been modified; please apply your changes to the latest version and try again")
        }
        429 => ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
        _ => ("InternalError", "an error on the server has prevented the request from succeeding"),
    };
    let status = serde_json::to_vec(ApiError::new(code, reason, message).status()).unwrap_or_default();
    let body = Full::new(Bytes::from(status)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response
}
