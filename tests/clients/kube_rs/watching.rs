//! Watches, and what is built on them: `watcher`, `reflector` and `wait`.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ReplicationController};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::wait::{Condition, await_condition, conditions};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Resource, ResourceExt};
use serde_json::json;

use super::map;
use crate::harness::{Running, object, within};

/// What the next event says, in short.
async fn next<K: Resource>(stream: &mut (impl Stream<Item = watcher::Result<Event<K>>> + Unpin)) -> String {
    match within("an event", stream.next()).await.unwrap().unwrap() {
        Event::Init => "init".to_owned(),
        Event::InitApply(object) => format!("had {}", object.name_any()),
        Event::InitDone => "done".to_owned(),
        Event::Apply(object) => format!("applied {}", object.name_any()),
        Event::Delete(object) => format!("deleted {}", object.name_any()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_what_was_there_and_what_comes() {
    let cluster = Running::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.kube().await);
    let labels = json!({"seen": "yes"});
    let label = |value: &str| Patch::Merge(json!({"metadata": {"labels": {"seen": value}}}));
    for config in [
        watcher::Config::default().page_size(2),
        watcher::Config::default().any_semantic(),
        watcher::Config::default().streaming_lists(),
    ] {
        for name in ["a", "b", "c"] {
            maps.create(&PostParams::default(), &map(name, &labels)).await.unwrap();
        }
        let mut events = pin!(watcher(maps.clone(), config.clone().labels("seen=yes")));
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last| last != "done") {
            seen.push(next(&mut events).await);
        }
        assert_eq!(seen, ["init", "had a", "had b", "had c", "done"], "{config:?}");
        maps.create(&PostParams::default(), &map("d", &labels)).await.unwrap();
        assert_eq!(next(&mut events).await, "applied d", "{config:?}");
        // What the selector no longer selects is gone for this watch, and back when it does again.
        maps.patch("d", &PatchParams::default(), &label("no")).await.unwrap();
        assert_eq!(next(&mut events).await, "deleted d", "{config:?}");
        maps.patch("d", &PatchParams::default(), &label("yes")).await.unwrap();
        assert_eq!(next(&mut events).await, "applied d", "{config:?}");
        for name in ["a", "b", "c", "d"] {
            maps.delete(name, &DeleteParams::default()).await.unwrap();
            assert_eq!(next(&mut events).await, format!("deleted {name}"), "{config:?}");
        }
    }
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_alone_can_be_watched() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let metadata: Api<PartialObjectMeta<ConfigMap>> = Api::default_namespaced(client);
    maps.create(&PostParams::default(), &map("a", &json!({"seen": "yes"}))).await.unwrap();
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let events = watcher(metadata.clone(), config.labels("seen")).applied_objects();
        let first = within("an object", pin!(events).try_next()).await.unwrap().unwrap();
        assert_eq!(first.types.as_ref().unwrap().kind, "PartialObjectMetadata");
        assert_eq!((first.name_any().as_str(), first.labels()["seen"].as_str()), ("a", "yes"));
    }
    cluster.end().await;
}

