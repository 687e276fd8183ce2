//! The code of a declared kind. It assembles; everything that computes stands in `trimtab-api`.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::model::{File, Model, Names, Of};
use super::object;
use super::parse::{Column, Deprecated};

pub(crate) fn resource(model: &Model) -> TokenStream {
    let structure = object::structure(model);
    let declaration = declaration(model);
    let spec = match &model.of {
        Of::Kind(spec, ..) | Of::Other(spec, _) => Some(self::spec(model, spec)),
        Of::File(_) => None,
    };
    let own = own(model);
    let traits = traits(model);
    let serde = object::serde(model);
    let versions = match &model.of {
        Of::File(_) => TokenStream::new(),
        Of::Kind(_, _, versions) if versions.is_empty() => TokenStream::new(),
        Of::Kind(..) => hub(model),
        Of::Other(spec, hub) => version(model, spec, hub),
    };
    quote! {
        #structure
        #[doc(hidden)]
        const _: () = {
            #declaration
            #spec
            #own
            #traits
            #serde
            #versions
        };
    }
}

fn declaration(model: &Model) -> TokenStream {
    let Model { root, version, doc, selectable, served, storage, .. } = model;
    let has_status = model.status_subresource;
    let status = option(model.status.as_ref().map(|status| quote!(__custom::status_of::<#status>)));
    let scale = option(model.scale.as_ref().map(|scale| {
        let replicas = &scale.replicas;
        let status = scale.status.as_ref().map_or_else(|| ".status.replicas".to_owned(), syn::LitStr::value);
        let selector = scale.selector.as_ref().map(syn::LitStr::value).unwrap_or_default();
        quote!(__custom::DeclaredScale { replicas: #replicas, status: #status, selector: #selector })
    }));
    let columns = model.columns.iter().map(column);
    let deprecated = option(model.deprecated.as_ref().map(|Deprecated(warning)| {
        let warning = warning.as_ref().map(syn::LitStr::value).unwrap_or_default();
        quote!(#warning)
    }));
    let versions: Vec<TokenStream> = match &model.of {
        Of::Kind(spec, _, versions) => {
            versions.iter().map(|other| quote!(__custom::Version::of::<#other, #spec>())).collect()
        }
        Of::Other(..) => Vec::new(),
        Of::File(file) => {
            file.others.iter().map(|other| quote!(__custom::Version::unconverted(#other::__declaration))).collect()
        }
    };
    let names = match &model.of {
        Of::File(file) => names(&file.names, root),
        Of::Kind(spec, ..) | Of::Other(spec, _) => quote!(<#spec as __custom::Spec>::NAMES),
    };
    let keywords = model.keywords.members();
    let fields = (!model.fields.is_empty()).then(|| {
        let fields = model.fields.iter().map(|(name, keywords)| {
            let keywords = keywords.members();
            quote!(#name: {#keywords})
        });
        quote!("properties": {#(#fields),*},)
    });
    let object_rules = &model.object_rules;
    let (openapi, exact) = match &model.of {
        Of::File(file) => {
            let File { definition, version, schemas, .. } = &**file;
            let schemas = schemas
                .iter()
                .map(|(name, type_, keywords)| quote!((#name, __custom::exact_schema::<#type_>(#keywords))));
            (
                quote!(__custom::exact_openapi(#version, ::std::vec![#(#schemas),*])),
                quote!(::core::option::Option::Some(__custom::Exact { definition: #definition, version: #version })),
            )
        }
        Of::Kind(spec, ..) | Of::Other(spec, _) => (
            quote!(__custom::openapi::<#spec>(#doc, #status, &__json::json!({#keywords #fields}), &__json::json!([#(#object_rules),*]))),
            quote!(::core::option::Option::None),
        ),
    };
    quote! {
        use #root::__private::custom as __custom;
        use #root::__private::k8s_openapi as __k8s_openapi;
        use #root::__private::serde_json as __json;

        fn openapi() -> __json::Value {
            #openapi
        }

        fn definitions() -> __json::Map<::std::string::String, __json::Value> {
            __custom::definitions(&DECLARATION)
        }

        static DECLARATION: __custom::Declaration = __custom::Declaration {
            names: #names,
            version: #version,
            served: #served,
            storage: #storage,
            deprecated: #deprecated,
            status: #has_status,
            scale: #scale,
            columns: &[#(#columns),*],
            selectable: &[#(#selectable),*],
            openapi,
            schema: #root::__private::Lazy::new(|| __custom::schema(&openapi())),
            definitions,
            versions: &[#(#versions),*],
            exact: #exact,
        };
    }
}

fn names(names: &Names, root: &syn::Path) -> TokenStream {
    let Names { group, kind, list_kind, plural, singular, short, categories, namespaced } = names;
    let scope = if *namespaced { quote!(Namespaced) } else { quote!(Cluster) };
    quote! {
        __custom::Names {
            group: #group,
            kind: #kind,
            list_kind: #list_kind,
            plural: #plural,
            singular: #singular,
            short_names: &[#(#short),*],
            categories: &[#(#categories),*],
            scope: #root::__private::Scope::#scope,
        }
    }
}

// What other versions of the kind see of this one.
fn spec(model: &Model, spec: &Ident) -> TokenStream {
    let Model { resource, root, version, .. } = model;
    let (names, versions) = match &model.of {
        Of::Kind(_, own, versions) => (names(own, root), &versions[..]),
        Of::File(file) => (names(&file.names, root), &[][..]),
        Of::Other(_, hub) => (quote!(<#hub as __custom::Spec>::NAMES), &[][..]),
    };
    let (status, of_status, with_status) = match &model.status {
        Some(status) => (quote!(#status), quote!(self.status), quote!(status,)),
        None => (quote!(__custom::NoStatus), quote!(::core::option::Option::None), quote!()),
    };
    quote! {
        impl __custom::Spec for #spec {
            type Resource = #resource;
            const NAMES: __custom::Names = #names;
            const VERSION: &'static str = #version;
            const VERSIONS: &'static [&'static str] = &[#(<#versions as __custom::Spec>::VERSION),*];

            fn declaration() -> &'static __custom::Declaration {
                &DECLARATION
            }
        }

        impl __custom::Parts for #resource {
            type Spec = #spec;
            type Status = #status;

            fn into_parts(
                self,
            ) -> (
                __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
                #spec,
                ::core::option::Option<#status>,
            ) {
                (self.metadata, self.spec, #of_status)
            }

            #[allow(unused_variables)]
            fn from_parts(
                metadata: __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
                spec: #spec,
                status: ::core::option::Option<#status>,
            ) -> Self {
                Self { metadata, spec, #with_status }
            }
        }
    }
}

fn own(model: &Model) -> TokenStream {
    let Model { resource, root, .. } = model;
    let new = object::new(model);
    let declaration = matches!(model.of, Of::File(_)).then(|| {
        quote! {
            #[doc(hidden)]
            pub fn __declaration() -> &'static __custom::Declaration {
                &DECLARATION
            }
        }
    });
    let whole = quote!(<Self as __custom::Declared>::declared());
    let declared = declared(model);
    let has_status = model.status.as_ref().filter(|_| model.status_subresource).map(|status| {
        quote! {
            impl __custom::HasStatus for #resource {
                type Status = #status;

                fn status(&self) -> ::core::option::Option<&#status> {
                    self.status.as_ref()
                }
            }
        }
    });
    quote! {
        #has_status

        impl __custom::Declared for #resource {
            fn declared() -> &'static __custom::Declaration {
                #declared
            }
        }

        impl #resource {
            #declaration

            #new

            /// The kind, for a registry of kinds.
            ///
            /// # Panics
            /// When the API server would refuse the definition, as `check` tells.
            pub fn kind() -> #root::__private::Kind {
                DECLARATION.kind()
            }

            /// The CustomResourceDefinition, to be applied to any Kubernetes.
            pub fn crd() -> __json::Value {
                #whole.definition()
            }

            /// The same as YAML.
            pub fn crd_yaml() -> ::std::string::String {
                __custom::yaml(&#whole.definition())
            }

            /// Checks the CustomResourceDefinition, its rules and defaults among all else, as the API
            /// server does.
            ///
            /// # Errors
            /// All that the API server would refuse it for.
            pub fn check() -> ::core::result::Result<(), __custom::WrongDeclaration> {
                #whole.check()
            }
        }
    }
}

// What knows all versions.
fn declared(model: &Model) -> TokenStream {
    match &model.of {
        Of::Other(_, hub) => quote!(<#hub as __custom::Spec>::declaration()),
        Of::File(file) if file.stored.is_some() => {
            let stored = &file.stored;
            quote!(#stored::__declaration())
        }
        Of::Kind(..) | Of::File(_) => quote!(&DECLARATION),
    }
}

// The version that all others are converted to and from.
fn hub(model: &Model) -> TokenStream {
    let resource = &model.resource;
    quote! {
        impl #resource {
            /// The CustomResourceDefinition with the webhook that answers by [`Self::convert`].
            pub fn crd_converted_by(
                webhook: &__k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::WebhookClientConfig,
            ) -> __json::Value {
                DECLARATION.converted_by(webhook)
            }

            /// Answers a `ConversionReview`: its objects in the version that is asked for.
            pub fn convert(review: &__json::Value) -> __json::Value {
                DECLARATION.convert(review)
            }
        }
    }
}

fn version(model: &Model, spec: &Ident, hub: &syn::Type) -> TokenStream {
    let Model { resource, version, .. } = model;
    let unlisted = format!(
        "add `versions({spec})` to the `#[resource(…)]` of `{}`, so that its definition has this version, too",
        quote!(#hub)
    );
    // What is missing is told where the other version is named.
    let listed = quote_spanned! {hub.span()=>
        const _: () = ::core::assert!(__custom::contains(<#hub as __custom::Spec>::VERSIONS, #version), #unlisted);
    };
    let converted = quote_spanned!(hub.span()=> __custom::converted(object));
    quote! {
        #listed

        impl ::core::convert::From<#resource> for <#hub as __custom::Spec>::Resource {
            fn from(object: #resource) -> Self {
                #converted
            }
        }

        impl ::core::convert::From<<#hub as __custom::Spec>::Resource> for #resource {
            fn from(object: <#hub as __custom::Spec>::Resource) -> Self {
                #converted
            }
        }

        impl __custom::VersionOf<#hub> for #spec {}
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
    let Model { resource, version, .. } = model;
    let consts = match &model.of {
        Of::Kind(_, names, _) => plain_consts(names, version),
        Of::File(file) => plain_consts(&file.names, version),
        Of::Other(spec, hub) => {
            let names = quote!(<#spec as __custom::Spec>::NAMES);
            [
                joined(&quote!(#names.group.len() + 1 + #version.len()), &quote!(#names.group, "/", #version)),
                quote!(#names.group),
                quote!(#names.kind),
                quote!(#names.plural),
                quote!(#names.list_kind),
                quote!(<<#hub as __custom::Spec>::Resource as __k8s_openapi::Resource>::Scope),
            ]
        }
    };
    let [api_version, group, kind, plural, list_kind, scope] = consts;
    quote! {
        impl __k8s_openapi::Resource for #resource {
            const API_VERSION: &'static str = #api_version;
            const GROUP: &'static str = #group;
            const KIND: &'static str = #kind;
            const VERSION: &'static str = #version;
            const URL_PATH_SEGMENT: &'static str = #plural;
            type Scope = #scope;
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

fn plain_consts(names: &Names, version: &syn::LitStr) -> [TokenStream; 6] {
    let Names { group, kind, list_kind, plural, namespaced, .. } = names;
    let api_version = format!("{group}/{}", version.value());
    let scope = if *namespaced { quote!(NamespaceResourceScope) } else { quote!(ClusterResourceScope) };
    [
        quote!(#api_version),
        quote!(#group),
        quote!(#kind),
        quote!(#plural),
        quote!(#list_kind),
        quote!(__k8s_openapi::#scope),
    ]
}

// A text put together at compile time.
fn joined(length: &TokenStream, parts: &TokenStream) -> TokenStream {
    quote!({
        const BYTES: [u8; #length] = __custom::joined(#parts);
        __custom::text(&BYTES)
    })
}
