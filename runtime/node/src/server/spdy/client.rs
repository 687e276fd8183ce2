//! The client's end of a connection, for tests.

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio_util::codec::{FramedRead, FramedWrite};

use super::frame::{Frame, Reader, Reset, Writer};
use super::header::Headers;

/// A client.
pub(in crate::server) struct Client {
    read: FramedRead<ReadHalf<DuplexStream>, Reader>,
    write: FramedWrite<WriteHalf<DuplexStream>, Writer>,
}

impl Client {
    /// A client, and the other end of its connection.
    pub(in crate::server) fn new() -> (Self, DuplexStream) {
        let (theirs, ours) = tokio::io::duplex(1 << 20);
        let (read, write) = tokio::io::split(theirs);
        let read = FramedRead::new(read, Reader::default());
        (Self { read, write: FramedWrite::new(write, Writer::default()) }, ours)
    }

    pub(in crate::server) async fn send(&mut self, frame: Frame) {
        self.write.send(frame).await.unwrap();
    }

    pub(in crate::server) async fn open<const N: usize>(&mut self, stream: u32, headers: [(&str, &str); N]) {
        self.send(Frame::SynStream { stream, fin: false, headers: headers.into() }).await;
    }

    pub(in crate::server) async fn reset(&mut self, stream: u32) {
        self.send(Frame::RstStream { stream, why: Reset::Other(5) }).await;
    }

    pub(in crate::server) async fn next(&mut self) -> Option<Frame> {
        self.read.next().await.map(Result::unwrap)
    }

    /// All that comes on `streams` until each is closed, in their order; what comes on others is passed over.
    pub(in crate::server) async fn read<const N: usize>(&mut self, streams: [u32; N]) -> [String; N] {
        let mut read = [const { Vec::new() }; N];
        let mut open = N;
        while open > 0 {
            let frame = self.next().await.expect("the connection goes on");
            if let Frame::Data { stream, fin, bytes } = frame
                && let Some(index) = streams.iter().position(|known| *known == stream)
            {
                read[index].extend_from_slice(&bytes);
                open -= usize::from(fin);
            }
        }
        read.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    pub(in crate::server) async fn nonsense(&mut self) {
        self.write.get_mut().write_all(&[0xff; 64]).await.unwrap();
    }
}

pub(in crate::server) fn data(stream: u32, fin: bool, bytes: &'static str) -> Frame {
    Frame::Data { stream, fin, bytes: bytes.into() }
}

/// What a server says of a stream that it lets be opened.
pub(in crate::server) fn reply(stream: u32) -> Option<Frame> {
    Some(Frame::SynReply { stream, fin: false, headers: Headers::default() })
}
