//! The cluster of a test that listens is a cluster as any other.

use trimtab_cluster::testing::{TestCluster, in_virtual_time};

use super::{Kubectl, WEB};

#[test]
fn kubectl_reaches_the_cluster_of_a_test() {
    in_virtual_time(async {
        if !Kubectl::is_there().await {
            return;
        }
        let cluster = TestCluster::builder(1).nodes(2).start().await;
        let listening = cluster.listen().await;
        let home = tempfile::tempdir().unwrap();
        let kubectl = Kubectl { home: home.path().to_owned(), cluster: None };
        kubectl.write("kubeconfig", &listening.kubeconfig());
        kubectl.feed("apply -f -", WEB).await;
        kubectl.comes_to("get rc web -o jsonpath={.status.readyReplicas}", "3").await;
        kubectl.run("scale rc web --replicas=1").await;
        kubectl.comes_to("get pods -o jsonpath={.items[*].status.phase}", "Running").await;
        kubectl.tells("get nodes", &["node-0", "node-1"]).await;

        kubectl.write("kubeconfig", &listening.kubeconfig_of("anna", &["readers"]));
        kubectl.prints("auth whoami -o jsonpath={.status.userInfo.username}", "anna").await;
        let refused = kubectl.refuses("get pods", "").await;
        assert!(refused.contains("User \"anna\" cannot list resource \"pods\""), "{refused}");
        kubectl.end().await;
        cluster.stop().await;
    });
}
