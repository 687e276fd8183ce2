//! A program's way to the server, on which its writes and watches meet faults.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{self, BoxFuture};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use tokio::sync::watch;
use trimtab_api::ApiError;
use trimtab_client::{Body, Switched, Transport, TransportError};
use trimtab_env::{Tasks, lock};

use super::asked::{Asked, is_lasting, is_read, is_watch};
use super::faults::Weather;
use super::history::History;
use super::ledger::{Author, attributed};
use super::news::Disturbed;
use super::plan::{Fault, WatchFault};
use super::roles::Roles;

/// For how long a program is cut off: another leads before, and has done what there is to do.
const CUT_OFF: Duration = Duration::from_secs(30);

/// What is kept of a program over all its lives.
pub(super) struct Counts {
    name: String,
    /// Whether there are two of it, of which one leads.
    pub(super) is_elected: bool,
    writes: AtomicU64,
    reads: AtomicU64,
    /// On its way from where the program is cut off.
    late: Mutex<Vec<Late>>,
    /// By path.
    watches: Mutex<BTreeMap<String, Watched>>,
    weather: Arc<Weather>,
    history: History,
    roles: Arc<Roles>,
}

/// A write that arrives after so many others.
struct Late {
    after: u32,
    author: Author,
    request: Request<Bytes>,
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
    pub(super) fn new(
        name: &str,
        is_elected: bool,
        weather: &Arc<Weather>,
        history: &History,
        roles: &Arc<Roles>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            is_elected,
            writes: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            late: Mutex::default(),
            watches: Mutex::default(),
            weather: Arc::clone(weather),
            history: history.clone(),
            roles: Arc::clone(roles),
        }
    }

    pub(super) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// The paths that were watched, and how many pieces of news the first watch of each has told.
    pub(super) fn news(&self) -> BTreeMap<String, u32> {
        let watches = lock(&self.watches);
        watches.iter().map(|(path, watched)| (path.clone(), watched.news.load(Ordering::Relaxed))).collect()
    }

    /// Lets those late writes arrive whose turn it is before the next write of another, or all.
    async fn let_arrive(&self, inner: &dyn Transport, all: bool) {
        let due = {
            let mut late = lock(&self.late);
            let (due, mut left): (Vec<_>, Vec<_>) =
                mem::take(&mut *late).into_iter().partition(|write| all || write.after == 0);
            left.iter_mut().for_each(|write| write.after -= 1);
            *late = left;
            due
        };
        for Late { author, request, .. } in due {
            let answer = attributed(author.clone(), inner.send(request)).await;
            let code = answer.map_or_else(|error| error.to_string(), |answer| answer.status().to_string());
            self.history.note(format!("{author} arrives late: {code}"));
        }
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
    cut_off: watch::Sender<bool>,
    tasks: Tasks,
}

impl Line {
    pub(super) fn new(inner: Arc<dyn Transport>, counts: &Arc<Counts>, tasks: &Tasks) -> Self {
        let (dead, cut_off) = (watch::Sender::new(false), watch::Sender::new(false));
        Self { inner, counts: Arc::clone(counts), dead, cut_off, tasks: tasks.clone() }
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
        let fault = self.counts.weather.of_write(&self.counts.name, self.counts.is_elected, number);
        let author = Author::new(&self.counts.name, &request);
        if let Some(fault) = fault {
            self.counts.history.note(format!("{author}, which is write {number}: {fault}"));
        }
        match fault {
            Some(Fault::CrashBefore) => return self.die().await,
            Some(Fault::Refused(code)) => return Ok(refusal(code)),
            Some(Fault::LeaderLost(after)) => {
                self.cut_off(Late { after, author, request });
                return self.ask_in_vain().await;
            }
            _ => {}
        }
        self.counts.let_arrive(&*self.inner, false).await;
        let answer = attributed(author, self.inner.send(request)).await;
        match fault {
            Some(Fault::CrashAfter) => self.die().await,
            Some(Fault::ReplyLost) => Err(lost(self.server())),
            _ => answer,
        }
    }

