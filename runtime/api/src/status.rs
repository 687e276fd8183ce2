//! Errors as the API answers them: `meta/v1.Status`, in upstream's words
//! (`k8s.io/apimachinery/pkg/api/errors`).

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, Status, StatusCause, StatusDetails};

use crate::field;
use crate::kind::Kind;

/// An error that a client sees. Only the apiserver makes these; the client library reads them back.
#[derive(Clone, PartialEq)]
pub struct ApiError(Box<Status>);

impl ApiError {
    /// An error with a code (4xx or 5xx), a machine-readable reason and a message.
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self(Box::new(Status {
            code: Some(i32::from(code)),
            details: None,
            message: Some(message.into()),
            metadata: ListMeta::default(),
            reason: (!reason.is_empty()).then(|| reason.to_owned()),
            status: Some("Failure".to_owned()),
        }))
    }

    fn about(self, kind: &Kind, name: &str) -> Self {
        self.with_details(|details| {
            details.group = (!kind.group.is_empty()).then(|| kind.group.to_string());
            details.kind = Some(kind.plural.to_string());
            details.name = (!name.is_empty()).then(|| name.to_owned());
        })
    }

    /// Changes the details.
    #[must_use]
    pub fn with_details(mut self, change: impl FnOnce(&mut StatusDetails)) -> Self {
        change(self.0.details.get_or_insert_default());
        self
    }

    /// Adds a cause.
    #[must_use]
    pub fn with_cause(self, reason: &str, field: Option<&str>, message: impl Into<String>) -> Self {
        let cause = StatusCause {
            reason: Some(reason.to_owned()),
            field: field.map(str::to_owned),
            message: Some(message.into()),
        };
        self.with_details(|details| details.causes.get_or_insert_default().push(cause))
    }

    /// 400: the request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401: nobody the server knows.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403: `user` may not do this.
    pub fn forbidden(kind: &Kind, name: &str, detail: impl fmt::Display) -> Self {
        let name_part = if name.is_empty() { String::new() } else { format!(" {name:?}") };
        Self::new(403, "Forbidden", format!("{}{name_part} is forbidden: {detail}", kind.resource())).about(kind, name)
    }

    /// 404: no such object.
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", kind.resource())).about(kind, name)
    }

    /// 404: no such path.
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").with_details(|_| ())
    }

    /// 405: the resource has no such verb.
    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            .with_details(|_| ())
    }

    /// 405: the kind is going.
    pub fn terminating(verb: &str) -> Self {
        let message = format!("{verb} not allowed while custom resource definition is terminating");
        Self::new(405, "MethodNotAllowed", message).with_details(|_| ())
    }

    /// 406: none of the accepted media types is served.
    pub fn not_acceptable(supported: &[&str]) -> Self {
        let message = format!("only the following media types are accepted: {}", supported.join(", "));
        Self::new(406, "NotAcceptable", message)
    }

    /// 409: the name is taken.
    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", kind.resource())).about(kind, name)
    }

    /// 409: the request was made for another state than the object is in.
    pub fn conflict(kind: &Kind, name: &str, detail: impl fmt::Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {detail}", kind.resource());
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// 409: the object was written since the caller read it.
    pub fn stale(kind: &Kind, name: &str) -> Self {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 410: the revision is compacted.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 413: the body is over `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        Self::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {limit}"))
    }

    /// 415: the body's media type is not read here.
    pub fn unsupported_media_type(found: &str, supported: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {} (found {found:?})",
            supported.join(", ")
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 422: fields that do not fit, each with a cause.
    pub fn invalid(kind: &Kind, name: &str, errors: &[field::Error]) -> Self {
        Self::invalid_as(&kind.group, &kind.kind, name, errors)
    }

    /// As [`ApiError::invalid`], of what a subresource is sent, whose kind is not served by itself.
    pub fn invalid_as(group: &str, kind: &str, name: &str, errors: &[field::Error]) -> Self {
        let all = match errors {
            [one] => one.to_string(),
            many => format!("[{}]", many.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        };
        let resource = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let error = Self::new(422, "Invalid", format!("{resource} {name:?} is invalid: {all}"));
        let error = error.with_details(|details| {
            let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            (details.group, details.kind, details.name) = (said(group), said(kind), said(name));
        });
        errors
            .iter()
            .fold(error, |error, e| error.with_cause(e.kind.reason(), Some(&e.path.to_string()), e.message.clone()))
    }

    /// 429: come back in `seconds`; 0 for nobody knows when.
    pub fn too_many_requests(message: impl Into<String>, seconds: i32) -> Self {
        let seconds = Some(seconds).filter(|seconds| *seconds > 0);
        Self::new(429, "TooManyRequests", message).with_details(|details| details.retry_after_seconds = seconds)
    }

    /// 500: our fault. The message is what the client sees; log the cause separately.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {message}")).with_cause(
            "",
            None,
            message.to_string(),
        )
    }

    /// 503: not now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    /// 504: the asked-for revision has not been reached.
    pub fn revision_too_large(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        Self::new(504, "Timeout", message)
            .with_cause("ResourceVersionTooLarge", None, "Too large resource version")
            .with_details(|details| details.retry_after_seconds = Some(1))
    }

    /// An error read back from a server's answer.
    pub fn from_status(status: Status) -> Self {
        Self(Box::new(status))
    }

    /// What goes over the wire.
    pub fn status(&self) -> &Status {
        &self.0
    }

    /// The HTTP status code.
    pub fn code(&self) -> u16 {
        self.0.code.and_then(|code| u16::try_from(code).ok()).unwrap_or(500)
    }

    /// The machine-readable reason; empty when there is none.
    pub fn reason(&self) -> &str {
        self.0.reason.as_deref().unwrap_or_default()
    }

    /// Whether the object is not there.
    pub fn is_not_found(&self) -> bool {
        self.reason() == "NotFound"
    }

    /// Whether the write was made for another state than the object is in.
    pub fn is_conflict(&self) -> bool {
        self.reason() == "Conflict"
    }

    /// Whether the name is taken.
    pub fn is_already_exists(&self) -> bool {
        self.reason() == "AlreadyExists"
    }

    /// Whether the revision is no longer (or, as `Gone`, was never) held, so that a list is needed.
    pub fn is_expired(&self) -> bool {
        matches!(self.reason(), "Expired" | "Gone") || self.code() == 410
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiError({} {}: {})", self.code(), self.reason(), self)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message.as_deref().unwrap_or("unknown error"))
    }
}

impl std::error::Error for ApiError {}
