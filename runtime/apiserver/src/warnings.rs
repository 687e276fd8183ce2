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
            // Those of other letters than ASCII's go as they are.
            if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
                response.headers_mut().append(WARNING, value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};

    use super::*;

    #[test]
    fn all_letters_are_told() {
        let warnings = Warnings::default();
        warnings.add("nicht „so“\nsondern anders".to_owned());
        let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
        let told = warnings.told(Response::new(body));
        assert_eq!(told.headers()[WARNING].as_bytes(), "299 - \"nicht „so“ sondern anders\"".as_bytes());
    }
}
