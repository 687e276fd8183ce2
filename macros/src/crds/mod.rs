//! `resources_from!`: the files of CustomResourceDefinitions to types.
//!
//! ```text
//! files ─ yaml ─▶ documents with places ─ definition ─▶ names, versions, schemas
//!                                                              └─ maker ─▶ structs, enums ─ expand ─▶ code
//! ```

mod definition;
mod expand;
mod glob;
mod maker;
mod names;
mod schema;
mod types;
mod yaml;

use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream};
use syn::{Error, LitStr, Result, Token};

use crate::errors::Errors;

pub(crate) fn expand(input: TokenStream) -> Result<TokenStream> {
    let input: Input = syn::parse2(input)?;
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let span = input.files.span();
    let files = glob::files(&root, &input.files.value()).map_err(|message| Error::new(span, message))?;
    let mut errors = Errors::default();
    let mut kinds = Vec::new();
    for file in &files {
        match read(&root, file) {
            Ok(of_file) => kinds.extend(of_file),
            Err(wrong) => wrong.into_iter().for_each(|message| errors.push(Error::new(span, message))),
        }
    }
    for (index, kind) in kinds.iter().enumerate() {
        if let Some(other) = kinds[..index].iter().find(|other| other.module == kind.module) {
            let message = format!("{}: {} is declared in {}, too", kind.place, kind.definition.kind, other.place);
            errors.push(Error::new(span, message));
        }
    }
    errors.finish(())?;
    Ok(expand::kinds(&kinds, &files, &input.root))
}

/// `"crds/*.yaml"`, and if need be `crate = "trimtab_api"`.
struct Input {
    files: LitStr,
    root: syn::Path,
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let expected = "expected the files, relative to Cargo.toml: `resources_from!(\"crds/*.yaml\")`";
        let files = input.parse().map_err(|error| Error::new(error.span(), expected))?;
        let mut root = syn::parse_quote!(::trimtab);
        if input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            input.parse::<Token![crate]>()?;
            input.parse::<Token![=]>()?;
            root = input.parse::<LitStr>()?.parse()?;
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(Self { files, root })
    }
}

/// A kind, and the Rust types of each of its versions.
struct KindFile {
    /// The file and line, for errors.
    place: String,
    definition: definition::Definition,
    module: String,
    versions: Vec<types::Types>,
}

// The kinds of a file, or all that is wrong with it.
fn read(root: &Path, file: &Path) -> std::result::Result<Vec<KindFile>, Vec<String>> {
    let shown = file.strip_prefix(root).unwrap_or(file).display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| vec![format!("{shown}: {error}")])?;
    let documents = yaml::documents(&text).map_err(|wrong| vec![format!("{shown}:{wrong}")])?;
    let (mut kinds, mut wrong) = (Vec::new(), Vec::new());
    for document in &documents {
        let mut mistakes = definition::Mistakes::default();
        let Some(definition) = definition::read(document, &mut mistakes) else {
            wrong.extend(mistakes.told(document, &shown));
            continue;
        };
        let versions: Vec<_> =
            definition.versions.iter().map(|version| maker::types(&definition, version, &mut mistakes)).collect();
        wrong.extend(mistakes.told(document, &shown));
        let (line, _) = document.place("");
        let module = names::snake(&definition.kind);
        kinds.push(KindFile { place: format!("{shown}:{line}"), definition, module, versions });
    }
    if wrong.is_empty() && kinds.is_empty() {
        wrong.push(format!("{shown}:1:1: expected a CustomResourceDefinition"));
    }
    if wrong.is_empty() { Ok(kinds) } else { Err(wrong) }
}

#[cfg(test)]
mod tests;
