//! The folder that holds all that must outlive the process.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use trimtab_env::Env;

use crate::files::write_private;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// A file could not be read or written.
    #[error("could not access {}", path.display())]
    Access {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process has it.
    #[error("{} is in use by process {pid}; stop it with `trimtab down`, or name another folder with --data-dir", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who.
        pid: String,
    },
}

/// `$XDG_DATA_HOME/trimtab`, or `~/.local/share/trimtab`.
pub fn default_data_dir() -> PathBuf {
    let base = std::env::var_os("XDG_DATA_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let base = base.or_else(|| std::env::home_dir().map(|home| home.join(".local/share")));
    base.unwrap_or_default().join("trimtab")
}

/// The folder, held by this process alone while it lives.
pub struct DataDir {
    path: PathBuf,
    /// Locked; the lock goes with the process, however it ends.
    _lock: File,
    /// What tells this cluster's containers from another's.
    cluster: String,
}

impl DataDir {
    /// Opens the folder, and makes it if there is none.
    ///
    /// # Errors
    /// When another process has it, or it cannot be written.
    pub fn open(path: &Path, env: &Env) -> Result<Self, DataDirError> {
        fs::create_dir_all(path).map_err(access(path))?;
        let path = path.canonicalize().map_err(access(path))?;
        let lock_path = path.join("lock");
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(access(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DataDirError::InUse { pid: holder(&path).unwrap_or_default(), path });
            }
            Err(TryLockError::Error(source)) => return Err(access(&lock_path)(source)),
        }
        let write = |lock: &mut File| {
            lock.set_len(0)?;
            lock.rewind()?;
            lock.write_all(std::process::id().to_string().as_bytes())
        };
        write(&mut lock).map_err(access(&lock_path))?;
        let cluster = cluster_id(&path, Some(env))?;
        Ok(Self { path, _lock: lock, cluster })
    }

    /// A path in the folder.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What tells this cluster's containers from another's.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }
}

/// The process that holds the folder, as far as the lock file says.
pub(crate) fn holder(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path.join("lock")).ok()?.read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The identity of the cluster in `path`; made by `env` if there is none.
pub(crate) fn cluster_id(path: &Path, env: Option<&Env>) -> Result<String, DataDirError> {
    let file = path.join("cluster-id");
    match (fs::read_to_string(&file), env) {
        (Ok(id), _) if !id.trim().is_empty() => Ok(id.trim().to_owned()),
        (_, Some(env)) => {
            let id = env.name_suffix(8);
            write_private(&file, id.as_bytes()).map_err(access(&file))?;
            Ok(id)
        }
        (Err(source), None) => Err(access(&file)(source)),
        (Ok(_), None) => Err(access(&file)(io::ErrorKind::UnexpectedEof.into())),
    }
}

fn access(path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    let path = path.to_owned();
    |source| DataDirError::Access { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_holds_it_and_its_identity_stays() {
        let dir = tempfile::tempdir().unwrap();
        let env = Env::system();
        let first = DataDir::open(dir.path(), &env).unwrap();
        let error = DataDir::open(dir.path(), &env).err().unwrap().to_string();
        assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
        let id = first.cluster().to_owned();
        drop(first);
        assert_eq!(DataDir::open(dir.path(), &env).unwrap().cluster(), id);
    }
}
