//! Controllers with the mistakes that controllers are known for: a sweep finds each.

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use k8s_openapi::api::rbac::v1::ClusterRole;
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use trimtab_client::{Api, DeleteParams, Patch};
use trimtab_cluster::testing::{Seeds, TestCluster, run, sweep, sweep_outages};
use trimtab_reconcile::{Context, Error, Named, Next, Result, controller};

fn has(map: &ConfigMap, label: &str) -> bool {
    map.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(label))
}

fn made() -> Secret {
    let metadata = json!({"generateName": "made-", "namespace": "default", "labels": {"made": "yes"}});
    serde_json::from_value(json!({"metadata": metadata})).unwrap()
}

/// Runs a sweep that must fail, and answers what it tells.
pub(super) fn found(sweep: impl FnOnce() -> usize) -> String {
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(sweep));
    *told.expect_err("the mistake is found").downcast::<String>().unwrap()
}

const WISH: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: wish, labels: {wanted: really}}}";

/// Makes a Secret for each ConfigMap that is marked, and then takes the mark away: whoever dies in between makes
/// another.
struct Forgetful;

#[controller(for = ConfigMap, uses(ConfigMap: patch, Secret: create), crate = "trimtab_reconcile")]
impl Forgetful {
    async fn reconcile(&self, map: &ConfigMap, cx: &Context<ConfigMap>) -> Result<Next> {
        if has(map, "wanted") {
            cx.create(&made()).await?;
            let unmark = Patch::Merge(json!({"metadata": {"labels": {"wanted": null}}}));
            Api::<ConfigMap>::namespaced(cx.client(), "default").patch("wish", &unmark).await?;
        }
        Ok(Next::on_change())
    }
}

async fn forgetful(cluster: &TestCluster) {
    cluster.run(|| Forgetful);
    cluster.apply(WISH).await;
}

#[test]
fn who_makes_without_expecting_is_found() {
    let message = found(|| sweep("forgetful", || TestCluster::builder(3), forgetful));
    assert!(message.starts_with("forgetful, write 0: it dies right after: the cluster ended otherwise"), "{message}");
    assert!(message.contains("\ntoo much: ") && message.contains("made-*"), "{message}");
    // Who did what to the objects that differ, and nothing else.
    let trace = message.split("how it came:\n").nth(1).unwrap();
    assert!(trace.contains("forgetful: POST /api/v1/namespaces/default/secrets"), "{message}");
    assert!(!trace.contains("/registry/namespaces/"), "{message}");
}

/// Holds two Secrets ready; counts those that it has heard of, and looks again after a while. It writes past its
/// cache, which does not know of what was made until the watch has told.
struct Hasty;

#[controller(for = ConfigMap, owns(Secret), crate = "trimtab_reconcile")]
impl Hasty {
    async fn reconcile(&self, map: &ConfigMap, cx: &Context<ConfigMap>) -> Result<Next> {
        let marked = |secret: &Secret| secret.metadata.labels.as_ref().is_some_and(|all| all.contains_key("made"));
        let known = cx.cache::<Secret>().list().iter().filter(|secret| marked(secret)).count();
        if !has(map, "wanted") || known >= 2 {
            return Ok(Next::on_change());
        }
        for _ in known..2 {
            Api::<Secret>::namespaced(cx.client(), "default").create(&made()).await?;
        }
        Ok(Next::after(Duration::from_secs(2)))
    }
}

#[test]
fn who_acts_on_a_stale_read_is_found() {
    let message = found(|| {
        sweep(
            "hasty",
            || TestCluster::builder(3),
            async |cluster| {
                cluster.run(|| Hasty);
                cluster.apply(WISH).await;
            },
        )
    });
    assert!(message.starts_with("hasty, watch 0 of /api/v1/secrets: all news comes 7s late"), "{message}");
    assert!(message.contains("\ntoo much: ") && message.contains("made-*"), "{message}");
}

/// Has a Secret as long as its ConfigMap is there, and a finalizer, which it takes away too early: whoever dies then
/// leaves the Secret.
struct Careless;

#[controller(for = ConfigMap, uses(ConfigMap: patch, Secret: get | create | delete), crate = "trimtab_reconcile")]
impl Careless {
    async fn reconcile(&self, map: &ConfigMap, cx: &Context<ConfigMap>) -> Result<Next> {
        let maps = Api::<ConfigMap>::namespaced(cx.client(), "default");
        let secrets = Api::<Secret>::namespaced(cx.client(), "default");
        let finalizers = |list: serde_json::Value| Patch::Merge(json!({"metadata": {"finalizers": list}}));
        if map.metadata.name.as_deref() != Some("wish") {
            return Ok(Next::on_change());
        }
        if map.metadata.deletion_timestamp.is_some() {
            maps.patch("wish", &finalizers(json!([]))).await?;
            match secrets.delete("held", &DeleteParams::default()).await {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => return Ok(Next::on_change()),
            }
        }
        if map.metadata.finalizers.as_ref().is_none_or(Vec::is_empty) {
            maps.patch("wish", &finalizers(json!(["demo.io/held"]))).await?;
        }
        if secrets.get_opt("held").await?.is_none() {
            secrets.create(&serde_json::from_value(json!({"metadata": {"name": "held"}})).unwrap()).await?;
        }
        Ok(Next::on_change())
    }
}

