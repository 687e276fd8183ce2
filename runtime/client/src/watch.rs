//! The events of a watch.

use bytes::{Buf, Bytes, BytesMut};
use futures::stream::{self, Stream};
use http_body_util::BodyExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use trimtab_api::{ApiError, Object, from_json};

use crate::client::Client;
use crate::error::Error;
use crate::transport::{Body, TransportError};

/// A line longer than this is no event of ours: objects are at most a few MiB.
const MAX_LINE: usize = 32 << 20;

/// One event of a watch.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchEvent<K> {
    /// The object is new to the watch.
    Added(K),
    /// The object changed.
    Modified(K),
    /// The object is gone, or no longer selected. Carries its last state.
    Deleted(K),
    /// Nothing before this revision is still to come.
    Bookmark {
        /// The revision.
        resource_version: String,
        /// Whether this ends the initial events of a streaming list.
        initial_events_end: bool,
    },
    /// An object that cannot be read as `K`; the watch goes on.
    Unreadable {
        /// What kind of event it was: `ADDED`, `MODIFIED` or `DELETED`.
        event: String,
        /// The object as its JSON.
        object: Box<Object>,
        /// Why it cannot be read.
        error: String,
    },
    /// The watch is over; list again when it is expired.
    Error(ApiError),
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    event: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// Reads events from a response's body. The stream ends with the body, or after an error.
pub(crate) fn events<K: DeserializeOwned + Send>(
    body: Body,
    client: Client,
) -> impl Stream<Item = Result<WatchEvent<K>, Error>> + Send {
    let state = Some(Reader { body, buffer: BytesMut::new(), scanned: 0, client });
    stream::unfold(state, |state| async move {
        let mut reader = state?;
        match reader.line().await {
            Ok(None) => None,
            Ok(Some(line)) => match decode(&reader.client, &line) {
                Ok(event) => Some((Ok(event), Some(reader))),
                Err(error) => Some((Err(error), None)),
            },
            Err(error) => Some((Err(error), None)),
        }
    })
}

struct Reader {
    body: Body,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no end of line.
    scanned: usize,
    client: Client,
}

impl Reader {
    async fn line(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) {
                let line = self.buffer.split_to(self.scanned + at).freeze();
                self.buffer.advance(1);
                self.scanned = 0;
                if !line.is_empty() {
                    return Ok(Some(line));
                }
                continue;
            }
            self.scanned = self.buffer.len();
            if self.scanned > MAX_LINE {
                return Err(self.error("an event is larger than 32 MiB".into()));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => self.buffer.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Some(Err(source)) => return Err(self.error(source)),
            }
        }
    }

    fn error(&self, source: crate::BoxError) -> Error {
        TransportError { server: self.client.server().to_owned(), source }.into()
    }
}

/// Where the object of a change is to be found in a line as servers write it, so that it is read once. If it
/// is not there, what is found does not read as an object.
fn change<K>(line: &[u8]) -> Option<(Change<K>, &[u8])> {
    let rest = line.strip_prefix(br#"{"type":""#)?.strip_suffix(b"}")?;
    let of = |head: &[u8], change: Change<K>| Some((change, rest.strip_prefix(head)?));
    of(br#"ADDED","object":"#, WatchEvent::Added)
        .or_else(|| of(br#"MODIFIED","object":"#, WatchEvent::Modified))
        .or_else(|| of(br#"DELETED","object":"#, WatchEvent::Deleted))
}

/// What has happened to an object.
type Change<K> = fn(K) -> WatchEvent<K>;

fn decode<K: DeserializeOwned>(client: &Client, line: &[u8]) -> Result<WatchEvent<K>, Error> {
    let failed = |source| Error::Decode { what: "watch".to_owned(), source };
    if let Some((make, object)) = change(line)
        && let Ok(object) = client.read(object)
    {
        return Ok(make(object));
    }
    let Line { event, object } = serde_json::from_slice(line).map_err(failed)?;
    let read = |make: Change<K>| match client.read(object.get().as_bytes()) {
        Ok(object) => Ok(make(object)),
        Err(error) => {
            let object = from_json(object.get().as_bytes()).map_err(failed)?;
            Ok(WatchEvent::Unreadable { event: event.to_owned(), object: Box::new(object), error: error.to_string() })
        }
    };
    match event {
        "ADDED" => read(WatchEvent::Added),
        "MODIFIED" => read(WatchEvent::Modified),
        "DELETED" => read(WatchEvent::Deleted),
        "BOOKMARK" => {
            let object: Object = from_json(object.get().as_bytes()).map_err(failed)?;
            let initial_events_end = object.annotations().any(|pair| pair == ("k8s.io/initial-events-end", "true"));
            Ok(WatchEvent::Bookmark { resource_version: object.resource_version().to_owned(), initial_events_end })
        }
        _ => {
            let status: Status = from_json(object.get().as_bytes()).map_err(failed)?;
            Ok(WatchEvent::Error(ApiError::from_status(status)))
        }
    }
}
