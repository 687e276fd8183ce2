//! Documents that clients keep and ask for again: each has a tag, and whoever has it already is told so
//! (RFC 9110, sections 8.8.3 and 13.1.2).

use http::header::{ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use trimtab_client::{Body, empty_body, header_list};

/// The document that `make` makes, of which `tag` changes with it; or 304, when the client has it.
pub(crate) fn tagged(headers: &HeaderMap, tag: &str, make: impl FnOnce() -> Response<Body>) -> Response<Body> {
    let tag = format!("\"{tag}\"");
    let mut known = header_list(headers, IF_NONE_MATCH);
    let mut response = if known.any(|known| known == "*" || known.trim_start_matches("W/") == tag) {
        let mut response = Response::new(empty_body());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        make()
    };
    // What it is in depends on what the client accepts.
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}
