//! Each test has a whole cluster of its own: in memory, in this process, in virtual time.

use trimtab::testing::{TestCluster, sweep};
use trimtab::{Controlled, Of};

use super::*;

const MANIFEST: &str = include_str!("../manifests/{{name}}.yaml");

async fn is_ready(cluster: &TestCluster) -> bool {
    let object = cluster.api::<{{Kind}}>("default").get("example").await.unwrap();
    object.status.is_some_and(|status| status.ready == 2 && status.conditions.holds("Ready"))
}

#[trimtab::test(seeds = 4, kinds({{Kind}}))]
async fn its_pods_run(cluster: &TestCluster) {
    cluster.run(Of::<{{Kind}}>::new);
    cluster.apply(MANIFEST).await;
    cluster.until("it is ready", is_ready).await;
}

#[test]
fn it_may_die_at_each_of_its_writes() {
    let builder = || TestCluster::builder(1).kinds([{{Kind}}::kind()]);
    sweep(<{{Kind}} as Controlled>::NAME, builder, async |cluster| {
        cluster.run(Of::<{{Kind}}>::new);
        cluster.apply(MANIFEST).await;
        cluster.until("it is ready", is_ready).await;
    });
}

#[test]
fn its_definition_is_taken() {
    {{Kind}}::check().unwrap();
}
