//! WebSockets, with channels (`v5.channel.k8s.io`, `v4.channel.k8s.io`) or as a tunnel for another protocol.
//!
//! The first byte of a message is its channel. In version 5 the message `255, N` closes channel N.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

use super::streams::{self, Incoming, Outgoing, Sent, WAITING};

/// The longest message that is read, in bytes, as upstream.
const MAX_MESSAGE: usize = 32 << 20;
/// What closes a channel, in version 5.
const CLOSE: u8 = 255;

/// A connection of messages.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// The server's end of a WebSocket on an upgraded connection.
pub(super) async fn socket(stream: Upgraded) -> Socket {
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, Some(config)).await
}

/// A channel, both ways.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) incoming: Incoming,
    pub(super) outgoing: Outgoing,
}

/// The first `count` channels of a WebSocket. The second part does the work, and is to be run beside
/// whatever uses the first.
pub(super) fn channels(socket: Socket, count: u8) -> (Vec<Channel>, impl Future<Output = ()> + Send) {
    let (sent, to_send) = mpsc::channel(WAITING);
    let made = (0..count).map(|number| {
        let (to, incoming) = mpsc::channel(WAITING);
        (Some(to), Channel { incoming, outgoing: Outgoing::new(number.into(), sent.clone()) })
    });
    let (to, channels) = made.unzip();
    (channels, drive(socket, to, to_send))
}

async fn drive(socket: Socket, to: Vec<Option<mpsc::Sender<Bytes>>>, to_send: mpsc::Receiver<Sent>) {
    let (mut sink, stream) = socket.split();
    streams::drive("a WebSocket", read(stream, to), write(&mut sink, to_send)).await;
}

async fn read(
    mut messages: impl StreamExt<Item = Result<Message, Error>> + Unpin,
    mut to: Vec<Option<mpsc::Sender<Bytes>>>,
) -> Result<(), Error> {
    while let Some(message) = messages.next().await {
        match received(message?) {
            Received::Data(channel, bytes) => {
                if let Some(Some(to)) = to.get(usize::from(channel)) {
                    // Nobody reads it: it is forgotten.
                    let _ = to.send(bytes).await;
                }
            }
            Received::Closed(channel) => {
                if let Some(to) = to.get_mut(usize::from(channel)) {
                    *to = None;
                }
            }
            Received::Other => {}
        }
    }
    Ok(())
}

async fn write(
    sink: &mut (impl SinkExt<Message, Error = Error> + Unpin),
    mut to_send: mpsc::Receiver<Sent>,
) -> Result<(), Error> {
    while let Some(sent) = to_send.recv().await {
        match sent {
            Sent::Data(channel, bytes) => sink.send(message(channel.to_be_bytes()[3], &bytes)).await?,
            // A server has no way to close one channel.
            Sent::Close(_) => {}
        }
    }
    // Without a code, clients take the end for a broken connection (RFC 6455, 7.4.1).
    let normal = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    sink.send(Message::Close(Some(normal))).await
}

/// A message from the client.
#[derive(Debug, PartialEq, Eq)]
enum Received {
    /// Bytes on a channel.
    Data(u8, Bytes),
    /// The client closed a channel.
    Closed(u8),
    /// Nothing that carries data.
    Other,
}

/// Reads a message. Some clients send text where others send bytes.
fn received(message: Message) -> Received {
    let Some(mut bytes) = payload(message) else { return Received::Other };
    match bytes.first().copied() {
        None => Received::Other,
        Some(CLOSE) => bytes.get(1).map_or(Received::Other, |channel| Received::Closed(*channel)),
        Some(channel) => Received::Data(channel, bytes.split_off(1)),
    }
}

fn payload(message: Message) -> Option<Bytes> {
    match message {
        Message::Binary(bytes) => Some(bytes),
        Message::Text(text) => Some(text.into()),
        _ => None,
    }
}

/// A message on a channel.
fn message(channel: u8, data: &[u8]) -> Message {
    let mut bytes = BytesMut::with_capacity(data.len() + 1);
    bytes.put_u8(channel);
    bytes.put_slice(data);
    Message::Binary(bytes.freeze())
}

/// The bytes of all messages, one after another: what is tunnelled.
pub(super) fn tunnel(socket: Socket) -> impl AsyncRead + AsyncWrite + Send + Unpin {
    let (sink, stream) = socket.split();
    let bytes = stream.filter_map(|message| {
        let bytes = message.map(payload).map_err(io::Error::other).transpose();
        futures::future::ready(bytes)
    });
    let messages = sink.with(|bytes: Bytes| futures::future::ok::<_, Error>(Message::Binary(bytes)));
    let writer = SinkWriter::new(CopyToBytes::new(messages.sink_map_err(io::Error::other)));
    tokio::io::join(StreamReader::new(bytes), writer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_carry_their_channel() {
        assert_eq!(received(message(1, b"hi")), Received::Data(1, Bytes::from("hi")));
        assert_eq!(received(Message::Text("\0ls".into())), Received::Data(0, Bytes::from("ls")));
        assert_eq!(received(Message::Binary(Bytes::from_static(&[255, 0]))), Received::Closed(0));
        assert_eq!(received(Message::Binary(Bytes::new())), Received::Other);
    }
}
