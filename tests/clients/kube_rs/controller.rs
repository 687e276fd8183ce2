//! `kube::runtime::Controller`, with all that a controller needs: owned children, a finalizer,
//! status, Events and a Lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt, TryFutureExt};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event as StoredEvent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::runtime::finalizer::{Event as Finalizer, finalizer};
use kube::runtime::wait::delete::delete_and_finalize;
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt};
use serde_json::json;

use super::custom::{Site, SiteSpec, SiteStatus, define};
use super::{map, refused};
use crate::harness::{Running, object, within};

const FINALIZER: &str = "clients.demo.io/farewell";

struct Context {
    client: Client,
    recorder: Recorder,
    cleaned: AtomicUsize,
}

async fn reconcile(site: Arc<Site>, cx: Arc<Context>) -> Result<Action, kube::runtime::finalizer::Error<kube::Error>> {
    let sites: Api<Site> = Api::default_namespaced(cx.client.clone());
    finalizer(&sites, FINALIZER, site, |event| async {
        match event {
            Finalizer::Apply(site) => apply(&site, &cx).await,
            Finalizer::Cleanup(_) => {
                cx.cleaned.fetch_add(1, Ordering::SeqCst);
                Ok(Action::await_change())
            }
        }
    })
    .await
}

async fn apply(site: &Site, cx: &Context) -> Result<Action, kube::Error> {
    let maps: Api<ConfigMap> = Api::default_namespaced(cx.client.clone());
    let mut child = map(&site.name_any(), &json!({"image": site.spec.image}));
    child.metadata.owner_references = site.controller_owner_ref(&()).map(|owner| vec![owner]);
    maps.patch(&site.name_any(), &PatchParams::apply("sites").force(), &Patch::Apply(&child)).await?;
    let status = SiteStatus { replicas: site.spec.replicas };
    if site.status.as_ref() != Some(&status) {
        let sites: Api<Site> = Api::default_namespaced(cx.client.clone());
        let patch = Patch::Merge(json!({"status": status}));
        sites.patch_status(&site.name_any(), &PatchParams::default(), &patch).await?;
        let event = Event {
            type_: EventType::Normal,
            reason: "Scaled".to_owned(),
            note: Some(format!("to {}", status.replicas)),
            action: "Scale".to_owned(),
            secondary: None,
        };
        cx.recorder.publish(&event, &site.object_ref(&())).await?;
    }
    Ok(Action::await_change())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_keeps_what_it_owns() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let sites = define(&client).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let recorder = Recorder::new(client.clone(), "sites".into());
    let context = Arc::new(Context { client: client.clone(), recorder, cleaned: AtomicUsize::new(0) });
    let config = watcher::Config::default();
    let controller = Controller::new(sites.clone(), config.clone()).owns(maps.clone(), config);
    let retry = |_: Arc<Site>, _: &_, _: Arc<Context>| Action::requeue(Duration::from_millis(100));
    let running = controller.run(reconcile, retry, Arc::clone(&context)).for_each(|_| async {});

    let user = async {
        let site = Site::new("home", SiteSpec { image: "i".to_owned(), replicas: 2 });
        sites.create(&PostParams::default(), &site).await.unwrap();
        let reported = |replicas: i32| {
            move |site: Option<&Site>| site.is_some_and(|site| site.status == Some(SiteStatus { replicas }))
        };
        let site = await_condition(sites.clone(), "home", reported(2)).await.unwrap().unwrap();
        assert_eq!(site.finalizers(), [FINALIZER]);
        let child = maps.get("home").await.unwrap();
        assert_eq!(child.owner_references()[0].uid, site.uid().unwrap());

        // What is deleted or changed behind its back comes back.
        maps.delete("home", &DeleteParams::default()).await.unwrap();
        await_condition(maps.clone(), "home", conditions::is_created()).await.unwrap();
        let change = Patch::Merge(json!({"metadata": {"labels": {"image": "other"}}}));
        maps.patch("home", &PatchParams::default(), &change).await.unwrap();
        let repaired = |map: Option<&ConfigMap>| map.is_some_and(|map| map.labels()["image"] == "i");
        await_condition(maps.clone(), "home", repaired).await.unwrap();

        sites
            .patch_scale("home", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 3}})))
            .await
            .unwrap();
        await_condition(sites.clone(), "home", reported(3)).await.unwrap();
        // The status is seen before the event is told, which the second time is one of a series.
        let twice = |event: Option<&StoredEvent>| {
            event.and_then(|event| event.series.as_ref()).is_some_and(|series| series.count == 2)
        };
        let events: Api<StoredEvent> = Api::default_namespaced(client.clone());
        let told = events.list(&ListParams::default().fields("reason=Scaled")).await.unwrap().items;
        assert_eq!(told[0].note.as_deref(), Some("to 2"));
        await_condition(events, &told[0].name_any(), twice).await.unwrap();

        let uid = maps.get("home").await.unwrap().uid().unwrap();
        delete_and_finalize(sites.clone(), "home", &DeleteParams::default()).await.unwrap();
        assert_eq!(context.cleaned.load(Ordering::SeqCst), 1, "the finalizer ran before it went");
        // Its children are collected.
        await_condition(maps.clone(), "home", conditions::is_deleted(&uid)).await.unwrap();
    };
    tokio::select! {
        () = running => panic!("a controller runs for ever"),
        () = within("all of it", user) => {}
    }
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_told_again_becomes_a_series() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let regarding = maps.create(&PostParams::default(), &map("one", &json!({}))).await.unwrap().object_ref(&());
    let recorder = Recorder::new(client.clone(), "clients".into());
    let event = Event {
        type_: EventType::Warning,
        reason: "Odd".to_owned(),
        note: Some("once more".to_owned()),
        action: "Look".to_owned(),
        secondary: None,
    };
    for _ in 0..3 {
        recorder.publish(&event, &regarding).await.unwrap();
    }
    let events: Api<StoredEvent> = Api::default_namespaced(client.clone());
    let stored = events.list(&ListParams::default().fields("reason=Odd")).await.unwrap().items;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].series.as_ref().unwrap().count, 3);
    assert_eq!(stored[0].regarding.as_ref().unwrap().name.as_deref(), Some("one"));
    // The core group shows the same event in its own words.
    let core: Api<k8s_openapi::api::core::v1::Event> = Api::default_namespaced(client);
    let seen = core.list(&ListParams::default().fields("involvedObject.name=one")).await.unwrap().items;
    assert_eq!((seen[0].message.as_deref(), seen[0].type_.as_deref()), (Some("once more"), Some("Warning")));
    assert_eq!(seen[0].series.as_ref().unwrap().count, Some(3));
    cluster.end().await;
}

