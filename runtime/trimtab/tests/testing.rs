//! Tests with clusters, as a user writes them.

use std::sync::Mutex;

use k8s_openapi::api::core::v1::{Node, Pod};
use serde::{Deserialize, Serialize};
use trimtab::client::Error;
use trimtab::testing::TestCluster;
use trimtab::{Api, Resource, Schema};

/// A website.
#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(group = "demo.io", version = "v1", kind = "Website")]
struct WebsiteSpec {
    image: String,
}

#[trimtab::test]
async fn a_cluster_of_ones_own(cluster: TestCluster) {
    cluster
        .apply("{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: web, image: web}]}}")
        .await;
    let phase = async || {
        let pod = cluster.api::<Pod>("default").get("web").await.unwrap();
        pod.status.and_then(|status| status.phase)
    };
    cluster.until("the pod runs", async |_| phase().await.as_deref() == Some("Running")).await;
    cluster.stop().await;
}

static SEEN: Mutex<Vec<u64>> = Mutex::new(Vec::new());

#[trimtab::test(seeds = 2, nodes = 3, kinds(Website))]
async fn every_option(cluster: &TestCluster) -> Result<(), Error> {
    let website = Website::new("home", WebsiteSpec { image: "hello".into() });
    let made = cluster.api::<Website>("default").create(&website).await?;
    assert_eq!(made.spec.image, "hello");
    assert_eq!(Api::<Node>::all(&cluster.client()).list(&Default::default()).await?.items.len(), 3);
    let mut seen = SEEN.lock().unwrap();
    seen.push(cluster.seed());
    assert!([&[0][..], &[0, 1]].contains(&&seen[..]), "{seen:?}");
    Ok(())
}

#[trimtab::test(seeds = 2)]
#[should_panic(expected = "the test answered an error: Api(")]
async fn an_error_fails_the_test(cluster: &TestCluster) -> Result<(), Error> {
    cluster.api::<Pod>("default").get("nobody").await.map(drop)
}
