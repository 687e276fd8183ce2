//! Which enums have a structural schema: all values of a field are of one JSON type, but a number or a
//! string, and the items of a list as well.

use quote::ToTokens;
use syn::{Data, DataEnum, DeriveInput, Fields, Type, Variant};

use crate::errors::Errors;
use crate::resource::meta::{serde_has, serde_text};
use crate::resource::shape::Shape;

/// Notes what of a type has no structural schema.
pub(super) fn check(input: &DeriveInput, errors: &mut Errors) {
    match &input.data {
        Data::Struct(data) => tuple(&data.fields, errors),
        Data::Enum(data) if data.variants.is_empty() => {
            errors.at(&input.ident, "an enum without variants has no values: add one, or use `()`");
        }
        Data::Enum(data) => variants(input, data, errors),
        Data::Union(_) => {}
    }
}

fn variants(input: &DeriveInput, data: &DataEnum, errors: &mut Errors) {
    let own = |variant: &&Variant| !serde_has(&variant.attrs, "skip") && !serde_has(&variant.attrs, "untagged");
    let all: Vec<&Variant> = data.variants.iter().filter(own).collect();
    for variant in &all {
        tuple(&variant.fields, errors);
    }
    let (tag, content) = (serde_text(&input.attrs, "tag"), serde_text(&input.attrs, "content"));
    if serde_has(&input.attrs, "untagged") {
        let advice = "tag the enum, with `#[serde(tag = \"type\", content = \"value\")]`, or take anything, with \
                      `#[resource(preserve_unknown_fields)]`";
        contents(&all, advice, errors);
    } else if content.is_some() {
        let advice = "leave out `tag` and `content`, so that each variant is a field of its own";
        contents(&all, advice, errors);
    } else if tag.is_some() {
        tagged(&all, errors);
    } else {
        external(&all, errors);
    }
}

// A variant with fields is an object with one field; without, it is a string.
fn external(all: &[&Variant], errors: &mut Errors) {
    let is_unit = |variant: &&&Variant| matches!(variant.fields, Fields::Unit);
    if all.iter().any(|variant| !is_unit(&variant)) {
        for variant in all.iter().filter(is_unit) {
            let message = format!(
                "`{0}` is a string where other variants are objects, and a field has one type: write `{0} {{}}`, or tag \
                 the enum with `#[serde(tag = \"type\")]`",
                variant.ident
            );
            errors.at(variant, message);
        }
    }
}

// The tag is a field beside those of the variant.
fn tagged(all: &[&Variant], errors: &mut Errors) {
    for variant in all {
        let Fields::Unnamed(fields) = &variant.fields else { continue };
        let Some(field) = fields.unnamed.first().filter(|_| fields.unnamed.len() == 1) else { continue };
        if let Some(shape) = Shape::of(&field.ty).filter(|shape| *shape != Shape::Map) {
            let message = format!(
                "a tagged variant is an object, and `{}` is {shape}: name it, as `{} {{ value: {0} }}`",
                plain(&field.ty),
                variant.ident
            );
            errors.at(&field.ty, message);
        }
    }
    let fields: Vec<_> = all
        .iter()
        .filter(|variant| matches!(variant.fields, Fields::Named(_)))
        .flat_map(|variant| variant.fields.iter().map(move |field| (*variant, field)))
        .collect();
    for (index, (variant, field)) in fields.iter().enumerate() {
        let Some(name) = &field.ident else { continue };
        let Some((other, first)) = fields[..index].iter().find(|(_, other)| other.ident.as_ref() == Some(name)) else {
            continue;
        };
        let shapes = [Shape::of(&first.ty), Shape::of(&field.ty)];
        if let [Some(a), Some(b)] = shapes
            && !agree(&[a, b])
        {
            let message = format!(
                "`{name}` is {b} in `{}` and {a} in `{}`, and a field has one type: give one of them another name",
                variant.ident, other.ident
            );
            errors.at(&field.ty, message);
        }
    }
}

// What all variants hold stands in one place.
fn contents(all: &[&Variant], advice: &str, errors: &mut Errors) {
    let shape = |variant: &Variant| match &variant.fields {
        Fields::Unit => None,
        Fields::Named(_) => Some(Shape::Map),
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Shape::of(&fields.unnamed[0].ty),
        Fields::Unnamed(_) => Some(Shape::List),
    };
    let shapes: Vec<_> = all.iter().filter_map(|variant| Some((*variant, shape(variant)?))).collect();
    let mut agreed: Vec<Shape> = Vec::new();
    for (variant, shape) in &shapes {
        let with: Vec<Shape> = agreed.iter().copied().chain([*shape]).collect();
        if agree(&with) {
            agreed = with;
            continue;
        }
        let (first, of) = &shapes[0];
        let message = format!(
            "`{}` is {shape} where `{}` is {of}, and a field has one type: {advice}",
            variant.ident, first.ident
        );
        errors.at(variant, message);
    }
}

fn tuple(fields: &Fields, errors: &mut Errors) {
    let Fields::Unnamed(fields) = fields else { return };
    let Some(first) = fields.unnamed.first() else { return };
    for field in fields.unnamed.iter().skip(1) {
        if let (Some(a), Some(b)) = (Shape::of(&first.ty), Shape::of(&field.ty))
            && !agree(&[a, b])
        {
            let message = format!(
                "the items of a list have one type, and `{}` is {b} where `{}` is {a}: give the fields names",
                plain(&field.ty),
                plain(&first.ty)
            );
            errors.at(&field.ty, message);
        }
    }
}

// Whether there is one type that all are of.
fn agree(all: &[Shape]) -> bool {
    let are = |some: &[Shape]| all.iter().all(|shape| some.contains(shape));
    are(&all[..1]) || are(&[Shape::Integer, Shape::Number]) || are(&[Shape::Integer, Shape::String])
}

fn plain(type_: &Type) -> String {
    type_.to_token_stream().to_string().replace(' ', "")
}
