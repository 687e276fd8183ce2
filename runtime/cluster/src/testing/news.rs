//! The news of a watch, when it does not come as it should.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::time::Sleep;
use trimtab_api::ApiError;
use trimtab_client::{Body, BoxError};
use trimtab_env::Instant;

use super::plan::WatchFault;

type Piece = Result<Frame<Bytes>, BoxError>;

/// The body of a watch's answer, which counts its news, and may have a fault.
pub(super) struct Disturbed {
    inner: Body,
    fault: Option<WatchFault>,
    /// How many pieces have come in.
    count: Arc<AtomicU32>,
    /// Until when all is silent.
    silent: Option<Instant>,
    /// What has come in, and when it is told.
    waiting: VecDeque<(Instant, Piece)>,
    sleep: Pin<Box<Sleep>>,
    ended: bool,
}

impl Disturbed {
    pub(super) fn new(inner: Body, fault: Option<WatchFault>, count: Arc<AtomicU32>) -> Self {
        let sleep = Box::pin(tokio::time::sleep(Duration::ZERO));
        Self { inner, fault, count, silent: None, waiting: VecDeque::new(), sleep, ended: false }
    }

    /// Takes in what comes next.
    fn take(&mut self, piece: Option<Piece>) {
        let Some(piece) = piece else {
            self.ended = true;
            return;
        };
        let now = Instant::now();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let at = match self.fault {
            Some(WatchFault::Late(time)) => now + time,
            Some(WatchFault::Stalled(after, time)) if number >= after => *self.silent.get_or_insert(now + time),
            Some(WatchFault::Dropped(after) | WatchFault::Expired(after)) if number >= after => {
                self.ended = true;
                if matches!(self.fault, Some(WatchFault::Expired(_))) {
                    self.waiting.push_back((now, Ok(Frame::data(expired()))));
                }
                return;
            }
            _ => now,
        };
        self.waiting.push_back((at, piece));
    }
}

/// As the server says it in the middle of a watch.
fn expired() -> Bytes {
    let error = ApiError::new(410, "Expired", "the resourceVersion of the watch is too old");
    let event = serde_json::json!({"type": "ERROR", "object": error.status()});
    Bytes::from(format!("{event}\n"))
}

impl http_body::Body for Disturbed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        while !self.ended {
            let Poll::Ready(piece) = Pin::new(&mut self.inner).poll_frame(cx) else { break };
            self.take(piece);
        }
        let Some((at, _)) = self.waiting.front() else {
            return if self.ended { Poll::Ready(None) } else { Poll::Pending };
        };
        let at = *at;
        if at > Instant::now() {
            self.sleep.as_mut().reset(at);
            ready!(self.sleep.as_mut().poll(cx));
        }
        Poll::Ready(self.waiting.pop_front().map(|(_, piece)| piece))
    }
}

impl Disturbed {
    pub(super) fn boxed_unsync(self) -> Body {
        BodyExt::boxed_unsync(self)
    }
}