/// Who leads is who wrote the Lease last: of two that write over the same version, one is told so.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_has_one_holder() {
    let cluster = Running::start().await;
    let leases: Api<Lease> = Api::default_namespaced(cluster.kube().await);
    let lease: Lease = object(json!({
        "metadata": {"name": "leader"},
        "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "leaseTransitions": 0},
    }));
    let held = leases.create(&PostParams::default(), &lease).await.unwrap();
    let claim = |holder: &str| {
        let mut lease = held.clone();
        let spec = lease.spec.as_mut().unwrap();
        spec.holder_identity = Some(holder.to_owned());
        spec.renew_time = Some(MicroTime(Timestamp::from_microsecond(1_700_000_000_123_456).unwrap()));
        lease
    };
    let post = PostParams::default();
    let (b, c) = (claim("b"), claim("c"));
    let claims = futures::join!(leases.replace("leader", &post, &b), leases.replace("leader", &post, &c));
    let (won, lost) = if claims.0.is_ok() { (claims.0, claims.1) } else { (claims.1, claims.0) };
    refused(lost, 409, "Conflict");
    let spec = leases.get("leader").map_ok(|lease| lease.spec.unwrap()).await.unwrap();
    assert_eq!(spec.holder_identity, won.unwrap().spec.unwrap().holder_identity);
    assert_eq!(spec.renew_time, b.spec.unwrap().renew_time, "to the microsecond");
    cluster.end().await;
}
