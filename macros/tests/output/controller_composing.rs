impl ::trimtab::reconcile::Controlled for Website {
    const NAME: &'static str = "website";
    const STATUS: bool = {
        #[allow(unused_imports)]
        use ::trimtab::reconcile::__private::WithoutStatus as _;
        ::trimtab::reconcile::__private::Probe::<Website>::STATUS
    };
    fn selection() -> ::trimtab::reconcile::ListParams {
        <::trimtab::reconcile::ListParams as ::core::default::Default>::default()
            .labels("tier=front")
    }
    fn matters(&self) -> u64 {
        ::trimtab::reconcile::predicates::digest(
            &(::trimtab::reconcile::predicates::generation(self),),
        )
    }
    fn setup(
        setup: &mut ::trimtab::reconcile::Setup<'_, ::trimtab::reconcile::Of<Self>>,
    ) {
        setup
            .owns_when::<
                Service,
            >(
                ::core::default::Default::default(),
                |object: &Service| ::trimtab::reconcile::predicates::digest(
                    &(::trimtab::reconcile::predicates::labels(object), (ports)(object)),
                ),
            );
        setup
            .owns_when::<
                Pod,
            >(
                ::core::default::Default::default(),
                |object: &Pod| ::trimtab::reconcile::predicates::digest(
                    &(::trimtab::reconcile::predicates::generation(object),),
                ),
            );
        setup
            .owns_when::<
                ConfigMap,
            >(
                <::trimtab::reconcile::ListParams as ::core::default::Default>::default()
                    .labels("part=page"),
                ::trimtab::reconcile::predicates::anything,
            );
        setup
            .watches_when::<
                Node,
            >(
                ::core::default::Default::default(),
                |object: &Node| ::trimtab::reconcile::predicates::digest(
                    &(::trimtab::reconcile::predicates::labels(object),),
                ),
                near,
            );
        setup
            .watches_when::<
                Pod,
            >(
                <::trimtab::reconcile::ListParams as ::core::default::Default>::default()
                    .fields("spec.nodeName!="),
                ::trimtab::reconcile::predicates::anything,
                near,
            );
        setup.references::<Secret>(secrets);
        setup
            .references_of::<
                Secret,
            >(
                <::trimtab::reconcile::ListParams as ::core::default::Default>::default()
                    .labels("tls"),
                certificates,
            );
        setup.reads::<ConfigMap>();
        setup
            .reads_of::<
                Lease,
            >(
                <::trimtab::reconcile::ListParams as ::core::default::Default>::default()
                    .labels("a")
                    .fields("b=c"),
            );
        setup.uses::<Pod>("eviction", &["create"]);
        setup.uses::<Lease>("", &["get", "update"]);
    }
}
impl ::trimtab::reconcile::Compose for Website {
    fn compose(&self, world: &World<Self>) -> Result<Composition<Self>> {
        go()
    }
}
