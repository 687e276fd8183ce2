//! What a request is called: in the log, the audit log and the answer's `Audit-ID` header.

use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};
use trimtab_env::Env;

/// Under which a client names its request, and finds the name in the answer.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("audit-id");

/// Names requests. Not each is drawn: a name is to be unique, not to be a secret.
pub(crate) struct Ids {
    run: u64,
    next: AtomicU64,
}

impl Ids {
    pub(crate) fn new(env: &Env) -> Self {
        let mut bytes = [0; 8];
        env.fill(&mut bytes);
        Self { run: u64::from_ne_bytes(bytes), next: AtomicU64::new(0) }
    }

    /// The name that the request's headers give it, if a line of a log can hold it; else a new one,
    /// in the form of a UUID (RFC 9562, version 8): what is the server's, then the request's number.
    pub(crate) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let is_text = |value: &&HeaderValue| (1..=MAX_LEN).contains(&value.len()) && value.to_str().is_ok();
        if let Some(given) = headers.get(HEADER).filter(is_text) {
            return given.clone();
        }
        let (run, number) = (self.run, self.next.fetch_add(1, Ordering::Relaxed));
        let text = format!(
            "{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}",
            run >> 32,
            (run >> 16) & 0xffff,
            run & 0xfff,
            0x8000 | (number >> 48 & 0x3fff),
            number & 0xffff_ffff_ffff,
        );
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("unknown"))
    }
}

/// A longer name, in bytes, is not taken over.
const MAX_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_over_or_made() {
        let ids = Ids::new(&Env::seeded(1, "2026-01-01T00:00:00Z".parse().unwrap()));
        let mut headers = HeaderMap::new();
        let (first, second) = (ids.of(&headers), ids.of(&headers));
        assert_ne!(first, second);
        assert_eq!((first.len(), first.as_bytes()[14], first.as_bytes()[19]), (36, b'8', b'8'));
        headers.insert(HEADER, HeaderValue::from_static("mine"));
        assert_eq!(ids.of(&headers), "mine");
        for bad in ["", &"x".repeat(MAX_LEN + 1), "ü"] {
            headers.insert(HEADER, HeaderValue::from_bytes(bad.as_bytes()).unwrap());
            assert_eq!(ids.of(&headers).len(), 36, "{bad}");
        }
    }
}
