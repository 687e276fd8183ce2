#[should_panic(expected = "never")]
#[::core::prelude::v1::test]
fn converges() {
    async fn converges(cluster: &testing::TestCluster) -> Result<()> {
        web(cluster).await
    }
    trimtab_cluster::testing::run(
        trimtab_cluster::testing::Seeds(64),
        |seed| {
            trimtab_cluster::testing::TestCluster::builder(seed)
                .nodes(3)
                .kinds([<Website>::kind(), <demo::Page>::kind()])
                .faults(trimtab_cluster::testing::Faults::default())
        },
        async |cluster: &trimtab_cluster::testing::TestCluster| converges(cluster).await,
    );
}
