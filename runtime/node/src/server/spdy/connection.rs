//! One connection whose client opens streams.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::codec::{FramedRead, FramedWrite};
use tokio_util::sync::CancellationToken;
use trimtab_env::lock;

use super::frame::{Frame, FrameError, Reader, Reset, Writer};
use super::header::Headers;
use crate::server::streams::{self, Incoming, Outgoing, Sent, WAITING};

/// How many streams a client may have open at once.
const MAX_STREAMS: usize = 1024;
/// After so many bytes of a stream a client is told that it may send as many again: half of what it may send unasked.
const ACKNOWLEDGED: usize = 32 << 10;

/// A stream that the client has opened.
#[derive(Debug)]
pub(in crate::server) struct Stream {
    pub(in crate::server) id: u32,
    pub(in crate::server) headers: Headers,
    pub(in crate::server) incoming: Incoming,
    pub(in crate::server) outgoing: Outgoing,
    /// Cancelled when the client wants neither to send nor to receive any more.
    pub(in crate::server) reset: CancellationToken,
}

/// A connection, which lasts until this and all its streams' `outgoing` are dropped, or the client leaves.
#[derive(Debug)]
pub(in crate::server) struct Connection {
    /// The streams that the client opens; ends when the client leaves.
    pub(in crate::server) opened: mpsc::Receiver<Stream>,
    _sent: mpsc::Sender<Sent>,
}

/// Speaks SPDY on `io`, as the server. Streams whose headers are not as `accepts` wants them are
/// refused. The second part does the work, and is to be run beside whatever uses the first.
pub(in crate::server) fn connect<IO>(
    io: IO,
    accepts: fn(&Headers) -> bool,
) -> (Connection, impl Future<Output = ()> + Send)
where
    IO: AsyncRead + AsyncWrite + Send,
{
    let (sent, to_send) = mpsc::channel(WAITING);
    let (open, opened) = mpsc::channel(WAITING);
    let driver = drive(io, accepts, open, sent.downgrade(), to_send);
    (Connection { opened, _sent: sent }, driver)
}

/// The streams that are open.
#[derive(Default)]
struct Table {
    streams: Mutex<HashMap<u32, Open>>,
    /// The last one that was accepted.
    last: AtomicU32,
}

struct Open {
    /// `None` once the client sends no more.
    to: Option<mpsc::Sender<Bytes>>,
    /// Whether nothing more is sent to the client.
    closed: bool,
    /// How much has come since the client was last told how much it may send.
    unacknowledged: usize,
    reset: CancellationToken,
}

impl Table {
    fn add(&self, stream: u32, to: Option<mpsc::Sender<Bytes>>, reset: CancellationToken) {
        let open = Open { to, closed: false, unacknowledged: 0, reset };
        lock(&self.streams).insert(stream, open);
        self.last.store(stream, Ordering::Relaxed);
    }

    fn is_full(&self) -> bool {
        lock(&self.streams).len() >= MAX_STREAMS
    }

    fn is_open(&self, stream: u32) -> bool {
        lock(&self.streams).get(&stream).is_some_and(|open| !open.closed)
    }

    fn sender(&self, stream: u32) -> Option<mpsc::Sender<Bytes>> {
        lock(&self.streams).get(&stream)?.to.clone()
    }

    /// How much more the client may send, when it is time to say so.
    fn taken(&self, stream: u32, bytes: usize) -> Option<u32> {
        let mut streams = lock(&self.streams);
        let open = streams.get_mut(&stream)?;
        open.unacknowledged += bytes;
        let due = open.unacknowledged >= ACKNOWLEDGED;
        due.then(|| u32::try_from(std::mem::take(&mut open.unacknowledged)).unwrap_or_default())
    }

    /// The client sends no more on the stream, or is sent no more (`ours`).
    fn close(&self, stream: u32, ours: bool) {
        let mut streams = lock(&self.streams);
        let Some(open) = streams.get_mut(&stream) else { return };
        if ours {
            open.closed = true;
        } else {
            open.to = None;
        }
        if open.closed && open.to.is_none() {
            streams.remove(&stream);
        }
    }

    fn reset(&self, stream: u32) {
        if let Some(open) = lock(&self.streams).remove(&stream) {
            open.reset.cancel();
        }
    }
}

async fn drive<IO: AsyncRead + AsyncWrite>(
    io: IO,
    accepts: fn(&Headers) -> bool,
    open: mpsc::Sender<Stream>,
    sent: mpsc::WeakSender<Sent>,
    to_send: mpsc::Receiver<Sent>,
) {
    let table = Table::default();
    let (read, write) = tokio::io::split(io);
    let (replies, to_reply) = mpsc::channel(WAITING);
    let reads = Reads { table: &table, accepts, open, sent, replies, last: 0 };
    let reading = reads.run(FramedRead::new(read, Reader::default()));
    let writing = write_all(FramedWrite::new(write, Writer::default()), &table, to_send, to_reply);
    streams::drive("a SPDY connection", reading, writing).await;
}

