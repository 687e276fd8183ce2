const _: () = {
    use ::trimtab::reconcile::__private::k8s_openapi as __k8s_openapi;
    impl __k8s_openapi::Resource for PodPhase {
        const API_VERSION: &'static str = <Pod as __k8s_openapi::Resource>::API_VERSION;
        const GROUP: &'static str = <Pod as __k8s_openapi::Resource>::GROUP;
        const KIND: &'static str = <Pod as __k8s_openapi::Resource>::KIND;
        const VERSION: &'static str = <Pod as __k8s_openapi::Resource>::VERSION;
        const URL_PATH_SEGMENT: &'static str = <Pod as __k8s_openapi::Resource>::URL_PATH_SEGMENT;
        type Scope = <Pod as __k8s_openapi::Resource>::Scope;
    }
    impl __k8s_openapi::Metadata for PodPhase {
        type Ty = __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
        fn metadata(
            &self,
        ) -> &__k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
            &self.metadata
        }
        fn metadata_mut(
            &mut self,
        ) -> &mut __k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
            &mut self.metadata
        }
    }
    impl ::trimtab::reconcile::View for PodPhase {}
};
