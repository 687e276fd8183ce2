//! The code of a type's schema.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, Data, DeriveInput, Field, Meta, parse_quote};

use super::agreement::Claims;
use super::{Container, variants};
use crate::resource::keywords::Keywords;
use crate::resource::meta::{Metas, serde_has};

pub(super) fn schema(input: &DeriveInput, container: &Container, fields: &[Keywords], claims: Claims) -> TokenStream {
    let (ident, root) = (&input.ident, &container.root);
    let private = format!("{}::__private::schemars", quote!(#root).to_string().replace(' ', ""));
    let mut copy = input.clone();
    copy.ident = format_ident!("__Schema");
    copy.vis = syn::Visibility::Inherited;
    copy.attrs = copied(&input.attrs);
    let name = ident.to_string();
    copy.attrs.push(parse_quote!(#[schemars(crate = #private)]));
    if !says(&input.attrs, "rename") {
        copy.attrs.push(parse_quote!(#[schemars(rename = #name)]));
    }
    let default = own_default(&mut copy.attrs).then(|| {
        quote! {
            fn __default() -> #ident {
                ::core::default::Default::default()
            }
        }
    });
    let mut keywords = fields.iter();
    let mut annotate = |field: &mut Field| {
        field.attrs = copied(&field.attrs);
        let own = keywords.next().filter(|own| !own.is_empty()).map(Keywords::members);
        field.attrs.extend(own.map(|own| -> Attribute {
            parse_quote!(#[schemars(transform = __custom::Keywords(__json::json!({#own})))])
        }));
    };
    match &mut copy.data {
        Data::Struct(data) => data.fields.iter_mut().for_each(&mut annotate),
        Data::Enum(data) => {
            for variant in &mut data.variants {
                variant.attrs = copied(&variant.attrs);
                variant.discriminant = None;
                variant.fields.iter_mut().for_each(&mut annotate);
            }
        }
        Data::Union(_) => {}
    }
    let own = container.keywords.members();
    let own = (!own.is_empty()).then(|| quote!(__schemars::transform::Transform::transform(&mut __custom::Keywords(__json::json!({#own})), &mut schema);));
    let mutable = own.as_ref().map(|_| quote!(mut));
    let mut generics = input.generics.clone();
    let parameters: Vec<_> = generics.type_params().map(|parameter| parameter.ident.clone()).collect();
    for parameter in parameters {
        generics.make_where_clause().predicates.push(parse_quote!(#parameter: __schemars::JsonSchema));
    }
    let shape = if container.is_anything { quote!(__custom::Shape::Unknown) } else { variants::shape(input) };
    let claims = claims.into_tokens();
    let (generics, arguments, where_clause) = generics.split_for_impl();
    quote! {
        #[doc(hidden)]
        #[allow(unused_imports)]
        const _: () = {
            use #root::__private::custom as __custom;
            use #root::__private::custom::ShapeUnknown as _;
            use #root::__private::schemars as __schemars;
            use #root::__private::serde_json as __json;

            #[derive(__schemars::JsonSchema)]
            #[allow(dead_code)]
            #copy

            #default

            impl #generics __schemars::JsonSchema for #ident #arguments #where_clause {
                fn schema_name() -> ::std::borrow::Cow<'static, str> {
                    <__Schema #arguments as __schemars::JsonSchema>::schema_name()
                }

                fn schema_id() -> ::std::borrow::Cow<'static, str> {
                    ::std::borrow::Cow::Owned(::std::format!("{}::{}", ::core::module_path!(), Self::schema_name()))
                }

                fn json_schema(generator: &mut __schemars::SchemaGenerator) -> __schemars::Schema {
                    let #mutable schema = <__Schema #arguments as __schemars::JsonSchema>::json_schema(generator);
                    #own
                    schema
                }
            }

            impl #generics __custom::Shaped for #ident #arguments #where_clause {
                const SHAPE: __custom::Shape = #shape;
            }

            #claims
        };
    }
}

// What `schemars` reads.
fn copied(attributes: &[Attribute]) -> Vec<Attribute> {
    let read = ["cfg", "doc", "schemars", "serde", "deprecated"];
    attributes.iter().filter(|attribute| read.iter().any(|name| attribute.path().is_ident(name))).cloned().collect()
}

fn says(attributes: &[Attribute], wanted: &str) -> bool {
    let of_schemars = attributes.iter().filter(|attribute| attribute.path().is_ident("schemars")).any(|attribute| {
        let metas = attribute.parse_args_with(Metas::parse_terminated);
        metas.is_ok_and(|metas| metas.iter().any(|meta| meta.path().is_ident(wanted)))
    });
    of_schemars || serde_has(attributes, wanted)
}

// `#[serde(default)]` on a struct asks the struct itself; the copy has no default of its own.
fn own_default(attributes: &mut [Attribute]) -> bool {
    let mut found = false;
    for attribute in attributes.iter_mut().filter(|attribute| attribute.path().is_ident("serde")) {
        let Ok(mut metas) = attribute.parse_args_with(Metas::parse_terminated) else { continue };
        for meta in metas.iter_mut().filter(|meta| matches!(meta, Meta::Path(path) if path.is_ident("default"))) {
            *meta = parse_quote!(default = "__default");
            found = true;
        }
        *attribute = parse_quote!(#[serde(#metas)]);
    }
    found
}
