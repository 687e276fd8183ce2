//! Whatever goes wrong, it ends well.

use super::{WEB, ready};
use trimtab_cluster::testing::{Faults, Outage, TestCluster, Trouble};

#[trimtab_cluster::testing::test(seeds = 4, faults, crate = "trimtab_cluster::testing")]
async fn what_is_declared_runs(cluster: &TestCluster) {
    cluster.apply(WEB).await;
    cluster.until("three pods are ready", async |cluster| ready(cluster).await == Some(3)).await;
}

#[trimtab_cluster::testing::test(seeds = 4, nodes = 2, faults = Faults::none().outages(3), crate = "trimtab_cluster::testing")]
async fn what_dies_runs_again(cluster: &TestCluster) {
    cluster.apply(WEB).await;
    cluster.until("three pods are ready", async |cluster| ready(cluster).await == Some(3)).await;
}

/// What goes wrong does, and the test hears of it.
#[test]
fn faults_happen() {
    trimtab_cluster::testing::in_virtual_time(async {
        let after = std::time::Duration::from_secs(7);
        let outage = Outage::Containers("node-0".to_owned());
        let cluster = TestCluster::builder(0).trouble(Trouble::Outage { after, outage }).start().await;
        cluster.apply(WEB).await;
        cluster
            .until("the containers have died once", async |cluster| {
                let pods = super::pods(cluster).await;
                let statuses = pods.iter().filter_map(|pod| pod.status.as_ref()?.container_statuses.clone()).flatten();
                statuses.filter(|status| status.restart_count == 1 && status.ready).count() == 3
            })
            .await;
        assert!(cluster.history().to_string().contains("the containers of node-0 end with an error"));
        cluster.stop().await;
    });
}
