#[::core::prelude::v1::test]
fn converges() {
    async fn converges(cluster: TestCluster) {
        web(&cluster).await
    }
    ::trimtab::testing::run(
        ::trimtab::testing::Seeds(1),
        |seed| ::trimtab::testing::TestCluster::builder(seed),
        async |cluster: &::trimtab::testing::TestCluster| {
            converges(::core::clone::Clone::clone(cluster)).await
        },
    );
}
