//! The objects that `-f` names: files, folders, standard input, URLs.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use trimtab_api::{Object, manifest};
use trimtab_client::discovery::Discovered;

use crate::session::Session;

/// One file and what is in it.
pub(crate) struct File {
    /// As it was named, for messages.
    pub(crate) name: String,
    pub(crate) objects: Result<Vec<Object>>,
}

/// Reads everything that `names` lead to, in order; of a folder, its manifests by name.
///
/// # Errors
/// When something is not there, or a folder holds no manifest.
pub(crate) async fn read(names: &[PathBuf], recursive: bool) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for name in names {
        let text = name.to_string_lossy();
        if text == "-" {
            files.push(file("STDIN", read_stdin()));
        } else if text.starts_with("http://") || text.starts_with("https://") {
            files.push(file(&text, trimtab_client::fetch(&text, manifest::MAX_BYTES).await.map_err(Into::into)));
        } else if name.is_dir() {
            let before = files.len();
            read_folder(name, recursive, &mut files)?;
            if files.len() == before {
                bail!("error reading [{text}]: recognized file extensions are [.json .yaml .yml]");
            }
        } else if !name.exists() {
            bail!("the path {text:?} does not exist");
        } else {
            files.push(file(&text, read_file(name)));
        }
    }
    Ok(files)
}

fn file(name: &str, text: Result<String>) -> File {
    let parse = |text: String| manifest::read(&text).with_context(|| format!("error parsing {name}"));
    File { name: name.to_owned(), objects: text.and_then(parse) }
}

fn read_folder(folder: &Path, recursive: bool, files: &mut Vec<File>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if recursive {
                read_folder(&path, recursive, files)?;
            }
        } else if path.extension().is_some_and(|extension| ["json", "yaml", "yml"].iter().any(|e| extension == *e)) {
            files.push(file(&path.to_string_lossy(), read_file(&path)));
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<String> {
    let failed = || format!("could not read {}", path.display());
    limited(std::fs::File::open(path).with_context(failed)?).with_context(failed)
}

fn read_stdin() -> Result<String> {
    limited(std::io::stdin().lock()).context("could not read standard input")
}

/// One byte more than is allowed is enough for the reader of manifests to refuse it.
fn limited(source: impl Read) -> Result<String> {
    let mut text = String::new();
    source.take(manifest::MAX_BYTES as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// The kind of an object of a file.
///
/// # Errors
/// When the server does not serve it.
pub(crate) async fn kind_of(session: &mut Session, file: &str, object: &Object) -> Result<Discovered> {
    match session.kind_of(object.api_version(), object.kind()).await? {
        Some(kind) => Ok(kind),
        None => {
            // Discovery passes over what it cannot read, so a server that is away shows here.
            session.client.text("/version").await?;
            bail!(
                "resource mapping not found for name: {:?} namespace: {:?} from {file:?}: no matches for kind {:?} \
                 in version {:?}\nensure CRDs are installed first",
                object.name(),
                object.namespace(),
                object.kind(),
                object.api_version(),
            )
        }
    }
}

/// Puts an object that names no namespace into the session's.
///
/// # Errors
/// When it names another one than the command line does.
pub(crate) fn settle_namespace(session: &Session, kind: &Discovered, object: &mut Object) -> Result<()> {
    if !kind.resource.namespaced {
        object.remove(&["metadata", "namespace"]);
        return Ok(());
    }
    let (own, wanted) = (object.namespace().to_owned(), session.namespace.as_str());
    if own.is_empty() {
        object.set(&["metadata", "namespace"], wanted);
    } else if session.namespace_given && own != wanted {
        bail!(
            "the namespace from the provided object {own:?} does not match the namespace {wanted:?}. You must pass \
             '--namespace={own}' to perform this operation."
        );
    }
    Ok(())
}
