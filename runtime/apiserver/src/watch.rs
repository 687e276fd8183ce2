//! watch.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use tokio::time::{Sleep, sleep_until};
use tracing::{Instrument, Span};
use trimtab_api::table::{self, IncludeObject};
use trimtab_api::{ApiError, Kind};
use trimtab_env::{Env, Instant};
use trimtab_store::{Entry, Event, ReadError, Revision, Watch};

use crate::body::{self, Chunks};
use crate::components::Watching;
use crate::conversion;
use crate::encode;
use crate::handler::{Answer, Call};
use crate::negotiate::{self, Encoding, Form, Shape};
use crate::options;
use crate::protobuf::{self, Recent};
use crate::read::{self, Filter, read_error};
use crate::server::ApiServer;

/// How often a watcher that allows bookmarks gets one.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long a watch runs when the client does not say: this, and up to as much again.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1_800);

pub(crate) async fn watch(server: &ApiServer, call: &Call<'_>) -> Answer {
    let form = negotiate::stream(call.headers, &call.kind)?;
    let filter = Filter::of(call)?.named(call.path.name);
    let include = read::include(call)?;
    options::check_watch(call)?;
    let revision = read::reached(server, call.query.get("resourceVersion"))?.unwrap_or(0);
    let namespace = call.path.namespace;
    let prefix = match filter.name().unwrap_or_default() {
        "" => encode::prefix(&call.kind, namespace),
        _ if call.kind.namespaced() && namespace.is_empty() => encode::prefix(&call.kind, ""),
        name => encode::key(&call.kind, namespace, name),
    };
    let view = View {
        kind: Arc::clone(&call.kind),
        filter,
        form,
        include,
        messages: Arc::clone(&server.inner.messages),
        env: server.inner.env.clone(),
        columns_sent: false,
    };
    let bookmarks = call.query.flag("allowWatchBookmarks");
    let (mut initial, mut after) = (None, revision);
    if options::initial_events(&call.query).unwrap_or(revision == 0) {
        let page = read::select_all(server, call, &view.filter).await?;
        after = page.revision;
        initial = Some(Initial { entries: page.entries.into_iter(), bookmark: bookmarks });
    } else if revision == 0 {
        after = server.inner.store.revision();
    }
    // Whoever may watch at all learns what is wrong with it from the watch, as upstream.
    let (events, failed) = match server.inner.store.watch(&prefix, after).await {
        Ok(events) => (events, None),
        Err(error @ ReadError::Compacted { .. }) => (stream::empty().boxed(), Some(read_error(error))),
        Err(error) => return Err(read_error(error)),
    };
    let now = Instant::now();
    let timeout = match read::number(call, "timeoutSeconds")? {
        0 => server.inner.env.jitter(DEFAULT_TIMEOUT, 1.0),
        seconds => Duration::from_secs(seconds as u64),
    };
    let mut state = State {
        view,
        initial,
        events,
        pending: VecDeque::new(),
        last: after,
        server: server.clone(),
        next_bookmark: bookmarks.then(|| Box::pin(sleep_until(now + BOOKMARK_EVERY))),
        end: end(server, &call.kind, now + timeout).boxed(),
        // What is logged meanwhile is of this request, which by then is answered.
        span: Span::current(),
        _watching: server.inner.components.watched_by(&call.identity.user),
    };
    if let Some(error) = failed {
        state.fail(&error);
    }
    let frames = stream::unfold(state, async |mut state| {
        let bytes = state.next().await?;
        Some((Ok(Frame::data(bytes)), state))
    });
    Ok(body::respond(StatusCode::OK, form.encoding.stream_content_type(), StreamBody::new(frames).boxed_unsync()))
}

