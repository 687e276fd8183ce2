//! Endpoints and EndpointSlices.

use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::json;
use trimtab_client::DeleteParams;

use crate::harness::ControlPlane;

async fn service(plane: &ControlPlane) {
    let spec = json!({"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]});
    plane.create::<Service>(json!({"metadata": {"name": "web"}, "spec": spec})).await;
}

/// The ready addresses as Endpoints and as slices tell them, each sorted.
async fn addresses(plane: &ControlPlane) -> (Vec<String>, Vec<String>) {
    let endpoints = plane.get::<Endpoints>("web").await.and_then(|endpoints| endpoints.subsets).unwrap_or_default();
    let mut of_endpoints: Vec<_> =
        endpoints.into_iter().flat_map(|subset| subset.addresses.unwrap_or_default()).map(|a| a.ip).collect();
    let slices = plane.list::<EndpointSlice>().await.into_iter().flat_map(|slice| slice.endpoints.unwrap_or_default());
    let ready = slices.filter(|endpoint| endpoint.conditions.as_ref().is_some_and(|c| c.ready == Some(true)));
    let mut of_slices: Vec<_> = ready.flat_map(|endpoint| endpoint.addresses).collect();
    of_endpoints.sort();
    of_slices.sort();
    (of_endpoints, of_slices)
}

async fn are(plane: &ControlPlane, expected: &[&str]) -> bool {
    let (endpoints, slices) = addresses(plane).await;
    endpoints == expected && slices == expected
}

#[tokio::test(start_paused = true)]
async fn endpoints_follow_pods_as_they_come_change_and_go() {
    let plane = ControlPlane::new().await;
    service(&plane).await;
    plane.running_pod("a", "n1", "10.0.0.1").await;
    plane.running_pod("b", "n1", "10.0.0.2").await;
    plane.until("both are behind it", async |plane| are(plane, &["10.0.0.1", "10.0.0.2"]).await).await;
    plane.report::<Pod>("a", json!({"conditions": [{"type": "Ready", "status": "False"}]})).await;
    plane.until("the unready one is out", async |plane| are(plane, &["10.0.0.2"]).await).await;
    plane.merge::<Pod>("b", json!({"metadata": {"labels": {"app": "other"}}})).await;
    plane.until("the relabelled one is out", async |plane| are(plane, &[]).await).await;
    plane.runs("a", "10.0.0.1").await;
    plane.until("the ready one is back", async |plane| are(plane, &["10.0.0.1"]).await).await;
    plane.delete::<Pod>("a", DeleteParams::now()).await;
    plane.until("the deleted one is out", async |plane| are(plane, &[]).await).await;
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn endpoints_go_with_their_service() {
    let plane = ControlPlane::new().await;
    service(&plane).await;
    plane.running_pod("a", "n1", "10.0.0.1").await;
    plane.until("it is behind it", async |plane| are(plane, &["10.0.0.1"]).await).await;
    plane.delete::<Service>("web", DeleteParams::default()).await;
    plane
        .until("both records go", async |plane| {
            plane.get::<Endpoints>("web").await.is_none() && plane.list::<EndpointSlice>().await.is_empty()
        })
        .await;
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_somebody_else_wrote_stay() {
    let plane = ControlPlane::new().await;
    let subset = json!({"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]});
    plane.create::<Service>(json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})).await;
    plane.create::<Endpoints>(json!({"metadata": {"name": "web"}, "subsets": [subset]})).await;
    plane.create::<Endpoints>(json!({"metadata": {"name": "alone"}, "subsets": []})).await;
    plane.settle().await;
    let endpoints = plane.get::<Endpoints>("web").await.unwrap();
    assert_eq!(endpoints.subsets.unwrap()[0].addresses.as_ref().unwrap()[0].ip, "192.0.2.1");
    assert!(plane.get::<Endpoints>("alone").await.is_some());
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn slices_tell_the_endpoints_that_somebody_wrote() {
    let plane = ControlPlane::new().await;
    let ports = json!([{"name": "example", "port": 80, "protocol": "TCP"}]);
    let subset = |ips: &[&str]| {
        let addresses: Vec<_> = ips.iter().map(|ip| json!({"ip": ip})).collect();
        json!([{"addresses": addresses, "ports": ports}])
    };
    plane.create::<Service>(json!({"metadata": {"name": "web"}, "spec": {"ports": ports}})).await;
    let labels = json!({"team": "a"});
    plane
        .create::<Endpoints>(json!({"metadata": {"name": "web", "labels": labels}, "subsets": subset(&["10.1.2.3"])}))
        .await;
    let tell = async |plane: &ControlPlane, expected: &[&str]| {
        let slices = plane.list::<EndpointSlice>().await;
        let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
        endpoints.flat_map(|endpoint| &endpoint.addresses).eq(expected)
    };
    plane.until("a slice has the address", async |plane| tell(plane, &["10.1.2.3"]).await).await;
    let slices = plane.list::<EndpointSlice>().await;
    let [slice] = slices.as_slice() else { panic!("{slices:?}") };
    let labels = slice.metadata.labels.as_ref().unwrap();
    for (name, value) in [
        ("kubernetes.io/service-name", "web"),
        ("endpointslice.kubernetes.io/managed-by", "endpointslicemirroring-controller.k8s.io"),
        ("team", "a"),
    ] {
        assert_eq!(labels[name], value);
    }
    assert_eq!(slice.metadata.owner_references.as_ref().unwrap()[0].kind, "Endpoints");
    let port = &slice.ports.as_ref().unwrap()[0];
    assert_eq!((port.name.as_deref(), port.port), (Some("example"), Some(80)));
    // The same slice tells what changes.
    plane.merge::<Endpoints>("web", json!({"subsets": subset(&["10.2.3.4", "10.2.3.5"])})).await;
    plane.until("it has the new ones", async |plane| tell(plane, &["10.2.3.4", "10.2.3.5"]).await).await;
    assert_eq!(plane.list::<EndpointSlice>().await[0].metadata.uid, slice.metadata.uid);
    // Whoever makes slices says so, and one who has a selector has them made.
    plane
        .merge::<Endpoints>("web", json!({"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}}))
        .await;
    plane.until("it goes", async |plane| tell(plane, &[]).await).await;
    plane
        .merge::<Endpoints>("web", json!({"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": null}}}))
        .await;
    plane.until("it is back", async |plane| tell(plane, &["10.2.3.4", "10.2.3.5"]).await).await;
    plane.delete::<Endpoints>("web", DeleteParams::default()).await;
    plane.until("it goes with them", async |plane| plane.list::<EndpointSlice>().await.is_empty()).await;
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn at_rest_nothing_is_written() {
    let plane = ControlPlane::new().await;
    service(&plane).await;
    plane.running_pod("a", "n1", "10.0.0.1").await;
    plane.node("n1").await;
    plane.until("it is behind it", async |plane| are(plane, &["10.0.0.1"]).await).await;
    plane.settle().await;
    let before = plane.store.revision();
    // Less than the node may be silent.
    plane.env.sleep(std::time::Duration::from_secs(30)).await;
    assert_eq!(plane.store.revision(), before);
    plane.end().await;
}
