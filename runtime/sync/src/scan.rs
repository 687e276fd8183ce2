//! What is in the watched directories, read with care: nothing that a directory can hold blocks,
//! fills the memory or leads out of it.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use trimtab_api::Object;
use trimtab_api::manifest::{self, MAX_BYTES};

/// Folders are followed so deep.
const MAX_DEPTH: usize = 32;

/// So many files are looked at.
const MAX_FILES: usize = 10_000;

/// What tells that a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    len: u64,
    pub(crate) modified: Option<SystemTime>,
    /// Seconds and nanoseconds of the inode's last change, which no tool sets back.
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Self { inode: metadata.ino(), len: metadata.len(), modified: metadata.modified().ok(), changed }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// The manifests, in the order of their paths.
    pub(crate) files: Vec<(PathBuf, Stamp)>,
    /// Folders that could not be read whole: what is missing from them is not known to be gone.
    pub(crate) unread: Vec<(PathBuf, String)>,
}

/// What tells each of `roots` from another folder in its place; `None` for one that is not there.
pub(crate) fn inodes(roots: &[PathBuf]) -> Vec<Option<u64>> {
    roots.iter().map(|root| fs::metadata(root).ok().map(|metadata| metadata.ino())).collect()
}

/// Looks through the folder `root`, a canonical path.
pub(crate) fn scan(root: &Path, scan: &mut Scan) {
    walk(root, root, 0, scan);
    scan.files.sort_by(|a, b| a.0.cmp(&b.0));
}

fn walk(root: &Path, folder: &Path, depth: usize, scan: &mut Scan) {
    let entries = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) => return scan.unread.push((folder.to_owned(), error.to_string())),
    };
    for entry in entries {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => walk(root, &path, depth + 1, scan),
            Ok(kind) if kind.is_dir() => scan.unread.push((path, "folders are nested too deep".to_owned())),
            Ok(kind) if is_manifest(&path) => visit(root, path, kind.is_symlink(), scan),
            Ok(_) => {}
            Err(error) => scan.unread.push((path, error.to_string())),
        }
    }
}

/// By its name alone.
fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    matches!(extension.as_deref(), Some("yaml" | "yml" | "json"))
}

fn visit(root: &Path, path: PathBuf, is_symlink: bool, scan: &mut Scan) {
    // A link that leads nowhere, or out of the directory, is as no file.
    if is_symlink && !path.canonicalize().is_ok_and(|target| target.starts_with(root)) {
        return;
    }
    match fs::metadata(&path) {
        Ok(metadata) if !metadata.is_file() => {}
        Ok(_) if scan.files.len() >= MAX_FILES => {
            scan.unread.push((path, format!("there are more than {MAX_FILES} manifests")));
        }
        Ok(metadata) => scan.files.push((path, Stamp::of(&metadata))),
        // It went while we looked.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => scan.unread.push((path, error.to_string())),
    }
}

/// The objects of a manifest.
///
/// # Errors
/// What to tell the file's author.
pub(crate) fn objects(path: &Path) -> Result<Vec<Object>, String> {
    manifest::read(&read(path)?).map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: io::Error| format!("the file cannot be read: {error}");
    // Should a FIFO have taken the file's place, opening it must not wait for a writer.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let too_large = || format!("the file is larger than {} MiB", MAX_BYTES >> 20);
    if metadata.len() > MAX_BYTES as u64 {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_BYTES {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        format!("line {}: the file is not UTF-8", 1 + good.iter().filter(|byte| **byte == b'\n').count())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_not_taken_for_gone() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let mut deep = root.join("a");
        (0..40).for_each(|_| deep.push("d"));
        fs::create_dir_all(&deep).unwrap();
        let mut found = Scan::default();
        scan(&root, &mut found);
        assert!(deep.starts_with(&found.unread[0].0), "{:?}", found.unread);
        let mut found = Scan::default();
        scan(&root.join("gone"), &mut found);
        assert_eq!(found.unread[0].0, root.join("gone"));
    }

    #[test]
    fn a_stamp_tells_versions_of_one_length_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        let stamp = |text: &str| {
            fs::write(folder.path().join("new"), text).unwrap();
            fs::rename(folder.path().join("new"), &path).unwrap();
            Stamp::of(&fs::metadata(&path).unwrap())
        };
        assert_ne!(stamp("a: 1"), stamp("a: 2"));
    }
}
