//! How long a connection waits for the other end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long the server waits for its clients.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a handshake, and for the first that is said after it; as upstream, 32 seconds.
    pub head: Duration,
    /// For the next request's head over HTTP/1.1, until it is whole; as upstream, 90 seconds.
    pub idle: Duration,
    /// For a request's body: as long as upstream gives a whole request, 60 seconds.
    pub body: Duration,
    /// For a client that watches to read what it is sent: 60 seconds.
    pub unread: Duration,
    /// How long an HTTP/2 connection may be silent before it is asked whether it is alive; as upstream, 30 seconds.
    pub ping: Duration,
    /// For the answer to that; as upstream, 15 seconds.
    pub pong: Duration,
    /// For what clients are doing, once the server ends: 10 seconds.
    pub grace: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            head: seconds(32),
            idle: seconds(90),
            body: seconds(60),
            unread: seconds(60),
            ping: seconds(30),
            pong: seconds(15),
            grace: seconds(10),
        }
    }
}

/// What a client of HTTP/2 sends first, in bytes (RFC 9113, section 3.4).
pub(crate) const PREFACE: usize = 24;

/// A connection whose first bytes must come in time; and, once somebody watches over it, whose other
/// end must read what is written. Without a watch it may be slow to: whoever pages through a log
/// reads when it wants to.
pub(crate) struct Patient<S> {
    io: S,
    /// How many bytes are awaited, and until when.
    head: Option<(usize, Pin<Box<Sleep>>)>,
    hurries: Hurry,
    patience: Duration,
    /// Until when something must be read, while nothing is.
    stuck: Option<Pin<Box<Sleep>>>,
}

/// Whether a connection must be read from.
#[derive(Clone, Default)]
pub(crate) struct Hurry(Arc<AtomicBool>);

impl Hurry {
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<S> Patient<S> {
    /// Waits `head_patience` for the first `head` bytes, and `patience` for what is written to be read
    /// once `hurries` says so.
    pub(crate) fn new(io: S, (head, head_patience): (usize, Duration), hurries: Hurry, patience: Duration) -> Self {
        let head = (head > 0).then(|| (head, Box::pin(tokio::time::sleep(head_patience))));
        Self { io, head, hurries, patience, stuck: None }
    }

    fn waited<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stuck = None;
            return polled;
        }
        if !self.hurries.0.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let timer = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.patience)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        if let Some((missing, timer)) = &mut self.head {
            if polled.is_pending() {
                ready!(timer.as_mut().poll(context));
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client says nothing")));
            }
            *missing = missing.saturating_sub(buffer.filled().len() - before);
            if *missing == 0 {
                self.head = None;
            }
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(context, bytes);
        self.waited(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(context);
        self.waited(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(context);
        self.waited(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(context, pieces);
        self.waited(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const TIME: Duration = Duration::from_secs(60);

    fn check(error: &io::Error) {
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_not_waited_for() {
        let (mut client, io) = tokio::io::duplex(64);
        let mut server = Patient::new(io, (PREFACE, TIME), Hurry::default(), TIME);
        client.write_all(b"PRI").await.unwrap();
        let mut bytes = [0; PREFACE];
        check(&server.read_exact(&mut bytes).await.unwrap_err());
        // Whoever has said enough may then be silent.
        let (mut client, io) = tokio::io::duplex(64);
        let mut server = Patient::new(io, (PREFACE, TIME), Hurry::default(), TIME);
        client.write_all(&[b'x'; PREFACE]).await.unwrap();
        server.read_exact(&mut bytes).await.unwrap();
        let silent = tokio::time::timeout(TIME * 10, server.read_exact(&mut bytes)).await;
        assert!(silent.is_err(), "the connection is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn who_watches_must_read() {
        let (mut client, io) = tokio::io::duplex(64);
        let hurry = Hurry::default();
        let mut server = Patient::new(io, (0, TIME), hurry.clone(), TIME);
        let waits = tokio::time::timeout(TIME * 10, server.write_all(&[0; 100])).await;
        assert!(waits.is_err(), "nobody watches");
        hurry.begin();
        let mut bytes = [0; 64];
        client.read_exact(&mut bytes).await.unwrap();
        server.write_all(&bytes).await.unwrap();
        check(&server.write_all(&bytes).await.unwrap_err());
    }
}
