//! The folder that holds all that must outlive the process.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use trimtab_env::Env;

use crate::files::write_private;

const CLUSTER_ID: &str = "cluster-id";
const STORE: &str = "store.redb";
const PKI: &str = "pki";
const KUBECONFIGS: &str = "kubeconfigs";
const PODS: &str = "pods";
/// How long a role may stay taken by a process that was killed: one that it was starting at that
/// moment has a copy of the lock until it runs its own program.
const AFTER_A_KILL: Duration = Duration::from_secs(2);
/// How often a lock is tried.
const STEP: Duration = Duration::from_millis(20);

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

/// What of the folder only one process at a time may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Serve the store.
    ApiServer,
    /// Run the cluster's containers.
    Node,
}

impl Role {
    fn lock(self, path: &Path) -> PathBuf {
        path.join(match self {
            Self::ApiServer => "apiserver.lock",
            Self::Node => "node.lock",
        })
    }
}

/// A role, as long as this lives; it goes with the process, however that ends.
pub struct Held {
    _lock: File,
}

/// The folder. Processes may share it; see [`Role`].
pub struct DataDir {
    path: PathBuf,
    /// What tells this cluster's containers from another's.
    cluster: String,
}

impl DataDir {
    /// Opens the folder, and makes it if there is none.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(path: &Path, env: &Env) -> Result<Self, DataDirError> {
        fs::create_dir_all(path).map_err(access(path))?;
        let path = path.canonicalize().map_err(access(path))?;
        if !path.join(CLUSTER_ID).exists() {
            make_cluster_id(&path, env)?;
        }
        Ok(Self { cluster: cluster_id(&path)?, path })
    }

    /// Takes `role`, as soon as it is free.
    ///
    /// # Errors
    /// When another process still has it after two seconds: a process that was just killed may take so long.
    pub async fn hold(&self, role: Role, env: &Env) -> Result<Held, DataDirError> {
        self.hold_within(role, env, AFTER_A_KILL).await
    }

    /// As [`Self::hold`], with another patience.
    pub(crate) async fn hold_within(&self, role: Role, env: &Env, patience: Duration) -> Result<Held, DataDirError> {
        let mut waited = Duration::ZERO;
        loop {
            match self.try_hold(role) {
                Err(DataDirError::InUse { .. }) if waited < patience => {}
                done => return done,
            }
            env.sleep(STEP).await;
            waited += STEP;
        }
    }

    fn try_hold(&self, role: Role) -> Result<Held, DataDirError> {
        let path = role.lock(&self.path);
        let options = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut lock = options().map_err(access(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = holder(&self.path, role).unwrap_or_default();
                return Err(DataDirError::InUse { pid, path: self.path.clone() });
            }
            Err(TryLockError::Error(source)) => return Err(access(&path)(source)),
        }
        let write = |lock: &mut File| {
            lock.set_len(0)?;
            lock.rewind()?;
            lock.write_all(std::process::id().to_string().as_bytes())
        };
        write(&mut lock).map_err(access(&path))?;
        Ok(Held { _lock: lock })
    }

    /// The store's file.
    pub fn store(&self) -> PathBuf {
        self.path.join(STORE)
    }

    /// The folder of the certificate authority.
    pub fn pki(&self) -> PathBuf {
        self.path.join(PKI)
    }

    /// The folder of the components' kubeconfig files.
    pub fn kubeconfigs(&self) -> PathBuf {
        self.path.join(KUBECONFIGS)
    }

    /// The folder of the pods' files.
    pub fn pods(&self) -> PathBuf {
        self.path.join(PODS)
    }

    /// Removes all this, and the folder if nothing else is in it: what somebody else keeps in a
    /// folder that was named by mistake stays.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn delete(self) -> Result<(), DataDirError> {
        for name in [PODS, KUBECONFIGS, PKI] {
            let path = self.path.join(name);
            missing_is_fine(fs::remove_dir_all(&path)).map_err(access(&path))?;
        }
        // The identity last: until then, it is still a cluster's folder, and this can be repeated.
        let files = [self.store(), Role::Node.lock(&self.path), Role::ApiServer.lock(&self.path)];
        for path in files.into_iter().chain([self.path.join(CLUSTER_ID)]) {
            missing_is_fine(fs::remove_file(&path)).map_err(access(&path))?;
        }
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(access(&self.path)(error)),
            _ => Ok(()),
        }
    }

    /// What tells this cluster's containers from another's.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }
}

/// The process that has `role`, as far as the lock file says.
fn holder(path: &Path, role: Role) -> Option<String> {
    let mut text = String::new();
    File::open(role.lock(path)).ok()?.read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The identity of the cluster in `path`.
pub(crate) fn cluster_id(path: &Path) -> Result<String, DataDirError> {
    let file = path.join(CLUSTER_ID);
    let id = fs::read_to_string(&file).map_err(access(&file))?.trim().to_owned();
    if id.is_empty() { Err(access(&file)(io::ErrorKind::UnexpectedEof.into())) } else { Ok(id) }
}

// Of two processes that do so at once, the first wins.
fn make_cluster_id(path: &Path, env: &Env) -> Result<(), DataDirError> {
    let (file, beside) = (path.join(CLUSTER_ID), path.join(format!("{CLUSTER_ID}.{}", std::process::id())));
    write_private(&beside, env.name_suffix(8).as_bytes()).map_err(access(&beside))?;
    let linked = match fs::hard_link(&beside, &file) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(access(&file)(error)),
        _ => Ok(()),
    };
    fs::remove_file(&beside).map_err(access(&beside))?;
    linked
}

fn missing_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn access(path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    let path = path.to_owned();
    |source| DataDirError::Access { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_process_has_a_role_and_the_identity_stays() {
        let dir = tempfile::tempdir().unwrap();
        let env = Env::system();
        let (first, second) = (DataDir::open(dir.path(), &env).unwrap(), DataDir::open(dir.path(), &env).unwrap());
        assert_eq!(first.cluster(), second.cluster());
        let held = first.hold(Role::ApiServer, &env).await.unwrap();
        let error = second.hold(Role::ApiServer, &env).await.err().unwrap().to_string();
        assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
        let _other_role = second.hold(Role::Node, &env).await.unwrap();
        let freed = async {
            env.sleep(AFTER_A_KILL / 2).await;
            drop(held);
        };
        let (taken, ()) = tokio::join!(second.hold(Role::ApiServer, &env), freed);
        taken.unwrap();
        let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(files.len(), 3, "nothing is left lying about: {files:?}");
    }

    #[test]
    fn deleting_leaves_what_is_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let make = || {
            let data = DataDir::open(&path, &Env::system()).unwrap();
            let _held = data.try_hold(Role::ApiServer).unwrap();
            fs::create_dir_all(data.pki().join("deep")).unwrap();
            fs::write(data.store(), "x").unwrap();
            data
        };
        make().delete().unwrap();
        assert!(!path.exists());
        let data = make();
        fs::write(path.join("mine"), "x").unwrap();
        data.delete().unwrap();
        let left: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["mine"]);
    }
}
