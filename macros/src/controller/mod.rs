//! `#[controller(…)]`: an impl block to an implementation of `Controller`.

mod expand;
mod model;
mod parse;

use proc_macro2::TokenStream;
use syn::{ItemImpl, Result};

use crate::arguments;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let block: ItemImpl = syn::parse2(item).map_err(|error| {
        syn::Error::new(
            error.span(),
            format!("#[controller] goes on an impl block, as `impl Replication {{ … }}`: {error}"),
        )
    })?;
    let arguments = arguments::read(arguments)?;
    let model = model::Model::new(&block, arguments)?;
    Ok(expand::controller(&model))
}

#[cfg(test)]
mod tests;
