//! The code of the kinds that files declare: a module for each kind, in it one for each version.

use std::collections::HashSet;
use std::path::PathBuf;

use proc_macro2::{Literal, Span, TokenStream};
use quote::quote;
use serde_json::Value;
use syn::{LitStr, Path, parse_quote};

use super::KindFile;
use super::definition::{Definition, Version};
use super::names::ident;
use super::types::{Body, Field, Item, Type, Types};
use crate::resource::expand::resource;
use crate::resource::keywords::Keywords;
use crate::resource::model::{File, Model, Names, Of, Part};
use crate::resource::parse::{Deprecated, Scale};

pub(super) fn kinds(kinds: &[KindFile], files: &[PathBuf], root: &Path) -> TokenStream {
    let kinds = kinds.iter().map(|kind| {
        let (module, stored) = (ident(&kind.module), stored(&kind.definition));
        let versions = kind.definition.versions.iter().zip(&kind.versions);
        let versions = versions.map(|(version, types)| self::version(&kind.definition, version, types, root));
        let doc = format!("`{}.{}`, by version.", kind.definition.plural, kind.definition.group);
        quote! {
            #[doc = #doc]
            #[allow(clippy::all, clippy::pedantic, missing_docs, rustdoc::all, unreachable_pub)]
            pub mod #module {
                #(#versions)*
            }
            #[allow(unused_imports)]
            pub use #module::#stored::*;
        }
    });
    // Naming the files makes an edit of one of them rebuild the crate.
    let files = files.iter().map(|file| file.to_str().unwrap_or_default());
    quote! {
        #(#kinds)*
        const _: &[&[u8]] = &[#(include_bytes!(#files)),*];
    }
}

fn stored(definition: &Definition) -> syn::Ident {
    let stored = definition.versions.iter().find(|version| version.storage);
    ident(stored.map(|version| version.name.as_str()).unwrap_or_default())
}

fn version(definition: &Definition, version: &Version, types: &Types, root: &Path) -> TokenStream {
    let module = ident(&version.name);
    let code = Code { root, defaults: with_default(&types.items) };
    let items = types.items.iter().map(|item| code.item(item));
    let resource = resource(&code.model(definition, version, types));
    let doc = format!("The version {}.", version.name);
    quote! {
        #[doc = #doc]
        pub mod #module {
            #resource
            #(#items)*
        }
    }
}

struct Code<'a> {
    root: &'a Path,
    /// The types that have a default.
    defaults: HashSet<&'a str>,
}

