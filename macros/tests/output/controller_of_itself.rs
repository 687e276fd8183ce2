impl ::trimtab::reconcile::Controlled for Website {
    const NAME: &'static str = "website";
    const STATUS: bool = {
        #[allow(unused_imports)]
        use ::trimtab::reconcile::__private::WithoutStatus as _;
        ::trimtab::reconcile::__private::Probe::<Website>::STATUS
    };
    fn setup(
        setup: &mut ::trimtab::reconcile::Setup<'_, ::trimtab::reconcile::Of<Self>>,
    ) {
        setup.owns::<Service>();
    }
}
impl ::trimtab::reconcile::Reconcile for Website {
    async fn reconcile(&self, cx: &Context<Self>) -> Result<Next> {
        go().await
    }
}
