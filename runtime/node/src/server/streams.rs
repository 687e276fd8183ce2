//! Streams that share one connection: what a WebSocket's channels and SPDY's streams have in common.
//!
//! ```text
//! Incoming  <- bounded queue <-  driver  <- client
//! Outgoing  -> bounded queue ->  driver  -> client
//! ```
//!
//! A driver is the future that does the connection's reading and writing. It ends when the client has
//! left, which ends every `Incoming` and fails every `Outgoing`; or some time after the last `Outgoing`
//! was dropped and what was sent is written.

use std::fmt::Display;

use bytes::Bytes;
use tokio::sync::mpsc;

/// How much may wait in one queue: more makes whoever sends wait.
pub(super) const WAITING: usize = 16;
/// How long a client that has been told goodbye may take to hang up.
const GOODBYE: std::time::Duration = std::time::Duration::from_secs(10);

/// Reads from a connection until the client leaves, or until all is written and it had time to hang up.
/// `what` names the connection in the log.
pub(super) async fn drive<E: Display>(
    what: &str,
    reading: impl Future<Output = Result<(), E>>,
    writing: impl Future<Output = Result<(), E>>,
) {
    tokio::pin!(reading);
    let ended = tokio::select! {
        ended = &mut reading => ended,
        ended = writing => match ended {
            // Hanging up before the client does could take back some of what it was sent.
            Ok(()) => tokio::time::timeout(GOODBYE, reading).await.unwrap_or(Ok(())),
            failed => failed,
        },
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "{what} broke");
    }
}

/// What the client sends on a stream; ends when it closes the stream or leaves. Who needs no more of
/// it drops it: the rest is read and forgotten.
pub(super) type Incoming = mpsc::Receiver<Bytes>;

/// What is sent on a connection.
#[derive(Debug)]
pub(super) enum Sent {
    /// Bytes on a stream.
    Data(u32, Bytes),
    /// No more comes on a stream.
    Close(u32),
}

/// A stream to the client.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    stream: u32,
    to: mpsc::Sender<Sent>,
}

/// The client has left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gone;

impl Outgoing {
    pub(super) fn new(stream: u32, to: mpsc::Sender<Sent>) -> Self {
        Self { stream, to }
    }

    pub(super) async fn send(&self, bytes: Bytes) -> Result<(), Gone> {
        self.to.send(Sent::Data(self.stream, bytes)).await.map_err(|_| Gone)
    }

    /// Says that no more comes. It goes nowhere when the client has left, which is as well.
    pub(super) async fn close(self) {
        let _ = self.to.send(Sent::Close(self.stream)).await;
    }

    /// Returns once the client has left.
    pub(super) async fn gone(&self) {
        self.to.closed().await;
    }
}
