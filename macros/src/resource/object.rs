//! The struct of a kind's objects, and how it is written.

use proc_macro2::TokenStream;
use quote::quote;

use super::model::{Model, Part};

pub(super) fn structure(model: &Model) -> TokenStream {
    let Model { visibility, resource, derives, root, .. } = model;
    let doc = if model.doc.is_empty() { format!("A {resource}.") } else { model.doc.clone() };
    let parts = model.parts.iter().map(|part| {
        let (ident, type_) = (&part.ident, field(part));
        let doc = Some(&part.doc).filter(|doc| !doc.is_empty()).map(|doc| quote!(#[doc = #doc]));
        quote!(#doc pub #ident: #type_,)
    });
    let rest = model.rest.as_ref().map(|rest| {
        let map = map(model);
        quote! {
            /// What the schema does not know.
            pub #rest: #map,
        }
    });
    quote! {
        #[doc = #doc]
        #[derive(::core::clone::Clone, ::core::fmt::Debug #(, #derives)*)]
        #visibility struct #resource {
            /// The name, labels, owners.
            pub metadata: #root::__private::k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            #(#parts)*
            #rest
        }
    }
}

fn field(part: &Part) -> TokenStream {
    let type_ = &part.type_;
    if part.optional { quote!(::core::option::Option<#type_>) } else { quote!(#type_) }
}

fn map(model: &Model) -> TokenStream {
    let root = &model.root;
    quote!(::std::collections::BTreeMap<::std::string::String, #root::__private::serde_json::Value>)
}

/// The function that makes an object of what has to be said of it.
pub(super) fn new(model: &Model) -> TokenStream {
    let arguments =
        model.parts.iter().filter(|part| part.is_asked_for()).map(|Part { ident, type_, .. }| quote!(#ident: #type_));
    let parts = model.parts.iter().map(|part| {
        let ident = &part.ident;
        match (part.is_asked_for(), part.optional) {
            (true, false) => quote!(#ident),
            (true, true) => quote!(#ident: ::core::option::Option::Some(#ident)),
            (false, _) => quote!(#ident: ::core::option::Option::None),
        }
    });
    let rest = model.rest.iter().map(|rest| quote!(#rest: ::core::default::Default::default()));
    let fields = parts.chain(rest);
    let wants = if model.parts.iter().any(|part| part.name == "spec") { " that wants `spec`" } else { "" };
    let doc = format!("One called `name`{wants}, without namespace or labels.");
    quote! {
        #[doc = #doc]
        pub fn new(name: impl ::core::convert::Into<::std::string::String>, #(#arguments),*) -> Self {
            let metadata = __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                name: ::core::option::Option::Some(name.into()),
                ..::core::default::Default::default()
            };
            Self { metadata, #(#fields),* }
        }
    }
}

// On the wire an object says of which kind it is; in Rust its type does.
pub(super) fn serde(model: &Model) -> TokenStream {
    let Model { resource, root, .. } = model;
    let name = resource.to_string();
    let serde = format!("{}::__private::serde", quote!(#root).to_string().replace(' ', ""));
    let written = model.parts.iter().map(|part| {
        let Part { ident, type_, .. } = part;
        let rename = rename(part);
        if part.optional {
            return quote! {
                #rename
                #[serde(skip_serializing_if = "::core::option::Option::is_none")]
                #ident: ::core::option::Option<&'a #type_>,
            };
        }
        quote!(#rename #ident: &'a #type_,)
    });
    let write = model.parts.iter().map(|part| {
        let ident = &part.ident;
        if part.optional { quote!(#ident: self.#ident.as_ref(),) } else { quote!(#ident: &self.#ident,) }
    });
    let readable = model.parts.iter().map(|part| {
        let (ident, rename, type_) = (&part.ident, rename(part), field(part));
        let default = part.optional.then(|| quote!(#[serde(default)]));
        quote!(#rename #default #ident: #type_,)
    });
    let idents = model.parts.iter().map(|part| &part.ident).chain(&model.rest);
    let read = idents.map(|ident| quote!(#ident: read.#ident));
    let map = map(model);
    let rest: Vec<_> = model.rest.iter().collect();
    quote! {
        use #root::__private::serde as __serde;

        #[derive(__serde::Serialize)]
        #[serde(crate = #serde, rename = #name)]
        struct __Written<'a> {
            #[serde(rename = "apiVersion")]
            api_version: &'static str,
            kind: &'static str,
            metadata: &'a __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            #(#written)*
            #(#[serde(flatten)] #rest: &'a #map,)*
        }

        #[derive(__serde::Deserialize)]
        #[serde(crate = #serde, rename = #name)]
        struct __Read {
            #[serde(rename = "apiVersion")]
            api_version: ::core::option::Option<::std::string::String>,
            kind: ::core::option::Option<::std::string::String>,
            #[serde(default)]
            metadata: __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            #(#readable)*
            #(#[serde(flatten)] #rest: #map,)*
        }

        impl __serde::Serialize for #resource {
            fn serialize<S: __serde::Serializer>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error> {
                let written = __Written {
                    api_version: <Self as __k8s_openapi::Resource>::API_VERSION,
                    kind: <Self as __k8s_openapi::Resource>::KIND,
                    metadata: &self.metadata,
                    #(#write)*
                    #(#rest: &self.#rest,)*
                };
                __serde::Serialize::serialize(&written, serializer)
            }
        }

        impl<'de> __serde::Deserialize<'de> for #resource {
            fn deserialize<D: __serde::Deserializer<'de>>(deserializer: D) -> ::core::result::Result<Self, D::Error> {
                let read: __Read = __serde::Deserialize::deserialize(deserializer)?;
                __custom::same_kind::<Self, D::Error>(read.api_version.as_deref(), read.kind.as_deref())?;
                ::core::result::Result::Ok(Self { metadata: read.metadata, #(#read),* })
            }
        }
    }
}

fn rename(part: &Part) -> Option<TokenStream> {
    let name = &part.name;
    (part.ident != name).then(|| quote!(#[serde(rename = #name)]))
}
