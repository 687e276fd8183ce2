//! A program's way to the server, on which its writes and watches meet faults.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::{self, BoxFuture};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use tokio::sync::watch;
use trimtab_api::ApiError;
use trimtab_client::{Body, Switched, Transport, TransportError};
use trimtab_env::lock;

use super::faults::Weather;
use super::history::History;
use super::ledger::{Author, attributed};
use super::news::Disturbed;
use super::plan::Fault;
use super::roles::Denials;

/// What is kept of a program over all its lives.
pub(super) struct Counts {
    name: String,
    writes: AtomicU64,
    /// By path.
    watches: Mutex<BTreeMap<String, Watched>>,
    weather: Arc<Weather>,
    history: History,
    denials: Arc<Denials>,
}

/// What is known of a program's watches of one path.
#[derive(Default)]
struct Watched {
    /// How many were begun.
    begun: u64,
    /// How many pieces of news the first one told.
    news: Arc<AtomicU32>,
}

impl Counts {
    pub(super) fn new(name: &str, weather: &Arc<Weather>, history: &History, denials: &Arc<Denials>) -> Self {
        Self {
            name: name.to_owned(),
            writes: AtomicU64::new(0),
            watches: Mutex::default(),
            weather: Arc::clone(weather),
            history: history.clone(),
            denials: Arc::clone(denials),
        }
    }

    pub(super) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// The paths that were watched, and how many pieces of news the first watch of each has told.
    pub(super) fn news(&self) -> BTreeMap<String, u32> {
        let watches = lock(&self.watches);
        watches.iter().map(|(path, watched)| (path.clone(), watched.news.load(Ordering::Relaxed))).collect()
    }

    /// The number of a watch that begins, and where its news is counted.
    fn begin_watch(&self, path: &str) -> (u64, Arc<AtomicU32>) {
        let mut watches = lock(&self.watches);
        let watched = watches.entry(path.to_owned()).or_default();
        watched.begun += 1;
        let news = if watched.begun == 1 { Arc::clone(&watched.news) } else { Arc::default() };
        (watched.begun - 1, news)
    }
}

/// One life of a program.
pub(super) struct Line {
    inner: Arc<dyn Transport>,
    counts: Arc<Counts>,
    dead: watch::Sender<bool>,
}

impl Line {
    pub(super) fn new(inner: Arc<dyn Transport>, counts: &Arc<Counts>) -> Self {
        Self { inner, counts: Arc::clone(counts), dead: watch::Sender::new(false) }
    }

    /// Returns once the program is dead.
    pub(super) async fn died(&self) {
        // The sender is at hand.
        let _ = self.dead.subscribe().wait_for(|dead| *dead).await;
    }

    /// Has the program die.
    pub(super) fn kill(&self) {
        self.dead.send_replace(true);
    }

    /// A dead program asks nothing, and hears nothing.
    async fn die<T>(&self) -> T {
        self.kill();
        future::pending().await
    }

    fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    async fn write(&self, request: Request<Bytes>) -> Result<Response<Body>, TransportError> {
        let number = self.counts.writes.fetch_add(1, Ordering::Relaxed);
        let fault = self.counts.weather.of_write(&self.counts.name, number);
        let author = Author::new(&self.counts.name, &request);
        if let Some(fault) = fault {
            self.counts.history.note(format!("{author}, which is write {number}: {fault}"));
        }
        match fault {
            Some(Fault::CrashBefore) => return self.die().await,
            Some(Fault::Refused(code)) => return Ok(refusal(code)),
            _ => {}
        }
        let answer = attributed(author, self.inner.send(request)).await;
        match fault {
            Some(Fault::CrashAfter) => self.die().await,
            Some(Fault::ReplyLost) => Err(lost(self.server())),
            _ => answer,
        }
    }

    /// Notes what was denied.
    async fn heard(&self, answer: Response<Body>) -> Result<Response<Body>, TransportError> {
        if answer.status() != StatusCode::FORBIDDEN {
            return Ok(answer);
        }
        let (parts, body) = answer.into_parts();
        let failed = |source| TransportError { server: self.server().to_owned(), source };
        let bytes = body.collect().await.map_err(failed)?.to_bytes();
        if let Ok(status) = serde_json::from_slice::<Status>(&bytes) {
            self.counts.denials.note(&self.counts.name, &status.message.unwrap_or_default());
        }
        Ok(Response::from_parts(parts, Full::new(bytes).map_err(|never| match never {}).boxed_unsync()))
    }

    async fn watch(&self, request: Request<Bytes>) -> Result<Response<Body>, TransportError> {
        let path = request.uri().path().to_owned();
        let (number, news) = self.counts.begin_watch(&path);
        let fault = self.counts.weather.of_watch(&self.counts.name, &path, number);
        let answer = self.inner.send(request).await?;
        if let Some(fault) = fault {
            self.counts.history.note(format!("{}, watch {number} of {path}: {fault}", self.counts.name));
        }
        Ok(answer.map(|body| Disturbed::new(body, fault, news).boxed_unsync()))
    }
}

/// Events are told once, and reviews and tokens change nothing.
fn is_write(request: &Request<Bytes>) -> bool {
    let path = request.uri().path();
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    !reads && !path.contains("/events") && !path.ends_with("reviews") && !path.ends_with("/token")
}

fn is_watch(request: &Request<Bytes>) -> bool {
    let watches = |query: &str| query.split('&').any(|part| part == "watch=true" || part == "watch=1");
    request.method() == Method::GET && request.uri().query().is_some_and(watches)
}

impl Transport for Line {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        Box::pin(async move {
            if self.is_dead() {
                return self.die().await;
            }
            let answer = if is_write(&request) {
                self.write(request).await
            } else if is_watch(&request) {
                self.watch(request).await
            } else {
                attributed(Author::new(&self.counts.name, &request), self.inner.send(request)).await
            };
            // It may have died of another request meanwhile.
            if self.is_dead() { self.die().await } else { self.heard(answer?).await }
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