/// The stream under the watcher: bookmarks, the end after a time, and errors as events.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_starts_where_it_is_told_and_ends_in_time() {
    let cluster = Running::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.kube().await);
    // A controller makes it in every namespace: it is not to come in between.
    let root_ca = async {
        while maps.get("kube-root-ca.crt").await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the namespace has its authority", root_ca).await;
    let first = maps.create(&PostParams::default(), &map("a", &json!({}))).await.unwrap();
    let start = first.resource_version().unwrap();
    maps.create(&PostParams::default(), &map("b", &json!({}))).await.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();

    let params = WatchParams::default().timeout(1);
    let events: Vec<_> = maps.watch(&params, &start).await.unwrap().try_collect().await.unwrap();
    let told = |event: &WatchEvent<ConfigMap>| match event {
        WatchEvent::Added(map) => format!("ADDED {}", map.name_any()),
        WatchEvent::Modified(map) => format!("MODIFIED {}", map.name_any()),
        WatchEvent::Deleted(map) => format!("DELETED {}", map.name_any()),
        WatchEvent::Bookmark(bookmark) => format!("BOOKMARK {}", bookmark.types.kind),
        WatchEvent::Error(error) => format!("ERROR {}", error.code),
    };
    let words: Vec<_> = events.iter().map(told).filter(|word| !word.starts_with("BOOKMARK")).collect();
    assert_eq!(words, ["ADDED b", "DELETED a"], "from after its revision, in order");

    let all = WatchParams::default().timeout(1).initial_events();
    let events: Vec<_> = maps.watch(&all, "0").await.unwrap().try_collect().await.unwrap();
    let bookmark = events.iter().find_map(|event| match event {
        WatchEvent::Bookmark(bookmark) => Some(bookmark),
        _ => None,
    });
    let bookmark = bookmark.expect("it says when it has told all");
    assert_eq!(bookmark.types.kind, "ConfigMap");
    assert_eq!(bookmark.metadata.annotations["k8s.io/initial-events-end"], "true");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reflector_holds_what_there_is() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let controllers: Api<ReplicationController> = Api::default_namespaced(client.clone());
    let rc = object(json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": 3, "selector": {"app": "web"}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "sim"}]},
        }},
    }));
    let pods: Api<Pod> = Api::default_namespaced(client);
    let (reader, writer) = reflector::store();
    let stream = watcher(pods, watcher::Config::default().labels("app=web")).default_backoff();
    let mut stream = pin!(reflector(writer, stream).touched_objects());
    let running = |reader: &reflector::Store<Pod>| {
        reader.state().iter().filter(|pod| conditions::is_pod_running().matches_object(Some(pod))).count()
    };
    // A store is filled while its stream is read; but what was listed is in it only after the last of it came by,
    // and then there may be nothing more to come.
    let mut until = async |what: &str, holds: &dyn Fn() -> bool| {
        let reading = async {
            while !holds() {
                if let Ok(touched) = tokio::time::timeout(Duration::from_millis(50), stream.next()).await {
                    touched.unwrap().unwrap();
                }
            }
        };
        within(what, reading).await;
    };
    controllers.create(&PostParams::default(), &rc).await.unwrap();
    until("three run", &|| running(&reader) == 3).await;
    reader.wait_until_ready().await.unwrap();
    let names: BTreeSet<_> = reader.state().iter().map(|pod| pod.name_any()).collect();
    let first = names.first().unwrap();
    let reference = reflector::ObjectRef::new(first).within("default");
    assert_eq!(reader.get(&reference).unwrap().labels()["app"], "web");
    controllers
        .patch_scale("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 1}})))
        .await
        .unwrap();
    until("one is left", &|| reader.len() == 1).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_is_awaited() {
    let cluster = Running::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.kube().await);
    let has = |value: &'static str| {
        move |map: Option<&ConfigMap>| map.is_some_and(|map| map.data.as_ref().unwrap()["k"] == value)
    };
    let awaited = await_condition(maps.clone(), "one", has("w"));
    let changed = async {
        within("it is made", await_condition(maps.clone(), "one", conditions::is_created())).await.unwrap();
        maps.patch("one", &PatchParams::default(), &Patch::Merge(json!({"data": {"k": "w"}}))).await.unwrap();
    };
    let made = async { maps.create(&PostParams::default(), &map("one", &json!({}))).await.unwrap() };
    let (found, (), made) = within("all of it", futures::future::join3(awaited, changed, made)).await;
    let found = found.unwrap().unwrap();
    assert_eq!(found.uid(), made.uid());
    let uid = made.uid().unwrap();
    let gone = await_condition(maps.clone(), "one", conditions::is_deleted(&uid));
    let params = DeleteParams::default();
    let (gone, deleted) = futures::join!(within("it is gone", gone), maps.delete("one", &params));
    assert!(gone.unwrap().is_none() && deleted.is_ok());
    let never = has("x").not().and(has("w"));
    assert!(!never.matches_object(None));
    cluster.end().await;
}
