//! Writes a set of files so that readers see all of the old ones or all of the new ones.
//!
//! As upstream's `atomic_writer.go`: the files are in a folder of their own, `..data` is a link
//! to it, and each visible name is a link through `..data`. Renaming a new `..data` over the old
//! one changes all of them at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

/// A file: its bytes and mode.
pub(super) type File = (Vec<u8>, u32);

const DATA: &str = "..data";
const NEW: &str = "..data_tmp";

/// Makes `dir` hold exactly `files`, by relative path. Does nothing when it already does.
pub(super) fn write(dir: &Path, files: &BTreeMap<String, File>, group: Option<u32>) -> io::Result<()> {
    if is_current(dir, files) {
        return Ok(());
    }
    let old = std::fs::read_link(dir.join(DATA)).ok();
    let fresh = unused(dir)?;
    for (path, (bytes, mode)) in files {
        let full = dir.join(&fresh).join(path);
        std::fs::create_dir_all(full.parent().unwrap_or(dir))?;
        std::fs::write(&full, bytes)?;
        let mode = if group.is_some() { mode | ((mode & 0o400) >> 3) } else { *mode };
        if group.is_some() {
            chown(&full, None, group)?;
        }
        std::fs::set_permissions(&full, std::fs::Permissions::from_mode(mode))?;
    }
    let _ = std::fs::remove_file(dir.join(NEW));
    symlink(&fresh, dir.join(NEW))?;
    std::fs::rename(dir.join(NEW), dir.join(DATA))?;
    link(dir, files)?;
    if let Some(old) = old {
        std::fs::remove_dir_all(dir.join(old))?;
    }
    Ok(())
}

fn is_current(dir: &Path, files: &BTreeMap<String, File>) -> bool {
    let data = dir.join(DATA);
    let same = |(path, (bytes, _)): (&String, &File)| std::fs::read(data.join(path)).is_ok_and(|old| old == *bytes);
    data.exists() && count(&data) == files.len() && files.iter().all(same)
}

fn count(dir: &Path) -> usize {
    let entries = dir.read_dir().into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
}

/// A new folder in `dir`: `..1`, `..2`, …
fn unused(dir: &Path) -> io::Result<String> {
    let mut number = 1_u32;
    loop {
        let name = format!("..{number}");
        match std::fs::create_dir(dir.join(&name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
            Ok(()) => {
                std::fs::set_permissions(dir.join(&name), std::fs::Permissions::from_mode(0o755))?;
                return Ok(name);
            }
        }
    }
}

/// Links the visible names, and removes those that are no more.
fn link(dir: &Path, files: &BTreeMap<String, File>) -> io::Result<()> {
    let wanted: BTreeSet<&str> = files.keys().map(|path| path.split('/').next().unwrap_or(path)).collect();
    for entry in dir.read_dir()?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !wanted.contains(name.as_str()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    for name in wanted.iter().filter(|name| dir.join(name).symlink_metadata().is_err()) {
        symlink(Path::new(DATA).join(name), dir.join(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(files: &[(&str, &str)]) -> BTreeMap<String, File> {
        files.iter().map(|(path, text)| ((*path).to_owned(), (text.as_bytes().to_vec(), 0o640))).collect()
    }

    #[test]
    fn files_change_all_at_once_and_old_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &set(&[("a", "1"), ("sub/b", "2")]), None).unwrap();
        let before = std::fs::read_link(dir.path().join(DATA)).unwrap();
        write(dir.path(), &set(&[("a", "1"), ("sub/b", "2")]), None).unwrap();
        assert_eq!(std::fs::read_link(dir.path().join(DATA)).unwrap(), before, "nothing changed");
        let mode = dir.path().join("a").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);

        write(dir.path(), &set(&[("a", "3"), ("c", "4")]), None).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name));
        assert_eq!((read("a").unwrap(), read("c").unwrap()), ("3".to_owned(), "4".to_owned()));
        assert!(read("sub/b").is_err() && !dir.path().join(before).exists());
    }
}
