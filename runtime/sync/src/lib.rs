//! The watched manifest directory: files dropped in are applied, files edited are applied again,
//! files removed are pruned, drift is repaired, and every file has a status.
//!
//! ```text
//! folders (notify) -> scan (disk) -> file -> plan (pure) -> cluster (API) -> ManifestFile
//!                                      ^                                         |
//!                                      +------------- drift (watch) <------------+
//! ```
//!
//! Start at [`run`]. Each file is a [`ManifestFile`] in the cluster; its status is all the memory
//! there is, so a restart forgets nothing.

mod cluster;
mod drift;
mod file;
mod folders;
mod manifest_file;
mod plan;
mod scan;
mod syncer;

use std::io;
use std::path::PathBuf;

use trimtab_client::Client;
use trimtab_env::{CancellationToken, Env, Tasks};

pub use manifest_file::{AppliedObject, ManifestFile, ManifestFileSpec, ManifestFileStatus};

/// What to watch.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The directories, with all that is below them.
    pub dirs: Vec<PathBuf>,
}

/// Why a directory cannot be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such directory, or it may not be read.
    #[error("cannot watch the directory {}", path.display())]
    Folder {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The system neither tells of changes nor lets us look for them.
    #[error("cannot watch the manifest directories")]
    Watch(#[source] notify::Error),
}

/// Keeps the cluster as the directories' files have it, until `shutdown`. Objects without a
/// namespace go into the client's default one.
///
/// # Errors
/// When a directory is not there at the start. One that goes away later is waited for, and nothing
/// of it is pruned meanwhile.
pub async fn run(client: Client, env: Env, config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    let roots = config.dirs.into_iter().map(root).collect::<Result<Vec<_>, _>>()?;
    let folders = folders::Folders::watch(&roots).map_err(Error::Watch)?;
    let tasks = Tasks::under(&shutdown);
    let syncer = syncer::Syncer::new(client, env, tasks.clone(), roots);
    // Being dropped at any `.await` is no worse than a crash there, which loses nothing.
    shutdown.run_until_cancelled(syncer.run(folders)).await;
    tasks.shutdown().await;
    Ok(())
}

fn root(path: PathBuf) -> Result<PathBuf, Error> {
    let is_folder = |root: PathBuf| match root.is_dir() {
        true => Ok(root),
        false => Err(io::Error::from(io::ErrorKind::NotADirectory)),
    };
    path.canonicalize().and_then(is_folder).map_err(|source| Error::Folder { path, source })
}
