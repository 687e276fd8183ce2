//! Stopping a cluster and removing what it made.

use std::path::Path;
use std::time::Duration;

use trimtab_env::Env;
use trimtab_network::proxy;
use trimtab_node::docker::{Docker, Options};

use crate::data_dir::{DataDir, DataDirError, Held, Role, cluster_id};

/// How long a running process is given to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a cluster could not be taken down.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownError {
    /// There is no cluster in the data directory.
    #[error("there is no cluster to take down")]
    None(#[source] DataDirError),
    /// The running process does not end.
    #[error("process {pid} does not end; try `kill -9 {pid}`, then `trimtab down` again")]
    Stuck {
        /// The process.
        pid: String,
    },
    /// The containers could not be removed.
    #[error("the containers could not be removed")]
    Engine(#[source] trimtab_node::runtime::Error),
    /// The data directory could not be deleted.
    #[error("the containers are removed, but the data could not be deleted")]
    Delete(#[source] DataDirError),
}

/// What becomes of what is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// It stays, for the next start.
    Kept,
    /// It is deleted, with the certificates and everything else in the data directory.
    Deleted,
}

/// Ends the processes that run the cluster in `data_dir`, and removes its containers, its network
/// and what it left in the kernel. Answers how many containers were removed.
///
/// # Errors
/// When there is no cluster, it does not end, the engine refuses, or the data cannot be deleted.
pub async fn down(data_dir: &Path, service_cidr: &str, data: Data, env: &Env) -> Result<usize, DownError> {
    let cluster = cluster_id(data_dir).map_err(DownError::None)?;
    let dir = DataDir::open(data_dir, env).map_err(DownError::None)?;
    // The agent first: it would bring back what is removed.
    let _held = [stop(&dir, Role::Node, env).await?, stop(&dir, Role::ApiServer, env).await?];
    let options = Options { cluster: cluster.clone(), subnet: String::new() };
    let removed = match Docker::connect(options).await {
        Ok(engine) => engine.remove_all().await.map_err(DownError::Engine)?,
        // A cluster of simulated nodes needs no engine, and without one nothing runs.
        Err(error) => {
            tracing::debug!(%error, "no container engine answers");
            0
        }
    };
    if let Err(error) = proxy::cleanup(&cluster, service_cidr).await {
        tracing::warn!(%error, "kernel rules may be left");
    }
    if data == Data::Deleted {
        dir.delete().map_err(DownError::Delete)?;
    }
    Ok(removed)
}

/// Ends the process that has `role`, and takes it over.
async fn stop(dir: &DataDir, role: Role, env: &Env) -> Result<Held, DownError> {
    let pid = match dir.hold_within(role, env, Duration::ZERO).await {
        Err(DataDirError::InUse { pid, .. }) => pid,
        done => return done.map_err(DownError::None),
    };
    terminate(&pid).await;
    dir.hold_within(role, env, PATIENCE).await.map_err(|error| match error {
        DataDirError::InUse { .. } => DownError::Stuck { pid },
        other => DownError::None(other),
    })
}

async fn terminate(pid: &str) {
    // The standard library sends no signals; the system's own tool does.
    if let Err(error) = tokio::process::Command::new("kill").arg(pid).status().await {
        tracing::warn!(%error, pid, "the running process could not be told to end");
    }
}
