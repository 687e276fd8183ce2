//! How a reconcile ends.

use std::time::Duration;

/// What a reconcile answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// When an object is looked at next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    delay: Option<Duration>,
    finished: bool,
}

impl Next {
    /// When something that it depends on changes.
    pub fn on_change() -> Self {
        Self { delay: None, finished: true }
    }

    /// After `duration`, or when something changes before.
    pub fn after(duration: Duration) -> Self {
        Self { delay: Some(duration), finished: true }
    }

    /// The reconcile stopped half-way, as it waits for something: children that it did not come to apply are not
    /// pruned.
    #[must_use]
    pub fn unfinished(self) -> Self {
        Self { finished: false, ..self }
    }

    pub(crate) fn delay(self) -> Option<Duration> {
        self.delay
    }

    pub(crate) fn is_finished(self) -> bool {
        self.finished
    }
}

/// Why a reconcile failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The API refused or was not reached. Tried again with back-off.
    #[error(transparent)]
    Client(#[from] trimtab_client::Error),
    /// Anything else. Tried again with back-off.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
    /// Trying again is in vain until the object changes.
    #[error("{0}")]
    Terminal(String),
    /// The object is gone, or going, and the news of that late. Looked at again with back-off, until it is in.
    #[error("the {kind} {object} is gone")]
    Gone {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        object: trimtab_api::ObjectRef,
    },
    /// Something has to happen first. No failure: the object is looked at again when something changes.
    #[error("{0}")]
    Waiting(String),
}

impl Error {
    /// Trying again is in vain until the object changes.
    pub fn terminal(why: impl Into<String>) -> Self {
        Self::Terminal(why.into())
    }

    /// Something has to happen first, as a `cleanup` waits for what it began. No failure: the object is looked at
    /// again when something changes.
    pub fn waiting(for_what: impl Into<String>) -> Self {
        Self::Waiting(for_what.into())
    }

    /// Any other error.
    pub fn other(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(source.into())
    }
}