/// What the client sends.
struct Reads<'a> {
    table: &'a Table,
    accepts: fn(&Headers) -> bool,
    open: mpsc::Sender<Stream>,
    sent: mpsc::WeakSender<Sent>,
    replies: mpsc::Sender<Frame>,
    /// The last stream that the client opened.
    last: u32,
}

impl Reads<'_> {
    async fn run<IO: AsyncRead + Unpin>(mut self, mut frames: FramedRead<IO, Reader>) -> Result<(), FrameError> {
        while let Some(frame) = frames.next().await {
            match frame? {
                Frame::SynStream { stream, fin, headers } => self.opened(stream, fin, headers).await,
                Frame::Data { stream, fin, bytes } => self.data(stream, fin, bytes).await,
                Frame::Headers { stream, fin: true, .. } => self.table.close(stream, false),
                Frame::RstStream { stream, .. } => self.table.reset(stream),
                // Ours would be even, and there are none.
                Frame::Ping(id) => self.reply(Frame::Ping(id)).await,
                Frame::SynReply { .. }
                | Frame::Headers { .. }
                | Frame::Settings(_)
                | Frame::GoAway { .. }
                | Frame::WindowUpdate { .. } => {}
            }
        }
        Ok(())
    }

    async fn opened(&mut self, stream: u32, fin: bool, headers: Headers) {
        // Its streams are odd, each higher than the one before.
        if stream.is_multiple_of(2) || stream <= self.last {
            return self.reply(Frame::RstStream { stream, why: Reset::ProtocolError }).await;
        }
        self.last = stream;
        // The session is over: the goodbye is on its way.
        let Some(sent) = self.sent.upgrade() else { return };
        if self.table.is_full() || !(self.accepts)(&headers) {
            return self.reply(Frame::RstStream { stream, why: Reset::RefusedStream }).await;
        }
        let (to, incoming) = mpsc::channel(WAITING);
        let reset = CancellationToken::new();
        self.table.add(stream, (!fin).then_some(to), reset.clone());
        // Clients forget what comes on a stream before the reply.
        self.reply(Frame::SynReply { stream, fin: false, headers: Headers::default() }).await;
        let opened = Stream { id: stream, headers, incoming, outgoing: Outgoing::new(stream, sent), reset };
        // Nobody asks for more streams: this one is left as it is.
        let _ = self.open.send(opened).await;
    }

    async fn data(&self, stream: u32, fin: bool, bytes: Bytes) {
        let length = bytes.len();
        if let Some(to) = self.table.sender(stream).filter(|_| length > 0) {
            // Nobody reads it: it is forgotten.
            let _ = to.send(bytes).await;
            if let Some(delta) = self.table.taken(stream, length) {
                self.reply(Frame::WindowUpdate { stream, delta }).await;
            }
        }
        if fin {
            self.table.close(stream, false);
        }
    }

    async fn reply(&self, frame: Frame) {
        // After the goodbye nothing is replied.
        let _ = self.replies.send(frame).await;
    }
}

/// Writes until nothing more can be sent, then says goodbye.
async fn write_all<IO: AsyncWrite + Unpin>(
    mut frames: FramedWrite<IO, Writer>,
    table: &Table,
    mut to_send: mpsc::Receiver<Sent>,
    mut to_reply: mpsc::Receiver<Frame>,
) -> Result<(), FrameError> {
    loop {
        let frame = tokio::select! {
            // A stream is replied to before anything is sent on it.
            biased;
            Some(reply) = to_reply.recv() => reply,
            sent = to_send.recv() => match sent {
                None => break,
                Some(Sent::Data(stream, bytes)) if table.is_open(stream) => Frame::Data { stream, fin: false, bytes },
                Some(Sent::Close(stream)) if table.is_open(stream) => {
                    table.close(stream, true);
                    Frame::Data { stream, fin: true, bytes: Bytes::new() }
                }
                // The client has reset the stream.
                Some(_) => continue,
            },
        };
        frames.send(frame).await?;
    }
    let last_stream = table.last.load(Ordering::Relaxed);
    frames.send(Frame::GoAway { last_stream, status: 0 }).await
}

#[cfg(test)]
mod tests {
    use super::super::client::{Client, data, reply};
    use super::*;

