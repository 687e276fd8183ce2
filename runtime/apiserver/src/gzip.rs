//! Compressed answers, for clients that ask for them and answers that are worth it.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, VARY};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use trimtab_client::{Body, header_list};

/// Answers smaller than this many bytes go as they are, as upstream.
const WORTH_IT: u64 = 128 << 10;

/// Whether the client reads gzip.
pub(crate) fn is_accepted(headers: &HeaderMap) -> bool {
    header_list(headers, ACCEPT_ENCODING).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim() == "gzip" && weight.trim() != "q=0"
    })
}

/// The response, compressed when its size is known and large. A stream, such as a watch, has no
/// known size and is left alone.
pub(crate) async fn compressed(response: Response<Body>) -> Response<Body> {
    if response.body().size_hint().exact().is_none_or(|size| size < WORTH_IT) {
        return response;
    }
    let (mut parts, mut body) = response.into_parts();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Piece by piece: together they may be large.
    while let Some(frame) = body.frame().await {
        // Neither a body of known size nor writing to memory fails; were it otherwise, the length that
        // was promised would not be kept, and the client sees the connection break.
        let Ok(frame) = frame else { return Response::from_parts(parts, trimtab_client::empty_body()) };
        if let Ok(data) = frame.into_data() {
            let _ = encoder.write_all(&data);
        }
    }
    let bytes: Bytes = encoder.finish().unwrap_or_default().into();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    Response::from_parts(parts, Full::new(bytes).map_err(|never| match never {}).boxed_unsync())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn gzip_is_accepted_when_named_and_not_forbidden() {
        for (text, expected) in [("gzip", true), ("br, gzip;q=0.5", true), ("gzip;q=0", false), ("identity", false)] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, text.parse().unwrap());
            assert_eq!(is_accepted(&headers), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn large_answers_are_compressed_and_small_ones_are_not() {
        for (size, expected) in [(1_000, false), (200 << 10, true)] {
            let text = "x".repeat(size);
            let response = compressed(crate::body::bytes(http::StatusCode::OK, "text/plain", text.clone())).await;
            assert_eq!(response.headers().contains_key(CONTENT_ENCODING), expected);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let mut read = String::new();
            if expected {
                flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut read).unwrap();
            } else {
                read = String::from_utf8(body.to_vec()).unwrap();
            }
            assert_eq!(read, text);
        }
    }
}
