//! What a client is told beside the answer: `Warning:` headers (RFC 7234, code 299, as upstream).

use std::sync::{Arc, Mutex};

use http::header::WARNING;
use http::{HeaderValue, Response};
use trimtab_client::Body;
use trimtab_env::lock;

/// The warnings of one request.
#[derive(Clone, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Adds one, unless it is there already: a write may be tried several times.
    pub(crate) fn add(&self, text: String) {
        let mut texts = lock(&self.0);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }

    /// The answer with a header for each.
    pub(crate) fn told(&self, mut response: Response<Body>) -> Response<Body> {
        for text in &*lock(&self.0) {
            let text = format!("299 - {:?}", text.replace(['\n', '\r'], " "));
            if let Ok(value) = HeaderValue::from_str(&text) {
                response.headers_mut().append(WARNING, value);
            }
        }
        response
    }
}
