//! The protobuf form of what is answered. Only the kinds of the program have one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use serde_json::Value;
use trimtab_api::protobuf::{self, EncodeError, Message};
use trimtab_api::{ApiError, Kind};
use trimtab_env::lock;
use trimtab_store::{Entry, Revision};

use crate::body::Chunks;
use crate::{encode, negotiate};

/// An enveloped object, in pieces of which the large one is shared.
pub(crate) struct Enveloped {
    pieces: Vec<Bytes>,
    length: usize,
}

impl Enveloped {
    fn new(api_version: &str, kind: &str, message: impl IntoIterator<Item = Bytes>) -> Self {
        let mut pieces = vec![Bytes::new()];
        pieces.extend(message);
        let (before, after) = protobuf::close(api_version, kind, pieces.iter().map(Bytes::len).sum());
        pieces[0] = before.into();
        pieces.push(Bytes::from_static(after));
        let length = pieces.iter().map(Bytes::len).sum();
        Self { pieces, length }
    }

    /// The object as a watch's event.
    pub(crate) fn framed(self, type_: &str) -> impl Iterator<Item = Bytes> {
        std::iter::once(protobuf::frame(type_, self.length).into()).chain(self.pieces)
    }

    pub(crate) fn into_chunks(self) -> Chunks {
        let mut chunks = Chunks::default();
        self.pieces.into_iter().for_each(|piece| chunks.push(piece));
        chunks
    }
}

/// A version of an object, with the resourceVersion `revision`.
///
/// # Errors
/// 500 when what is stored does not fit the kind.
pub(crate) fn entry(recent: &Recent, kind: &Kind, entry: &Entry, revision: Revision) -> Result<Enveloped, ApiError> {
    let message = message_of(kind)?;
    let encoded = recent.get(message, entry).map_or_else(
        || {
            let encoded = Bytes::from(encode(message, kind, entry)?);
            recent.put(message, entry, &encoded);
            Ok(encoded)
        },
        Ok,
    )?;
    let (begin, rest) = versioned(&encoded, entry, revision)?;
    Ok(Enveloped::new(&kind.api_version(), &kind.kind, [begin.into(), encoded.slice(rest..)]))
}

/// What `value`, with its `apiVersion` and `kind`, says.
///
/// # Errors
/// 500 when there is no such message, or the value does not fit it.
pub(crate) fn value(value: &Value) -> Result<Enveloped, ApiError> {
    let text = |name: &str| value[name].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let message = Message::of(api_version, kind).ok_or_else(|| unspoken(kind))?;
    let mut out = Vec::new();
    message.encode(value.to_string().as_bytes(), &mut out).map_err(|error| failed(kind, &error))?;
    Ok(Enveloped::new(api_version, kind, [out.into()]))
}

/// A list of versions of objects; `metadata` is the list's.
///
/// # Errors
/// As [`entry`].
pub(crate) fn list<'a>(
    kind: &Kind,
    metadata: &Value,
    entries: impl Iterator<Item = &'a Entry>,
) -> Result<Enveloped, ApiError> {
    let message = message_of(kind)?;
    let mut out = begin(&kind.list_kind, metadata)?;
    let mut item = Vec::new();
    for entry in entries {
        item.clear();
        message.encode(&encode::served(kind, entry), &mut item).map_err(|error| failed(&entry.key, &error))?;
        let (begin, rest) = versioned(&item, entry, entry.mod_revision)?;
        protobuf::versioned_item(&begin, &item[rest..], &mut out);
    }
    Ok(Enveloped::new(&kind.api_version(), &kind.list_kind, [out.into()]))
}

/// A list of objects that `items` are, of the kind `item_kind`.
///
/// # Errors
/// As [`value`].
pub(crate) fn list_of(
    (api_version, item_kind, list_kind): (&str, &str, &str),
    metadata: &Value,
    items: &[Value],
) -> Result<Enveloped, ApiError> {
    let message = Message::of(api_version, item_kind).ok_or_else(|| unspoken(item_kind))?;
    let mut out = begin(list_kind, metadata)?;
    for item in items {
        let json = item.to_string();
        protobuf::item(message, json.as_bytes(), &mut out).map_err(|error| failed(item_kind, &error))?;
    }
    Ok(Enveloped::new(api_version, list_kind, [out.into()]))
}

fn begin(list_kind: &str, metadata: &Value) -> Result<Vec<u8>, ApiError> {
    protobuf::list(metadata.to_string().as_bytes()).map_err(|error| failed(list_kind, &error))
}

fn message_of(kind: &Kind) -> Result<&'static Message, ApiError> {
    negotiate::message(kind).ok_or_else(|| unspoken(&kind.kind))
}

fn encode(message: &Message, kind: &Kind, entry: &Entry) -> Result<Vec<u8>, ApiError> {
    let mut out = Vec::with_capacity(entry.value.len());
    message.encode(&encode::served(kind, entry), &mut out).map_err(|error| failed(&entry.key, &error))?;
    out.shrink_to_fit();
    Ok(out)
}

fn versioned(message: &[u8], entry: &Entry, revision: Revision) -> Result<(Vec<u8>, usize), ApiError> {
    protobuf::versioned(message, &revision.to_string()).ok_or_else(|| {
        tracing::error!(key = &*entry.key, "a stored object has no metadata");
        ApiError::internal("the object has no metadata")
    })
}

fn unspoken(kind: &str) -> ApiError {
    ApiError::internal(format!("{kind} cannot be encoded to a protobuf message"))
}

fn failed(what: &str, error: &EncodeError) -> ApiError {
    tracing::error!(what, %error, "an object cannot be encoded to a protobuf message");
    ApiError::internal(format!("{what} cannot be encoded to a protobuf message: {error}"))
}

/// How many bytes of messages are kept.
const KEPT: usize = 4 << 20;

/// The messages of the versions that were asked for last: all who watch an object want the same ones at about the same
/// time. Kept apart from the versions, which are there for much longer.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Ring>);

#[derive(Default)]
struct Ring {
    by_revision: HashMap<Revision, (&'static Message, Bytes)>,
    oldest_first: VecDeque<Revision>,
    size: usize,
}

// Of one version: one commit writes one.
impl Recent {
    fn get(&self, message: &'static Message, entry: &Entry) -> Option<Bytes> {
        let ring = self.ring();
        let found = ring.by_revision.get(&entry.mod_revision);
        found.filter(|(of, _)| std::ptr::eq(*of, message)).map(|(_, bytes)| bytes.clone())
    }

    fn put(&self, message: &'static Message, entry: &Entry, bytes: &Bytes) {
        let mut ring = self.ring();
        if bytes.len() > KEPT || ring.by_revision.contains_key(&entry.mod_revision) {
            return;
        }
        ring.by_revision.insert(entry.mod_revision, (message, bytes.clone()));
        ring.oldest_first.push_back(entry.mod_revision);
        ring.size += bytes.len();
        while ring.size > KEPT {
            let Some(oldest) = ring.oldest_first.pop_front() else { return };
            ring.size -= ring.by_revision.remove(&oldest).map_or(0, |(_, bytes)| bytes.len());
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        lock(&self.0)
    }
}