    /// A connection that refuses streams of the type `bad`.
    fn connected() -> (Client, Connection, impl Future<Output = ()> + Send) {
        let (client, ours) = Client::new();
        let (connection, driver) = connect(ours, |headers| headers.get("streamtype") != "bad");
        (client, connection, driver)
    }

    #[tokio::test]
    async fn streams_carry_bytes_both_ways_until_both_ends_close_them() {
        let (mut client, connection, driver) = connected();
        let served = async move {
            // All of it, not only what is used of it.
            let mut connection = connection;
            let Stream { headers, mut incoming, outgoing, .. } = connection.opened.recv().await.unwrap();
            assert_eq!(headers.get("streamtype"), "data");
            while let Some(bytes) = incoming.recv().await {
                outgoing.send(bytes.to_ascii_uppercase().into()).await.unwrap();
            }
            outgoing.close().await;
        };
        let asked = async move {
            client.open(1, [("streamtype", "data")]).await;
            client.send(data(1, false, "hello")).await;
            client.send(data(1, true, "you")).await;
            assert_eq!(client.next().await, reply(1));
            for expected in [data(1, false, "HELLO"), data(1, false, "YOU"), data(1, true, "")] {
                assert_eq!(client.next().await, Some(expected));
            }
            assert_eq!(client.next().await, Some(Frame::GoAway { last_stream: 1, status: 0 }));
        };
        tokio::join!(driver, served, asked);
    }

    #[tokio::test]
    async fn what_a_client_may_not_open_is_reset_and_pings_are_answered() {
        let (mut client, connection, driver) = connected();
        let asked = async move {
            client.open(3, [("streamtype", "bad")]).await;
            client.open(5, [("streamtype", "good")]).await;
            client.open(5, [("streamtype", "again")]).await;
            client.open(6, [("streamtype", "ours")]).await;
            client.send(Frame::Ping(1)).await;
            let reset = |stream, why| Some(Frame::RstStream { stream, why });
            assert_eq!(client.next().await, reset(3, Reset::RefusedStream));
            assert_eq!(client.next().await, reply(5));
            assert_eq!(client.next().await, reset(5, Reset::ProtocolError));
            assert_eq!(client.next().await, reset(6, Reset::ProtocolError));
            assert_eq!(client.next().await, Some(Frame::Ping(1)));
        };
        tokio::join!(driver, asked);
        drop(connection);
    }

    #[tokio::test]
    async fn a_client_is_told_to_go_on_as_its_bytes_are_taken() {
        let (mut client, connection, driver) = connected();
        let served = async move {
            // All of it, not only what is used of it.
            let mut connection = connection;
            let mut stream = connection.opened.recv().await.unwrap();
            let mut length = 0;
            while let Some(bytes) = stream.incoming.recv().await {
                length += bytes.len();
            }
            assert_eq!(length, 3 * ACKNOWLEDGED);
        };
        let asked = async move {
            client.open(1, [("streamtype", "data")]).await;
            client.send(Frame::Data { stream: 1, fin: true, bytes: vec![0; 3 * ACKNOWLEDGED].into() }).await;
            let mut told = 0;
            while let Some(frame) = client.next().await {
                if let Frame::WindowUpdate { stream: 1, delta } = frame {
                    told += delta;
                }
                if matches!(frame, Frame::GoAway { .. }) {
                    break;
                }
            }
            assert!(told > 2 * ACKNOWLEDGED as u32, "{told}");
        };
        tokio::join!(driver, served, asked);
    }

    #[tokio::test]
    async fn a_reset_or_a_client_that_leaves_ends_what_waits_for_it() {
        let (mut client, connection, driver) = connected();
        let served = async move {
            // All of it, not only what is used of it.
            let mut connection = connection;
            let mut first = connection.opened.recv().await.unwrap();
            let second = connection.opened.recv().await.unwrap();
            first.reset.cancelled().await;
            assert_eq!(first.incoming.recv().await, None);
            // What is sent on it still goes nowhere, and closes nothing else.
            first.outgoing.send("late".into()).await.unwrap();
            second.outgoing.send("hello".into()).await.unwrap();
            second.outgoing.gone().await;
            assert!(connection.opened.recv().await.is_none());
        };
        let asked = async move {
            client.open(1, [("streamtype", "data")]).await;
            client.open(3, [("streamtype", "data")]).await;
            client.reset(1).await;
            assert_eq!((client.next().await, client.next().await), (reply(1), reply(3)));
            assert_eq!(client.next().await, Some(data(3, false, "hello")));
        };
        tokio::join!(driver, served, asked);
    }

    #[tokio::test]
    async fn nonsense_ends_the_connection() {
        let (mut client, mut connection, driver) = connected();
        client.nonsense().await;
        driver.await;
        assert!(connection.opened.recv().await.is_none());
    }
}
