//! Small writes that go out together.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So many bytes wait at most: what a TLS session takes at once.
const FULL: usize = 64 << 10;
/// So much room is made at first, for a few events: making more and more of it is making many copies.
const FIRST: usize = 16 << 10;

/// A connection whose flushes wait until whoever writes has nothing more to write.
///
/// HTTP/2 flushes each frame, and there is a frame for each event of each watch, and for each 16 KiB
/// of a list: a TLS record and a system call each. Here a flush that follows upon a write is put off
/// until the task is polled again, which it asks for; what is written until then goes out with it.
/// The task must flush each time that it is polled.
pub(crate) struct Corked<S> {
    io: S,
    waiting: Vec<u8>,
    /// How many of the bytes that wait are written already.
    written: usize,
    /// Whether anything was written since the last flush.
    fresh: bool,
}

impl<S> Corked<S> {
    pub(crate) fn new(io: S) -> Self {
        Self { io, waiting: Vec::new(), written: 0, fresh: false }
    }
}

impl<S: AsyncWrite + Unpin> Corked<S> {
    fn drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.waiting.len() {
            let count = ready!(Pin::new(&mut self.io).poll_write(context, &self.waiting[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        // Most connections wait for something: they keep no memory for it.
        self.waiting = Vec::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Corked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.waiting.len() >= FULL {
            ready!(self.drain(context))?;
        }
        self.fresh = true;
        if self.waiting.capacity() == 0 {
            self.waiting.reserve(FIRST);
        }
        let mut taken = 0;
        for piece in pieces {
            let count = piece.len().min(FULL.saturating_sub(self.waiting.len()));
            self.waiting.extend_from_slice(&piece[..count]);
            taken += count;
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.fresh) {
            context.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        ready!(self.drain(context))?;
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(context))?;
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_is_written_in_one_go_goes_out_together() {
        let (mut client, io) = tokio::io::duplex(1 << 10);
        let mut server = Corked::new(io);
        for byte in 0..3 {
            server.write_all(&[byte]).await.unwrap();
            server.flush().await.unwrap();
        }
        let mut bytes = [0; 4];
        let early = poll_fn(|context| {
            Poll::Ready(Pin::new(&mut client).poll_read(context, &mut ReadBuf::new(&mut bytes)).is_ready())
        });
        assert!(!early.await);
        server.flush().await.unwrap();
        assert_eq!(client.read(&mut bytes).await.unwrap(), 3);
        assert_eq!((&bytes[..3], server.waiting.capacity()), (&[0, 1, 2][..], 0));
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_makes_whoever_writes_wait() {
        let (mut client, io) = tokio::io::duplex(1 << 10);
        let mut server = Corked::new(io);
        let bytes: Vec<u8> = (0..FULL + 10_000).map(|index| (index % 251) as u8).collect();
        let mut read = vec![0; bytes.len()];
        let writing = async {
            server.write_all(&bytes).await.unwrap();
            server.shutdown().await.unwrap();
        };
        tokio::pin!(writing);
        assert!(futures::poll!(&mut writing).is_pending());
        tokio::join!(writing, async { client.read_exact(&mut read).await.unwrap() });
        assert_eq!(read, bytes);
    }
}
