//! Hours of a database, and its end.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Secret};
use trimtab::client::{DeleteParams, ListParams};
use trimtab::testing::{Behaviour, Builder, Seeds, TestCluster, run, sweep};
use trimtab::{Conditions, Controlled, Named, Of};

use super::*;

const MANIFEST: &str = include_str!("../manifests/database.yaml");

/// Backups take ten seconds.
fn builder(seed: u64) -> Builder {
    let minutes = |name: &str| match name {
        "backup" => Behaviour { exit_after: Some(Duration::from_secs(10)), ..Behaviour::default() },
        _ => Behaviour::default(),
    };
    TestCluster::builder(seed).nodes(2).kinds([Database::kind()]).script(move |container| minutes(&container.name))
}

async fn pods(cluster: &TestCluster) -> Vec<String> {
    let pods = cluster.api::<Pod>("default").list(&ListParams::default()).await.unwrap().items;
    pods.iter().map(|pod| pod.name().to_owned()).collect()
}

async fn saved(cluster: &TestCluster) -> Option<String> {
    cluster.api::<Database>("default").get("books").await.unwrap().status.and_then(|status| status.last_backup)
}

#[test]
fn it_is_backed_up_every_hour_and_once_more_before_it_goes() {
    run(Seeds(2), builder, async |cluster| {
        cluster.run(Of::<Database>::new);
        cluster.apply(MANIFEST).await;
        cluster.until("it is saved", async |cluster| saved(cluster).await.is_some()).await;
        let secrets = cluster.api::<Secret>("default");
        let password = secrets.get("books").await.unwrap().data;
        cluster.advance(Duration::from_secs(5 * 3_600)).await;
        assert_eq!(pods(cluster).await.len(), 1 + 3, "the server and three backups: {:?}", pods(cluster).await);
        assert_eq!(secrets.get("books").await.unwrap().data, password, "it stays the same");
        let database = cluster.api::<Database>("default").get("books").await.unwrap();
        assert!(database.status.unwrap().conditions.holds("Ready"));

        cluster.api::<Database>("default").delete("books", &DeleteParams::default()).await.unwrap();
        cluster.advance(Duration::from_secs(5)).await;
        assert!(pods(cluster).await.iter().any(|name| name == "books-last-backup"));
        assert!(cluster.api::<Database>("default").get("books").await.is_ok(), "it waits for its last backup");
        cluster.until("nothing is left", async |cluster| pods(cluster).await.is_empty()).await;
    });
}

#[test]
fn it_may_die_at_each_of_its_writes() {
    let runs = sweep(
        Database::NAME,
        || builder(1),
        async |cluster| {
            cluster.run(Of::<Database>::new);
            cluster.apply(MANIFEST).await;
            cluster.until("it is saved", async |cluster| saved(cluster).await.is_some()).await;
            cluster.api::<Database>("default").delete("books", &DeleteParams::default()).await.unwrap();
            cluster.until("nothing is left", async |cluster| pods(cluster).await.is_empty()).await;
        },
    );
    assert!(runs > 15, "its writes are met: {runs}");
}
