//! `derive(Resource)`: the struct of a spec to a kind of its own.

pub(crate) mod expand;
pub(crate) mod keywords;
pub(crate) mod meta;
pub(crate) mod model;
pub(crate) mod names;
mod object;
pub(crate) mod parse;
mod rule;
pub(crate) mod shape;

use proc_macro2::TokenStream;
use syn::{DeriveInput, Result};

pub(crate) fn expand(input: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(input)?;
    let attributes = parse::attributes(&input)?;
    let model = model::Model::new(&input, attributes)?;
    Ok(expand::resource(&model))
}

#[cfg(test)]
mod tests;