#[test]
fn who_misses_a_step_of_its_finalizer_is_found() {
    let message = found(|| {
        sweep(
            "careless",
            || TestCluster::builder(3),
            async |cluster| {
                cluster.run(|| Careless);
                cluster.apply(WISH).await;
                let secrets = cluster.api::<Secret>("default");
                cluster.until("it is held", async |_| secrets.get_opt("held").await.unwrap().is_some()).await;
                let maps = cluster.api::<ConfigMap>("default");
                maps.delete("wish", &DeleteParams::default()).await.unwrap();
            },
        )
    });
    assert!(message.starts_with("careless, write 2: it dies right after"), "{message}");
    assert!(message.contains("\ntoo much: ") && message.contains(r#""name":"held""#), "{message}");
}

/// Has a Secret that is finished in a second step. What it finds unfinished it throws away, again and again.
struct Wasteful;

#[controller(for = ConfigMap, uses(Secret: get | create | patch | delete), crate = "trimtab_reconcile")]
impl Wasteful {
    async fn reconcile(&self, map: &ConfigMap, cx: &Context<ConfigMap>) -> Result<Next> {
        if !has(map, "wanted") {
            return Ok(Next::on_change());
        }
        let secrets = Api::<Secret>::namespaced(cx.client(), "default");
        let new: Secret = serde_json::from_value(json!({"metadata": {"name": "made"}})).unwrap();
        let is_finished = |secret: &Secret| secret.metadata.labels.is_some();
        match secrets.get_opt("made").await? {
            Some(secret) if is_finished(&secret) => return Ok(Next::on_change()),
            Some(_) => {
                for _ in 0..3 {
                    secrets.delete("made", &DeleteParams::default()).await?;
                    secrets.create(&new).await?;
                }
            }
            None => {
                secrets.create(&new).await?;
            }
        }
        secrets.patch("made", &Patch::Merge(json!({"metadata": {"labels": {"finished": "yes"}}}))).await?;
        Ok(Next::on_change())
    }
}

#[test]
fn who_makes_things_again_and_again_is_found() {
    let message = found(|| {
        sweep(
            "wasteful",
            || TestCluster::builder(3),
            async |cluster| {
                cluster.run(|| Wasteful);
                cluster.apply(WISH).await;
            },
        )
    });
    assert!(message.starts_with("wasteful, write 0: it dies right after"), "{message}");
    let counts = "/registry/secrets/default/made was made 4 times and deleted 3 times, without faults 1 and 0 times";
    assert!(message.contains(counts), "{message}");
}

/// Has something of the whole cluster belong to what is in a namespace: no garbage collection finds its owner.
struct Overreaching;

#[controller(for = ConfigMap, uses(ClusterRole: create | patch), crate = "trimtab_reconcile")]
impl Overreaching {
    async fn reconcile(&self, map: &ConfigMap, cx: &Context<ConfigMap>) -> Result<Next> {
        if has(map, "wanted") {
            let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "wish", "uid": map.metadata.uid});
            let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                "metadata": {"name": "wide", "ownerReferences": [owner]}});
            let patch = Patch::Apply { object: role, manager: "overreaching".to_owned(), force: true };
            Api::<ClusterRole>::all(cx.client()).patch("wide", &patch).await?;
        }
        Ok(Next::on_change())
    }
}

#[test]
fn what_an_owner_leaves_behind_is_found() {
    let message = found(|| {
        sweep(
            "overreaching",
            || TestCluster::builder(3),
            async |cluster| {
                cluster.run(|| Overreaching);
                cluster.apply(WISH).await;
                let roles = cluster.api::<ClusterRole>("");
                cluster.until("there is a role", async |_| roles.get_opt("wide").await.unwrap().is_some()).await;
                cluster.api::<ConfigMap>("default").delete("wish", &DeleteParams::default()).await.unwrap();
            },
        )
    });
    let told = "their owners are gone, and they are not: \
                [\"/registry/rbac.authorization.k8s.io/clusterroles/wide\"]";
    assert!(message.contains(told), "{message}");
}

/// Tells of each pod that runs, and does not look again: where the pod dies, what it has told stays.
struct Trusting;

