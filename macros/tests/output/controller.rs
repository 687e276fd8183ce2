impl trimtab_reconcile::Controller for ReplicationManager {
    type Kind = ReplicationController;
    const NAME: &'static str = "replication-manager";
    const STATUS: bool = {
        #[allow(unused_imports)]
        use trimtab_reconcile::__private::WithoutStatus as _;
        trimtab_reconcile::__private::Probe::<ReplicationController>::STATUS
    };
    const FINALIZER: ::core::option::Option<&'static str> = ::core::option::Option::Some(
        "demo.io/x",
    );
    const CONCURRENCY: usize = 4;
    fn setup(&self, s: &mut Setup<'_, Self>) {
        s.owns::<Pod>();
        s.watches::<Node>(on_node);
        s.watches::<Secret>(by_secret);
        s.manager().cache::<Pod>();
    }
    async fn reconcile(
        &self,
        rc: &ReplicationController,
        cx: &Context<ReplicationController>,
    ) -> Result<Next> {
        go().await
    }
    async fn cleanup(
        &self,
        rc: &ReplicationController,
        cx: &Context<ReplicationController>,
    ) -> Result<()> {
        Ok(())
    }
    async fn absent(
        &self,
        key: &ObjectRef,
        cx: &Context<ReplicationController>,
    ) -> Result<()> {
        Ok(())
    }
}
