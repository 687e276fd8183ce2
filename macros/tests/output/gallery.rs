///`galleries.demo.io`, by version.
#[allow(clippy::all, clippy::pedantic, missing_docs, rustdoc::all, unreachable_pub)]
pub mod gallery {
    ///The version v1.
    pub mod v1 {
        ///Pictures on walls.
        #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
        pub struct Gallery {
            /// The name, labels, owners.
            pub metadata: ::trimtab::__private::k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            ///What is wanted.
            pub spec: GallerySpec,
            ///What was last seen of it.
            pub status: ::core::option::Option<GalleryStatus>,
            pub painted_by: ::std::string::String,
        }
        #[doc(hidden)]
        const _: () = {
            use ::trimtab::__private::custom as __custom;
            use ::trimtab::__private::k8s_openapi as __k8s_openapi;
            use ::trimtab::__private::serde_json as __json;
            fn openapi() -> __json::Value {
                __custom::exact_openapi(
                    "{\"name\":\"v1\",\"schema\":{\"openAPIV3Schema\":{\"description\":\"Pictures on walls.\",\"properties\":{},\"required\":[\"spec\",\"paintedBy\"],\"type\":\"object\"}},\"served\":true,\"storage\":true,\"subresources\":{\"status\":{}}}",
                    ::std::vec![
                        ("spec", __custom::exact_schema:: < GallerySpec >
                        ("{\"description\":null}")), ("status", __custom::exact_schema::
                        < GalleryStatus > ("{\"description\":null}")), ("paintedBy",
                        __custom::exact_schema:: < ::std::string::String > ("{}"))
                    ],
                )
            }
            fn definitions() -> __json::Map<::std::string::String, __json::Value> {
                __custom::definitions(&DECLARATION)
            }
            static DECLARATION: __custom::Declaration = __custom::Declaration {
                names: __custom::Names {
                    group: "demo.io",
                    kind: "Gallery",
                    list_kind: "GalleryList",
                    plural: "galleries",
                    singular: "gallery",
                    short_names: &["gal"],
                    categories: &[],
                    scope: ::trimtab::__private::Scope::Namespaced,
                },
                version: "v1",
                served: true,
                storage: true,
                deprecated: ::core::option::Option::None,
                status: true,
                scale: ::core::option::Option::None,
                columns: &[],
                selectable: &[],
                openapi,
                schema: ::trimtab::__private::Lazy::new(|| __custom::schema(&openapi())),
                definitions,
                versions: &[
                    __custom::Version::unconverted(
                        super::v1alpha1::Gallery::__declaration,
                    ),
                ],
                exact: ::core::option::Option::Some(__custom::Exact {
                    definition: "{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\",\"metadata\":{\"name\":\"galleries.demo.io\"},\"spec\":{\"group\":\"demo.io\",\"names\":{\"kind\":\"Gallery\",\"plural\":\"galleries\",\"shortNames\":[\"gal\"]},\"scope\":\"Namespaced\",\"versions\":[{\"name\":\"v1\"},{\"name\":\"v1alpha1\"}]}}",
                    version: "{\"name\":\"v1\",\"schema\":{\"openAPIV3Schema\":{\"description\":\"Pictures on walls.\",\"properties\":{},\"required\":[\"spec\",\"paintedBy\"],\"type\":\"object\"}},\"served\":true,\"storage\":true,\"subresources\":{\"status\":{}}}",
                }),
            };
            impl __custom::HasStatus for Gallery {
                type Status = GalleryStatus;
                fn status(&self) -> ::core::option::Option<&GalleryStatus> {
                    self.status.as_ref()
                }
            }
            impl __custom::Declared for Gallery {
                fn declared() -> &'static __custom::Declaration {
                    &DECLARATION
                }
            }
            impl Gallery {
                #[doc(hidden)]
                pub fn __declaration() -> &'static __custom::Declaration {
                    &DECLARATION
                }
                ///One called `name` that wants `spec`, without namespace or labels.
                pub fn new(
                    name: impl ::core::convert::Into<::std::string::String>,
                    spec: GallerySpec,
                    painted_by: ::std::string::String,
                ) -> Self {
                    let metadata = __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                        name: ::core::option::Option::Some(name.into()),
                        ..::core::default::Default::default()
                    };
                    Self {
                        metadata,
                        spec,
                        status: ::core::option::Option::None,
                        painted_by,
                    }
                }
                /// The kind, for a registry of kinds.
                ///
                /// # Panics
                /// When the API server would refuse the definition, as `check` tells.
                pub fn kind() -> ::trimtab::__private::Kind {
                    DECLARATION.kind()
                }
                /// The CustomResourceDefinition, to be applied to any Kubernetes.
                pub fn crd() -> __json::Value {
                    <Self as __custom::Declared>::declared().definition()
                }
                /// The same as YAML.
                pub fn crd_yaml() -> ::std::string::String {
                    __custom::yaml(
                        &<Self as __custom::Declared>::declared().definition(),
                    )
                }
                /// Checks the CustomResourceDefinition, its rules and defaults among all else, as the API
                /// server does.
                ///
                /// # Errors
                /// All that the API server would refuse it for.
                pub fn check() -> ::core::result::Result<
                    (),
                    __custom::WrongDeclaration,
                > {
                    <Self as __custom::Declared>::declared().check()
                }
            }
            impl __k8s_openapi::Resource for Gallery {
                const API_VERSION: &'static str = "demo.io/v1";
                const GROUP: &'static str = "demo.io";
                const KIND: &'static str = "Gallery";
                const VERSION: &'static str = "v1";
                const URL_PATH_SEGMENT: &'static str = "galleries";
                type Scope = __k8s_openapi::NamespaceResourceScope;
            }
            impl __k8s_openapi::ListableResource for Gallery {
                const LIST_KIND: &'static str = "GalleryList";
            }
            impl __k8s_openapi::Metadata for Gallery {
                type Ty = __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
                fn metadata(&self) -> &Self::Ty {
                    &self.metadata
                }
                fn metadata_mut(&mut self) -> &mut Self::Ty {
                    &mut self.metadata
                }
            }
            use ::trimtab::__private::serde as __serde;
            #[derive(__serde::Serialize)]
            #[serde(crate = "::trimtab::__private::serde", rename = "Gallery")]
            struct __Written<'a> {
                #[serde(rename = "apiVersion")]
                api_version: &'static str,
                kind: &'static str,
                metadata: &'a __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
                spec: &'a GallerySpec,
                #[serde(skip_serializing_if = "::core::option::Option::is_none")]
                status: ::core::option::Option<&'a GalleryStatus>,
                #[serde(rename = "paintedBy")]
                painted_by: &'a ::std::string::String,
            }
            #[derive(__serde::Deserialize)]
            #[serde(crate = "::trimtab::__private::serde", rename = "Gallery")]
            struct __Read {
                #[serde(rename = "apiVersion")]
                api_version: ::core::option::Option<::std::string::String>,
                kind: ::core::option::Option<::std::string::String>,
                #[serde(default)]
                metadata: __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
                spec: GallerySpec,
                #[serde(default)]
                status: ::core::option::Option<GalleryStatus>,
                #[serde(rename = "paintedBy")]
                painted_by: ::std::string::String,
            }
            impl __serde::Serialize for Gallery {
                fn serialize<S: __serde::Serializer>(
                    &self,
                    serializer: S,
                ) -> ::core::result::Result<S::Ok, S::Error> {
                    let written = __Written {
                        api_version: <Self as __k8s_openapi::Resource>::API_VERSION,
                        kind: <Self as __k8s_openapi::Resource>::KIND,
                        metadata: &self.metadata,
                        spec: &self.spec,
                        status: self.status.as_ref(),
                        painted_by: &self.painted_by,
                    };
                    __serde::Serialize::serialize(&written, serializer)
                }
            }
            impl<'de> __serde::Deserialize<'de> for Gallery {
                fn deserialize<D: __serde::Deserializer<'de>>(
                    deserializer: D,
                ) -> ::core::result::Result<Self, D::Error> {
                    let read: __Read = __serde::Deserialize::deserialize(deserializer)?;
                    __custom::same_kind::<
                        Self,
                        D::Error,
                    >(read.api_version.as_deref(), read.kind.as_deref())?;
                    ::core::result::Result::Ok(Self {
                        metadata: read.metadata,
                        spec: read.spec,
                        status: read.status,
                        painted_by: read.painted_by,
                    })
                }
            }
        };
        #[derive(
            ::core::clone::Clone,
            ::core::fmt::Debug,
            ::core::cmp::PartialEq,
            ::core::default::Default,
            ::trimtab::__private::serde::Serialize,
            ::trimtab::__private::serde::Deserialize,
            ::trimtab::__private::schemars::JsonSchema
        )]
        #[serde(crate = "::trimtab::__private::serde")]
        #[schemars(crate = "::trimtab::__private::schemars")]
        #[schemars(
            transform = ::trimtab::__private::custom::Keywords::read(
                "{\"additionalProperties\":null,\"description\":null,\"required\":[\"rooms\"]}"
            )
        )]
        pub struct GallerySpec {
            #[serde(skip_serializing_if = "::core::option::Option::is_none")]
            #[schemars(
                transform = ::trimtab::__private::custom::Keywords::read(
                    "{\"description\":null,\"nullable\":false}"
                )
            )]
            pub entry: ::core::option::Option<GalleryEntry>,
            ///Where they hang.
            #[schemars(
                transform = ::trimtab::__private::custom::Keywords::read(
                    "{\"description\":\"Where they hang.\",\"items\":{},\"x-kubernetes-list-map-keys\":[\"name\"],\"x-kubernetes-list-type\":\"map\"}"
                )
            )]
            pub rooms: ::std::vec::Vec<GalleryRoom>,
        }
        #[derive(
            ::core::clone::Clone,
            ::core::fmt::Debug,
            ::core::cmp::PartialEq,
            ::core::default::Default,
            ::trimtab::__private::serde::Serialize,
            ::trimtab::__private::serde::Deserialize,
            ::trimtab::__private::schemars::JsonSchema
        )]
        #[serde(crate = "::trimtab::__private::serde")]
        #[schemars(crate = "::trimtab::__private::schemars")]
        #[schemars(
            transform = ::trimtab::__private::custom::Keywords::read(
                "{\"additionalProperties\":null,\"description\":null,\"required\":null,\"x-kubernetes-preserve-unknown-fields\":true}"
            )
        )]
        pub struct GalleryStatus {
            #[serde(skip_serializing_if = "::core::option::Option::is_none")]
            #[schemars(
                transform = ::trimtab::__private::custom::Keywords::read(
                    "{\"items\":{},\"nullable\":false}"
                )
            )]
            pub conditions: ::core::option::Option<::std::vec::Vec<GalleryCondition>>,
            #[serde(skip_serializing_if = "::core::option::Option::is_none")]
            #[schemars(
                transform = ::trimtab::__private::custom::Keywords::read(
                    "{\"description\":null,\"format\":\"date-time\",\"nullable\":true}"
                )
            )]
            pub opened: ::core::option::Option<
                ::trimtab::__private::k8s_openapi::apimachinery::pkg::apis::meta::v1::Time,
            >,
            /// What the schema does not know.
            #[serde(flatten)]
            pub other: ::std::collections::BTreeMap<
                ::std::string::String,
                ::trimtab::__private::serde_json::Value,
            >,
        }
        #[derive(
            ::core::clone::Clone,
            ::core::fmt::Debug,
            ::core::cmp::PartialEq,
            ::trimtab::__private::serde::Serialize,
            ::trimtab::__private::serde::Deserialize,
            ::trimtab::__private::schemars::JsonSchema
        )]
        #[serde(crate = "::trimtab::__private::serde")]
        #[schemars(crate = "::trimtab::__private::schemars")]
        #[schemars(
            transform = ::trimtab::__private::custom::Keywords::read(
                "{\"description\":null}"
            )
        )]
        pub enum GalleryEntry {
            #[serde(rename = "free")]
            Free(
                #[schemars(
                    transform = ::trimtab::__private::custom::Keywords::read(
                        "{\"additionalProperties\":null}"
                    )
                )]
                ::std::collections::BTreeMap<
                    ::std::string::String,
                    ::trimtab::__private::serde_json::Value,
                >,
            ),
            #[serde(rename = "paid")]
            Paid(
                #[schemars(
                    transform = ::trimtab::__private::custom::Keywords::read(
                        "{\"format\":\"int32\",\"minimum\":1}"
                    )
                )]
                i32,
            ),
        }
        #[derive(
            ::core::clone::Clone,
            ::core::fmt::Debug,
            ::core::cmp::PartialEq,
            ::core::default::Default,
            ::trimtab::__private::serde::Serialize,
            ::trimtab::__private::serde::Deserialize,
            ::trimtab::__private::schemars::JsonSchema
        )]
        #[serde(crate = "::trimtab::__private::serde")]
        #[schemars(crate = "::trimtab::__private::schemars")]
        #[schemars(
            transform = ::trimtab::__private::custom::Keywords::read(
                "{\"additionalProperties\":null,\"description\":null,\"required\":[\"name\"]}"
            )
        )]
        pub struct GalleryRoom {
            #[serde(skip_serializing_if = "::core::option::Option::is_none")]
            #[schemars(
                transform = ::trimtab::__private::custom::Keywords::read(
                    "{\"default\":\"day\",\"description\":null,\"nullable\":false}"
                )
            )]
            pub light: ::core::option::Option<GalleryLight>,
            #[schemars(
                transform = ::trimtab::__private::custom::Keywords::read(
                    "{\"maxLength\":20}"
                )
            )]
            pub name: ::std::string::String,
            #[serde(skip_serializing_if = "::core::option::Option::is_none")]
            #[schemars(
                transform = ::trimtab::__private::custom::Keywords::read(
                    "{\"description\":null,\"nullable\":false,\"x-kubernetes-int-or-string\":true}"
                )
            )]
            pub seats: ::core::option::Option<
                ::trimtab::__private::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString,
            >,
        }
        #[derive(
            ::core::clone::Clone,
            ::core::fmt::Debug,
            ::core::cmp::PartialEq,
            ::trimtab::__private::serde::Serialize,
            ::trimtab::__private::serde::Deserialize,
            ::trimtab::__private::schemars::JsonSchema
        )]
        #[serde(crate = "::trimtab::__private::serde")]
        #[schemars(crate = "::trimtab::__private::schemars")]
        #[schemars(
            transform = ::trimtab::__private::custom::Keywords::read(
                "{\"additionalProperties\":null,\"description\":null,\"required\":[\"type\",\"status\"]}"
            )
        )]
        pub struct GalleryCondition {
            #[serde(skip_serializing_if = "::core::option::Option::is_none")]
            #[schemars(
                transform = ::trimtab::__private::custom::Keywords::read(
                    "{\"nullable\":false}"
                )
            )]
            pub reason: ::core::option::Option<::std::string::String>,
            #[schemars(
                transform = ::trimtab::__private::custom::Keywords::read(
                    "{\"description\":null}"
                )
            )]
            pub status: GalleryConditionStatus,
            #[serde(rename = "type")]
            pub r#type: ::std::string::String,
        }
        impl ::trimtab::__private::custom::IsCondition for GalleryCondition {}
        #[derive(
            ::core::clone::Clone,
            ::core::fmt::Debug,
            ::core::cmp::PartialEq,
            ::trimtab::__private::serde::Serialize,
            ::trimtab::__private::serde::Deserialize,
            ::trimtab::__private::schemars::JsonSchema
        )]
        #[serde(crate = "::trimtab::__private::serde")]
        #[schemars(crate = "::trimtab::__private::schemars")]
        #[schemars(
            transform = ::trimtab::__private::custom::Keywords::read(
                "{\"description\":null}"
            )
        )]
        #[derive(::core::marker::Copy, ::core::cmp::Eq)]
        pub enum GalleryLight {
            #[serde(rename = "day")]
            Day,
            #[serde(rename = "")]
            Empty,
            #[serde(rename = "none")]
            None,
        }
        #[derive(
            ::core::clone::Clone,
            ::core::fmt::Debug,
            ::core::cmp::PartialEq,
            ::trimtab::__private::serde::Serialize,
            ::trimtab::__private::serde::Deserialize,
            ::trimtab::__private::schemars::JsonSchema
        )]
        #[serde(crate = "::trimtab::__private::serde")]
        #[schemars(crate = "::trimtab::__private::schemars")]
        #[schemars(
            transform = ::trimtab::__private::custom::Keywords::read(
                "{\"description\":null}"
            )
        )]
        #[derive(::core::marker::Copy, ::core::cmp::Eq)]
        pub enum GalleryConditionStatus {
            #[serde(rename = "True")]
            True,
            #[serde(rename = "False")]
            False,
            #[serde(rename = "Unknown")]
            Unknown,
        }
    }
    ///The version v1alpha1.
    pub mod v1alpha1 {
        ///A Gallery.
        #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
        pub struct Gallery {
            /// The name, labels, owners.
            pub metadata: ::trimtab::__private::k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            ///What is wanted.
            pub spec: ::core::option::Option<
                ::std::collections::BTreeMap<
                    ::std::string::String,
                    ::trimtab::__private::serde_json::Value,
                >,
            >,
        }
        #[doc(hidden)]
        const _: () = {
            use ::trimtab::__private::custom as __custom;
            use ::trimtab::__private::k8s_openapi as __k8s_openapi;
            use ::trimtab::__private::serde_json as __json;
            fn openapi() -> __json::Value {
                __custom::exact_openapi(
                    "{\"name\":\"v1alpha1\",\"schema\":{\"openAPIV3Schema\":{\"properties\":{},\"type\":\"object\"}},\"served\":false,\"storage\":false}",
                    ::std::vec![
                        ("spec", __custom::exact_schema:: < ::std::collections::BTreeMap
                        < ::std::string::String, ::trimtab::__private::serde_json::Value
                        > >
                        ("{\"additionalProperties\":null,\"x-kubernetes-preserve-unknown-fields\":true}"))
                    ],
                )
            }
            fn definitions() -> __json::Map<::std::string::String, __json::Value> {
                __custom::definitions(&DECLARATION)
            }
            static DECLARATION: __custom::Declaration = __custom::Declaration {
                names: __custom::Names {
                    group: "demo.io",
                    kind: "Gallery",
                    list_kind: "GalleryList",
                    plural: "galleries",
                    singular: "gallery",
                    short_names: &["gal"],
                    categories: &[],
                    scope: ::trimtab::__private::Scope::Namespaced,
                },
                version: "v1alpha1",
                served: false,
                storage: false,
                deprecated: ::core::option::Option::None,
                status: false,
                scale: ::core::option::Option::None,
                columns: &[],
                selectable: &[],
                openapi,
                schema: ::trimtab::__private::Lazy::new(|| __custom::schema(&openapi())),
                definitions,
                versions: &[],
                exact: ::core::option::Option::Some(__custom::Exact {
                    definition: "{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\",\"metadata\":{\"name\":\"galleries.demo.io\"},\"spec\":{\"group\":\"demo.io\",\"names\":{\"kind\":\"Gallery\",\"plural\":\"galleries\",\"shortNames\":[\"gal\"]},\"scope\":\"Namespaced\",\"versions\":[{\"name\":\"v1\"},{\"name\":\"v1alpha1\"}]}}",
                    version: "{\"name\":\"v1alpha1\",\"schema\":{\"openAPIV3Schema\":{\"properties\":{},\"type\":\"object\"}},\"served\":false,\"storage\":false}",
                }),
            };
            impl __custom::Declared for Gallery {
                fn declared() -> &'static __custom::Declaration {
                    super::v1::Gallery::__declaration()
                }
            }
            impl Gallery {
                #[doc(hidden)]
                pub fn __declaration() -> &'static __custom::Declaration {
                    &DECLARATION
                }
                ///One called `name` that wants `spec`, without namespace or labels.
                pub fn new(
                    name: impl ::core::convert::Into<::std::string::String>,
                    spec: ::std::collections::BTreeMap<
                        ::std::string::String,
                        ::trimtab::__private::serde_json::Value,
                    >,
                ) -> Self {
                    let metadata = __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                        name: ::core::option::Option::Some(name.into()),
                        ..::core::default::Default::default()
                    };
                    Self {
                        metadata,
                        spec: ::core::option::Option::Some(spec),
                    }
                }
                /// The kind, for a registry of kinds.
                ///
                /// # Panics
                /// When the API server would refuse the definition, as `check` tells.
                pub fn kind() -> ::trimtab::__private::Kind {
                    DECLARATION.kind()
                }
                /// The CustomResourceDefinition, to be applied to any Kubernetes.
                pub fn crd() -> __json::Value {
                    <Self as __custom::Declared>::declared().definition()
                }
                /// The same as YAML.
                pub fn crd_yaml() -> ::std::string::String {
                    __custom::yaml(
                        &<Self as __custom::Declared>::declared().definition(),
                    )
                }
                /// Checks the CustomResourceDefinition, its rules and defaults among all else, as the API
                /// server does.
                ///
                /// # Errors
                /// All that the API server would refuse it for.
                pub fn check() -> ::core::result::Result<
                    (),
                    __custom::WrongDeclaration,
                > {
                    <Self as __custom::Declared>::declared().check()
                }
            }
            impl __k8s_openapi::Resource for Gallery {
                const API_VERSION: &'static str = "demo.io/v1alpha1";
                const GROUP: &'static str = "demo.io";
                const KIND: &'static str = "Gallery";
                const VERSION: &'static str = "v1alpha1";
                const URL_PATH_SEGMENT: &'static str = "galleries";
                type Scope = __k8s_openapi::NamespaceResourceScope;
            }
            impl __k8s_openapi::ListableResource for Gallery {
                const LIST_KIND: &'static str = "GalleryList";
            }
            impl __k8s_openapi::Metadata for Gallery {
                type Ty = __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
                fn metadata(&self) -> &Self::Ty {
                    &self.metadata
                }
                fn metadata_mut(&mut self) -> &mut Self::Ty {
                    &mut self.metadata
                }
            }
            use ::trimtab::__private::serde as __serde;
            #[derive(__serde::Serialize)]
            #[serde(crate = "::trimtab::__private::serde", rename = "Gallery")]
            struct __Written<'a> {
                #[serde(rename = "apiVersion")]
                api_version: &'static str,
                kind: &'static str,
                metadata: &'a __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
                #[serde(skip_serializing_if = "::core::option::Option::is_none")]
                spec: ::core::option::Option<
                    &'a ::std::collections::BTreeMap<
                        ::std::string::String,
                        ::trimtab::__private::serde_json::Value,
                    >,
                >,
            }
            #[derive(__serde::Deserialize)]
            #[serde(crate = "::trimtab::__private::serde", rename = "Gallery")]
            struct __Read {
                #[serde(rename = "apiVersion")]
                api_version: ::core::option::Option<::std::string::String>,
                kind: ::core::option::Option<::std::string::String>,
                #[serde(default)]
                metadata: __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
                #[serde(default)]
                spec: ::core::option::Option<
                    ::std::collections::BTreeMap<
                        ::std::string::String,
                        ::trimtab::__private::serde_json::Value,
                    >,
                >,
            }
            impl __serde::Serialize for Gallery {
                fn serialize<S: __serde::Serializer>(
                    &self,
                    serializer: S,
                ) -> ::core::result::Result<S::Ok, S::Error> {
                    let written = __Written {
                        api_version: <Self as __k8s_openapi::Resource>::API_VERSION,
                        kind: <Self as __k8s_openapi::Resource>::KIND,
                        metadata: &self.metadata,
                        spec: self.spec.as_ref(),
                    };
                    __serde::Serialize::serialize(&written, serializer)
                }
            }
            impl<'de> __serde::Deserialize<'de> for Gallery {
                fn deserialize<D: __serde::Deserializer<'de>>(
                    deserializer: D,
                ) -> ::core::result::Result<Self, D::Error> {
                    let read: __Read = __serde::Deserialize::deserialize(deserializer)?;
                    __custom::same_kind::<
                        Self,
                        D::Error,
                    >(read.api_version.as_deref(), read.kind.as_deref())?;
                    ::core::result::Result::Ok(Self {
                        metadata: read.metadata,
                        spec: read.spec,
                    })
                }
            }
        };
    }
}
#[allow(unused_imports)]
pub use gallery::v1::*;
const _: &[&[u8]] = &[include_bytes!("/tests/crds/gallery.yaml")];
