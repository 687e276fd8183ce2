//! The cluster of a test that listens is a cluster as any other.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use trimtab_cluster::testing::{TestCluster, in_virtual_time};

use super::pod;
use crate::harness::{connected, within};

#[test]
fn kube_reaches_the_cluster_of_a_test() {
    in_virtual_time(async {
        let cluster = TestCluster::start(1).await;
        // What happened before, in virtual time, is there.
        cluster.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: before}}").await;
        let listening = cluster.listen().await;
        let file = kube::config::Kubeconfig::from_yaml(&listening.kubeconfig()).unwrap();
        let client = connected(file).await;
        let maps: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::default_namespaced(client.clone());
        assert!(maps.get_opt("before").await.unwrap().is_some());

        let pods: Api<Pod> = Api::default_namespaced(client);
        pods.create(&PostParams::default(), &pod("web", &[])).await.unwrap();
        // By its watch.
        let running = await_condition(pods.clone(), "web", conditions::is_pod_running());
        within("the pod runs", running).await.unwrap();
        let uid = pods.get("web").await.unwrap().metadata.uid.unwrap();
        assert_eq!(cluster.api::<Pod>("default").get("web").await.unwrap().metadata.uid.as_ref(), Some(&uid));
        pods.delete("web", &DeleteParams::default().grace_period(0)).await.unwrap();
        within("it is gone", await_condition(pods, "web", conditions::is_deleted(&uid))).await.unwrap();
        cluster.stop().await;
    });
}
