//! Response bodies of shared pieces.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use serde::Serialize;
use serde_json::Value;
use trimtab_api::ApiError;
use trimtab_client::{Body, BoxError};

use crate::negotiate::{self, Encoding};
use crate::protobuf;

/// Pieces are joined up to so many bytes, what a TLS record and an HTTP/2 frame hold.
const JOINED: usize = 16 << 10;

/// The next of `pieces`, which are not all empty, as one: as far as it is cheaper to copy them than to send them apart.
pub(crate) fn joined(pieces: &mut VecDeque<Bytes>) -> Bytes {
    let (mut count, mut length) = (0, 0);
    for piece in &*pieces {
        if count > 0 && length + piece.len() > JOINED {
            break;
        }
        (count, length) = (count + 1, length + piece.len());
    }
    if count <= 1 {
        return pieces.pop_front().unwrap_or_default();
    }
    let mut all = Vec::with_capacity(length);
    pieces.drain(..count).for_each(|piece| all.extend_from_slice(&piece));
    all.into()
}

/// A body of pieces that are written one after another, the large ones without being copied.
#[derive(Default)]
pub(crate) struct Chunks(VecDeque<Bytes>);

impl Chunks {
    pub(crate) fn push(&mut self, piece: impl Into<Bytes>) {
        self.0.push_back(piece.into());
    }

    pub(crate) fn into_pieces(self) -> VecDeque<Bytes> {
        self.0
    }
}

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready((!self.0.is_empty()).then(|| Ok(Frame::data(joined(&mut self.0)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

pub(crate) fn chunks(code: StatusCode, content_type: &str, chunks: Chunks) -> Response<Body> {
    respond(code, content_type, chunks.boxed_unsync())
}

pub(crate) fn respond(code: StatusCode, content_type: &str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    if let Ok(value) = content_type.parse() {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    response
}

pub(crate) fn bytes(code: StatusCode, content_type: &str, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut pieces = Chunks::default();
    pieces.push(bytes);
    chunks(code, content_type, pieces)
}

pub(crate) fn json(code: StatusCode, value: &impl Serialize) -> Response<Body> {
    // Serialising our own values to memory cannot fail.
    bytes(code, "application/json", serde_json::to_vec(value).unwrap_or_default())
}

/// An object, which has its `apiVersion` and `kind`.
///
/// # Errors
/// 500 when it is to be a message and cannot.
pub(crate) fn object(code: StatusCode, encoding: Encoding, value: &Value) -> Result<Response<Body>, ApiError> {
    Ok(match encoding {
        Encoding::Json => json(code, value),
        Encoding::Yaml => bytes(code, encoding.content_type(), trimtab_api::to_yaml(value)),
        Encoding::Protobuf => chunks(code, encoding.content_type(), protobuf::value(value)?.into_chunks()),
    })
}

/// What every encoding has, such as a Status, as the client accepts it.
///
/// # Errors
/// As [`object`].
pub(crate) fn plain(code: StatusCode, headers: &HeaderMap, value: &Value) -> Result<Response<Body>, ApiError> {
    object(code, negotiate::encoding(headers), value)
}

/// The answer to a request with these headers that failed.
pub(crate) fn error(error: &ApiError, headers: &HeaderMap) -> Response<Body> {
    let code = StatusCode::from_u16(error.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let status = serde_json::to_value(error.status()).unwrap_or_default();
    let mut response = plain(code, headers, &status).unwrap_or_else(|_| json(code, &status));
    let after = error.status().details.as_ref().and_then(|details| details.retry_after_seconds);
    if let Some(seconds) = after {
        response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
    }
    response
}
