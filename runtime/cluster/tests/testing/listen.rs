//! A cluster of a test is reached from outside.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use trimtab_client::{Api, Kubeconfig};
use trimtab_cluster::testing::{TestCluster, in_virtual_time};

#[test]
fn a_client_from_outside_sees_the_same_cluster() {
    in_virtual_time(async {
        let cluster = TestCluster::start(5).await;
        cluster.advance(std::time::Duration::from_secs(3_600)).await;
        let listening = cluster.listen().await;
        let outside = listening.client();
        assert_eq!(outside.server(), listening.url());
        let pods: Api<Pod> = Api::namespaced(&outside, "default");
        let pod = json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "web"}]}});
        pods.create(&serde_json::from_value(pod).unwrap()).await.unwrap();
        let inside = cluster.api::<Pod>("default");
        let phase = async || inside.get("web").await.unwrap().status.and_then(|status| status.phase);
        cluster.until("the pod runs", async |_| phase().await.as_deref() == Some("Running")).await;

        // Somebody else is somebody else.
        let anna: Kubeconfig = serde_yaml::from_str(&listening.kubeconfig_of("anna", &["readers"])).unwrap();
        let anna = anna.client(None).unwrap();
        let reviews: Api<SelfSubjectReview> = Api::all(&anna);
        let who = reviews.create(&SelfSubjectReview::default()).await.unwrap().status.unwrap().user_info.unwrap();
        assert_eq!(who.username.as_deref(), Some("anna"));
        let refused = Api::<Pod>::namespaced(&anna, "default").get("web").await.unwrap_err();
        assert!(refused.to_string().contains("forbidden"), "{refused}");
        cluster.stop().await;
    });
}
