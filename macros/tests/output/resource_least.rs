///A Policy.
#[derive(::core::clone::Clone, ::core::fmt::Debug)]
struct Policy {
    /// The name, labels, owners.
    pub metadata: trimtab_api::__private::k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    ///What is wanted.
    pub spec: PolicySpec,
}
#[doc(hidden)]
const _: () = {
    use trimtab_api::__private::custom as __custom;
    use trimtab_api::__private::k8s_openapi as __k8s_openapi;
    use trimtab_api::__private::serde_json as __json;
    fn openapi() -> __json::Value {
        __custom::openapi::<
            PolicySpec,
        >("", ::core::option::Option::None, &__json::json!({}), &__json::json!([]))
    }
    fn definitions() -> __json::Map<::std::string::String, __json::Value> {
        __custom::definitions(&DECLARATION)
    }
    static DECLARATION: __custom::Declaration = __custom::Declaration {
        names: <PolicySpec as __custom::Spec>::NAMES,
        version: "v1",
        served: true,
        storage: false,
        deprecated: ::core::option::Option::None,
        status: false,
        scale: ::core::option::Option::None,
        columns: &[],
        selectable: &[],
        openapi,
        schema: trimtab_api::__private::Lazy::new(|| __custom::schema(&openapi())),
        definitions,
        versions: &[],
        exact: ::core::option::Option::None,
    };
    impl __custom::Spec for PolicySpec {
        type Resource = Policy;
        const NAMES: __custom::Names = __custom::Names {
            group: "demo.io",
            kind: "Policy",
            list_kind: "PolicyList",
            plural: "policies",
            singular: "policy",
            short_names: &[],
            categories: &[],
            scope: trimtab_api::__private::Scope::Cluster,
        };
        const VERSION: &'static str = "v1";
        const VERSIONS: &'static [&'static str] = &[];
        fn declaration() -> &'static __custom::Declaration {
            &DECLARATION
        }
    }
    impl __custom::Parts for Policy {
        type Spec = PolicySpec;
        type Status = __custom::NoStatus;
        fn into_parts(
            self,
        ) -> (
            __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            PolicySpec,
            ::core::option::Option<__custom::NoStatus>,
        ) {
            (self.metadata, self.spec, ::core::option::Option::None)
        }
        #[allow(unused_variables)]
        fn from_parts(
            metadata: __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            spec: PolicySpec,
            status: ::core::option::Option<__custom::NoStatus>,
        ) -> Self {
            Self { metadata, spec }
        }
    }
    impl __custom::Declared for Policy {
        fn declared() -> &'static __custom::Declaration {
            &DECLARATION
        }
    }
    impl Policy {
        ///One called `name` that wants `spec`, without namespace or labels.
        pub fn new(
            name: impl ::core::convert::Into<::std::string::String>,
            spec: PolicySpec,
        ) -> Self {
            let metadata = __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                name: ::core::option::Option::Some(name.into()),
                ..::core::default::Default::default()
            };
            Self { metadata, spec }
        }
        /// The kind, for a registry of kinds.
        ///
        /// # Panics
        /// When the API server would refuse the definition, as `check` tells.
        pub fn kind() -> trimtab_api::__private::Kind {
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
    impl __k8s_openapi::Resource for Policy {
        const API_VERSION: &'static str = "demo.io/v1";
        const GROUP: &'static str = "demo.io";
        const KIND: &'static str = "Policy";
        const VERSION: &'static str = "v1";
        const URL_PATH_SEGMENT: &'static str = "policies";
        type Scope = __k8s_openapi::ClusterResourceScope;
    }
    impl __k8s_openapi::ListableResource for Policy {
        const LIST_KIND: &'static str = "PolicyList";
    }
    impl __k8s_openapi::Metadata for Policy {
        type Ty = __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
        fn metadata(&self) -> &Self::Ty {
            &self.metadata
        }
        fn metadata_mut(&mut self) -> &mut Self::Ty {
            &mut self.metadata
        }
    }
    use trimtab_api::__private::serde as __serde;
    #[derive(__serde::Serialize)]
    #[serde(crate = "trimtab_api::__private::serde", rename = "Policy")]
    struct __Written<'a> {
        #[serde(rename = "apiVersion")]
        api_version: &'static str,
        kind: &'static str,
        metadata: &'a __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
        spec: &'a PolicySpec,
    }
    #[derive(__serde::Deserialize)]
    #[serde(crate = "trimtab_api::__private::serde", rename = "Policy")]
    struct __Read {
        #[serde(rename = "apiVersion")]
        api_version: ::core::option::Option<::std::string::String>,
        kind: ::core::option::Option<::std::string::String>,
        #[serde(default)]
        metadata: __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
        spec: PolicySpec,
    }
    impl __serde::Serialize for Policy {
        fn serialize<S: __serde::Serializer>(
            &self,
            serializer: S,
        ) -> ::core::result::Result<S::Ok, S::Error> {
            let written = __Written {
                api_version: <Self as __k8s_openapi::Resource>::API_VERSION,
                kind: <Self as __k8s_openapi::Resource>::KIND,
                metadata: &self.metadata,
                spec: &self.spec,
            };
            __serde::Serialize::serialize(&written, serializer)
        }
    }
    impl<'de> __serde::Deserialize<'de> for Policy {
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
