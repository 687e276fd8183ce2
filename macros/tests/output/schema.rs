#[doc(hidden)]
#[allow(unused_imports)]
const _: () = {
    use ::trimtab::__private::custom as __custom;
    use ::trimtab::__private::custom::ShapeUnknown as _;
    use ::trimtab::__private::schemars as __schemars;
    use ::trimtab::__private::serde_json as __json;
    #[derive(__schemars::JsonSchema)]
    #[allow(dead_code)]
    /// Where it listens.
    #[serde(rename_all = "camelCase", default = "__default")]
    #[schemars(crate = "::trimtab::__private::schemars")]
    #[schemars(rename = "Ports")]
    struct __Schema {
        #[schemars(
            transform = __custom::Keywords(
                __json::json!(
                    {"default":1,
                    "x-kubernetes-validations":[{"rule":"self > 0"}],
                    }
                )
            )
        )]
        pub least: u16,
        pub most: u16,
        #[schemars(
            transform = __custom::Keywords(
                __json::json!(
                    {"x-kubernetes-list-type":"map",
                    "x-kubernetes-list-map-keys":["name",
                    "port"],
                    }
                )
            )
        )]
        pub named: Vec<Named>,
    }
    fn __default() -> Ports {
        ::core::default::Default::default()
    }
    impl __schemars::JsonSchema for Ports {
        fn schema_name() -> ::std::borrow::Cow<'static, str> {
            <__Schema as __schemars::JsonSchema>::schema_name()
        }
        fn schema_id() -> ::std::borrow::Cow<'static, str> {
            ::std::borrow::Cow::Owned(
                ::std::format!("{}::{}", ::core::module_path!(), Self::schema_name()),
            )
        }
        fn json_schema(
            generator: &mut __schemars::SchemaGenerator,
        ) -> __schemars::Schema {
            let mut schema = <__Schema as __schemars::JsonSchema>::json_schema(
                generator,
            );
            __schemars::transform::Transform::transform(
                &mut __custom::Keywords(
                    __json::json!(
                        { "x-kubernetes-validations" : [{ "rule" :
                        "self.least <= self.most", "message" : "least is at most most",
                        "fieldPath" : ".least" }], "x-kubernetes-map-type" : "atomic", }
                    ),
                ),
                &mut schema,
            );
            schema
        }
    }
    impl __custom::Shaped for Ports {
        const SHAPE: __custom::Shape = __custom::Shape::Map;
    }
};
