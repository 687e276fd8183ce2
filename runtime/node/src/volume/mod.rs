//! The files of pods on the host: volumes, `hosts`, `resolv.conf`, last words.
//!
//! All calls are short and touch only local files, so they are made in place. A pod's files are
//! found again by its uid after a restart, and go with the pod.

mod atomic;
mod content;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, HostPathVolumeSource, Pod, Volume};

use crate::pod::env::Sources;
use crate::pod::spec;
use crate::runtime::Mount;

/// The most that a container's last words may be.
const MAX_TERMINATION_MESSAGE: usize = 4096;
const DEFAULT_TERMINATION_PATH: &str = "/dev/termination-log";

/// Where the files of pods are.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    /// On disk.
    root: PathBuf,
    /// In memory, for secrets and `medium: Memory`.
    memory: PathBuf,
}

/// Where a pod's volumes are on the host, by the volumes' names.
pub(crate) type Volumes = BTreeMap<String, PathBuf>;

impl Files {
    /// Files under `root`, which outlives the process.
    pub(crate) fn new(root: &Path) -> Self {
        let tag = root.display().to_string().trim_matches('/').replace('/', "-");
        let run = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let candidates = [Some(PathBuf::from("/run")), run, Some(PathBuf::from("/dev/shm"))];
        let memory = candidates.into_iter().flatten().map(|dir| dir.join("trimtab").join(&tag));
        let memory = memory.into_iter().find(|dir| std::fs::create_dir_all(dir).is_ok());
        Self { root: root.to_owned(), memory: memory.unwrap_or_else(|| root.join("memory")) }
    }

    fn pod(&self, uid: &str) -> PathBuf {
        self.root.join("pods").join(uid)
    }

    /// The uids of pods that have files.
    pub(crate) fn uids(&self) -> Vec<String> {
        let dirs = [self.root.join("pods"), self.memory.clone()].into_iter().filter_map(|dir| dir.read_dir().ok());
        dirs.flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
    }

    /// Removes all files of a pod.
    pub(crate) fn remove(&self, uid: &str) -> io::Result<()> {
        for dir in [self.pod(uid), self.memory.join(uid)] {
            match std::fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes the pod's volumes, or brings them up to date, and returns where they are.
    ///
    /// # Errors
    /// Which volume could not be made, and why.
    pub(crate) fn volumes(&self, pod: &Pod, sources: &Sources) -> Result<Volumes, String> {
        let mut made = Volumes::new();
        for volume in spec(pod).volumes.iter().flatten() {
            let path = self.volume(pod, volume, sources);
            let path =
                path.map_err(|why| format!("MountVolume.SetUp failed for volume \"{}\" : {why}", volume.name))?;
            made.insert(volume.name.clone(), path);
        }
        Ok(made)
    }

    fn volume(&self, pod: &Pod, volume: &Volume, sources: &Sources) -> Result<PathBuf, String> {
        if let Some(host) = &volume.host_path {
            return host_path(host).map(|()| PathBuf::from(&host.path));
        }
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let group = spec(pod).security_context.as_ref().and_then(|context| context.fs_group);
        let group = group.and_then(|group| u32::try_from(group).ok());
        let path = self.path(uid, volume);
        let io = |error: io::Error| format!("{}: {error}", path.display());
        if volume.empty_dir.is_some() {
            make_dir(&path, 0o777, group).map_err(io)?;
            return Ok(path);
        }
        let files = content::files(pod, volume, sources)?;
        make_dir(&path, 0o755, group).map_err(io)?;
        atomic::write(&path, &files, group).map_err(io)?;
        Ok(path)
    }

    /// Where a volume is that is made for the pod.
    fn path(&self, uid: &str, volume: &Volume) -> PathBuf {
        let in_memory = volume.secret.is_some()
            || volume.projected.is_some()
            || volume.empty_dir.as_ref().is_some_and(|dir| dir.medium.as_deref() == Some("Memory"));
        let base = if in_memory { self.memory.join(uid) } else { self.pod(uid) };
        base.join("volumes").join(&volume.name)
    }

    /// The bytes that a volume made for the pod takes.
    pub(crate) fn size(&self, uid: &str, volume: &Volume) -> u64 {
        size(&self.path(uid, volume))
    }

    /// What a container sees of the host: its volumes, `hosts`, `resolv.conf`, where to leave its last words.
    ///
    /// # Errors
    /// What cannot be mounted, and why.
    pub(crate) fn mounts(
        &self,
        pod: &Pod,
        container: &Container,
        attempt: u32,
        volumes: &Volumes,
    ) -> Result<Vec<Mount>, String> {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let mut mounts = Vec::new();
        for mount in container.volume_mounts.iter().flatten() {
            let volume = volumes.get(&mount.name).ok_or_else(|| format!("no volume \"{}\"", mount.name))?;
            let host_path = match mount.sub_path.as_deref().filter(|path| !path.is_empty()) {
                Some(path) => sub_path(volume, path)?,
                None => volume.clone(),
            };
            let propagation = match mount.mount_propagation.as_deref() {
                Some("Bidirectional") => "rshared",
                Some("HostToContainer") => "rslave",
                _ => "rprivate",
            };
            let container_path = absolute(&mount.mount_path);
            mounts.push(Mount { host_path, container_path, read_only: mount.read_only == Some(true), propagation });
        }
        let taken = |path: &str| mounts.iter().any(|mount: &Mount| mount.container_path == path);
        let file = |host_path, path: &str| Mount {
            host_path,
            container_path: path.to_owned(),
            read_only: false,
            propagation: "rprivate",
        };
        let message = container.termination_message_path.as_deref().unwrap_or(DEFAULT_TERMINATION_PATH);
        let mut own = vec![(self.last_words(uid, &container.name, attempt), message)];
        own.extend([
            (self.pod(uid).join("hosts"), "/etc/hosts"),
            (self.pod(uid).join("resolv.conf"), "/etc/resolv.conf"),
        ]);
        let own: Vec<Mount> = own
            .into_iter()
            .filter(|(host_path, path)| !taken(path) && host_path.exists())
            .map(|(host_path, path)| file(host_path, path))
            .collect();
        Ok([mounts, own].concat())
    }

    fn last_words(&self, uid: &str, container: &str, attempt: u32) -> PathBuf {
        self.pod(uid).join("containers").join(container).join(attempt.to_string())
    }

    /// Makes the empty file for a container's last words.
    pub(crate) fn make_last_words(&self, uid: &str, container: &str, attempt: u32) -> io::Result<()> {
        let path = self.last_words(uid, container, attempt);
        std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
        std::fs::write(&path, b"")?;
        // Whatever user the container runs as may write it.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))
    }

    /// A container's last words; nothing when it left none.
    pub(crate) fn read_last_words(&self, uid: &str, container: &str, attempt: u32) -> Option<String> {
        let bytes = std::fs::read(self.last_words(uid, container, attempt)).ok()?;
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_TERMINATION_MESSAGE)]).into_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Writes the pod's `hosts`, in place: it may be mounted already.
    pub(crate) fn write_hosts(&self, pod: &Pod, ip: Option<IpAddr>) -> io::Result<()> {
        self.write(pod, "hosts", &content::hosts(pod, ip))
    }

