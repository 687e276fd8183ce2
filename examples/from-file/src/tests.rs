//! The file's kind in a cluster.

use trimtab::Of;
use trimtab::testing::TestCluster;

use super::*;

const MANIFEST: &str = include_str!("../manifests/cache.yaml");

#[trimtab::test(seeds = 2, kinds(Cache))]
async fn a_cache_is_reached_where_its_status_says(cluster: &TestCluster) {
    cluster.run(Of::<Cache>::new);
    cluster.apply(MANIFEST).await;
    let status = async |cluster: &TestCluster| cluster.api::<Cache>("default").get("sessions").await.unwrap().status;
    let is_ready = async |cluster: &TestCluster| status(cluster).await.and_then(|status| status.ready) == Some(true);
    cluster.until("it is ready", is_ready).await;
    let told = status(cluster).await.unwrap();
    assert_eq!(told.endpoint.as_deref(), Some("sessions.default.svc:6379"));
    let pod = cluster.api::<Pod>("default").get("sessions").await.unwrap();
    let limits = pod.spec.unwrap().containers[0].resources.clone().unwrap().limits.unwrap();
    assert_eq!(limits["memory"].0, "64Mi", "the file's default");
    assert_eq!(pod.metadata.labels.unwrap()["tier"], "front");
}

#[test]
fn the_definition_is_the_files() {
    let file = trimtab::api::from_yaml(include_str!("../crds/cache.yaml")).unwrap();
    assert_eq!(Cache::crd()["spec"]["names"], file["spec"]["names"]);
    Cache::check().unwrap();
}