/// Returns when the watch is over, whatever its client does: with the server, when the kind is no longer served as it
/// was, and in the end.
fn end(server: &ApiServer, kind: &Kind, deadline: Instant) -> impl Future<Output = ()> + Send + 'static {
    let (ending, over) = (server.inner.ending.clone(), server.inner.definitions.ending(kind).unwrap_or_default());
    async move {
        tokio::select! {
            biased;
            () = ending.cancelled() => {}
            () = over.cancelled() => {}
            () = sleep_until(deadline) => {}
        }
    }
}

/// What was there when the watch began. Written as it is read: a slow reader of many objects costs no more than one of
/// few.
struct Initial {
    entries: std::vec::IntoIter<Arc<Entry>>,
    /// Whether a bookmark says that this was all.
    bookmark: bool,
}

/// So many objects of those that were there are written at once.
const INITIAL_BATCH: usize = 64;

struct State {
    view: View,
    initial: Option<Initial>,
    events: Watch,
    /// Pieces that are ready to go.
    pending: VecDeque<Bytes>,
    /// All events up to here have been given: what a bookmark may promise.
    last: Revision,
    server: ApiServer,
    /// `None` for a watcher that wants no bookmarks.
    next_bookmark: Option<Pin<Box<Sleep>>>,
    /// As [`end`]. It waits as long as the watch does: what begins to wait anew for each event costs more than the event.
    end: BoxFuture<'static, ()>,
    span: Span,
    /// By a component of the control plane.
    _watching: Option<Watching>,
}

impl State {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.pending.is_empty() {
                return Some(body::joined(&mut self.pending));
            }
            if let Some(initial) = self.initial.take() {
                self.push_initial(initial);
                continue;
            }
            // However much happens.
            if self.server.inner.ending.is_cancelled() {
                return None;
            }
            let bookmark = async {
                match &mut self.next_bookmark {
                    Some(due) => due.await,
                    None => pending().await,
                }
            };
            // Every branch may be dropped: the store's stream keeps what it has not given.
            tokio::select! {
                biased;
                batch = self.events.next() => match batch? {
                    Ok(events) => self.push_all(events).await,
                    Err(error) => self.fail(&ApiError::expired(format!("too old resource version: {error}"))),
                },
                // After the events: what became of the objects is told first.
                () = &mut self.end => return None,
                () = bookmark => self.bookmark().await,
            }
        }
    }

    fn push_initial(&mut self, mut initial: Initial) {
        let mut batch = initial.entries.by_ref().take(INITIAL_BATCH);
        let pushed = batch.try_for_each(|entry| self.view.push(&mut self.pending, "ADDED", &entry, entry.mod_revision));
        let pushed = match pushed {
            Ok(()) if initial.entries.len() > 0 => {
                self.initial = Some(initial);
                Ok(())
            }
            Ok(()) if initial.bookmark => self.view.bookmark(&mut self.pending, self.last, true),
            other => other,
        };
        if let Err(error) = pushed {
            self.fail(&error);
        }
    }

    // Events are with their watchers before the store's revision rises past them. So what is not
    // there after the revision was read happened to other keys.
    async fn bookmark(&mut self) {
        if let Some(due) = &mut self.next_bookmark {
            let next = due.deadline() + BOOKMARK_EVERY;
            due.as_mut().reset(next);
        }
        let revision = self.server.inner.store.revision();
        match self.events.next().now_or_never() {
            Some(Some(Ok(events))) => self.push_all(events).await,
            None => self.last = self.last.max(revision),
            // The stream has ended; the next look at it says so.
            Some(_) => return,
        }
        if let Err(error) = self.view.bookmark(&mut self.pending, self.last, false) {
            self.fail(&error);
        }
    }

    /// The stream is over: what is pending goes, then nothing more comes.
    fn fail(&mut self, error: &ApiError) {
        let _entered = self.span.enter();
        let status = serde_json::to_value(error.status()).unwrap_or_default();
        if let Err(error) = self.view.tell(&mut self.pending, "ERROR", &status) {
            tracing::error!(%error, "a watch ends without saying why");
        }
        self.initial = None;
        self.events = stream::empty().boxed();
    }

    async fn push_all(&mut self, events: Vec<Event>) {
        let converted = conversion::events(&self.server, &self.view.kind, events);
        let converted = converted.instrument(self.span.clone()).await;
        if let Err(error) = converted.and_then(|events| events.iter().try_for_each(|event| self.push(event))) {
            self.fail(&error);
        }
    }

    fn push(&mut self, event: &Event) -> Result<(), ApiError> {
        self.last = event.revision;
        let matches =
            |entry: &Option<Arc<Entry>>| entry.as_ref().is_some_and(|e| self.view.filter.matches(&self.view.kind, e));
        let (before, after) = (matches(&event.previous), matches(&event.entry));
        match (&event.entry, &event.previous) {
            (Some(entry), _) if after => {
                let type_ = if before { "MODIFIED" } else { "ADDED" };
                self.view.push(&mut self.pending, type_, entry, event.revision)
            }
            // Gone, or no longer selected: as it was, at the revision of the change.
            (_, Some(previous)) if before => self.view.push(&mut self.pending, "DELETED", previous, event.revision),
            _ => Ok(()),
        }
    }
}

