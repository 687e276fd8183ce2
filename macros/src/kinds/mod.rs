//! `kinds!`: a folder of YAML files to a registry.

mod expand;
mod model;

use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;
use syn::{Error, LitStr, Result};

pub(crate) fn expand(input: TokenStream) -> Result<TokenStream> {
    let folder: LitStr = syn::parse2(input)?;
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let path = root.join(folder.value());
    let files =
        yaml_files(&path).map_err(|e| Error::new(folder.span(), format!("could not read {}: {e}", path.display())))?;
    if files.is_empty() {
        return Err(Error::new(folder.span(), format!("{} holds no .yaml file", path.display())));
    }
    let mut errors: Option<Error> = None;
    let mut kinds = Vec::new();
    for file in &files {
        match model::read(file) {
            Ok(kind) => kinds.push((file.clone(), kind)),
            Err(text) => {
                let error = Error::new(folder.span(), text);
                match &mut errors {
                    Some(all) => all.combine(error),
                    None => errors = Some(error),
                }
            }
        }
    }
    match errors {
        Some(errors) => Err(errors),
        None => expand::registry(&kinds, &folder),
    }
}

fn yaml_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path.canonicalize()?);
        }
    }
    files.sort();
    Ok(files)
}
