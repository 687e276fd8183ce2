//! The protobuf form of the built-in kinds: JSON to protobuf and back.
//!
//! One generic transcoder over a table of messages, [`Message`]. What it writes is read right by
//! upstream's generated code, and what upstream's code writes becomes the JSON that upstream itself
//! would make of it. Objects go in an [envelope](open) that says of which kind they are.

mod decode;
mod encode;
mod envelope;
mod openapi;
mod special;
mod table;
mod wire;

pub use envelope::{Unknown, close, frame, item, list, open, versioned, versioned_item};
pub use openapi::openapi_v2;
pub use table::Message;

/// The media type.
pub const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// Why bytes are no message, as far as known in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The names of the fields, innermost first.
    path: Vec<String>,
    reason: String,
}

impl DecodeError {
    fn new(reason: impl Into<String>) -> Self {
        Self { path: Vec::new(), reason: reason.into() }
    }

    fn end() -> Self {
        Self::new("unexpected EOF")
    }

    /// The same, in the field `name`.
    fn within(mut self, name: &str) -> Self {
        self.path.push(name.to_owned());
        self
    }
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.reason);
        }
        let path: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
        write!(f, "{}: {}", path.join("."), self.reason)
    }
}

impl std::error::Error for DecodeError {}

/// Why JSON is no message.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct EncodeError(#[from] serde_json::Error);

#[cfg(test)]
mod tests;
