//! The code of a declared kind. It assembles; everything that computes stands in `trimtab-api`.

use proc_macro2::TokenStream;
use quote::quote;

use super::model::Model;
use super::parse::Column;

pub(crate) fn resource(model: &Model) -> TokenStream {
    let structure = structure(model);
    let declaration = declaration(model);
    let traits = traits(model);
    let serde = serde(model);
    quote! {
        #structure
        #[doc(hidden)]
        const _: () = {
            #declaration
            #traits
            #serde
        };
    }
}

fn structure(model: &Model) -> TokenStream {
    let Model { visibility, resource, spec, root, .. } = model;
    let doc = if model.doc.is_empty() { format!("A {}.", model.kind) } else { model.doc.clone() };
    let status = model.status.as_ref().map(|status| {
        quote! {
            /// What was last seen of it.
            pub status: ::core::option::Option<#status>,
        }
    });
    quote! {
        #[doc = #doc]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #visibility struct #resource {
            /// The name, labels, owners.
            pub metadata: #root::__private::k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            /// What is wanted.
            pub spec: #spec,
            #status
        }
    }
}

fn declaration(model: &Model) -> TokenStream {
    let Model { resource, spec, root, group, version, kind, plural, singular, short, categories, doc, .. } = model;
    let scope = if model.namespaced { quote!(Namespaced) } else { quote!(Cluster) };
    let has_status = model.status.is_some();
    let status = option(model.status.as_ref().map(|status| quote!(#root::__private::custom::status_of::<#status>)));
    let no_status = model.status.as_ref().map(|_| quote!(status: ::core::option::Option::None,));
    let scale = option(model.scale.as_ref().map(|scale| {
        let replicas = &scale.replicas;
        let status = scale.status.as_ref().map_or_else(|| ".status.replicas".to_owned(), syn::LitStr::value);
        let selector = scale.selector.as_ref().map(syn::LitStr::value).unwrap_or_default();
        quote!(__custom::DeclaredScale { replicas: #replicas, status: #status, selector: #selector })
    }));
    let columns = model.columns.iter().map(column);
    let defaults = model.defaults.iter().map(|(field, default)| quote!((#field, __json::json!(#default))));
    quote! {
        use #root::__private::custom as __custom;
        use #root::__private::serde_json as __json;

        fn openapi() -> __json::Value {
            __custom::openapi::<#spec>(#doc, #status, &[#(#defaults),*])
        }

        fn definitions() -> __json::Map<::std::string::String, __json::Value> {
            __custom::definitions(&DECLARATION)
        }

        static DECLARATION: __custom::Declaration = __custom::Declaration {
            group: #group,
            version: #version,
            kind: #kind,
            plural: #plural,
            singular: #singular,
            short_names: &[#(#short),*],
            categories: &[#(#categories),*],
            scope: #root::__private::Scope::#scope,
            status: #has_status,
            scale: #scale,
            columns: &[#(#columns),*],
            openapi,
            schema: #root::__private::Lazy::new(|| __custom::schema(&openapi())),
            definitions,
        };

        impl #resource {
            /// One called `name` that wants `spec`, without namespace or labels.
            pub fn new(name: impl ::core::convert::Into<::std::string::String>, spec: #spec) -> Self {
                let metadata = #root::__private::k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                    name: ::core::option::Option::Some(name.into()),
                    ..::core::default::Default::default()
                };
                Self { metadata, spec, #no_status }
            }

            /// The kind, for a registry of kinds.
            pub fn kind() -> #root::__private::Kind {
                DECLARATION.kind()
            }

            /// The CustomResourceDefinition, to be applied to any Kubernetes.
            pub fn crd() -> __json::Value {
                DECLARATION.definition()
            }

            /// The same as YAML.
            pub fn crd_yaml() -> ::std::string::String {
                __custom::yaml(&DECLARATION.definition())
            }
        }
    }
}

fn option(value: Option<TokenStream>) -> TokenStream {
    value.map_or_else(|| quote!(::core::option::Option::None), |value| quote!(::core::option::Option::Some(#value)))
}

fn column(column: &Column) -> TokenStream {
    let Column { name, path, .. } = column;
    let text = |text: &Option<syn::LitStr>| text.as_ref().map(syn::LitStr::value).unwrap_or_default();
    let (type_, description) = (text(&column.type_), text(&column.description));
    let priority = column.priority.as_ref().map_or_else(|| quote!(0), |priority| quote!(#priority));
    quote! {
        __custom::DeclaredColumn { name: #name, json_path: #path, type_: #type_, priority: #priority, description: #description }
    }
}

fn traits(model: &Model) -> TokenStream {
    let Model { resource, root, group, version, kind, plural, .. } = model;
    let api_version = format!("{group}/{version}");
    let list_kind = format!("{kind}List");
    let scope = if model.namespaced { quote!(NamespaceResourceScope) } else { quote!(ClusterResourceScope) };
    quote! {
        use #root::__private::k8s_openapi as __k8s_openapi;

        impl __k8s_openapi::Resource for #resource {
            const API_VERSION: &'static str = #api_version;
            const GROUP: &'static str = #group;
            const KIND: &'static str = #kind;
            const VERSION: &'static str = #version;
            const URL_PATH_SEGMENT: &'static str = #plural;
            type Scope = __k8s_openapi::#scope;
        }

        impl __k8s_openapi::ListableResource for #resource {
            const LIST_KIND: &'static str = #list_kind;
        }

        impl __k8s_openapi::Metadata for #resource {
            type Ty = __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

            fn metadata(&self) -> &Self::Ty {
                &self.metadata
            }

            fn metadata_mut(&mut self) -> &mut Self::Ty {
                &mut self.metadata
            }
        }
    }
}

// On the wire an object says of which kind it is; in Rust its type does.
fn serde(model: &Model) -> TokenStream {
    let Model { resource, spec, root, kind, .. } = model;
    let serde = format!("{}::__private::serde", quote!(#root).to_string().replace(' ', ""));
    let status = model.status.as_ref().map(|status| {
        (
            quote! {
                #[serde(skip_serializing_if = "::core::option::Option::is_none")]
                status: ::core::option::Option<&'a #status>,
            },
            quote!(status: self.status.as_ref(),),
            quote! {
                #[serde(default)]
                status: ::core::option::Option<#status>,
            },
            quote!(status: read.status,),
        )
    });
    let (written, write, readable, read) = status.unwrap_or_default();
    quote! {
        use #root::__private::serde as __serde;

        #[derive(__serde::Serialize)]
        #[serde(crate = #serde, rename_all = "camelCase", rename = #kind)]
        struct __Written<'a> {
            api_version: &'static str,
            kind: &'static str,
            metadata: &'a __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            spec: &'a #spec,
            #written
        }

        #[derive(__serde::Deserialize)]
        #[serde(crate = #serde, rename_all = "camelCase", rename = #kind)]
        struct __Read {
            api_version: ::core::option::Option<::std::string::String>,
            kind: ::core::option::Option<::std::string::String>,
            #[serde(default)]
            metadata: __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            spec: #spec,
            #readable
        }

        impl __serde::Serialize for #resource {
            fn serialize<S: __serde::Serializer>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error> {
                let written = __Written {
                    api_version: <Self as __k8s_openapi::Resource>::API_VERSION,
                    kind: <Self as __k8s_openapi::Resource>::KIND,
                    metadata: &self.metadata,
                    spec: &self.spec,
                    #write
                };
                __serde::Serialize::serialize(&written, serializer)
            }
        }

        impl<'de> __serde::Deserialize<'de> for #resource {
            fn deserialize<D: __serde::Deserializer<'de>>(deserializer: D) -> ::core::result::Result<Self, D::Error> {
                let read: __Read = __serde::Deserialize::deserialize(deserializer)?;
                __custom::same_kind::<Self, D::Error>(read.api_version.as_deref(), read.kind.as_deref())?;
                ::core::result::Result::Ok(Self { metadata: read.metadata, spec: read.spec, #read })
            }
        }
    }
}
