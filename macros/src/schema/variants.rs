//! Which enums have a structural schema: all values of a field are of one JSON type, but a whole number
//! or a string, and the items of a list as well.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Data, DataEnum, DeriveInput, Field, Fields, Type, Variant};

use super::agreement::{Claims, Json, One, Told, schemars_says};
use crate::errors::Errors;
use crate::resource::meta::{serde_has, serde_text};
use crate::resource::names::renamed;
use crate::resource::shape::{Shape, is_map_of_one_type};

/// How serde writes the variants of an enum.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tagging {
    External,
    Internal,
    Adjacent,
    Untagged,
}

impl Tagging {
    fn of(input: &DeriveInput) -> Self {
        let says = |name: &str| serde_text(&input.attrs, name).is_some();
        match (serde_has(&input.attrs, "untagged"), says("tag"), says("content")) {
            (true, ..) => Self::Untagged,
            (_, true, true) => Self::Adjacent,
            (_, true, false) => Self::Internal,
            _ => Self::External,
        }
    }

    // A variant may be without a tag by itself.
    fn of_variant(self, variant: &Variant) -> Self {
        if serde_has(&variant.attrs, "untagged") { Self::Untagged } else { self }
    }

    // What a value of the variant is as a whole.
    fn json(self, variant: &Variant) -> Json<'_> {
        match (self.of_variant(variant), &variant.fields) {
            (Self::Untagged, _) => content(variant),
            (Self::External, Fields::Unit) => Json::Seen(Shape::String),
            _ => Json::Seen(Shape::Map),
        }
    }
}

/// Notes what of a type has no structural schema, or leaves it to the compiler.
pub(super) fn check(input: &DeriveInput, errors: &mut Errors) -> Claims {
    let mut claims = Claims::default();
    match &input.data {
        Data::Struct(data) => tuple(&data.fields, &mut claims, errors),
        Data::Enum(data) if data.variants.is_empty() => {
            errors.at(&input.ident, "an enum without variants has no values: add one, or use `()`");
        }
        Data::Enum(data) => variants(input, data, &mut claims, errors),
        Data::Union(_) => {}
    }
    // What is generic is a type only where it is used.
    if input.generics.params.is_empty() { claims } else { Claims::default() }
}

