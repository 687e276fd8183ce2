//! The files that a pattern names: `crds/website.yaml`, `crds/*.yaml`.

use std::path::{Path, PathBuf};

/// The files below `root`, in the order of their names. A star stands for any part of a file's name.
pub(super) fn files(root: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or((".", pattern));
    if folder.contains('*') {
        return Err(format!("{pattern}: only the file's name may have a star, not the folder's"));
    }
    let folder = root.join(folder);
    let failed = |error: std::io::Error| format!("could not read {}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let fits = path.file_name().and_then(|own| own.to_str()).is_some_and(|own| matches(own, name));
        if fits && path.is_file() {
            files.push(path.canonicalize().map_err(failed)?);
        }
    }
    files.sort();
    if files.is_empty() { Err(format!("no file is called {}", root.join(pattern).display())) } else { Ok(files) }
}

fn matches(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((before, after)) => name
            .strip_prefix(before)
            .is_some_and(|rest| (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches(&rest[at..], after))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_part_of_a_name() {
        assert!(matches("a.yaml", "*.yaml") && matches("demo.io_a.yaml", "demo.io_*.yaml") && matches("a", "a"));
        assert!(matches("a.b.yaml", "*.*.yaml") && matches("x", "*") && !matches("a.yml", "*.yaml"));
        assert!(!matches("ab", "a") && !matches("a", "ab"));
    }
}
