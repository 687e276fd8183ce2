//! What must hold of any bytes that a client sends: the door of the fuzz target (`tests/fuzz`), since
//! nothing of this protocol is public.

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::codec::{Decoder, Encoder};

use super::frame::{Frame, Reader, Writer};
use super::{Stream, connect};

/// Frames are the same in whichever pieces their bytes come, and when they are written and read
/// again; a connection ends with its bytes.
///
/// # Panics
/// When that is not so.
pub fn spdy(bytes: &[u8]) {
    let whole = frames(std::iter::once(bytes));
    assert_eq!(joined(frames(bytes.chunks(7))), joined(whole.clone()), "in pieces");
    let (mut writer, mut written) = (Writer::default(), BytesMut::new());
    for frame in &whole {
        // What a client may send as one block of headers may be too long when it is not compressed as well.
        if writer.encode(frame.clone(), &mut written).is_err() {
            return;
        }
    }
    if written.len() < 60 << 10 {
        assert_eq!(joined(frames(std::iter::once(&written[..]))), joined(whole), "written and read");
    }
    converse(bytes);
}

/// The frames up to what is none.
fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Frame> {
    let (mut reader, mut read, mut frames) = (Reader::default(), BytesMut::new(), Vec::new());
    for piece in pieces {
        read.extend_from_slice(piece);
        loop {
            match reader.decode(&mut read) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return frames,
            }
        }
    }
    frames
}

/// The pieces of a data frame are one, as far as they have come.
fn joined(frames: Vec<Frame>) -> Vec<Frame> {
    let mut all: Vec<Frame> = Vec::new();
    for frame in frames {
        match (all.last_mut(), frame) {
            (Some(Frame::Data { stream, fin, bytes }), Frame::Data { stream: next, fin: ends, bytes: more })
                if *stream == next && !*fin =>
            {
                *bytes = Bytes::from([&bytes[..], &more[..]].concat());
                *fin = ends;
            }
            (_, frame) => all.push(frame),
        }
    }
    all
}

/// Echoes what comes on every stream, as a command might.
fn converse(bytes: &[u8]) {
    let (mut theirs, ours) = tokio::io::duplex(1 << 20);
    let (mut connection, driver) = connect(ours, |headers| headers.get("streamtype") != "error");
    let server = async {
        let mut last = 0;
        while let Some(Stream { id, mut incoming, outgoing, .. }) = connection.opened.recv().await {
            assert!(id > last && !id.is_multiple_of(2), "stream {id} after {last}");
            last = id;
            while let Ok(bytes) = incoming.try_recv() {
                let _ = outgoing.send(bytes).now_or_never();
            }
        }
    };
    let client = async {
        let sent = theirs.write_all(bytes).await;
        drop(theirs.shutdown().await);
        let mut answered = Vec::new();
        let read = theirs.read_to_end(&mut answered).await;
        (sent.is_ok(), read.is_ok(), answered)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let Ok(runtime) = runtime else { return };
    let (_, _, (_, _, answered)) = runtime.block_on(async { tokio::join!(driver, server, client) });
    let (mut reader, mut answered) = (Reader::default(), BytesMut::from(&answered[..]));
    while let Some(frame) = reader.decode(&mut answered).expect("what is answered is read") {
        drop(frame);
    }
    assert!(answered.is_empty(), "what is answered is whole");
}