/// How a watch's events look.
struct View {
    kind: Arc<Kind>,
    filter: Filter,
    form: Form,
    include: IncludeObject,
    messages: Arc<Recent>,
    env: Env,
    /// A table's columns go with its first row alone.
    columns_sent: bool,
}

impl View {
    /// # Errors
    /// 500 when the object cannot be told in this form.
    fn push(
        &mut self,
        out: &mut VecDeque<Bytes>,
        type_: &str,
        entry: &Entry,
        revision: Revision,
    ) -> Result<(), ApiError> {
        match (self.form.shape, self.form.encoding) {
            (Shape::Whole, Encoding::Protobuf) => {
                out.extend(protobuf::entry(&self.messages, &self.kind, entry, revision)?.framed(type_));
                return Ok(());
            }
            (Shape::Whole, _) => {
                out.push_back(format!(r#"{{"type":"{type_}","object":"#).into());
                let mut chunks = Chunks::default();
                encode::push_at(&mut chunks, &self.kind, entry, revision);
                out.extend(chunks.into_pieces());
                out.push_back(Bytes::from_static(b"}\n"));
                return Ok(());
            }
            _ => {}
        }
        let object = encode::to_object_at(&self.kind, entry, revision);
        let value = if self.form.shape == Shape::Partial {
            read::partial(&object)
        } else {
            let row = table::row(&self.kind, &object, self.include, self.env.now().as_second());
            let mut value = read::as_table(&self.kind, json!({"resourceVersion": revision.to_string()}), vec![row]);
            if std::mem::replace(&mut self.columns_sent, true) {
                value["columnDefinitions"] = Value::Null;
            }
            value
        };
        self.tell(out, type_, &value)
    }

    /// An event about `object`, which has its `apiVersion` and `kind`.
    ///
    /// # Errors
    /// 500 when it is to be a message and cannot.
    fn tell(&self, out: &mut VecDeque<Bytes>, type_: &str, object: &Value) -> Result<(), ApiError> {
        if self.form.encoding == Encoding::Protobuf {
            out.extend(protobuf::value(object)?.framed(type_));
        } else {
            out.push_back(format!("{{\"type\":\"{type_}\",\"object\":{object}}}\n").into());
        }
        Ok(())
    }

    fn bookmark(
        &self,
        out: &mut VecDeque<Bytes>,
        revision: Revision,
        initial_events_end: bool,
    ) -> Result<(), ApiError> {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if initial_events_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.form.shape {
            Shape::Table => read::as_table(&self.kind, metadata, Vec::new()),
            Shape::Partial => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            Shape::Whole => {
                json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": metadata})
            }
        };
        self.tell(out, "BOOKMARK", &object)
    }
}
