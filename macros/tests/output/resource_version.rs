///A WebsiteV1Beta1.
#[derive(::core::clone::Clone, ::core::fmt::Debug)]
struct WebsiteV1Beta1 {
    /// The name, labels, owners.
    pub metadata: ::trimtab::__private::k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    ///What is wanted.
    pub spec: WebsiteV1Beta1Spec,
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
            WebsiteV1Beta1Spec,
        >(
            "",
            ::core::option::Option::Some(__custom::status_of::<WebsiteStatus>),
            &__json::json!({}),
            &__json::json!([]),
        )
    }
    fn definitions() -> __json::Map<::std::string::String, __json::Value> {
        __custom::definitions(&DECLARATION)
    }
    static DECLARATION: __custom::Declaration = __custom::Declaration {
        names: <WebsiteV1Beta1Spec as __custom::Spec>::NAMES,
        version: "v1beta1",
        served: false,
        storage: true,
        deprecated: ::core::option::Option::None,
        status: true,
        scale: ::core::option::Option::None,
        columns: &[],
        selectable: &[],
        openapi,
        schema: ::trimtab::__private::Lazy::new(|| __custom::schema(&openapi())),
        definitions,
        versions: &[],
        exact: ::core::option::Option::None,
    };
    impl __custom::Spec for WebsiteV1Beta1Spec {
        type Resource = WebsiteV1Beta1;
        const NAMES: __custom::Names = <WebsiteSpec as __custom::Spec>::NAMES;
        const VERSION: &'static str = "v1beta1";
        const VERSIONS: &'static [&'static str] = &[];
        fn declaration() -> &'static __custom::Declaration {
            &DECLARATION
        }
    }
    impl __custom::Parts for WebsiteV1Beta1 {
        type Spec = WebsiteV1Beta1Spec;
        type Status = WebsiteStatus;
        fn into_parts(
            self,
        ) -> (
            __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            WebsiteV1Beta1Spec,
            ::core::option::Option<WebsiteStatus>,
        ) {
            (self.metadata, self.spec, self.status)
        }
        #[allow(unused_variables)]
        fn from_parts(
            metadata: __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            spec: WebsiteV1Beta1Spec,
            status: ::core::option::Option<WebsiteStatus>,
        ) -> Self {
            Self { metadata, spec, status }
        }
    }
    impl __custom::HasStatus for WebsiteV1Beta1 {
        type Status = WebsiteStatus;
        fn status(&self) -> ::core::option::Option<&WebsiteStatus> {
            self.status.as_ref()
        }
    }
    impl __custom::Declared for WebsiteV1Beta1 {
        fn declared() -> &'static __custom::Declaration {
            <WebsiteSpec as __custom::Spec>::declaration()
        }
    }
    impl WebsiteV1Beta1 {
        ///One called `name` that wants `spec`, without namespace or labels.
        pub fn new(
            name: impl ::core::convert::Into<::std::string::String>,
            spec: WebsiteV1Beta1Spec,
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
    impl __k8s_openapi::Resource for WebsiteV1Beta1 {
        const API_VERSION: &'static str = {
            const BYTES: [u8; <WebsiteV1Beta1Spec as __custom::Spec>::NAMES.group.len()
                + 1 + "v1beta1".len()] = __custom::joined(
                <WebsiteV1Beta1Spec as __custom::Spec>::NAMES.group,
                "/",
                "v1beta1",
            );
            __custom::text(&BYTES)
        };
        const GROUP: &'static str = <WebsiteV1Beta1Spec as __custom::Spec>::NAMES.group;
        const KIND: &'static str = <WebsiteV1Beta1Spec as __custom::Spec>::NAMES.kind;
        const VERSION: &'static str = "v1beta1";
        const URL_PATH_SEGMENT: &'static str = <WebsiteV1Beta1Spec as __custom::Spec>::NAMES
            .plural;
        type Scope = <<WebsiteSpec as __custom::Spec>::Resource as __k8s_openapi::Resource>::Scope;
    }
    impl __k8s_openapi::ListableResource for WebsiteV1Beta1 {
        const LIST_KIND: &'static str = <WebsiteV1Beta1Spec as __custom::Spec>::NAMES
            .list_kind;
    }
    impl __k8s_openapi::Metadata for WebsiteV1Beta1 {
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
    #[serde(crate = "::trimtab::__private::serde", rename = "WebsiteV1Beta1")]
    struct __Written<'a> {
        #[serde(rename = "apiVersion")]
        api_version: &'static str,
        kind: &'static str,
        metadata: &'a __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
        spec: &'a WebsiteV1Beta1Spec,
        #[serde(skip_serializing_if = "::core::option::Option::is_none")]
        status: ::core::option::Option<&'a WebsiteStatus>,
    }
    #[derive(__serde::Deserialize)]
    #[serde(crate = "::trimtab::__private::serde", rename = "WebsiteV1Beta1")]
    struct __Read {
        #[serde(rename = "apiVersion")]
        api_version: ::core::option::Option<::std::string::String>,
        kind: ::core::option::Option<::std::string::String>,
        #[serde(default)]
        metadata: __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
        spec: WebsiteV1Beta1Spec,
        #[serde(default)]
        status: ::core::option::Option<WebsiteStatus>,
    }
    impl __serde::Serialize for WebsiteV1Beta1 {
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
    impl<'de> __serde::Deserialize<'de> for WebsiteV1Beta1 {
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
    const _: () = ::core::assert!(
        __custom::contains(< WebsiteSpec as __custom::Spec > ::VERSIONS, "v1beta1"),
        "add `versions(WebsiteV1Beta1Spec)` to the `#[resource(…)]` of `WebsiteSpec`, so that its definition has this version, too"
    );
    impl ::core::convert::From<WebsiteV1Beta1>
    for <WebsiteSpec as __custom::Spec>::Resource {
        fn from(object: WebsiteV1Beta1) -> Self {
            __custom::converted(object)
        }
    }
    impl ::core::convert::From<<WebsiteSpec as __custom::Spec>::Resource>
    for WebsiteV1Beta1 {
        fn from(object: <WebsiteSpec as __custom::Spec>::Resource) -> Self {
            __custom::converted(object)
        }
    }
    impl __custom::VersionOf<WebsiteSpec> for WebsiteV1Beta1Spec {}
};
