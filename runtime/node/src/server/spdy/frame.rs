//! Frames, and their bytes (SPDY/3.1, sections 2.2 and 2.6).

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::header::{Compressor, Decompressor, HeaderError, Headers};

const VERSION: u16 = 3;
/// The head of every frame, in bytes.
const HEAD: usize = 8;
/// The longest control frame that is read, in bytes after its head.
const MAX_CONTROL: usize = 64 << 10;
/// The longest data frame that is written. Reading has no such limit: a data frame is taken in pieces.
const MAX_DATA: usize = 64 << 10;
const CONTROL: u32 = 1 << 31;
const FIN: u8 = 1;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const SETTINGS: u16 = 4;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const WINDOW_UPDATE: u16 = 9;

/// Why a stream is reset (section 2.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Reset {
    ProtocolError,
    RefusedStream,
    /// One that is only read.
    Other(u32),
}

/// A frame. `fin` is whether its sender sends no more on the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) enum Frame {
    SynStream {
        stream: u32,
        fin: bool,
        headers: Headers,
    },
    SynReply {
        stream: u32,
        fin: bool,
        headers: Headers,
    },
    RstStream {
        stream: u32,
        why: Reset,
    },
    /// Each with its flags, id and value.
    Settings(Vec<(u8, u32, u32)>),
    Ping(u32),
    GoAway {
        last_stream: u32,
        status: u32,
    },
    Headers {
        stream: u32,
        fin: bool,
        headers: Headers,
    },
    WindowUpdate {
        stream: u32,
        delta: u32,
    },
    /// A piece of a data frame, or all of it.
    Data {
        stream: u32,
        fin: bool,
        bytes: Bytes,
    },
}

/// Why there is no next frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a control frame of version {0} instead of {VERSION}")]
    Version(u16),
    #[error("a control frame of {0} bytes, of which {MAX_CONTROL} are read")]
    TooLong(usize),
    #[error("a frame of type {0} is malformed")]
    Malformed(u16),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads frames.
#[derive(Debug, Default)]
pub(super) struct Reader {
    next: Next,
    headers: Decompressor,
}

/// What the next bytes are.
#[derive(Debug, Default)]
enum Next {
    #[default]
    Head,
    Control {
        kind: u16,
        flags: u8,
        length: usize,
    },
    Data {
        stream: u32,
        fin: bool,
        left: usize,
    },
}

impl Decoder for Reader {
    type Item = Frame;
    type Error = FrameError;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        loop {
            match self.next {
                Next::Head => {
                    if source.len() < HEAD {
                        return Ok(None);
                    }
                    self.next = head(source.get_u32(), source.get_u32())?;
                }
                Next::Control { kind, flags, length } => {
                    if source.len() < length {
                        source.reserve(length - source.len());
                        return Ok(None);
                    }
                    self.next = Next::Head;
                    let frame = self.control(kind, flags & FIN != 0, source.split_to(length).freeze())?;
                    if frame.is_some() {
                        return Ok(frame);
                    }
                }
                Next::Data { stream, fin, left } => {
                    if source.is_empty() && left > 0 {
                        return Ok(None);
                    }
                    let bytes = source.split_to(left.min(source.len())).freeze();
                    let left = left - bytes.len();
                    self.next = if left > 0 { Next::Data { stream, fin, left } } else { Next::Head };
                    return Ok(Some(Frame::Data { stream, fin: fin && left == 0, bytes }));
                }
            }
        }
    }
}

fn head(first: u32, second: u32) -> Result<Next, FrameError> {
    let [flags, length @ ..] = second.to_be_bytes();
    let length = length.into_iter().fold(0, |length, byte| length << 8 | usize::from(byte));
    if first & CONTROL == 0 {
        return Ok(Next::Data { stream: first, fin: flags & FIN != 0, left: length });
    }
    let [high, low, kind @ ..] = first.to_be_bytes();
    let version = u16::from_be_bytes([high & 0x7f, low]);
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    if length > MAX_CONTROL {
        return Err(FrameError::TooLong(length));
    }
    Ok(Next::Control { kind: u16::from_be_bytes(kind), flags, length })
}

