impl ::trimtab::reconcile::Reconcile for Website {
    const NAME: &'static str = "website";
    fn setup(
        setup: &mut ::trimtab::reconcile::Setup<'_, ::trimtab::reconcile::Of<Self>>,
    ) {
        setup.owns::<Service>();
    }
    async fn reconcile(&self, cx: &Context<Self>) -> Result<Next> {
        go().await
    }
}
