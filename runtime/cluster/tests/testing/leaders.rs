//! Of two that stand for election one works, and what it had on its way when the other takes over does no harm.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};
use trimtab_client::{Api, DeleteParams, Patch};
use trimtab_cluster::testing::{Fault, TestCluster, in_virtual_time, sweep};
use trimtab_reconcile::{Context, Named, Next, Result, controller};

use crate::planted::found;

/// Holds a Secret for each entry of a ConfigMap that is marked, and tells the others when the map goes.
#[derive(Clone)]
struct Keeper;

#[controller(for = ConfigMap, labels = "kept", owns(Secret), uses(ConfigMap: patch), finalizer = "demo.io/keeper", crate = "trimtab_reconcile")]
impl Keeper {
    async fn reconcile(&self, map: &ConfigMap, cx: &Context<ConfigMap>) -> Result<Next> {
        for (name, value) in map.data.iter().flatten() {
            let secret = json!({"metadata": {"name": name}, "data": {"value": value}});
            cx.apply(serde_json::from_value::<Secret>(secret).unwrap()).await?;
        }
        Ok(Next::on_change())
    }

    async fn cleanup(&self, map: &ConfigMap, cx: &Context<ConfigMap>) -> Result<()> {
        let told = Patch::Merge(json!({"data": {map.name(): "gone"}}));
        Api::<ConfigMap>::namespaced(cx.client(), "default").patch("told", &told).await?;
        Ok(())
    }
}

const MAPS: &str = "
{apiVersion: v1, kind: ConfigMap, metadata: {name: told}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: wish, labels: {kept: here}}, data: {one: YQ==, two: Yg==}}
";

async fn kept(cluster: &TestCluster) -> BTreeMap<String, String> {
    let secrets = cluster.api::<Secret>("default").list(&Default::default()).await.unwrap().items;
    let value = |secret: &Secret| serde_json::to_value(secret.data.as_ref()?.get("value")?).ok();
    let text = |secret: &Secret| Some((secret.name().to_owned(), value(secret)?.as_str()?.to_owned()));
    secrets.iter().filter_map(text).collect()
}

async fn becomes(cluster: &TestCluster, wanted: &[(&str, &str)]) {
    let wanted = wanted.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    cluster.until("there is what is declared", async |cluster| kept(cluster).await == wanted).await;
}

async fn changed(cluster: &TestCluster, data: Value) {
    cluster.api::<ConfigMap>("default").patch("wish", &Patch::Merge(json!({"data": data}))).await.unwrap();
}

async fn made_changed_and_deleted(cluster: &TestCluster) {
    cluster.run_elected(|| Keeper);
    cluster.apply(MAPS).await;
    becomes(cluster, &[("one", "YQ=="), ("two", "Yg==")]).await;
    changed(cluster, json!({"one": null, "two": "Yw==", "three": "ZA=="})).await;
    becomes(cluster, &[("three", "ZA=="), ("two", "Yw==")]).await;
    cluster.api::<ConfigMap>("default").delete("wish", &DeleteParams::default()).await.unwrap();
    becomes(cluster, &[]).await;
}

#[test]
fn what_a_leader_that_was_still_had_on_its_way_does_no_harm() {
    let runs = sweep("keeper", || TestCluster::builder(3), made_changed_and_deleted);
    assert!(runs > 6 * 8, "{runs}");
}

#[trimtab_cluster::testing::test(seeds = 8, faults, crate = "trimtab_cluster::testing")]
async fn whoever_leads_it_ends_well(cluster: &TestCluster) {
    made_changed_and_deleted(cluster).await;
}

/// It is cut off, the other leads and does its work, and only then does the write arrive.
#[test]
fn the_other_takes_over_while_a_write_is_under_way() {
    in_virtual_time(async {
        let cluster = TestCluster::builder(3).fault("keeper", 0, Fault::LeaderLost(1)).start().await;
        made_changed_and_deleted(&cluster).await;
        let told = cluster.history().to_string();
        assert!(told.contains("which is write 0: it is cut off"), "{told}");
        assert!(told.contains("default/configmaps/wish arrives late: 409 Conflict"), "{told}");
        cluster.stop().await;
    });
}

/// Copies a mark to where it does not look again, by writes that hold of any version.
#[derive(Clone)]
struct Unfenced;

#[controller(for = ConfigMap, labels = "kept", uses(ConfigMap: patch), crate = "trimtab_reconcile")]
impl Unfenced {
    async fn reconcile(&self, map: &ConfigMap, cx: &Context<ConfigMap>) -> Result<Next> {
        let copy = Patch::Merge(json!({"data": map.data}));
        Api::<ConfigMap>::namespaced(cx.client(), "default").patch("told", &copy).await?;
        Ok(Next::on_change())
    }
}

#[test]
fn who_writes_whatever_the_version_is_found() {
    let message = found(|| {
        sweep(
            "unfenced",
            || TestCluster::builder(3),
            async |cluster| {
                cluster.run_elected(|| Unfenced);
                cluster.apply(MAPS).await;
                let maps = cluster.api::<ConfigMap>("default");
                let copied = async |value: &str| {
                    let data = maps.get("told").await.unwrap().data.unwrap_or_default();
                    data.get("two").is_some_and(|found| found == value)
                };
                cluster.until("it is copied", async |_| copied("Yg==").await).await;
                changed(cluster, json!({"two": "Yw=="})).await;
                cluster.until("it is copied again", async |_| copied("Yw==").await).await;
            },
        )
    });
    assert!(message.starts_with("unfenced, write 0: it is cut off; the write arrives when it is back"), "{message}");
}
