//! The audit log: who asked for what, and what came of it
//! (<https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/>).
//!
//! ```text
//! request -> Policy (which level, which stages) -> Record (what is noted meanwhile) -> Log (one line for each stage)
//! ```
//!
//! A server without a policy has none of it. What a request carries is noted where the server reads
//! it; this module never reads a request's body.

mod event;
mod id;
mod log;
mod policy;
mod record;

pub(crate) use id::{HEADER, Ids};
pub use log::{Destination, Rotation};
pub use policy::{AuditPolicy, PolicyError};
pub(crate) use record::{Record, Subject, told};

use std::io;
use std::sync::Arc;

use self::log::Log;

/// What is logged, and where to.
pub struct Audit {
    policy: AuditPolicy,
    log: Arc<Log>,
}

impl Audit {
    /// Opens the log, whose writer runs until [`ApiServer::shutdown`](crate::ApiServer::shutdown).
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(policy: AuditPolicy, destination: Destination) -> io::Result<Self> {
        Ok(Self { policy, log: Arc::new(Log::open(destination)?) })
    }

    /// Waits until all that was logged is written.
    pub(crate) async fn flush(&self) {
        self.log.flush().await;
    }
}
