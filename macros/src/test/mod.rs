//! `#[test(…)]`: an async function of a cluster to a test that the standard harness runs.

mod expand;
mod model;
mod parse;

use proc_macro2::TokenStream;
use syn::{ItemFn, Result};

use crate::arguments;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(item).map_err(|error| {
        syn::Error::new(error.span(), format!("#[trimtab::test] goes on a function, as `{}`: {error}", model::EXPECTED))
    })?;
    let arguments = arguments::read(arguments)?;
    let model = model::Model::new(function, arguments)?;
    Ok(expand::test(&model))
}

#[cfg(test)]
mod tests;