impl Reader {
    /// `None` is of a type that nobody knows, to be passed over.
    fn control(&mut self, kind: u16, fin: bool, mut body: Bytes) -> Result<Option<Frame>, FrameError> {
        let malformed = |_| FrameError::Malformed(kind);
        let mut number = || body.try_get_u32().map_err(malformed);
        Ok(Some(match kind {
            SYN_STREAM => {
                // After the two streams, its own and the one it belongs to: a priority and a slot.
                let (stream, _) = (number()?, number()?);
                body.try_get_u16().map_err(malformed)?;
                Frame::SynStream { stream: id(stream), fin, headers: self.headers.headers(&body)? }
            }
            SYN_REPLY => Frame::SynReply { stream: id(number()?), fin, headers: self.headers.headers(&body)? },
            HEADERS => Frame::Headers { stream: id(number()?), fin, headers: self.headers.headers(&body)? },
            RST_STREAM => Frame::RstStream { stream: id(number()?), why: Reset::of(number()?) },
            SETTINGS => {
                let count = number()?;
                let setting = |_| {
                    let ([flags, high, middle, low], value) = (number()?.to_be_bytes(), number()?);
                    Ok((flags, u32::from_be_bytes([0, high, middle, low]), value))
                };
                Frame::Settings((0..count).map(setting).collect::<Result<_, FrameError>>()?)
            }
            PING => Frame::Ping(number()?),
            GOAWAY => Frame::GoAway { last_stream: id(number()?), status: number()? },
            WINDOW_UPDATE => Frame::WindowUpdate { stream: id(number()?), delta: id(number()?) },
            _ => return Ok(None),
        }))
    }
}

/// The highest bit is reserved.
fn id(number: u32) -> u32 {
    number & !CONTROL
}

impl Reset {
    fn of(code: u32) -> Self {
        match code {
            1 => Self::ProtocolError,
            3 => Self::RefusedStream,
            other => Self::Other(other),
        }
    }

    fn code(self) -> u32 {
        match self {
            Self::ProtocolError => 1,
            Self::RefusedStream => 3,
            Self::Other(code) => code,
        }
    }
}

/// Writes frames.
#[derive(Debug, Default)]
pub(super) struct Writer {
    headers: Compressor,
}

impl Encoder<Frame> for Writer {
    type Error = FrameError;

    fn encode(&mut self, frame: Frame, to: &mut BytesMut) -> Result<(), FrameError> {
        match frame {
            Frame::SynStream { stream, fin, headers } => {
                let block = self.headers.block(&headers)?;
                control(to, SYN_STREAM, fin, &[&stream.to_be_bytes(), &[0; 6], &block]);
            }
            Frame::SynReply { stream, fin, headers } => {
                control(to, SYN_REPLY, fin, &[&stream.to_be_bytes(), &self.headers.block(&headers)?]);
            }
            Frame::Headers { stream, fin, headers } => {
                control(to, HEADERS, fin, &[&stream.to_be_bytes(), &self.headers.block(&headers)?]);
            }
            Frame::RstStream { stream, why } => numbers(to, RST_STREAM, &[stream, why.code()]),
            Frame::Settings(settings) => {
                let count = u32::try_from(settings.len()).unwrap_or(u32::MAX);
                let each = settings.iter().flat_map(|(flags, id, value)| [u32::from(*flags) << 24 | id, *value]);
                numbers(to, SETTINGS, &std::iter::once(count).chain(each).collect::<Vec<_>>());
            }
            Frame::Ping(id) => numbers(to, PING, &[id]),
            Frame::GoAway { last_stream, status } => numbers(to, GOAWAY, &[last_stream, status]),
            Frame::WindowUpdate { stream, delta } => numbers(to, WINDOW_UPDATE, &[stream, delta]),
            Frame::Data { stream, fin, mut bytes } => loop {
                let piece = bytes.split_to(bytes.len().min(MAX_DATA));
                let fin = fin && bytes.is_empty();
                begin(to, stream, fin, piece.len());
                to.put(piece);
                if bytes.is_empty() {
                    break;
                }
            },
        }
        Ok(())
    }
}

fn numbers(to: &mut BytesMut, kind: u16, body: &[u32]) {
    let body: Vec<u8> = body.iter().flat_map(|number| number.to_be_bytes()).collect();
    control(to, kind, false, &[&body]);
}

fn control(to: &mut BytesMut, kind: u16, fin: bool, body: &[&[u8]]) {
    let first = CONTROL | u32::from(VERSION) << 16 | u32::from(kind);
    begin(to, first, fin, body.iter().map(|part| part.len()).sum());
    body.iter().for_each(|part| to.put_slice(part));
}

fn begin(to: &mut BytesMut, first: u32, fin: bool, length: usize) {
    to.reserve(HEAD + length);
    to.put_u32(first);
    to.put_u8(if fin { FIN } else { 0 });
    to.put_uint(length as u64, 3);
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