    /// Nothing is answered for a while.
    fn cut_off(&self, write: Late) {
        lock(&self.counts.late).push(write);
        self.cut_off.send_replace(true);
        let (cut_off, counts, inner) = (self.cut_off.clone(), Arc::clone(&self.counts), Arc::clone(&self.inner));
        self.tasks.spawn_cancellable("cut-off", async move {
            tokio::time::sleep(CUT_OFF).await;
            counts.let_arrive(&*inner, true).await;
            cut_off.send_replace(false);
        });
    }

    async fn ask_in_vain<T>(&self) -> Result<T, TransportError> {
        // The sender is at hand.
        let _ = self.cut_off.subscribe().wait_for(|cut_off| !cut_off).await;
        Err(lost(self.server()))
    }

    /// Notes what was done, and what was denied.
    async fn heard(
        &self,
        (method, uri): (Method, Uri),
        answer: Response<Body>,
    ) -> Result<Response<Body>, TransportError> {
        if answer.status() != StatusCode::FORBIDDEN {
            let (asked, roles) = (Asked::of(uri.path()), &self.counts.roles);
            let is_made = answer.status() == StatusCode::CREATED;
            for verb in asked.verb(&method).into_iter().chain((is_made && method == Method::PATCH).then_some("create"))
            {
                roles.used(&self.counts.name, asked.group, &asked.whole(), verb);
            }
            return Ok(answer);
        }
        let (parts, body) = answer.into_parts();
        let failed = |source| TransportError { server: self.server().to_owned(), source };
        let bytes = body.collect().await.map_err(failed)?.to_bytes();
        if let Ok(status) = serde_json::from_slice::<Status>(&bytes) {
            self.counts.roles.denied(&self.counts.name, &status.message.unwrap_or_default());
        }
        Ok(Response::from_parts(parts, Full::new(bytes).map_err(|never| match never {}).boxed_unsync()))
    }

    async fn read(&self, request: Request<Bytes>) -> Result<Response<Body>, TransportError> {
        let number = self.counts.reads.fetch_add(1, Ordering::Relaxed);
        let author = Author::new(&self.counts.name, &request);
        if let Some(code) = self.counts.weather.of_read(&self.counts.name, number) {
            self.counts.history.note(format!("{author}, which is read {number}: {}", Fault::Refused(code)));
            return Ok(refusal(code));
        }
        attributed(author, self.inner.send(request)).await
    }

    async fn watch(&self, request: Request<Bytes>) -> Result<Response<Body>, TransportError> {
        let path = request.uri().path().to_owned();
        let (number, news) = self.counts.begin_watch(&path);
        let fault = self.counts.weather.of_watch(&self.counts.name, &path, number);
        if let Some(fault) = fault {
            self.counts.history.note(format!("{}, watch {number} of {path}: {fault}", self.counts.name));
        }
        if let Some(WatchFault::Refused(code)) = fault {
            return Ok(refusal(code));
        }
        let answer = self.inner.send(request).await?;
        Ok(answer.map(|body| Disturbed::new(body, fault, news).boxed_unsync()))
    }
}

impl Transport for Line {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        Box::pin(async move {
            if self.is_dead() {
                return self.die().await;
            }
            if *self.cut_off.borrow() {
                return self.ask_in_vain().await;
            }
            let asked = (request.method().clone(), request.uri().clone());
            let answer = if is_watch(&request) {
                self.watch(request).await
            } else if !is_lasting(&request, self.counts.is_elected) {
                attributed(Author::new(&self.counts.name, &request), self.inner.send(request)).await
            } else if is_read(&request) {
                self.read(request).await
            } else {
                self.write(request).await
            };
            // It may have died of another request meanwhile.
            if self.is_dead() { self.die().await } else { self.heard(asked, answer?).await }
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
