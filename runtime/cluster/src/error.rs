//! Why something could not start.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::data_dir::DataDirError;
use crate::pki::PkiError;

/// Why a cluster, or one component of it, could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The address is taken or not ours.
    #[error("could not listen on {address}; choose another with --listen (port 0 takes a free one)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No container engine.
    #[error(
        "the container engine cannot be used; start it (for instance `systemctl start docker`), or try `--runtime sim`"
    )]
    Engine(#[source] trimtab_node::runtime::Error),
    /// The audit policy cannot be used, or the audit log not be written.
    #[error("could not use the audit log's {path}")]
    Audit {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The kubeconfig.
    #[error(transparent)]
    Kubeconfig(#[from] trimtab_client::kubeconfig::ConfigError),
    /// Anything else, with what was attempted.
    #[error("could not {attempt}")]
    Other {
        /// What was attempted.
        attempt: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

pub(crate) fn other<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    attempt: &'static str,
) -> impl FnOnce(E) -> StartError {
    move |source| StartError::Other { attempt, source: source.into() }
}
