//! Why a call failed.

use trimtab_api::ApiError;

use crate::transport::TransportError;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The server was not reached.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server's answer is not what was asked for.
    #[error("could not read the answer to {what}")]
    Decode {
        /// The request.
        what: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The request cannot be made.
    #[error("invalid request: {0}")]
    Request(String),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] crate::kubeconfig::ConfigError),
}

impl Error {
    /// The server's own error, if it is one.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the object is not there.
    pub fn is_not_found(&self) -> bool {
        self.api().is_some_and(ApiError::is_not_found)
    }

    /// Whether the object was written since it was read.
    pub fn is_conflict(&self) -> bool {
        self.api().is_some_and(ApiError::is_conflict)
    }

    /// Whether the name is taken.
    pub fn is_already_exists(&self) -> bool {
        self.api().is_some_and(ApiError::is_already_exists)
    }

    /// Whether the revision is no longer held.
    pub fn is_expired(&self) -> bool {
        self.api().is_some_and(ApiError::is_expired)
    }
}

/// What lies at the bottom of an error: those above it mostly name the libraries that met it.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
