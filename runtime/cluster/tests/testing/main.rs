//! The cluster inside a test: whole, repeatable, and quick.

mod leaders;
mod listen;
mod own_writes;
mod planted;
mod random;
mod selections;
mod sweeps;

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod, ReplicationController};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use trimtab_client::Api;
use trimtab_cluster::testing::{Fault, Faults, Seeds, TestCluster, in_virtual_time, run};

const WEB: &str = "
apiVersion: v1
kind: ReplicationController
metadata: {name: web}
spec:
  replicas: 3
  selector: {app: web}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web:1}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
";

async fn ready(cluster: &TestCluster) -> Option<i32> {
    let controllers: Api<ReplicationController> = Api::namespaced(&cluster.client(), "default");
    controllers.get("web").await.unwrap().status?.ready_replicas
}

async fn pods(cluster: &TestCluster) -> Vec<Pod> {
    Api::<Pod>::namespaced(&cluster.client(), "default").list(&Default::default()).await.unwrap().items
}

#[test]
fn what_is_declared_runs_and_a_dead_nodes_pods_are_replaced() {
    in_virtual_time(async {
        let cluster = TestCluster::builder(1).nodes(3).start().await;
        cluster.apply(WEB).await;
        cluster.until("three pods are ready", async |cluster| ready(cluster).await == Some(3)).await;
        cluster.settle().await;
        // Events are forgotten after an hour.
        let at_rest = cluster.history().writes();
        cluster.advance(Duration::from_secs(3_000)).await;
        assert_eq!(cluster.history().writes(), at_rest, "{}", cluster.history());

        let victim = pods(&cluster).await[0].spec.clone().unwrap().node_name.unwrap();
        cluster.node(&victim).set_down(true);
        let nodes: Api<Node> = Api::all(&cluster.client());
        cluster
            .until("its pods run elsewhere", async |cluster| {
                let elsewhere = |pod: &Pod| pod.spec.as_ref().unwrap().node_name.as_ref() != Some(&victim);
                ready(cluster).await == Some(3) && pods(cluster).await.iter().filter(|pod| elsewhere(pod)).count() >= 3
            })
            .await;
        nodes.get(&victim).await.unwrap();
        cluster.stop().await;
    });
}

#[test]
fn a_seed_repeats_itself_and_another_does_not() {
    let digests = std::sync::Mutex::new(Vec::new());
    let once = || {
        run(Seeds(2), TestCluster::builder, async |cluster| {
            cluster.apply(WEB).await;
            cluster.settle().await;
            cluster.advance(Duration::from_secs(3_600)).await;
            digests.lock().unwrap().push(cluster.history().digest());
        });
    };
    once();
    once();
    let digests = digests.into_inner().unwrap();
    assert_eq!(digests[..2], digests[2..]);
    assert_ne!(digests[0], digests[1]);
}

/// Also where there are several nodes, two of each program, and much goes wrong.
#[test]
fn a_seed_repeats_what_goes_wrong() {
    let digest = |seed| {
        in_virtual_time(async {
            let faults = Faults::default().outages(1);
            let cluster = TestCluster::builder(seed).nodes(3).elected().faults(faults).start().await;
            cluster.apply(WEB).await;
            cluster.advance(Duration::from_secs(3_600)).await;
            cluster.settle().await;
            let digest = cluster.history().digest();
            cluster.stop().await;
            digest
        })
    };
    assert_eq!([digest(4), digest(5)], [digest(4), digest(5)]);
}

#[test]
fn a_hundred_clusters_do_not_disturb_one_another() {
    let digest = |seed| {
        in_virtual_time(async {
            let cluster = TestCluster::start(seed).await;
            web_runs(&cluster).await;
            let digest = cluster.history().digest();
            cluster.stop().await;
            digest
        })
    };
    let alone = [0, 1].map(digest);
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..100).map(|index| scope.spawn(move || digest(index % 2))).collect();
        for (index, other) in others.into_iter().enumerate() {
            assert_eq!(other.join().unwrap(), alone[index % 2]);
        }
    });
}

/// It takes seconds.
#[test]
fn a_day_goes_by() {
    in_virtual_time(async {
        let cluster = TestCluster::start(1).await;
        web_runs(&cluster).await;
        let (begun, before) = (cluster.env().now(), cluster.history().writes());
        cluster.advance(Duration::from_secs(24 * 3_600)).await;
        assert_eq!(cluster.env().now().duration_since(begun).as_hours(), 24);
        assert_eq!(ready(&cluster).await, Some(3));
        // Events are forgotten, and nothing is written but heartbeats.
        let since = cluster.history().writes() - before;
        assert!(since < 50, "{}", cluster.history());
        cluster.stop().await;
    });
}

async fn web_runs(cluster: &TestCluster) {
    cluster.apply(WEB).await;
    cluster.until("three pods are ready", async |cluster| ready(cluster).await == Some(3)).await;
}

#[test]
fn a_refused_write_is_made_again() {
    for code in [409, 429, 500] {
        in_virtual_time(async {
            // The first pod.
            let faulty = TestCluster::builder(3).start().await;
            let before = faulty.writes_of("kube-controller-manager");
            faulty.stop().await;
            let builder = TestCluster::builder(3).fault("kube-controller-manager", before + 1, Fault::Refused(code));
            let cluster = builder.start().await;
            web_runs(&cluster).await;
            cluster.stop().await;
        });
    }
}

#[test]
fn a_namespace_is_not_gone_while_a_server_that_may_hold_more_of_it_is_away() {
    const AWAY: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: old}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.away.demo.io}
spec: {group: away.demo.io, version: v1, groupPriorityMinimum: 1, versionPriority: 1, service: {name: none, namespace: old}}
";
    in_virtual_time(async {
        let cluster = TestCluster::start(1).await;
        cluster.apply(AWAY).await;
        let namespaces: Api<Namespace> = Api::all(&cluster.client());
        namespaces.delete("old", &Default::default()).await.unwrap();
        let failure = async || {
            let conditions = namespaces.get("old").await.unwrap().status.unwrap().conditions.unwrap_or_default();
            conditions.into_iter().find(|condition| condition.type_ == "NamespaceDeletionDiscoveryFailure")
        };
        cluster.until("it is told", async |_| failure().await.is_some_and(|told| told.status == "True")).await;
        let message = failure().await.unwrap().message.unwrap();
        assert!(message.contains("away.demo.io/v1: stale GroupVersion discovery"), "{message}");
        let services: Api<APIService> = Api::all(&cluster.client());
        services.delete("v1.away.demo.io", &Default::default()).await.unwrap();
        cluster.until("it is gone", async |_| namespaces.get_opt("old").await.unwrap().is_none()).await;
        cluster.stop().await;
    });
}