impl Code<'_> {
    fn model(&self, definition: &Definition, version: &Version, types: &Types) -> Model {
        let texts = |all: &[String]| all.iter().map(lit).collect();
        let kind = ident(&definition.kind);
        let of = |version: &Version| {
            let module = ident(&version.name);
            quote!(super::#module::#kind)
        };
        let others = definition.versions.iter().filter(|other| !other.storage && version.storage);
        let stored = definition.versions.iter().find(|other| other.storage && !version.storage);
        let rest = &version.rest;
        let file = File {
            names: Names {
                group: definition.group.clone(),
                kind: definition.kind.clone(),
                list_kind: definition.list_kind.clone(),
                plural: definition.plural.clone(),
                singular: definition.singular.clone(),
                short: texts(&definition.short),
                categories: texts(&definition.categories),
                namespaced: definition.namespaced,
            },
            stored: stored.map(of),
            others: others.map(of).collect(),
            definition: definition.rest.to_string(),
            version: rest.to_string(),
            schemas: types.parts.iter().map(|part| self.schema(part)).collect(),
        };
        let parts: Vec<_> = types.parts.iter().map(|part| self.part(part)).collect();
        let status = parts.iter().find(|part| part.name == "status").map(|part| part.type_.clone());
        let scale = &rest["subresources"]["scale"];
        let path = |field: &str| scale[field].as_str().map(lit);
        let has_status = !rest["subresources"]["status"].is_null();
        Model {
            visibility: parse_quote!(pub),
            parts,
            rest: types.rest.as_deref().map(ident),
            resource: kind.clone(),
            doc: doc(version.schema["description"].as_str().unwrap_or_default()),
            version: lit(&version.name),
            of: Of::File(Box::new(file)),
            served: version.served,
            storage: version.storage,
            deprecated: (rest["deprecated"] == true).then(|| Deprecated(rest["deprecationWarning"].as_str().map(lit))),
            status: status.map(|status| parse_quote!(#status)),
            status_subresource: has_status,
            scale: path("specReplicasPath").map(|replicas| Scale {
                replicas,
                status: path("statusReplicasPath"),
                selector: path("labelSelectorPath"),
            }),
            columns: Vec::new(),
            selectable: rest["selectableFields"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|field| field["jsonPath"].as_str().map(lit))
                .collect(),
            object_rules: Vec::new(),
            keywords: Keywords::default(),
            fields: Vec::new(),
            derives: vec![parse_quote!(::core::cmp::PartialEq)],
            root: self.root.clone(),
        }
    }

    // `null` is no other value of what an object may be without.
    fn part(&self, part: &Field) -> Part {
        let (type_, usual) = match (&part.type_, part.name.as_str()) {
            (Type::Nullable(inner), _) if part.optional => (self.type_(inner), None),
            (plain, "spec") => (self.type_(plain), Some(Part::spec(TokenStream::new()).doc)),
            (plain, "status") => (self.type_(plain), Some(Part::status(TokenStream::new()).doc)),
            (plain, _) => (self.type_(plain), None),
        };
        let doc = usual.unwrap_or_else(|| doc(&part.doc));
        Part { name: part.name.clone(), ident: ident(&part.ident), type_, optional: part.optional, doc }
    }

    fn schema(&self, part: &Field) -> (String, TokenStream, String) {
        (part.name.clone(), self.type_of(&part.type_, true), part.keywords.to_string())
    }

    fn item(&self, item: &Item) -> TokenStream {
        let (name, doc) = (ident(&item.name), docs(&item.doc));
        let root = self.root;
        let path = |of: &str| format!("{}::__private::{of}", quote!(#root).to_string().replace(' ', ""));
        let (serde, schemars) = (path("serde"), path("schemars"));
        let keywords = self.keywords(&item.keywords);
        let default = self.defaults.contains(item.name.as_str()).then(|| quote!(::core::default::Default,));
        let derives = quote! {
            #[derive(
                ::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq, #default
                #root::__private::serde::Serialize, #root::__private::serde::Deserialize,
                #root::__private::schemars::JsonSchema
            )]
            #[serde(crate = #serde)]
            #[schemars(crate = #schemars)]
            #keywords
        };
        match &item.body {
            Body::Struct(fields, rest) => {
                let fields = fields.iter().map(|field| self.field(field));
                let rest = rest.iter().map(|rest| {
                    let rest = ident(rest);
                    let map = self.type_(&Type::Map(Box::new(Type::Anything)));
                    quote! {
                        /// What the schema does not know.
                        #[serde(flatten)]
                        pub #rest: #map,
                    }
                });
                let condition =
                    item.is_condition.then(|| quote!(impl #root::__private::custom::IsCondition for #name {}));
                quote! {
                    #doc
                    #derives
                    pub struct #name {
                        #(#fields)*
                        #(#rest)*
                    }
                    #condition
                }
            }
            Body::Choice(choices) => {
                let variants = choices.iter().map(|(variant, text)| {
                    let variant = ident(variant);
                    quote!(#[serde(rename = #text)] #variant,)
                });
                quote! {
                    #doc
                    #derives
                    #[derive(::core::marker::Copy, ::core::cmp::Eq)]
                    pub enum #name {
                        #(#variants)*
                    }
                }
            }
            Body::Union(fields) => {
                let variants = fields.iter().map(|field| {
                    let (variant, name, doc) = (ident(&field.ident), &field.name, docs(&field.doc));
                    let (type_, with) = (self.type_(&field.type_), self.with(&field.type_, false));
                    let keywords = self.keywords(&field.keywords);
                    quote!(#doc #[serde(rename = #name)] #variant(#with #keywords #type_),)
                });
                quote! {
                    #doc
                    #derives
                    pub enum #name {
                        #(#variants)*
                    }
                }
            }
        }
    }

    fn field(&self, field: &Field) -> TokenStream {
        let (ident, name, doc) = (ident(&field.ident), &field.name, docs(&field.doc));
        let rename = (ident != field.name).then(|| quote!(#[serde(rename = #name)]));
        let keywords = self.keywords(&field.keywords);
        let plain = match (&field.type_, field.optional) {
            (Type::Nullable(inner), true) => &**inner,
            (plain, _) => plain,
        };
        let (type_, with) = (self.type_(plain), self.with(plain, field.optional));
        if field.optional {
            return quote! {
                #doc
                #rename
                #[serde(skip_serializing_if = "::core::option::Option::is_none")]
                #with
                #keywords
                pub #ident: ::core::option::Option<#type_>,
            };
        }
        quote!(#doc #rename #with #keywords pub #ident: #type_,)
    }

    // What the type does not say, as `schemars` is told it.
    fn keywords(&self, keywords: &Value) -> Option<TokenStream> {
        if keywords.as_object().is_none_or(serde_json::Map::is_empty) {
            return None;
        }
        let (root, keywords) = (self.root, keywords.to_string());
        Some(quote! {
            #[schemars(transform = #root::__private::custom::Keywords::read(#keywords))]
        })
    }

    fn type_(&self, type_: &Type) -> TokenStream {
        self.type_of(type_, false)
    }

    // `ByteString` has no schema; that of a text, with the file's keywords, is what it would be.
    fn with(&self, type_: &Type, optional: bool) -> Option<TokenStream> {
        if !type_.has_bytes() {
            return None;
        }
        let plain = self.type_of(type_, true);
        let plain = if optional { quote!(::core::option::Option<#plain>) } else { plain }.to_string();
        Some(quote!(#[schemars(with = #plain)]))
    }

    fn type_of(&self, type_: &Type, in_schema: bool) -> TokenStream {
        let root = self.root;
        let k8s = quote!(#root::__private::k8s_openapi);
        match type_ {
            Type::Anything => quote!(#root::__private::serde_json::Value),
            Type::Boolean => quote!(bool),
            Type::Int32 => quote!(i32),
            Type::Int64 => quote!(i64),
            Type::Number => quote!(f64),
            Type::Text => quote!(::std::string::String),
            Type::Bytes if in_schema => quote!(::std::string::String),
            Type::Bytes => quote!(#k8s::ByteString),
            Type::Time => quote!(#k8s::apimachinery::pkg::apis::meta::v1::Time),
            Type::Quantity => quote!(#k8s::apimachinery::pkg::api::resource::Quantity),
            Type::IntOrString => quote!(#k8s::apimachinery::pkg::util::intstr::IntOrString),
            Type::List(inner) => {
                let inner = self.type_of(inner, in_schema);
                quote!(::std::vec::Vec<#inner>)
            }
            Type::Map(inner) => {
                let inner = self.type_of(inner, in_schema);
                quote!(::std::collections::BTreeMap<::std::string::String, #inner>)
            }
            Type::Nullable(inner) => {
                let inner = self.type_of(inner, in_schema);
                quote!(::core::option::Option<#inner>)
            }
            Type::Named(name) => {
                let name = ident(name);
                quote!(#name)
            }
        }
    }
}

/// The structs all of whose fields have a default.
fn with_default(items: &[Item]) -> HashSet<&str> {
    let mut found: HashSet<&str> = HashSet::new();
    loop {
        let before = found.len();
        for item in items {
            let Body::Struct(fields, _) = &item.body else { continue };
            let has = |field: &Field| {
                field.optional
                    || match &field.type_ {
                        Type::Named(name) => found.contains(name.as_str()),
                        Type::Time => false,
                        _ => true,
                    }
            };
            if fields.iter().all(has) {
                found.insert(&item.name);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

fn docs(text: &str) -> Option<TokenStream> {
    let text = doc(text);
    (!text.is_empty()).then(|| {
        let text = Literal::string(&text);
        quote!(#[doc = #text])
    })
}

// What is indented or fenced would be tested as Rust.
fn doc(text: &str) -> String {
    text.lines().map(|line| line.trim().replace("```", "\\`\\`\\`")).collect::<Vec<_>>().join("\n")
}

fn lit(text: impl AsRef<str>) -> LitStr {
    LitStr::new(text.as_ref(), Span::call_site())
}
