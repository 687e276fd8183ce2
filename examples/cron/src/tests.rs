//! Hours of schedules in virtual time.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use trimtab::client::ListParams;
use trimtab::testing::{TestCluster, sweep};
use trimtab::{Conditions, Controlled, Of};

use crate::schedule::{Schedule, is_finished};

const MINUTE: Duration = Duration::from_secs(60);

/// Every five minutes, a pod that takes so many seconds.
fn manifest(policy: &str, seconds: u32) -> String {
    format!(
        "
apiVersion: demo.io/v1
kind: Schedule
metadata: {{name: report}}
spec:
  schedule: '*/5 * * * *'
  concurrencyPolicy: {policy}
  historyLimit: 2
  containers:
  - {{name: report, image: report:1, env: [{{name: SIM_EXIT_AFTER_MS, value: '{seconds}000'}}]}}
"
    )
}

/// How many pods run, and how many have ended.
async fn runs(cluster: &TestCluster) -> (usize, usize) {
    let pods = cluster.api::<Pod>("default").list(&ListParams::default()).await.unwrap().items;
    let finished = pods.iter().filter(|pod| is_finished(pod)).count();
    (pods.len() - finished, finished)
}

async fn started(cluster: &TestCluster) -> usize {
    let events = cluster.api::<Event>("default").list(&ListParams::default()).await.unwrap().items;
    let of = |event: &Event, reason| event.reason.as_deref() == Some(reason);
    events
        .iter()
        .filter(|event| of(event, "Started") && event.regarding.as_ref().unwrap().kind.as_deref() == Some("Schedule"))
        .count()
}

#[trimtab::test(seeds = 2, kinds(Schedule))]
async fn what_has_ended_is_kept_up_to_a_limit(cluster: &TestCluster) {
    cluster.run(Of::<Schedule>::new);
    cluster.apply(&manifest("Allow", 30)).await;
    cluster.advance(23 * MINUTE).await;
    assert_eq!((runs(cluster).await, started(cluster).await), ((0, 2), 4));
}

#[trimtab::test(kinds(Schedule))]
async fn what_still_runs_goes_on_is_waited_for_or_is_stopped(cluster: &TestCluster) {
    cluster.run(Of::<Schedule>::new);
    for (policy, expected) in [("Allow", (2, 0)), ("Forbid", (1, 0)), ("Replace", (1, 0))] {
        cluster.apply(&manifest(policy, 3_000)).await;
        let schedules = cluster.api::<Schedule>("default");
        cluster.advance(12 * MINUTE).await;
        assert_eq!(runs(cluster).await, expected, "{policy}");
        schedules.delete("report", &Default::default()).await.unwrap();
        cluster.until("its pods are gone", async |cluster| runs(cluster).await == (0, 0)).await;
        // To where each begins.
        let into = Duration::from_secs((cluster.env().now().as_second() % 300).unsigned_abs());
        cluster.advance(5 * MINUTE - into + Duration::from_secs(1)).await;
    }
}

#[trimtab::test(kinds(Schedule))]
async fn a_wrong_schedule_says_so(cluster: &TestCluster) {
    cluster.run(Of::<Schedule>::new);
    cluster.apply(&manifest("Allow", 1).replace("*/5", "*/0")).await;
    let status = async |cluster: &TestCluster| cluster.api::<Schedule>("default").get("report").await.unwrap().status;
    cluster.until("it is told", async |cluster| status(cluster).await.is_some()).await;
    let conditions = status(cluster).await.unwrap().conditions;
    assert!(!conditions.holds("Ready"));
    assert!(conditions[0].message.starts_with("\"*/0\" is none of"), "{conditions:?}");
}

#[test]
fn it_may_die_at_each_of_its_writes() {
    let builder = || TestCluster::builder(1).kinds([Schedule::kind()]);
    sweep(Schedule::NAME, builder, async |cluster| {
        cluster.run(Of::<Schedule>::new);
        cluster.apply(&manifest("Allow", 20)).await;
        cluster.advance(12 * MINUTE).await;
        let suspended = manifest("Allow", 20).replace("historyLimit: 2", "historyLimit: 2\n  suspend: true");
        cluster.apply(&suspended).await;
        cluster.until("two have ended", async |cluster| runs(cluster).await == (0, 2)).await;
    });
}
