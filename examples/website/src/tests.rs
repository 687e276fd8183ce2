//! The whole of it in a cluster of each test's own.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, ReplicationController, Service};
use serde_json::json;
use trimtab::client::{DeleteParams, ListParams, Patch};
use trimtab::testing::{TestCluster, sweep};
use trimtab::{Controlled, Of};

use super::*;

const MANIFEST: &str = include_str!("../manifests/website.yaml");

async fn ready(cluster: &TestCluster) -> i32 {
    let website = cluster.api::<Website>("default").get("home").await.unwrap();
    website.status.map_or(0, |status| status.ready)
}

async fn is_gone<K: trimtab::reconcile::Resource>(cluster: &TestCluster, namespace: &str) -> bool {
    let left = cluster.api::<K>(namespace).list(&ListParams::default()).await.unwrap().items;
    left.iter().all(|object| !object.metadata().name.as_deref().unwrap_or_default().starts_with("home"))
}

#[trimtab::test(seeds = 4, nodes = 3, kinds(Website))]
async fn it_runs_scales_and_leaves_nothing(cluster: &TestCluster) {
    cluster.run(Of::<Website>::new);
    cluster.apply(MANIFEST).await;
    cluster.until("three pods answer", async |cluster| ready(cluster).await == 3).await;
    assert!(cluster.api::<Service>("default").get("home").await.is_ok());
    assert!(cluster.api::<ConfigMap>("dns").get("home.default").await.is_ok());

    let websites = cluster.api::<Website>("default");
    websites.patch("home", &Patch::Merge(json!({"spec": {"replicas": 5}}))).await.unwrap();
    cluster.until("five pods answer", async |cluster| ready(cluster).await == 5).await;
    cluster.settle().await;
    // Events are forgotten after an hour.
    let at_rest = cluster.history().writes();
    cluster.advance(Duration::from_secs(3_000)).await;
    assert_eq!(cluster.history().writes(), at_rest, "{}", cluster.history());

    websites.delete("home", &DeleteParams::default()).await.unwrap();
    cluster
        .until("nothing is left", async |cluster| {
            is_gone::<Website>(cluster, "default").await
                && is_gone::<ReplicationController>(cluster, "default").await
                && is_gone::<Service>(cluster, "default").await
                && is_gone::<Pod>(cluster, "default").await
                && is_gone::<ConfigMap>(cluster, "dns").await
        })
        .await;
    assert_eq!(cluster.unused(), [""; 0], "its role allows nothing that it does not do");
}

#[trimtab::test(kinds(Website))]
async fn what_is_declared_wrongly_is_refused(cluster: &TestCluster) {
    let crowd = Website::new("crowd", WebsiteSpec { image: "hello".to_owned(), replicas: 101 });
    let error = cluster.api::<Website>("default").create(&crowd).await.unwrap_err();
    assert!(error.to_string().ends_with("failed rule: self <= 100"), "{error}");
}

#[test]
fn it_may_die_or_lose_its_lease_at_each_of_its_writes() {
    let builder = || TestCluster::builder(1).kinds([Website::kind()]);
    let runs = sweep(Website::NAME, builder, async |cluster| {
        cluster.run_elected(Of::<Website>::new);
        cluster.apply(MANIFEST).await;
        cluster.until("three pods answer", async |cluster| ready(cluster).await == 3).await;
        let websites = cluster.api::<Website>("default");
        websites.patch("home", &Patch::Merge(json!({"spec": {"replicas": 4}}))).await.unwrap();
        cluster.until("four pods answer", async |cluster| ready(cluster).await == 4).await;
    });
    assert!(runs > 40, "its writes are met: {runs}");
}