/// The constant that says what a type is in JSON, as far as that is known.
pub(super) fn shape(input: &DeriveInput) -> TokenStream {
    let of_others = ["from", "try_from", "into", "transparent", "remote", "with", "transform", "extend"];
    if of_others.iter().any(|name| serde_has(&input.attrs, name)) || schemars_says(&input.attrs, &of_others) {
        return Json::Unknown.constant();
    }
    match &input.data {
        Data::Struct(data) => of_fields(&data.fields).constant(),
        Data::Enum(data) => {
            let tagging = Tagging::of(input);
            let all = written(data).map(|variant| tagging.json(variant).constant());
            quote!(__custom::Shape::of_all(&[#(#all),*]))
        }
        Data::Union(_) => Json::Unknown.constant(),
    }
}

fn written(data: &DataEnum) -> impl Iterator<Item = &Variant> {
    data.variants.iter().filter(|variant| !serde_has(&variant.attrs, "skip"))
}

fn content(variant: &Variant) -> Json<'_> {
    if serde_has(&variant.attrs, "with") || schemars_says(&variant.attrs, &["with", "transform", "extend"]) {
        return Json::Unknown;
    }
    of_fields(&variant.fields)
}

fn of_fields(fields: &Fields) -> Json<'_> {
    match fields {
        // It is `null`, which a field may be besides.
        Fields::Unit => Json::Unknown,
        Fields::Named(_) => Json::Seen(Shape::Map),
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Json::of(&fields.unnamed[0]),
        Fields::Unnamed(_) => Json::Seen(Shape::List),
    }
}

fn variants(input: &DeriveInput, data: &DataEnum, claims: &mut Claims, errors: &mut Errors) {
    let tagging = Tagging::of(input);
    let (untagged, tagged): (Vec<&Variant>, Vec<&Variant>) =
        written(data).partition(|variant| tagging.of_variant(variant) == Tagging::Untagged);
    for variant in written(data) {
        tuple(&variant.fields, claims, errors);
    }
    // What stands in one place: all that is told of the others goes for the first as well.
    let mut whole: Vec<&Variant> = tagged.first().into_iter().chain(&untagged).copied().collect();
    match tagging {
        Tagging::External => {
            let is_unit = |variant: &&&Variant| matches!(variant.fields, Fields::Unit);
            if let Some(first) = tagged.iter().find(|variant| !is_unit(variant)) {
                whole[0] = *first;
                tagged.iter().filter(is_unit).for_each(|unit| errors.at(unit, unit_beside_others(unit)));
            }
        }
        Tagging::Internal => tagged.iter().for_each(|variant| holds_an_object(variant, claims, errors)),
        Tagging::Adjacent => {
            let all: Vec<_> = tagged.iter().map(|variant| one(variant, content(variant))).collect();
            let advice = "leave out `tag` and `content`, so that each variant is a field of its own";
            claims.agree(&all, errors, of_two_types(advice));
        }
        Tagging::Untagged => {}
    }
    let all: Vec<_> = whole.iter().map(|variant| one(variant, tagging.json(variant))).collect();
    let advice = if tagging == Tagging::Untagged {
        "tag the enum, with `#[serde(tag = \"type\", content = \"value\")]`, or take anything, with \
         `#[resource(preserve_unknown_fields)]`"
    } else {
        "tag it as the others are, or take anything, with `#[resource(preserve_unknown_fields)]` on the enum"
    };
    claims.agree(&all, errors, of_two_types(advice));
    let beside: Vec<&Variant> = match tagging {
        Tagging::Internal => tagged.iter().chain(&untagged).copied().collect(),
        _ => untagged.clone(),
    };
    same_fields(input, &beside, claims, errors);
    if tagging == Tagging::Adjacent {
        same_fields(input, &tagged, claims, errors);
    }
}

fn one<'a>(variant: &'a Variant, json: Json<'a>) -> One<'a> {
    One { json, at: variant, span: variant.ident.span(), name: variant.ident.to_string() }
}

fn of_two_types(advice: &str) -> impl Fn(Told<'_>, Told<'_>) -> String {
    move |(one, shape), (first, of)| {
        let differ = match (shape, of) {
            (Some(shape), Some(of)) => format!("`{}` is {shape} where `{}` is {of}", one.name, first.name),
            _ => format!("`{}` is of another JSON type than `{}`", one.name, first.name),
        };
        format!("{differ}, and a field has one type: {advice}")
    }
}

// A variant with fields is an object with one field; without, it is a string.
fn unit_beside_others(unit: &Variant) -> String {
    format!(
        "`{0}` is a string where other variants are objects, and a field has one type: write `{0} {{}}`, or tag the enum \
         with `#[serde(tag = \"type\")]`",
        unit.ident
    )
}

// The tag is a field beside those of what the variant holds.
fn holds_an_object(variant: &Variant, claims: &mut Claims, errors: &mut Errors) {
    let Fields::Unnamed(fields) = &variant.fields else { return };
    let Some(field) = fields.unnamed.first().filter(|_| fields.unnamed.len() == 1) else { return };
    let type_ = plain(&field.ty);
    let tell = |what: &str| {
        format!(
            "a tagged variant is an object, and `{type_}` is {what}: name it, as `{} {{ value: {type_} }}`",
            variant.ident
        )
    };
    match content(variant) {
        Json::Seen(Shape::Map) if is_map_of_one_type(&field.ty) => {
            errors.at(&field.ty, tell("a map, in which the tag is no value"))
        }
        Json::Seen(Shape::Map) | Json::Unknown => {}
        Json::Seen(shape) => errors.at(&field.ty, tell(&shape.to_string())),
        own @ Json::Of(_) => {
            let one = One { json: own, at: &field.ty, span: field.ty.span(), name: type_.clone() };
            claims.claim(&Json::Seen(Shape::Map), &one, &tell("none"));
        }
    }
}

// Fields of several variants that stand in one object.
fn same_fields(input: &DeriveInput, all: &[&Variant], claims: &mut Claims, errors: &mut Errors) {
    let mut named: Vec<(String, Vec<One<'_>>)> = Vec::new();
    for variant in all.iter().filter(|variant| matches!(variant.fields, Fields::Named(_))) {
        for field in variant
            .fields
            .iter()
            .filter(|field| !serde_has(&field.attrs, "skip") && !serde_has(&field.attrs, "flatten"))
        {
            let one =
                One { json: Json::of(field), at: &field.ty, span: field.ty.span(), name: variant.ident.to_string() };
            let name = name_in_json(input, variant, field);
            match named.iter_mut().find(|(known, _)| *known == name) {
                Some((_, same)) => same.push(one),
                None => named.push((name, vec![one])),
            }
        }
    }
    for (name, same) in named {
        claims.agree(&same, errors, |(one, shape), (first, of)| {
            let differ = match (shape, of) {
                (Some(shape), Some(of)) => {
                    format!("`{name}` is {shape} in `{}` and {of} in `{}`", one.name, first.name)
                }
                _ => format!("`{name}` is of another JSON type in `{}` than in `{}`", one.name, first.name),
            };
            format!("{differ}, and a field has one type: give one of them another name")
        });
    }
}

fn name_in_json(input: &DeriveInput, variant: &Variant, field: &Field) -> String {
    let own = field.ident.as_ref().map(|ident| syn::ext::IdentExt::unraw(ident).to_string()).unwrap_or_default();
    let rule = serde_text(&variant.attrs, "rename_all").or_else(|| serde_text(&input.attrs, "rename_all_fields"));
    match (serde_text(&field.attrs, "rename"), rule) {
        (Some(name), _) => name.value(),
        (None, Some(rule)) => renamed(&own, &rule.value()).unwrap_or(own),
        (None, None) => own,
    }
}

fn tuple(fields: &Fields, claims: &mut Claims, errors: &mut Errors) {
    let Fields::Unnamed(fields) = fields else { return };
    let all: Vec<_> = fields
        .unnamed
        .iter()
        .map(|field| One { json: Json::of(field), at: &field.ty, span: field.ty.span(), name: plain(&field.ty) })
        .collect();
    claims.agree(&all, errors, |(one, shape), (first, of)| {
        let differ = match (shape, of) {
            (Some(shape), Some(of)) => format!("`{}` is {shape} where `{}` is {of}", one.name, first.name),
            _ => format!("`{}` is another than `{}`", one.name, first.name),
        };
        format!("the items of a list have one type, and {differ}: give the fields names")
    });
}

fn plain(type_: &Type) -> String {
    type_.to_token_stream().to_string().replace(' ', "")
}
