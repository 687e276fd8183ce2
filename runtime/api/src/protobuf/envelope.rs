//! What goes around a message: four bytes that say that it is one of Kubernetes', and `runtime.Unknown`, which says of
//! which kind; the lists' messages; and the frames of a watch
//! (`k8s.io/apimachinery/pkg/runtime/serializer/protobuf`).

use super::wire::{self, BYTES, Reader};
use super::{DecodeError, EncodeError, Message};

const MAGIC: [u8; 4] = *b"k8s\0";

/// The fields of `runtime.Unknown`.
mod unknown {
    pub(super) const TYPE_META: u32 = 1;
    pub(super) const RAW: u32 = 2;
    pub(super) const CONTENT_ENCODING: u32 = 3;
    pub(super) const CONTENT_TYPE: u32 = 4;
}

/// An object that has not been read yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknown<'a> {
    /// Such as `apps/v1`.
    pub api_version: &'a str,
    /// Such as `Deployment`.
    pub kind: &'a str,
    /// The kind's message.
    pub raw: &'a [u8],
}

/// Reads an envelope.
///
/// # Errors
/// When it is none.
pub fn open(bytes: &[u8]) -> Result<Unknown<'_>, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::new("empty data"));
    }
    let Some(rest) = bytes.strip_prefix(&MAGIC) else {
        return Err(DecodeError::new(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
        ));
    };
    if rest.is_empty() {
        return Err(DecodeError::new("empty body"));
    }
    let mut found = Unknown::default();
    let mut reader = Reader(rest);
    while let Some((number, wire)) = reader.tag()? {
        match (number, wire) {
            (unknown::TYPE_META, BYTES) => type_meta(reader.bytes()?, &mut found)?,
            (unknown::RAW, BYTES) => found.raw = reader.bytes()?,
            _ => reader.skip(wire)?,
        }
    }
    Ok(found)
}

fn type_meta<'a>(bytes: &'a [u8], found: &mut Unknown<'a>) -> Result<(), DecodeError> {
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.tag()? {
        match (number, wire) {
            (1, BYTES) => found.api_version = text(reader.bytes()?)?,
            (2, BYTES) => found.kind = text(reader.bytes()?)?,
            _ => reader.skip(wire)?,
        }
    }
    Ok(())
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::new("invalid UTF-8"))
}

/// The envelope of a message that is `length` bytes long: what comes before it, and what comes behind it.
pub fn close(api_version: &str, kind: &str, length: usize) -> (Vec<u8>, &'static [u8]) {
    // Both are empty, and always written.
    const AFTER: &[u8] =
        &[(unknown::CONTENT_ENCODING << 3) as u8 | BYTES, 0, (unknown::CONTENT_TYPE << 3) as u8 | BYTES, 0];
    let mut meta = Vec::with_capacity(api_version.len() + kind.len() + 4);
    wire::put_bytes(&mut meta, 1, api_version.as_bytes());
    wire::put_bytes(&mut meta, 2, kind.as_bytes());
    let mut before = MAGIC.to_vec();
    wire::put_bytes(&mut before, unknown::TYPE_META, &meta);
    wire::put_tag(&mut before, unknown::RAW, BYTES);
    wire::put_varint(&mut before, length as u64);
    (before, AFTER)
}

/// The beginning of a list's message, of which the [items](item) are the rest. `metadata` is JSON.
///
/// # Errors
/// When `metadata` is no list's.
pub fn list(metadata: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    if let Some(message) = Message::of("meta.k8s.io/v1", "ListMeta") {
        wire::put_nested(&mut out, 1, |out| message.encode(metadata, out))?;
    }
    Ok(out)
}

/// Appends an item to a list's message; `json` is of the kind `message`.
///
/// # Errors
/// When `json` is of another kind.
pub fn item(message: &Message, json: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    wire::put_nested(out, 2, |out| message.encode(json, out))
}

/// Appends an item to a list's message: the two parts of what [`versioned`] makes of its message.
pub fn versioned_item(begin: &[u8], rest: &[u8], out: &mut Vec<u8>) {
    wire::put_tag(out, 2, BYTES);
    wire::put_varint(out, (begin.len() + rest.len()) as u64);
    out.extend_from_slice(begin);
    out.extend_from_slice(rest);
}

/// How `message`, an object's whose metadata comes first and has no resourceVersion, begins when it has this one, and
/// where in `message` the rest of it is: a message is made once for all who want to have it, and shared but for this.
/// `None` for any other message.
pub fn versioned(message: &[u8], resource_version: &str) -> Option<(Vec<u8>, usize)> {
    const METADATA: u32 = 1;
    const RESOURCE_VERSION: u32 = 6;
    let mut reader = Reader(message);
    if reader.tag().ok()?? != (METADATA, BYTES) {
        return None;
    }
    let length = reader.varint().ok()?;
    let mut version = Vec::with_capacity(resource_version.len() + 2);
    wire::put_bytes(&mut version, RESOURCE_VERSION, resource_version.as_bytes());
    let mut begin = Vec::with_capacity(version.len() + 6);
    wire::put_tag(&mut begin, METADATA, BYTES);
    wire::put_varint(&mut begin, length + version.len() as u64);
    begin.append(&mut version);
    Some((begin, message.len() - reader.0.len()))
}

/// What comes before an enveloped object of `length` bytes in a watch: the frame's length, and a `meta/v1.WatchEvent`,
/// which is in no envelope itself.
pub fn frame(type_: &str, length: usize) -> Vec<u8> {
    let raw = 1 + wire::varint_len(length as u64) + length;
    let mut event = Vec::new();
    wire::put_bytes(&mut event, 1, type_.as_bytes());
    wire::put_tag(&mut event, 2, BYTES);
    wire::put_varint(&mut event, raw as u64);
    wire::put_tag(&mut event, 1, BYTES);
    wire::put_varint(&mut event, length as u64);
    // No object comes near 4 GiB.
    let total = u32::try_from(event.len() + length).unwrap_or(u32::MAX);
    let mut out = total.to_be_bytes().to_vec();
    out.append(&mut event);
    out
}
