//! `derive(View)`: a struct that reads some of a kind's fields, and stands for the kind in a cache.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields, Path, Result, Type, parse_quote};

use crate::errors::Errors;

pub(crate) fn expand(input: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(input)?;
    let mut errors = Errors::default();
    let (mut of, mut root): (Option<Type>, Path) = (None, parse_quote!(::trimtab::reconcile));
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("view")) {
        let read = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("of") {
                of = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("crate") {
                root = meta.value()?.parse::<syn::LitStr>()?.parse()?;
            } else {
                return Err(meta.error("expected one of of, crate"));
            }
            Ok(())
        });
        errors.ok(read);
    }
    if of.is_none() {
        errors.at(&input.ident, "the kind is missing: write `#[view(of = Pod)]`");
    }
    let has_metadata = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => {
                fields.named.iter().any(|field| field.ident.as_ref().is_some_and(|name| name == "metadata"))
            }
            _ => false,
        },
        _ => false,
    };
    if !has_metadata {
        errors.at(&input.ident, "a view is a struct with the field `metadata: ObjectMeta`");
    }
    let of = errors.finish(of)?;
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let kind = quote!(<#of as __k8s_openapi::Resource>);
    let meta = quote!(__k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta);
    Ok(quote! {
        const _: () = {
            use #root::__private::k8s_openapi as __k8s_openapi;

            impl #generics __k8s_openapi::Resource for #name #arguments #bounds {
                const API_VERSION: &'static str = #kind::API_VERSION;
                const GROUP: &'static str = #kind::GROUP;
                const KIND: &'static str = #kind::KIND;
                const VERSION: &'static str = #kind::VERSION;
                const URL_PATH_SEGMENT: &'static str = #kind::URL_PATH_SEGMENT;
                type Scope = #kind::Scope;
            }

            impl #generics __k8s_openapi::Metadata for #name #arguments #bounds {
                type Ty = #meta;

                fn metadata(&self) -> &#meta {
                    &self.metadata
                }

                fn metadata_mut(&mut self) -> &mut #meta {
                    &mut self.metadata
                }
            }

            impl #generics #root::View for #name #arguments #bounds {}
        };
    })
}

#[cfg(test)]
mod tests {
    use super::expand;
    use crate::testing::{check_errors, check_output};

    #[test]
    fn mistakes_are_told_with_what_to_write() {
        check_errors(
            expand,
            "#[view(on = Pod)] struct Phase { phase: String }",
            &[
                ("on", "expected one of of, crate"),
                ("Phase", "the kind is missing: write `#[view(of = Pod)]`"),
                ("Phase", "a view is a struct with the field `metadata: ObjectMeta`"),
            ],
        );
    }

    #[test]
    fn a_view_is_the_kind_to_a_cache() {
        check_output(expand, "#[view(of = Pod)] struct PodPhase { metadata: ObjectMeta, status: Phase }", "view");
    }
}
