///A website.
#[derive(::core::clone::Clone, ::core::fmt::Debug, PartialEq)]
pub struct Website {
    /// The name, labels, owners.
    pub metadata: ::trimtab::__private::k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    ///What is wanted.
    pub spec: WebsiteSpec,
    ///What was last seen of it.
    pub status: ::core::option::Option<WebsiteStatus>,
}
#[doc(hidden)]
const _: () = {
    use ::trimtab::__private::custom as __custom;
    use ::trimtab::__private::k8s_openapi as __k8s_openapi;
    use ::trimtab::__private::serde_json as __json;
    fn openapi() -> __json::Value {
        __custom::openapi::<
            WebsiteSpec,
        >(
            "A website.",
            ::core::option::Option::Some(__custom::status_of::<WebsiteStatus>),
            &__json::json!(
                { "x-kubernetes-validations" : [{ "rule" : "self.image != ''", "message"
                : "an image is needed", "reason" : "FieldValueRequired", "fieldPath" :
                ".image" }], "properties" : { "replicaCount" : { "default" : 1,
                "x-kubernetes-validations" : [{ "rule" : "self <= 100" }], }, "ports" : {
                "x-kubernetes-list-type" : "map", "x-kubernetes-list-map-keys" :
                ["name"], } }, }
            ),
            &__json::json!([{ "rule" : "self.metadata.name.size() < 50" }]),
        )
    }
    fn definitions() -> __json::Map<::std::string::String, __json::Value> {
        __custom::definitions(&DECLARATION)
    }
    static DECLARATION: __custom::Declaration = __custom::Declaration {
        names: <WebsiteSpec as __custom::Spec>::NAMES,
        version: "v1",
        served: true,
        storage: false,
        deprecated: ::core::option::Option::Some("use v2"),
        status: true,
        scale: ::core::option::Option::Some(__custom::DeclaredScale {
            replicas: ".spec.replicas",
            status: ".status.replicas",
            selector: "",
        }),
        columns: &[
            __custom::DeclaredColumn {
                name: "Ready",
                json_path: ".status.ready",
                type_: "",
                priority: 0,
                description: "",
            },
            __custom::DeclaredColumn {
                name: "Image",
                json_path: ".spec.image",
                type_: "string",
                priority: 1,
                description: "",
            },
        ],
        selectable: &[".spec.image"],
        openapi,
        schema: ::trimtab::__private::Lazy::new(|| __custom::schema(&openapi())),
        definitions,
        versions: &[__custom::Version::of::<WebsiteV1Alpha1Spec, WebsiteSpec>()],
        exact: ::core::option::Option::None,
    };
    impl __custom::Spec for WebsiteSpec {
        type Resource = Website;
        const NAMES: __custom::Names = __custom::Names {
            group: "demo.io",
            kind: "Website",
            list_kind: "WebsiteList",
            plural: "websites",
            singular: "website",
            short_names: &["web"],
            categories: &["all"],
            scope: ::trimtab::__private::Scope::Namespaced,
        };
        const VERSION: &'static str = "v1";
        const VERSIONS: &'static [&'static str] = &[
            <WebsiteV1Alpha1Spec as __custom::Spec>::VERSION,
        ];
        fn declaration() -> &'static __custom::Declaration {
            &DECLARATION
        }
    }
    impl __custom::Parts for Website {
        type Spec = WebsiteSpec;
        type Status = WebsiteStatus;
        fn into_parts(
            self,
        ) -> (
            __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            WebsiteSpec,
            ::core::option::Option<WebsiteStatus>,
        ) {
            (self.metadata, self.spec, self.status)
        }
        #[allow(unused_variables)]
        fn from_parts(
            metadata: __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            spec: WebsiteSpec,
            status: ::core::option::Option<WebsiteStatus>,
        ) -> Self {
            Self { metadata, spec, status }
        }
    }
    impl __custom::HasStatus for Website {
        type Status = WebsiteStatus;
        fn status(&self) -> ::core::option::Option<&WebsiteStatus> {
            self.status.as_ref()
        }
    }
    impl __custom::Declared for Website {
        fn declared() -> &'static __custom::Declaration {
            &DECLARATION
        }
    }
    impl Website {
        ///One called `name` that wants `spec`, without namespace or labels.
        pub fn new(
            name: impl ::core::convert::Into<::std::string::String>,
            spec: WebsiteSpec,
        ) -> Self {
            let metadata = __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                name: ::core::option::Option::Some(name.into()),
                ..::core::default::Default::default()
            };
            Self {
                metadata,
                spec,
                status: ::core::option::Option::None,
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
            __custom::yaml(&<Self as __custom::Declared>::declared().definition())
        }
        /// Checks the CustomResourceDefinition, its rules and defaults among all else, as the API
        /// server does.
        ///
        /// # Errors
        /// All that the API server would refuse it for.
        pub fn check() -> ::core::result::Result<(), __custom::WrongDeclaration> {
            <Self as __custom::Declared>::declared().check()
        }
    }
    impl __k8s_openapi::Resource for Website {
        const API_VERSION: &'static str = "demo.io/v1";
        const GROUP: &'static str = "demo.io";
        const KIND: &'static str = "Website";
        const VERSION: &'static str = "v1";
        const URL_PATH_SEGMENT: &'static str = "websites";
        type Scope = __k8s_openapi::NamespaceResourceScope;
    }
    impl __k8s_openapi::ListableResource for Website {
        const LIST_KIND: &'static str = "WebsiteList";
    }
    impl __k8s_openapi::Metadata for Website {
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
    #[serde(crate = "::trimtab::__private::serde", rename = "Website")]
    struct __Written<'a> {
        #[serde(rename = "apiVersion")]
        api_version: &'static str,
        kind: &'static str,
        metadata: &'a __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
        spec: &'a WebsiteSpec,
        #[serde(skip_serializing_if = "::core::option::Option::is_none")]
        status: ::core::option::Option<&'a WebsiteStatus>,
    }
    #[derive(__serde::Deserialize)]
    #[serde(crate = "::trimtab::__private::serde", rename = "Website")]
    struct __Read {
        #[serde(rename = "apiVersion")]
        api_version: ::core::option::Option<::std::string::String>,
        kind: ::core::option::Option<::std::string::String>,
        #[serde(default)]
        metadata: __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
        spec: WebsiteSpec,
        #[serde(default)]
        status: ::core::option::Option<WebsiteStatus>,
    }
    impl __serde::Serialize for Website {
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
            };
            __serde::Serialize::serialize(&written, serializer)
        }
    }
    impl<'de> __serde::Deserialize<'de> for Website {
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
            })
        }
    }
    impl Website {
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
};
