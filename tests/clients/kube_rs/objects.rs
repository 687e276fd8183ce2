//! `Api<K>`: create, get, list, replace and delete.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::runtime::wait::delete::delete_and_finalize;
use serde_json::json;

use super::{map, pod, refused, run};
use crate::harness::{Running, object, within};

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_created_read_replaced_and_deleted() {
    let cluster = Running::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.kube().await);
    let post = PostParams { field_manager: Some("kube".to_owned()), ..PostParams::default() };

    let dry = PostParams { dry_run: true, ..post.clone() };
    assert!(maps.create(&dry, &map("one", &json!({}))).await.unwrap().uid().is_some());
    assert!(maps.get_opt("one").await.unwrap().is_none(), "a dry run leaves nothing");

    let made = maps.create(&post, &map("one", &json!({"tier": "a"}))).await.unwrap();
    assert_eq!(made.managed_fields()[0].manager.as_deref(), Some("kube"));
    let status = refused(maps.create(&post, &map("one", &json!({}))).await, 409, "AlreadyExists");
    assert_eq!(status.message, "configmaps \"one\" already exists");
    let details = status.details.unwrap();
    assert_eq!((details.name.as_str(), details.kind.as_str()), ("one", "configmaps"));

    let mut changed = maps.get("one").await.unwrap();
    changed.data.as_mut().unwrap().insert("k".to_owned(), "w".to_owned());
    let replaced = maps.replace("one", &post, &changed).await.unwrap();
    assert_eq!((&replaced.data, replaced.uid()), (&changed.data, made.uid()));
    assert_ne!(replaced.resource_version(), made.resource_version());
    let status = refused(maps.replace("one", &post, &changed).await, 409, "Conflict");
    assert!(status.message.ends_with("please apply your changes to the latest version and try again"), "{status}");

    let metadata = maps.get_metadata("one").await.unwrap();
    assert_eq!(metadata.types.as_ref().unwrap().kind, "PartialObjectMetadata");
    assert_eq!(metadata.labels()["tier"], "a");

    let error = refused(maps.create(&post, &map("No", &json!({"-": ""}))).await, 422, "Invalid");
    let fields: Vec<_> = error.details.unwrap().causes.into_iter().map(|cause| cause.field).collect();
    assert_eq!(fields, ["metadata.name", "metadata.labels"]);

    let status = maps.delete("one", &DeleteParams::default()).await.unwrap().right().expect("it went at once");
    assert_eq!(Some(status.details.unwrap().uid), made.uid());
    let error = refused(maps.delete("one", &DeleteParams::default()).await, 404, "NotFound");
    assert_eq!(error.message, "configmaps \"one\" not found");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages_and_by_selectors() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let post = PostParams::default();
    namespaces.create(&post, &object(json!({"metadata": {"name": "pages"}}))).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client, "pages");
    for index in 0..5 {
        let tier = if index < 2 { "front" } else { "back" };
        maps.create(&post, &map(&format!("m{index}"), &json!({"tier": tier}))).await.unwrap();
    }
    let mut generated = map("", &json!({"tier": "front"}));
    generated.metadata.name = None;
    generated.metadata.generate_name = Some("made-".to_owned());
    let generated = maps.create(&post, &generated).await.unwrap().name_any();
    assert!(generated.starts_with("made-") && generated.len() == "made-".len() + 5, "{generated}");

    let labelled = |selector: &str| ListParams::default().labels(selector);
    let names = async |params: ListParams| -> Vec<String> {
        maps.list(&params).await.unwrap().iter().map(ResourceExt::name_any).collect()
    };
    assert_eq!(names(labelled("tier in (front,side),tier!=back")).await, ["m0", "m1", &generated]);
    maps.create(&post, &map("bare", &json!({"only": "this"}))).await.unwrap();
    assert_eq!(names(labelled("only,!tier")).await, ["bare"]);
    assert_eq!(names(ListParams::default().fields("metadata.name=m3")).await, ["m3"]);
    refused(maps.list(&ListParams::default().fields("data.k=v")).await, 400, "BadRequest");

    let (mut all, mut token, mut version) = (Vec::new(), None::<String>, None);
    loop {
        let mut params = labelled("tier").limit(4);
        params.continue_token = token.take();
        let page = maps.list(&params).await.unwrap();
        all.extend(page.iter().map(ResourceExt::name_any));
        // What is made meanwhile is not of this list.
        maps.create(&post, &map(&format!("n{}", all.len()), &json!({"tier": "late"}))).await.unwrap();
        let seen = version.get_or_insert_with(|| page.metadata.resource_version.clone());
        assert_eq!(&page.metadata.resource_version, seen, "all pages are of one revision");
        token = page.metadata.continue_.filter(|token| !token.is_empty());
        if token.is_none() {
            break;
        }
    }
    assert_eq!(all, ["m0", "m1", "m2", "m3", "m4", &generated]);
    refused(maps.list(&ListParams::default().limit(1).continue_token("x")).await, 400, "BadRequest");

    let metadata = maps.list_metadata(&labelled("tier=back")).await.unwrap();
    assert_eq!(metadata.types.kind, "PartialObjectMetadataList");
    assert_eq!(metadata.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["m2", "m3", "m4"]);

    let gone = maps.delete_collection(&DeleteParams::default(), &labelled("tier=back")).await.unwrap();
    assert_eq!(gone.left().expect("upstream answers what it deleted").items.len(), 3);
    assert_eq!(names(labelled("tier in (front,back)")).await, ["m0", "m1", &generated]);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_waits_for_grace_finalizers_and_dependents() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let pods = run(&client, &pod("slow", &[("SIM_STOP_MS", "300")])).await;
    let going = pods.delete("slow", &DeleteParams::default().grace_period(5)).await.unwrap();
    let going = going.left().expect("its container is still ending");
    assert_eq!(going.metadata.deletion_grace_period_seconds, Some(5));
    within("the pod is gone", delete_and_finalize(pods.clone(), "slow", &DeleteParams::default())).await.unwrap();
    assert!(pods.get_opt("slow").await.unwrap().is_none());

    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    let mut held = map("held", &json!({}));
    held.metadata.finalizers = Some(vec!["demo.io/held".to_owned()]);
    maps.create(&PostParams::default(), &held).await.unwrap();
    let held = maps.delete("held", &DeleteParams::default()).await.unwrap().left().expect("it is held");
    assert!(held.metadata.deletion_timestamp.is_some());
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("held", &PatchParams::default(), &release).await.unwrap();
    assert!(maps.get_opt("held").await.unwrap().is_none());

    let owner = maps.create(&PostParams::default(), &map("owner", &json!({}))).await.unwrap();
    let mut child = map("child", &json!({}));
    let reference = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.uid(),
        "blockOwnerDeletion": true});
    child.metadata.owner_references = Some(vec![object(reference)]);
    maps.create(&PostParams::default(), &child).await.unwrap();
    let stale = DeleteParams {
        preconditions: Some(kube::api::Preconditions { uid: Some("other".to_owned()), resource_version: None }),
        ..DeleteParams::default()
    };
    refused(maps.delete("owner", &stale).await, 409, "Conflict");
    let foreground =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    within("both are gone", delete_and_finalize(maps.clone(), "owner", &foreground)).await.unwrap();
    assert!(maps.get_opt("child").await.unwrap().is_none(), "the owner went last");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_changed_or_made() {
    let cluster = Running::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.kube().await);
    let mut entry = maps.entry("one").await.unwrap().or_insert(|| map("one", &json!({})));
    entry.commit(&PostParams::default()).await.unwrap();
    let mut entry = maps.entry("one").await.unwrap().or_insert(|| unreachable!("it is there")).and_modify(|map| {
        map.labels_mut().insert("seen".to_owned(), "yes".to_owned());
    });
    entry.commit(&PostParams::default()).await.unwrap();
    assert_eq!(maps.get("one").await.unwrap().labels()["seen"], "yes");
    let pods: Api<Pod> = Api::namespaced(cluster.kube().await, "nowhere");
    let error = refused(pods.create(&PostParams::default(), &pod("p", &[])).await, 404, "NotFound");
    assert_eq!(error.message, "namespaces \"nowhere\" not found");
    cluster.end().await;
}
