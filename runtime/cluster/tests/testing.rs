//! The cluster inside a test: whole, repeatable, and quick.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, ReplicationController, Secret};
use serde_json::json;
use trimtab_client::{Api, Patch};
use trimtab_cluster::testing::{Fault, Seeds, TestCluster, in_virtual_time, run, sweep};
use trimtab_reconcile::{Context, Next, Result, controller};

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

/// Makes a Secret for each ConfigMap that is marked, and then takes the mark away: whoever dies in between makes
/// another.
struct Forgetful;

#[controller(for = ConfigMap, crate = "trimtab_reconcile")]
impl Forgetful {
    async fn reconcile(&self, map: &ConfigMap, cx: &Context<ConfigMap>) -> Result<Next> {
        let marked = map.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key("wanted"));
        if marked {
            let secret: Secret =
                serde_json::from_value(json!({"metadata": {"generateName": "made-", "namespace": "default"}})).unwrap();
            cx.create(&secret).await?;
            let unmark = Patch::Merge(json!({"metadata": {"labels": {"wanted": null}}}));
            cx.api::<ConfigMap>().patch("wish", &unmark).await?;
        }
        Ok(Next::on_change())
    }
}

#[test]
fn a_controller_that_makes_something_twice_is_found() {
    let found = std::panic::catch_unwind(|| {
        sweep(
            "forgetful",
            || TestCluster::builder(3),
            async |cluster| {
                cluster.run(|| Forgetful);
                cluster
                    .apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: wish, labels: {wanted: really}}}")
                    .await;
            },
        );
    });
    let message = *found.unwrap_err().downcast::<String>().unwrap();
    assert!(message.starts_with("forgetful met CrashAfter at its write 0"), "{message}");
    assert!(message.contains("\ntoo much: ") && message.contains("made-*"), "{message}");
}

#[test]
fn the_controllers_may_die_at_each_of_their_writes() {
    sweep("kube-controller-manager", || TestCluster::builder(3), web_runs);
}

#[test]
fn the_scheduler_and_the_nodes_agent_may_die_at_each_of_their_writes() {
    sweep("kube-scheduler", || TestCluster::builder(3), web_runs);
    sweep("kubelet", || TestCluster::builder(3), web_runs);
}