#[controller(for = Pod, uses(ConfigMap: patch), crate = "trimtab_reconcile")]
impl Trusting {
    async fn reconcile(&self, pod: &Pod, cx: &Context<Pod>) -> Result<Next> {
        let status = pod.status.as_ref();
        let restarts = status.and_then(|status| Some(status.container_statuses.as_ref()?.first()?.restart_count));
        if status.and_then(|status| status.phase.as_deref()) == Some("Running") && restarts > Some(0) {
            let lives = Patch::Merge(json!({"data": {pod.name(): "died"}}));
            Api::<ConfigMap>::namespaced(cx.client(), "default").patch("wish", &lives).await?;
        }
        Ok(Next::on_change())
    }
}

#[test]
fn who_does_not_expect_containers_to_die_is_found() {
    let message = found(|| {
        sweep_outages(
            || TestCluster::builder(3),
            async |cluster| {
                cluster.run(|| Trusting);
                cluster.apply(WISH).await;
                cluster.apply("{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: web, image: web}]}}").await;
                cluster.settle().await;
            },
        )
    });
    let (outage, rest) = message.split_once(": the cluster ended otherwise").expect("it ended otherwise");
    assert!(outage.ends_with(" after the start: the containers of node-0 end with an error"), "{message}");
    assert!(rest.contains(r#""data":{"web":"died"}"#), "{message}");
}

/// The same mistakes are found at random, and of all that goes wrong the one fault is told that matters.
#[test]
fn the_least_that_must_go_wrong_is_told() {
    let faults = trimtab_cluster::testing::Faults::default().writes(0.4);
    let told = std::panic::catch_unwind(|| {
        run(Seeds(20), |seed| TestCluster::builder(seed).faults(faults.clone()), forgetful);
    });
    let message = *told.unwrap_err().downcast::<String>().unwrap();
    assert!(message.starts_with("with TRIMTAB_SEED="), "{message}");
    assert!(message.contains(" these 1 are needed:\n  forgetful, write "), "{message}");
}

/// What the test on a cluster with a controller tells when it fails.
fn failed(scenario: impl AsyncFn(&TestCluster)) -> String {
    found(|| {
        run(Seeds(1), TestCluster::builder, scenario);
        0
    })
}

/// Writes something else every few seconds, to a Node, where heartbeats are.
struct Restless(AtomicU64);

#[controller(for = ConfigMap, uses(Node: patch), crate = "trimtab_reconcile")]
impl Restless {
    async fn reconcile(&self, map: &ConfigMap, cx: &Context<ConfigMap>) -> Result<Next> {
        if has(map, "wanted") {
            let label = Patch::Merge(
                json!({"metadata": {"labels": {"seen": self.0.fetch_add(1, Ordering::Relaxed).to_string()}}}),
            );
            Api::<Node>::all(cx.client()).patch("node-0", &label).await?;
        }
        Ok(Next::after(Duration::from_secs(2)))
    }
}

#[test]
fn who_never_rests_is_found() {
    let message = failed(async |cluster| {
        cluster.run(|| Restless(AtomicU64::new(0)));
        cluster.apply(WISH).await;
        cluster.settle().await;
    });
    assert!(message.starts_with("it does not come to rest\n"), "{message}");
    assert!(message.contains("restless: PATCH /api/v1/nodes/node-0"), "{message}");
}

/// Asserts what does not hold.
struct Wrong;

#[controller(for = ConfigMap, crate = "trimtab_reconcile")]
impl Wrong {
    async fn reconcile(&self, map: &ConfigMap, _cx: &Context<ConfigMap>) -> Result<Next> {
        assert!(!has(map, "wanted"), "nobody wants this");
        Ok(Next::on_change())
    }
}

#[test]
fn an_assertion_in_a_reconcile_fails_the_test() {
    let message = failed(async |cluster| {
        cluster.run(|| Wrong);
        cluster.apply(WISH).await;
        cluster.settle().await;
    });
    assert_eq!(message, "a reconcile panicked: wrong: default/wish: nobody wants this");
}

/// Cannot do what it is for.
struct Unable;

#[controller(for = ConfigMap, crate = "trimtab_reconcile")]
impl Unable {
    async fn reconcile(&self, map: &ConfigMap, _cx: &Context<ConfigMap>) -> Result<Next> {
        if has(map, "wanted") { Err(Error::other("no such thing")) } else { Ok(Next::on_change()) }
    }
}

#[test]
fn what_fails_is_told_to_who_waits_in_vain() {
    let message = failed(async |cluster| {
        cluster.run(|| Unable);
        cluster.apply(WISH).await;
        cluster.until("it is done", async |_| false).await;
    });
    assert!(message.starts_with("never: it is done\n"), "{message}");
    assert!(
        message.contains("\nwhat fails:\nunable default/wish failed ") && message.contains(": no such thing"),
        "{message}"
    );
}
