//! Values that have to be of one JSON type. What their types' names tell is compared here; of the
//! program's own types the compiler compares what they are, by their trait `Shaped`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Attribute, Field, Meta, Type};

use crate::errors::Errors;
use crate::resource::meta::{Metas, resource_attributes, serde_has};
use crate::resource::shape::Shape;

/// What a value is in JSON.
#[derive(Clone, Copy)]
pub(super) enum Json<'a> {
    Seen(Shape),
    /// What a value of this type is.
    Of(&'a Type),
    Unknown,
}

impl<'a> Json<'a> {
    /// What a field is.
    pub(super) fn of(field: &'a Field) -> Self {
        // Whoever says how it is written, or what its schema is, knows better than its type.
        let is_said = resource_attributes(&field.attrs).next().is_some()
            || ["with", "serialize_with"].iter().any(|name| serde_has(&field.attrs, name))
            || schemars_says(&field.attrs, &["with", "schema_with", "transform", "extend"]);
        match Shape::seen(&field.ty) {
            _ if is_said => Self::Unknown,
            Ok(shape) => Self::Seen(shape),
            Err(own @ Type::Path(_)) => Self::Of(own),
            Err(_) => Self::Unknown,
        }
    }

    /// The constant that says it.
    pub(super) fn constant(self) -> TokenStream {
        match self {
            Self::Seen(shape) => {
                let name = format_ident!("{shape:?}");
                quote!(__custom::Shape::#name)
            }
            Self::Of(own) => quote!(<__custom::ShapeOf<#own>>::SHAPE),
            Self::Unknown => quote!(__custom::Shape::Unknown),
        }
    }
}

/// One of several values that have to agree, and the tokens at which it is told if it does not.
pub(super) struct One<'a> {
    pub json: Json<'a>,
    pub at: &'a dyn ToTokens,
    /// Where the compiler is to tell it, which has no more than one token for that.
    pub span: Span,
    /// What it is called.
    pub name: String,
}

/// One of two that do not agree, and what it is, as far as that is known.
pub(super) type Told<'a> = (&'a One<'a>, Option<Shape>);

/// What is left for the compiler to compare.
#[derive(Default)]
pub(super) struct Claims(Vec<TokenStream>);

impl Claims {
    /// Has all agree. `tell` is given the one that does not and the one that it does not agree with.
    pub(super) fn agree(&mut self, all: &[One<'_>], errors: &mut Errors, tell: impl Fn(Told<'_>, Told<'_>) -> String) {
        let is_seen = |one: &&One<'_>| matches!(one.json, Json::Seen(_));
        let is_known = |one: &&One<'_>| !matches!(one.json, Json::Unknown);
        let Some(first) = all.iter().find(is_seen).or_else(|| all.iter().find(is_known)) else { return };
        let mut agreed: Vec<Shape> = Vec::new();
        for one in all {
            match (first.json, one.json) {
                (Json::Seen(of), Json::Seen(shape)) => {
                    let with: Vec<Shape> = agreed.iter().copied().chain([shape]).collect();
                    if agree(&with) {
                        agreed = with;
                    } else {
                        errors.at(one.at, tell((one, Some(shape)), (first, Some(of))));
                    }
                }
                (_, Json::Of(_)) if !std::ptr::eq(first, one) => {
                    self.claim(&first.json, one, &tell((one, None), (first, None)));
                }
                _ => {}
            }
        }
    }

    /// Has `one` be `json`.
    pub(super) fn claim(&mut self, json: &Json<'_>, one: &One<'_>, message: &str) {
        let (a, b) = (json.constant(), one.json.constant());
        let message = message.replace('{', "{{").replace('}', "}}");
        self.0.push(quote_spanned! {one.span=>
            const _: () = ::core::assert!(#a.agrees(#b), #message);
        });
    }

    pub(super) fn into_tokens(self) -> TokenStream {
        self.0.into_iter().collect()
    }
}

/// Whether there is one type that all are of.
fn agree(all: &[Shape]) -> bool {
    let are = |some: &[Shape]| all.iter().all(|shape| some.contains(shape));
    are(&all[..1]) || are(&[Shape::Integer, Shape::Number]) || are(&[Shape::Integer, Shape::String])
}

/// Whether a `#[schemars(…)]` attribute says one of `wanted`.
pub(super) fn schemars_says(attributes: &[Attribute], wanted: &[&str]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("schemars")).any(|attribute| {
        let metas: Option<Metas> = attribute.parse_args_with(Metas::parse_terminated).ok();
        let says = |meta: &Meta| wanted.iter().any(|name| meta.path().is_ident(name));
        metas.is_some_and(|metas| metas.iter().any(says))
    })
}