    /// Writes the pod's `resolv.conf`.
    pub(crate) fn write_resolv_conf(&self, pod: &Pod, dns: Option<IpAddr>, domain: &str) -> io::Result<()> {
        let of_host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        self.write(pod, "resolv.conf", &content::resolv_conf(pod, dns, domain, &of_host))
    }

    fn write(&self, pod: &Pod, name: &str, text: &str) -> io::Result<()> {
        let dir = self.pod(pod.metadata.uid.as_deref().unwrap_or_default());
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join(name), text)
    }
}

/// The bytes that a folder and all below it take, as `du` counts them; what goes meanwhile counts nothing.
fn size(path: &Path) -> u64 {
    /// What `st_blocks` counts in.
    const BLOCK: u64 = 512;
    let entries = path.read_dir().into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| Some((entry.metadata().ok()?, entry.path())));
    sizes.map(|(meta, path)| meta.blocks() * BLOCK + if meta.is_dir() { size(&path) } else { 0 }).sum()
}

fn make_dir(path: &Path, mode: u32, group: Option<u32>) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(path)?;
    // Files made in it belong to the group, too.
    let mode = if group.is_some() { mode | 0o2070 } else { mode };
    if group.is_some() {
        chown(path, None, group)?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// Checks (or makes) a folder or file of the host, by the type of the volume.
fn host_path(host: &HostPathVolumeSource) -> Result<(), String> {
    let path = Path::new(&host.path);
    let type_ = host.type_.as_deref().unwrap_or_default();
    let failed = |error: io::Error| format!("hostPath {}: {error}", host.path);
    match type_ {
        "DirectoryOrCreate" if !path.exists() => return std::fs::create_dir_all(path).map_err(failed),
        "FileOrCreate" if !path.exists() => return std::fs::write(path, b"").map_err(failed),
        // Bind mounts need something to bind; upstream's runtimes make a folder then, too.
        "" if !path.exists() => return std::fs::create_dir_all(path).map_err(failed),
        "" => return Ok(()),
        _ => {}
    }
    let kind =
        path.metadata().map_err(|error| format!("hostPath type check failed: {}: {error}", host.path))?.file_type();
    let fits = match type_ {
        "Directory" | "DirectoryOrCreate" => kind.is_dir(),
        "File" | "FileOrCreate" => kind.is_file(),
        "Socket" => kind.is_socket(),
        "CharDevice" => kind.is_char_device(),
        "BlockDevice" => kind.is_block_device(),
        other => return Err(format!("unknown hostPath type {other:?}")),
    };
    if fits { Ok(()) } else { Err(format!("hostPath type check failed: {} is not a {type_}", host.path)) }
}

/// A path inside a volume, made as a folder when it is not there. It may not lead out.
fn sub_path(volume: &Path, path: &str) -> Result<PathBuf, String> {
    let refused = || format!("failed to prepare subPath {path:?}: it must not lead out of the volume");
    if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(refused());
    }
    let full = volume.join(path);
    if !full.exists() {
        std::fs::create_dir_all(&full).map_err(|error| format!("failed to prepare subPath {path:?}: {error}"))?;
    }
    let real = |path: &Path| path.canonicalize().map_err(|error| format!("{}: {error}", path.display()));
    let full = real(&full)?;
    if full.starts_with(real(volume)?) { Ok(full) } else { Err(refused()) }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn files() -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().unwrap();
        let files = Files { root: dir.path().join("disk"), memory: dir.path().join("memory") };
        (dir, files)
    }

    fn pod(volumes: serde_json::Value, mounts: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"uid": "u", "name": "web", "namespace": "shop"},
            "spec": {"volumes": volumes, "containers": [{"name": "a", "volumeMounts": mounts}]}}))
        .unwrap()
    }

    #[test]
    fn volumes_are_made_mounted_and_removed() {
        let (_dir, files) = files();
        let pod = pod(
            json!([{"name": "data", "emptyDir": {}}, {"name": "fast", "emptyDir": {"medium": "Memory"}}]),
            json!([{"name": "data", "mountPath": "/data", "subPath": "a/b", "readOnly": true}]),
        );
        let volumes = files.volumes(&pod, &Sources::default()).unwrap();
        assert!(volumes["fast"].starts_with(&files.memory) && volumes["fast"].is_dir());
        files.make_last_words("u", "a", 0).unwrap();
        files.write_hosts(&pod, None).unwrap();
        let mounts = files.mounts(&pod, &spec(&pod).containers[0], 0, &volumes).unwrap();
        assert!(mounts[0].read_only && mounts[0].host_path.ends_with("data/a/b"), "{mounts:?}");
        let paths: Vec<&str> = mounts.iter().map(|mount| mount.container_path.as_str()).collect();
        assert_eq!(paths, ["/data", "/dev/termination-log", "/etc/hosts"]);
        assert_eq!(files.uids(), ["u", "u"]);
        files.remove("u").unwrap();
        assert_eq!(files.uids(), Vec::<String>::new());
        files.remove("u").unwrap();
    }

    #[test]
    fn a_sub_path_stays_inside() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("out")).unwrap();
        for path in ["../x", "/etc", "out", "out/ssh"] {
            assert!(sub_path(dir.path(), path).is_err(), "{path}");
        }
        assert!(sub_path(dir.path(), "./in").is_ok());
    }

    #[test]
    fn a_host_path_is_checked_by_its_type() {
        let dir = tempfile::tempdir().unwrap();
        let check = |type_: &str, path: &Path| {
            host_path(&HostPathVolumeSource { path: path.display().to_string(), type_: Some(type_.to_owned()) })
        };
        assert!(check("Directory", &dir.path().join("none")).is_err());
        assert!(check("File", dir.path()).is_err());
        check("FileOrCreate", &dir.path().join("file")).unwrap();
        check("File", &dir.path().join("file")).unwrap();
        check("DirectoryOrCreate", &dir.path().join("dir")).unwrap();
    }

    #[test]
    fn a_volume_is_measured_with_all_below_it() {
        let (dir, files) = files();
        let volume: Volume = serde_json::from_value(serde_json::json!({"name": "v", "emptyDir": {}})).unwrap();
        assert_eq!(files.size("u", &volume), 0);
        let deep = files.path("u", &volume).join("deep");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("file"), vec![1; 1 << 20]).unwrap();
        std::os::unix::fs::symlink(dir.path(), deep.join("out")).unwrap();
        let size = files.size("u", &volume);
        assert!((1 << 20..2 << 20).contains(&size), "{size}");
    }

    #[test]
    fn last_words_are_cut() {
        let (_dir, files) = files();
        files.make_last_words("u", "a", 1).unwrap();
        assert_eq!(files.read_last_words("u", "a", 1), None);
        std::fs::write(files.last_words("u", "a", 1), "x".repeat(5000)).unwrap();
        assert_eq!(files.read_last_words("u", "a", 1).unwrap().len(), 4096);
    }
}
