//! How `#[resource(…)]` is written: names, texts, flags, lists.

use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, ExprLit, Lit, LitStr, Meta, Path, Result, Token, Type};

pub(crate) type Metas = Punctuated<Meta, Token![,]>;

pub(crate) fn resource_attributes(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("resource"))
}

pub(crate) fn name_of(meta: &Meta) -> String {
    meta.path().get_ident().map(ToString::to_string).unwrap_or_default()
}

pub(crate) fn value(meta: &Meta, example: &str) -> Result<Expr> {
    match meta {
        Meta::NameValue(pair) => Ok(pair.value.clone()),
        _ => Err(Error::new_spanned(meta, format!("expected `{} = {example}`", name_of(meta)))),
    }
}

pub(crate) fn text(meta: &Meta) -> Result<LitStr> {
    string(&value(meta, "\"…\"")?)
}

pub(crate) fn string(expr: &Expr) -> Result<LitStr> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text.clone()),
        _ => Err(Error::new_spanned(expr, "expected a string in quotes")),
    }
}

// One name, or a list of them.
pub(crate) fn texts(meta: &Meta) -> Result<Vec<LitStr>> {
    match value(meta, "\"…\"` or `[\"…\", \"…\"]")? {
        Expr::Array(array) => array.elems.iter().map(string).collect(),
        one => Ok(vec![string(&one)?]),
    }
}

pub(crate) fn flag(meta: &Meta) -> Result<Path> {
    match meta {
        Meta::Path(path) => Ok(path.clone()),
        _ => Err(Error::new_spanned(meta, format!("`{}` takes no value", name_of(meta)))),
    }
}

pub(crate) fn type_of(meta: &Meta, example: &str) -> Result<Type> {
    let expr = value(meta, example)?;
    match &expr {
        Expr::Path(path) if path.attrs.is_empty() => {
            Ok(Type::Path(syn::TypePath { qself: path.qself.clone(), path: path.path.clone() }))
        }
        _ => Err(Error::new_spanned(expr, format!("expected a type, without quotes: `{} = {example}`", name_of(meta)))),
    }
}

pub(crate) fn path(path: LitStr) -> Result<LitStr> {
    if path.value().starts_with('.') {
        return Ok(path);
    }
    Err(Error::new(path.span(), format!("expected a path from the object's root, as `.{}`", path.value())))
}

/// The pairs of a `#[serde(…)]` attribute whose value is a string.
pub(crate) fn serde_text(attributes: &[Attribute], wanted: &str) -> Option<LitStr> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("serde")).find_map(|attribute| {
        let metas = attribute.parse_args_with(Metas::parse_terminated).ok()?;
        metas.iter().find(|meta| meta.path().is_ident(wanted)).and_then(|meta| text(meta).ok())
    })
}

/// The text of the `///` comment.
pub(crate) fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => string(&pair.value).ok(),
        _ => None,
    });
    lines.map(|line| line.value().trim().to_owned()).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// Whether a `#[serde(…)]` attribute says `wanted`, with a value or without.
pub(crate) fn serde_has(attributes: &[Attribute], wanted: &str) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("serde")).any(|attribute| {
        let metas = attribute.parse_args_with(Metas::parse_terminated);
        metas.is_ok_and(|metas| metas.iter().any(|meta| meta.path().is_ident(wanted)))
    })
}
