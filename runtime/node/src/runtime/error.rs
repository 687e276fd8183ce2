//! Why a runtime could not do what was asked.

/// What every call of a runtime answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a runtime could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The runtime does not answer.
    #[error("{message}")]
    Unavailable {
        /// What was tried, and what to do next.
        message: String,
        /// Why it failed.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// There is no such container or sandbox.
    #[error("no such container: {0}")]
    NotFound(String),
    /// There is no such image.
    #[error("no such image: {0}")]
    ImageNotFound(String),
    /// The runtime refused.
    #[error("{message}")]
    Refused {
        /// The runtime's own words.
        message: String,
    },
    /// This backend cannot do it.
    #[error("{0} is not supported by this container runtime")]
    Unsupported(&'static str),
}

impl Error {
    /// The runtime refused, in its own words.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused { message: message.into() }
    }

    /// Whether the runtime itself is gone, rather than unwilling.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether the container or sandbox is gone.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }
}
